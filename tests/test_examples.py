"""Every example: its committed source is what the compiler writes, it is sound, it learns.

`pytest --update-golden tests/test_examples.py` writes the sources after a change of the
compiler; whoever does that reads the difference.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import black
import numpy as np
import pytest
from counting import counted, counting, plain
from forked import Server

from gradc.sizes import evaluate

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*/*.net"))
NAMES = [path.stem for path in PROGRAMS]
# Held-out accuracy of the runs as they stand, seed 0; a little below what they reach.
ACCURACY = {
    "cnn": 0.97,
    "iris": 0.9,
    "logistic": 0.94,
    "nielsen": 0.9,
    "relu_mlp": 0.9,
}
UNTRAINED = {"derivatives", "paths"}  # they have no loss


@pytest.fixture(scope="module")
def compiled() -> Callable[[Path], Any]:
    """Compile each program once."""
    from gradc.compiler import compile_file

    done: dict[Path, Any] = {}

    def get(path: Path) -> Any:
        if path not in done:
            done[path] = compile_file(path)
        return done[path]

    return get


def executed(path: Path) -> ModuleType:
    """The committed module of a program, executed."""
    module = ModuleType(path.stem)
    source = path.with_name(f"{path.stem}_net.py").read_text(encoding="utf-8")
    exec(compile(source, f"{path.stem}_net.py", "exec"), module.__dict__)
    return module


# ---------------------------------------------------------------------------- the source


@pytest.mark.parametrize("path", PROGRAMS, ids=NAMES)
def test_source_is_the_committed_one(
    path: Path, compiled: Callable[[Path], Any], golden: Callable[[Path, str], None]
) -> None:
    golden(path.with_name(f"{path.stem}_net.py"), compiled(path).source)


def test_no_source_without_its_program() -> None:
    orphans = [
        path
        for path in EXAMPLES.glob("*/*_net.py")
        if path.with_name(path.name.removesuffix("_net.py") + ".net") not in PROGRAMS
    ]
    assert not orphans


@pytest.mark.parametrize("path", PROGRAMS, ids=NAMES)
def test_source_passes_black(path: Path, compiled: Callable[[Path], Any]) -> None:
    source = compiled(path).source
    assert black.format_str(source, mode=black.Mode()) == source


@pytest.mark.parametrize("path", PROGRAMS, ids=NAMES)
def test_source_passes_the_guard(path: Path, compiled: Callable[[Path], Any]) -> None:
    from gradc.compiler.backend.guard import check

    check(compiled(path).source)


@pytest.mark.parametrize("path", PROGRAMS, ids=NAMES)
def test_source_compiles_without_a_warning(
    path: Path, compiled: Callable[[Path], Any]
) -> None:
    assert compiled(path).warnings == ()


# ------------------------------------------------------------------------------ the work


def arguments(signature: dict[str, Any], rng: np.random.Generator) -> tuple[Any, Any]:
    """Sizes for every symbolic dim, and inputs of these shapes."""
    sizes = {
        name: 48 if size["row"] else 7 + i
        for i, (name, size) in enumerate(signature["sizes"].items())
    }
    inputs = {}
    for entry in signature["inputs"]:
        shape = tuple(evaluate(dim, sizes) for dim in entry["shape"])
        if entry["kind"] == "int":
            low, high = (evaluate(dim, sizes) for dim in entry["range"])
            inputs[entry["name"]] = rng.integers(low, high, size=shape)
        else:
            inputs[entry["name"]] = rng.uniform(0.1, 0.9, size=shape)
    return sizes, inputs


@pytest.mark.parametrize("path", PROGRAMS, ids=NAMES)
def test_backward_works_at_most_four_times_as_much_as_forward(
    path: Path, compiled: Callable[[Path], Any]
) -> None:
    """The cheap gradient principle, counted on the text that is committed."""
    signature = compiled(path).signature
    module = executed(path)
    if not hasattr(module, "backward"):
        assert path.stem in UNTRAINED
        return
    rng = np.random.default_rng(0)
    sizes, inputs = arguments(signature, rng)
    params = module.init(rng, *(sizes[name] for name in signature["init_sizes"]))
    states = []
    if signature["states"]:
        params, state = params
        states = [{name: counting(value) for name, value in state.items()}]
    given = [
        inputs[name] if inputs[name].dtype.kind == "i" else counting(inputs[name])
        for name in signature["functions"]["forward"]["inputs"]
    ]
    with counted() as forward:
        _, saved, *_ = module.forward(
            {name: counting(value) for name, value in params.items()}, *states, *given
        )
    with counted() as backward:
        gradients = module.backward(saved)
    assert 0 < backward.elements <= 4 * forward.elements
    assert set(gradients) == set(params)
    for name, value in params.items():
        assert np.shape(plain(gradients[name])) == np.shape(value)


# -------------------------------------------------------------------------- the learning


@pytest.fixture(scope="module")
def gradc() -> Iterator[Server]:
    with Server() as server:
        yield server


def trained(gradc: Server, path: Path, folder: Path, *options: str) -> float:
    """Train a copy in an empty folder; the accuracy that the last epoch's line reports."""
    for file in path.parent.iterdir():
        if file.suffix != ".py" and file.is_file():
            shutil.copy(file, folder)
    result = gradc("train", path.name, *options, cwd=folder)
    assert result.code == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert (folder / "runs" / f"{path.stem}-1").is_dir()
    figures = re.findall(r"^epoch .* accuracy (\d\.\d+)", result.stderr, re.M)
    return float(figures[-1]) if figures else float("nan")


@pytest.mark.parametrize("name", ACCURACY)
def test_trains_from_a_copy_in_an_empty_folder(
    name: str, tmp_path: Path, gradc: Server
) -> None:
    (path,) = EXAMPLES.glob(f"*/{name}.net")
    assert trained(gradc, path, tmp_path) >= ACCURACY[name]


@pytest.mark.parametrize("path", PROGRAMS, ids=NAMES)
def test_every_example_is_trained(path: Path) -> None:
    """Here, or by the console block of its page (test_readme.py), and begun at least."""
    page = (path.parent / "README.md").read_text(encoding="utf-8")
    on_its_page = f"\n$ gradc train {path.name}" in page
    assert on_its_page or path.stem in {*ACCURACY, *UNTRAINED}


@pytest.mark.parametrize("seed", range(5))
def test_digits_reach_97_percent(seed: int, tmp_path: Path, gradc: Server) -> None:
    """The main job, from the text on."""
    digits = EXAMPLES / "digits" / "digits.net"
    assert trained(gradc, digits, tmp_path, "--seed", str(seed)) >= 0.97


@pytest.mark.more
def test_digits_take_3_seconds(tmp_path: Path) -> None:
    """The whole command in a process of its own, in seconds of the processor."""
    for name in ("digits.net", "digits.csv.gz"):
        shutil.copy(EXAMPLES / "digits" / name, tmp_path)
    command = [Path(sysconfig.get_path("scripts")) / "gradc", "train", "digits.net"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds <= 3.0


def test_the_digits_source_learns_alone(tmp_path: Path) -> None:
    """Ten lines of plain NumPy, those of the example's page; gradc can't be imported."""
    page = (EXAMPLES / "digits" / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    *lines, last = program.splitlines()
    assert len(lines) == 10 and last.startswith("print(")
    for name in ("digits_net.py", "digits.csv.gz"):
        shutil.copy(EXAMPLES / "digits" / name, tmp_path)
    # A folder with NumPy and nothing else: neither site-packages nor this checkout is read.
    alone = tmp_path / "numpy_alone"
    alone.mkdir()
    packages = Path(np.__file__).parent.parent
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (alone / name).symlink_to(packages / name)
    (tmp_path / "train.py").write_text(
        f"import sys\nsys.path[:0] = [{str(alone)!r}, {str(tmp_path)!r}]\n"
        "try:\n    import gradc\nexcept ModuleNotFoundError:\n    pass\n"
        f"else:\n    raise SystemExit('gradc is there')\n{program}"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "train.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) >= 0.97
