"""Any text whatever: parse, format and resolve end with an answer or with diagnostics.

Their work is counted in calls: it grows with the length of the text and no faster.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from calls import calls
from hypothesis import given, settings
from hypothesis import strategies as st

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend.format import format_source
from gradc.compiler.frontend.parser import parse
from gradc.compiler.frontend.resolve import Plain, resolve
from gradc.compiler.frontend.scan import KEYWORDS
from gradc.compiler.source import Source

SAMPLES = Path(__file__).parent.parent / "samples"
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(SAMPLES.glob("*.net"))]
PIECES = [
    *KEYWORDS,
    *"()[]{},:;='^+-*/@·<>|.\"#&?\\\n\t\r_0x²𝐱é\x00\u202e",
    "|>",
    "==",
    "...",
]
PIECES += [
    ".T",
    "1e999",
    "1_0",
    "x'",
    "fn f(",
    "{\n",
    "}\n",
    '"a b -> b a"',
    "-- ",
    "a.b",
]
MOST = 100  # calls a character, and those of a short text: twice what was ever seen


def attempt(text: str) -> bool:
    """Run the front end; whether the text was accepted. Anything else is a failure."""
    accepted = False
    try:
        source = Source.from_text("fuzz.net", text)
        program = parse(source)
        once = format_source(source)
        assert format_source(Source.from_text("fuzz.net", once)) == once
        assert parse(Source.from_text("fuzz.net", once)) == program
        resolve(program, Plain(folder=SAMPLES))
        accepted = True
    except CompileError as error:
        assert error.diagnostics
        for diagnostic in error.diagnostics:
            span = diagnostic.span
            assert (
                span is None or 0 <= span.start <= span.end <= len(span.source.text) + 1
            )
        assert "\x1b" not in str(error) and "\x00" not in str(error)
    return accepted


def mutate(rng: random.Random, text: str) -> str:
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.choice((0, 1, 1, 2, 5, 30)))
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + rng.choice(PIECES) + text[to:]
            case 2:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 3:
                other = rng.choice(TEXTS)
                start = rng.randrange(len(other))
                text = text[:at] + other[start : start + rng.randrange(60)] + text[at:]
            case 4:
                text = text[:at] + text[at:to] * rng.choice((2, 3, 300)) + text[to:]
            case _:
                tokens = text.split(" ")
                i, j = rng.randrange(len(tokens)), rng.randrange(len(tokens))
                tokens[i], tokens[j] = tokens[j], tokens[i]
                text = " ".join(tokens)
    return text


@pytest.mark.parametrize("seed", range(8))
def test_mutations_of_the_samples(seed: int) -> None:
    rng = random.Random(seed)
    for i in range(60):
        text = mutate(rng, rng.choice(TEXTS))
        if i % 6:
            attempt(text)
        else:
            made = calls(lambda text=text: attempt(text))
            assert made < MOST * (len(text) + 1000), text


@pytest.mark.parametrize("seed", range(2))
def test_bytes(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        data = bytearray(rng.choice(TEXTS).encode())
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        attempt(data.decode("utf-8", "surrogateescape"))
        attempt(data.decode("latin-1"))


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_pieces(text: str) -> None:
    attempt(text)


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    attempt(text)


@pytest.mark.parametrize(
    "piece", [*"([{)]}'\"-^,;:=#\n", "x ", "|> f ", "not ", "f(", "a=1;"]
)
def test_one_thing_many_times(piece: str) -> None:
    for text in "", "y = x":
        attempt(text + piece)  # what is done once
        once, twice = (
            calls(lambda text=text + piece * n: attempt(text)) for n in (1000, 2000)
        )
        assert twice < 2.05 * once
