"""Measure the workloads: `python -m tests.benchmarks [W3 W4-deep …] [--markdown FILE]`.

Each contender lives in a process of its own, asleep while others are timed; they are timed in
turn, round after round, so that what slows the machine down slows all of them. Before that all
have to agree on loss and gradients, in float64. Ratios are to the best hand-written NumPy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradc.blas import THREADS, kernel_of_blas

from .contenders import TEXTBOOK, blas_threads, names
from .workloads import MAIN, WORKLOADS, Workload, prepare

ARRAYS = ("gradc", "numpy", "earlier")  # whose memory NumPy counts
ROOT = Path(__file__).parents[2]
GRADIENT, LOSS = (
    1e-6,
    1e-9,
)  # how far contenders may be apart, of an array's largest entry


@dataclass
class Entry:
    """A contender, its process and what was measured."""

    name: str
    process: subprocess.Popen[str] | None = None
    first: float = 0.0
    memory: int = 0
    arrays: int | None = None
    medians: list[float] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    error: float = 0.0
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.medians)


def start(mode: str, work: Workload, name: str, file: str) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    threads = blas_threads(name, work)
    for variable in THREADS:
        environment[variable] = str(threads)
    command = [sys.executable, "-W", "ignore", "-m", f"{__package__}.worker"]
    return subprocess.Popen(
        [*command, mode, work.name, name, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=ROOT,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    found: dict[str, Any] = json.loads(line) if line.strip() else {"error": "it died"}
    return found


def agree(work: Workload, entries: list[Entry], file: str) -> None:
    """Loss and gradients of each against those of the first; a note where they differ."""
    import numpy as np

    base: tuple[float, dict[str, Any]] | None = None
    for entry in entries:
        if entry.name.startswith("earlier"):  # other data: only timed
            continue
        process = start("check", work, entry.name, file)
        found = answer(process)
        process.wait()
        if "file" not in found:
            missing = found.get("missing")
            entry.note = (
                f"left out: {missing}" if missing else f"failed: {found['error']}"
            )
            continue
        with np.load(found["file"]) as arrays:
            gradients = {k: arrays[k] for k in arrays.files}
        os.unlink(found["file"])
        if base is None:
            base = found["loss"], gradients
            continue
        worst = max(
            float(np.abs(g - gradients[k]).max() / (np.abs(g).max() or 1))
            for k, g in base[1].items()
        )
        entry.error = worst
        apart = abs(found["loss"] - base[0]) / (abs(base[0]) or 1)
        if not (worst < GRADIENT and apart < LOSS):
            entry.note = f"WRONG: gradients {worst:.1e} apart, loss {apart:.1e}"


def jiffies(pid: int) -> tuple[int, int]:
    """Those that the machine was busy, and those of one process and its forks."""
    with open("/proc/stat") as file:
        all_of = [int(word) for word in file.readline().split()[1:9]]
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        forks = file.read().split()
    own = 0
    for member in (pid, *forks):
        with open(f"/proc/{member}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        own += int(fields[11]) + int(fields[12])
    return sum(all_of) - all_of[3] - all_of[4], own


def window(entry: Entry, seconds: float) -> None:
    """One measurement; `foreign` is the share of a core that others used meanwhile."""
    process = entry.process
    assert process is not None and process.stdin is not None
    time.sleep(0.06)  # until the threads of the one before are asleep
    busy, own = jiffies(process.pid)
    begin = time.perf_counter()
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    found = answer(process)
    elapsed = time.perf_counter() - begin
    busy_then, own_then = jiffies(process.pid)
    if "median" not in found:
        entry.note, entry.process = f"failed: {found['error']}", None
        return
    entry.medians.append(found["median"])
    entry.least.append(found["least"])
    entry.foreign.append(max(0, busy_then - busy - own_then + own) / 100 / elapsed)


def measure(
    work: Workload, wanted: list[str], rounds: int, seconds: float
) -> list[Entry]:
    import numpy as np

    entries = [Entry(n) for n in names(work) if not wanted or n in wanted]
    parameters, data = prepare(work)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "start.npz")
        np.savez(
            file,
            **{f"p/{k}": v for k, v in parameters.items()},
            **{f"d/{k}": v for k, v in data.items()},
        )
        agree(work, entries, file)
        for entry in entries:
            if entry.note:
                continue
            process = start("time", work, entry.name, file)
            found = answer(process)
            if "first" in found:
                entry.process = process
                entry.first, entry.memory = found["first"], found["memory"]
                if entry.name.startswith(ARRAYS):
                    asked = start("arrays", work, entry.name, file)
                    entry.arrays = answer(asked).get("arrays")
                    asked.wait()
            else:
                missing = found.get("missing")
                entry.note = (
                    f"left out: {missing}" if missing else f"failed: {found['error']}"
                )
        for _ in range(rounds):
            for entry in entries:
                if entry.process is not None:
                    window(entry, seconds)
        for entry in entries:
            if entry.process is not None and entry.process.stdin is not None:
                entry.process.stdin.close()
                entry.process.wait()
    return entries


# ------------------------------------------------------------------------------ reporting
def seconds_as_text(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.2f} µs"


def by_hand(entries: list[Entry]) -> Entry | None:
    """The fastest of what was written by hand to be fast, earlier or now."""
    ours = [
        e
        for e in entries
        if e.medians
        and e.name.startswith(("numpy", "python", "earlier"))
        and e.name != f"earlier {TEXTBOOK}"
    ]
    return min(ours, key=lambda e: e.median) if ours else None


def table(work: Workload, entries: list[Entry]) -> str:
    """A workload's results as Markdown, the fastest first."""
    base = by_hand(entries)
    done = sorted((e for e in entries if e.medians), key=lambda e: e.median)
    base = base or (done[0] if done else None)
    lines = [
        f"### {work.name}: {work.title}",
        "",
        "| | median | ratio | minimum | ratio | build and first step | arrays | memory | apart "
        "| load |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for e in done:
        assert base is not None
        low, base_low = min(e.least), min(base.least)
        apart = "" if e.name.startswith("earlier") else f"{e.error:.0e}"
        name = f"**{e.name}**" if e.name.startswith("gradc") else e.name
        lines.append(
            f"| {name} | {seconds_as_text(e.median)} | {e.median / base.median:.2f} "
            f"| {seconds_as_text(low)} | {low / base_low:.2f} | {seconds_as_text(e.first)} "
            f"| {'' if e.arrays is None else f'{e.arrays / 1e6:.1f} MB'} "
            f"| {e.memory / 1e6:.1f} MB | {apart} | {statistics.median(e.foreign):.1f} |"
        )
    lines += [f"\n{e.name}: {e.note}." for e in entries if e.note]
    return "\n".join(lines) + "\n"


def summary(results: list[tuple[Workload, list[Entry]]]) -> str:
    """The best of each kind beside the best by hand, medians (minima), and means over W1 to
    W7, geometric."""
    kinds = {
        "gradc -O2": ("gradc -O2",), "gradc -O1": ("gradc -O1",), "torch": ("torch",),
        "JAX": ("jax",), "autograd": ("autograd",), "Tangent": ("tangent",),
    }  # fmt: skip
    lines = [f"| | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    ratios: dict[str, list[float]] = {k: [] for k in kinds}
    for work, entries in results:
        base = by_hand(entries)
        if base is None:
            continue
        row = []
        for kind, starts in kinds.items():
            found = [e for e in entries if e.medians and e.name.startswith(starts)]
            if not found:
                row.append("–")
                continue
            best = min(found, key=lambda e: e.median)
            ratio = best.median / base.median
            least = min(min(e.least) for e in found) / min(base.least)
            row.append(f"{ratio:.2f} ({least:.2f})")
            if work.name in MAIN[:7]:
                ratios[kind].append(ratio)
        lines.append(f"| {work.name} | {' | '.join(row)} |")
    whole = [len(r) == 7 for r in ratios.values()]
    if any(whole):
        means = [
            f"{statistics.geometric_mean(r):.2f}" if all_ else "–"
            for r, all_ in zip(ratios.values(), whole, strict=True)
        ]
        lines.append(f"| W1 to W7 | {' | '.join(means)} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What was measured on, in a sentence or two."""
    import numpy as np

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            fields = dict(
                (part.strip() for part in line.split(":", 1))
                for line in file
                if ":" in line
            )
        model = fields.get("model name", model)
        if "avx512f" in fields.get("flags", ""):
            model += ", AVX-512"
    except OSError:
        pass
    blas = np.show_config("dicts")["Build Dependencies"]["blas"]
    return (
        f"{os.cpu_count()} cores of {model}; {platform.system()}, Python "
        f"{platform.python_version()}, NumPy {np.__version__} with {blas['name']} "
        f"{blas['version']}, kernel "
        f"{kernel_of_blas()}. {time.strftime('%d %B %Y')}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help="default: W1 to W8"
    )
    parser.add_argument("--only", action="append", default=[], help="a contender")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="of a window")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    given = parser.parse_args()
    unknown = [n for n in given.workloads if n not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    parts, wrong = [f"{machine()}\n"], False
    results: list[tuple[Workload, list[Entry]]] = []
    for name in given.workloads or MAIN:
        work = WORKLOADS[name]
        entries = measure(work, given.only, given.rounds, given.seconds)
        wrong |= any(e.note.startswith(("WRONG", "failed")) for e in entries)
        parts.append(table(work, entries))
        results.append((work, entries))
        print(parts[-1], flush=True)
        if given.markdown:
            given.markdown.write_text("\n".join([*parts, summary(results)]))
    print(summary(results), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
