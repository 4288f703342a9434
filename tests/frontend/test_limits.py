"""What a text may ask for, and what it may not contain."""

from __future__ import annotations

import pytest

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend.parser import parse
from gradc.compiler.source import Source


def refused(text: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        parse(Source.from_text("a.net", text))
    return [diagnostic.id for diagnostic in caught.value.diagnostics]


def test_file_too_large() -> None:
    parse(Source.from_text("a.net", "#" * (1 << 20)))
    assert refused("#" * ((1 << 20) + 1)) == ["file-too-large"]  # text.file_too_large
    assert refused("# " + "漢" * 350_000) == ["file-too-large"]  # bytes, not characters


@pytest.mark.parametrize(
    "code",
    [
        *(0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F, 0x85, 0x9F, 0x061C, 0x200B),
        *(0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x2069, 0xFEFF),
        *(0xD800, 0xDFFF, 0xE0001, 0xE0041),
    ],
)
@pytest.mark.parametrize("place", ["x{} = 1", "x = 1 # a{}b", 'use f from "a{}.net"'])
def test_control_and_direction_characters(code: int, place: str) -> None:
    assert refused(place.format(chr(code))) == ["forbidden-character"]


def test_a_bare_carriage_return_ends_a_line() -> None:
    program = parse(Source.from_text("a.net", "# c\rz = 1"))
    assert len(program.statements) == 1


@pytest.mark.parametrize(
    "name", ["_x", "x_", "__x", "_", "a" * 65, "𝐱", "ſ", "ﬁ", "раypal"]
)
def test_names_that_may_not_be(name: str) -> None:
    assert len(refused(f"{name} = 1")) == 1


@pytest.mark.parametrize("letter", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοςµ")
def test_greek_that_looks_latin(letter: str) -> None:
    assert refused(f"{letter} = 1") == ["foreign-letter"]


@pytest.mark.parametrize("letter", "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ")
def test_greek_that_does_not(letter: str) -> None:
    assert parse(Source.from_text("a.net", f"{letter}_1 = 1 + {letter}x")).statements


def test_longest_name_and_number() -> None:
    parse(Source.from_text("a.net", "a" * 64 + " = 0." + "1" * 62))
    assert refused("x = 0." + "1" * 63) == ["number-too-long"]
    assert refused("x = 1e400") == ["number-too-large"]
