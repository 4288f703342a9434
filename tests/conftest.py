"""What all tests share: goldens, markers, and the rule that nothing is skipped in silence."""

from __future__ import annotations

import difflib
import gc
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browser, opened  # noqa: F401 (fixtures)

# Reasons for which a test may be skipped although every extra is installed: the material
# is not part of the project, or far too large for it. `--strict-skips` fails on any other.
ALLOWED_SKIPS = re.compile(
    r"needs (\.\./shared|torch|jax|chromium)\b|torch is not installed"
)

# Tests compile: what an earlier run has kept would hide a mistake.
os.environ["GRADC_CACHE"] = "off"
# One worker a core: threads of BLAS would wait for each other. NumPy is not loaded yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the goldens; never in CI"
    )
    parser.addoption(
        "--strict-skips",
        action="store_true",
        help="fail where a test is skipped for a reason that is not allowed",
    )
    parser.addoption(
        "--poison",
        action="store_true",
        help="compile as with --poison, wherever that is done in the tests' process",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: seconds long; scripts and wheels")
    config.pluginmanager.register(Skips(), "gradc-skips")
    if config.getoption("--poison"):
        poison(config)


def poison(config: pytest.Config) -> None:
    """Compile as with `--poison` everywhere: what reads stale memory reads NaN."""
    from gradc.compiler.driver import Options

    original = Options.__init__

    def poisoned(self: Options, *args: Any, **options: Any) -> None:
        original(self, *args, **{**options, "poison": True})

    patch = pytest.MonkeyPatch()
    patch.setattr(Options, "__init__", poisoned)
    config.add_cleanup(patch.undo)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """Keep the collector from what lives until the end: tests, modules, programs.

    It would look at all of that again and again, which took a fifth of the whole run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        gc.enable()


# A minute each or more: they run where `-m` names them (CI's nightly run does).
LARGE = ("corruption", "crash", "long", "more", "training")
# Five seconds each or more.
FIRST = {
    "test_attacks.py",
    "test_derivation.py",
    "test_emitted_dags.py",
    "test_exact.py",
    "test_explorer_page.py",
    "test_mutated_programs.py",
    "test_peaks.py",
    "test_readme.py",
    "test_recompute.py",
    "test_sound.py",
    "test_stability.py",
    "test_wheel.py",
}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what is too large for every day, unless it is asked for by name.

    The files that take longest come first: none of them is left to one worker at the end.
    """
    asked = str(config.getoption("-m"))
    left = [name for name in LARGE if not re.search(rf"\b{name}\b", asked)]
    dropped = [i for i in items if any(i.get_closest_marker(name) for name in left)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        gone = set(dropped)
        items[:] = [item for item in items if item not in gone]
    items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are to be written."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool, request: pytest.FixtureRequest) -> Golden:
    """Compare text with the file that holds what it should be, and print the difference."""
    poisoned = bool(request.config.getoption("--poison"))

    def compare(path: Path, text: str) -> None:
        if poisoned and "def buffers(" in text:  # another text, and meant to be
            assert not update_golden
            return
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        if not path.exists():
            pytest.fail(f"{path} is missing; pytest --update-golden writes it")
        expected = path.read_bytes().decode("utf-8")
        if text != expected:
            difference = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), str(path), "now", lineterm=""
            )
            pytest.fail("\n".join(difference), pytrace=False)

    return compare


class Skips:
    """Collects why tests were skipped, in all workers, and judges at the end."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.note(report)

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        match report.longrepr:
            case (_, _, str(reason)):
                pass
            case _:
                reason = str(getattr(report, "wasxfail", report.longrepr))
        if not ALLOWED_SKIPS.search(reason):
            self.unexpected.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        strict = session.config.getoption("--strict-skips")
        if strict and self.unexpected and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        if config.getoption("--strict-skips"):
            for line in self.unexpected:
                terminalreporter.write_line(f"skipped without leave: {line}", red=True)
