"""How long the explorer page of a net with 2 000 nodes takes to open.

    python tests/explain/opening.py [ROUNDS]

For each net, the best of some rounds in headless Chromium: from the request to the end of
loading, and to the second frame that is painted. On a busy machine the best counts.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from gradc.cli.explore import page as written
from gradc.compiler.driver import Options, trace
from gradc.compiler.explain.explorer import explorer
from gradc.compiler.source import Source

SAMPLES = Path(__file__).parent.parent / "samples"
DEEP = "input x\nparam w = 0.5\nz = w * x\nrepeat 1000 { z = sin(z) * z }\nloss L = z\n"
PAINTED = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"


def pages(folder: Path) -> dict[str, Path]:
    """A chain of 2 000 operations, and a transformer of about as many."""
    gpt = (SAMPLES / "08_nanogpt.net").read_text("utf-8")
    found = {}
    for name, text, sets in (("chain", DEEP, {}), ("gpt", gpt, {"depth": "26"})):
        options = Options(folder=SAMPLES, overrides=sets)
        made = trace(Source.from_text(f"{name}.net", text), options)
        found[name] = folder / f"{name}.html"
        sizes = dict.fromkeys(made.program.symbols, 8)
        found[name].write_text(written(explorer(made, sizes)), encoding="utf-8")
    return found


def main(rounds: int) -> None:
    """Print a line a net."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, path in pages(Path(folder)).items():
            loaded, painted, nodes = [], [], 0
            for _ in range(rounds):
                page = browser.new_page()
                start = time.perf_counter()
                page.goto(path.as_uri())
                loaded.append(time.perf_counter() - start)
                page.evaluate(PAINTED)
                painted.append(time.perf_counter() - start)
                nodes = page.evaluate("items.length")
                page.close()
            print(
                f"{name}: {nodes} nodes, {path.stat().st_size / 1e6:.1f} MB: "
                f"loaded in {min(loaded):.2f} s, painted in {min(painted):.2f} s"
            )
        browser.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
