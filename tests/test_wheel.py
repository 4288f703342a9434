"""The built wheel: nothing of the tree is missing in it, and it works where nothing else is.

The wheel is built once, without the network, and installed into a fresh virtual environment
that sees the dependencies of this one through a `.pth` file, but neither this checkout nor
the editable install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SHIPPED = {".py", ".net", ".lark", ".json", ".typed", ".html", ".css", ".js"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without this checkout's settings; fail with what it said."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PIP", "PYTEST", "COV"))
    }
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


# The whole of this file runs in one worker (--dist loadfile), so the wheel is built once.
@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools leaves nothing behind in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "gradc"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("compiler", "runtime"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
        "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", folder, source,
        cwd=folder,
    )  # fmt: skip
    (built,) = folder.glob("gradc-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `python` and `gradc` in an environment with the wheel and its needs."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    scripts = home / "bin"
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(home)}))
    run(
        sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--quiet",
        "--disable-pip-version-check", "--no-deps", "--no-index", wheel,
        cwd=home,
    )  # fmt: skip
    # A plain path: `.pth` files in that folder, the editable install's, are not read.
    needs = Path(numpy.__file__).parent.parent
    (packages / "needs.pth").write_text(f"{needs}\n")
    return scripts


def expected() -> set[str]:
    """Every file of the two packages that a user needs, as it is called in the wheel."""
    found = set()
    for package, folder in (("gradc", "runtime"), ("gradc/compiler", "compiler")):
        for path in (ROOT / folder).rglob("*"):
            shipped = path.suffix in SHIPPED or path.name == "essays.md"
            if path.is_file() and shipped:
                found.add(f"{package}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


def test_nothing_is_missing_in_the_wheel(wheel: Path) -> None:
    held = {
        name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name
    }
    assert expected() - held == set()
    assert held - expected() == set()


def test_the_wheel_carries_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_gradc_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    said = run(
        installed / "python", "-c", "import gradc; print(gradc.__file__)", cwd=tmp_path
    )
    assert Path(said.stdout.strip()).is_relative_to(installed.parent)


def test_gradc_compiles_and_trains_from_the_wheel(
    installed: Path, tmp_path: Path
) -> None:
    shutil.copytree(EXAMPLES / "iris", tmp_path / "iris")
    for generated in (tmp_path / "iris").glob("*_net.py"):
        generated.unlink()
    compiled = run(
        installed / "gradc", "compile", "iris/iris.net", "-o", "-", cwd=tmp_path
    )
    assert "import numpy as np" in compiled.stdout
    run(installed / "gradc", "train", "iris/iris.net", cwd=tmp_path)
    assert list((tmp_path / "runs").glob("iris-*"))
