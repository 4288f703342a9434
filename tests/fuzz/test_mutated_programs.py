"""Mutated programs through the whole compiler, and the gradient of each that compiles.

Whatever the text, `gradc compile` ends in 0 or 3 (rejected, with messages), without a
traceback and before long, which is counted in calls, for one mutant in ten. What compiles
and has a loss passes `gradc check`, with its layers narrow: a mutant may have grown a
hundred times wider than what it came of.
`GRADC_FUZZ=5000 pytest tests/fuzz` runs more than the default.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from calls import calls
from mutations import mutate, tokens

import gradc.cli
from gradc.compiler import CompileError
from gradc.compiler.driver import build
from gradc.compiler.source import Source

ROOT = Path(__file__).parent.parent
SHARDS = 10
COUNT = int(os.environ.get("GRADC_FUZZ", "500"))
MOST = 20_000_000  # calls: some seconds of work, far above what any of these takes
# Widths, channels, depths: the check differentiates by every entry.
SMALL = dict(
    zip(
        "784 400 384 256 128 65 64 32 28 16 6".split(),
        "9 5 6 6 6 9 4 3 8 2 2".split(),
        strict=True,
    )
)

FILES = sorted([*ROOT.glob("samples/*.net"), *ROOT.parent.glob("examples/*/*.net")])


def shrunk(text: str) -> str:
    """The program with narrow layers, and no block more than three times: less to check."""
    text = re.sub(r"\brepeat ([4-9]|\d\d+)\b", "repeat 3", text)
    return "".join(SMALL.get(token, token) for token in tokens(text))


CORPUS = [(path.name, shrunk(path.read_text(encoding="utf-8"))) for path in FILES]


def compiles(text: str) -> bool:
    """Whether a program is sound and has something to differentiate."""
    try:
        return bool(
            build(Source.from_text("a.net", text), until="grad").value.gradients
        )
    except CompileError:
        return False


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, str]]:
    """All programs; those that compile stand more often, since their mutants may too."""
    sound = [entry for entry in CORPUS if compiles(entry[1])]
    assert len(sound) >= 6
    return CORPUS + 4 * sound


def narrow(text: str) -> str:
    """The program without whole numbers beyond 99."""
    return re.sub(r"(?<![\w.])(\d\d)\d+(?![\w.])", r"\1", text)


def judge(text: str, name: str, *command: str) -> tuple[int, str]:
    """Exit code of a command that reads the program from stdin, and all that it says."""
    out, err = io.StringIO(), io.StringIO()
    stdin = io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "replace")), "utf-8")
    arguments = [*command, "--filename-in-msg", name]
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("sys.stdin", stdin)
        code = gradc.cli.main(arguments)
    return int(code), out.getvalue() + err.getvalue()


def compiled(text: str, name: str, counted: bool) -> tuple[int, str]:
    """How `gradc compile` ends, and that it does so before long."""
    ends: list[tuple[int, str]] = []

    def work() -> None:
        ends.append(judge(text, name, "compile", "-", "-o", "-"))

    if counted:
        assert calls(work) < MOST, text
    else:
        work()
    return ends[0]


@pytest.fixture(scope="module")
def total() -> Counter[str]:
    """How many mutants of all shards so far had each outcome."""
    return Counter()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_mutated_programs(
    shard: int,
    corpus: list[tuple[str, str]],
    total: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    words = sorted({t for _, text in CORPUS for t in tokens(text) if not t.isspace()})
    found = {"agrees": 0, "no loss": 0, "rejected": 0}
    for i in range(shard, COUNT, SHARDS):
        rng = random.Random(i)
        name, text = rng.choice(corpus)
        text = mutate(rng, text, words)
        code, said = compiled(text, name, counted=i // SHARDS % 10 == 0)
        if code == 0:
            checked, said = judge(narrow(text), name, "check", "-", "--seeds", "1")
            if checked != 3:  # what is narrow may fit no more
                code = checked
        outcome = "rejected" if code == 3 else "agrees"
        if "has no loss" in said:
            outcome = "no loss"
        place = f"mutant {i} of {name}, exit {code}:\n{text}\n{said}"
        assert code in (0, 3), place
        assert "Traceback" not in said, place
        found[outcome] += 1
    assert found["agrees"] and found["rejected"], found
    total.update(found)
    if total.total() == COUNT:  # the last shard of all: files are not shared out
        assert total["agrees"] >= 0.05 * COUNT, total
