"""What is said of characters, words, numbers, strings and brackets: before any grammar."""

from __future__ import annotations

import unicodedata

from ..source import Span
from .form import Diagnostic

# ----------------------------------------------------------------- files and characters


def file_too_large(name: str, size: int, limit: int) -> Diagnostic:
    return Diagnostic(
        "file-too-large",
        None,
        f"{name} has {size} bytes; a program may have {limit}",
        notes=(("help", "raise the limit with `--limit file=BYTES`"),),
    )


def forbidden_character(span: Span) -> Diagnostic:
    char = span.text
    return Diagnostic(
        "forbidden-character",
        span,
        f"the character U+{ord(char):04X} ({_called(char)}) may not stand in a program",
        label="here; it does not show",
        notes=(
            (
                "rule",
                "control, invisible and text-direction characters make a text read "
                "differently from what it says",
            ),
            ("help", "delete it"),
        ),
    )


def _called(char: str) -> str:
    fallback = "control character" if unicodedata.category(char) == "Cc" else "unnamed"
    return unicodedata.name(char, fallback).lower()


def unknown_character(span: Span, meant: str) -> Diagnostic:
    char = span.text
    notes: tuple[tuple[str, str], ...] = ()
    if meant:
        notes = (("help", f"write `{meant}`"),)
    elif char in _UNKNOWN_HELP:
        notes = (("help", _UNKNOWN_HELP[char]),)
    return Diagnostic(
        "unknown-character",
        span,
        f"`{char}` means nothing in this language",
        notes=notes,
    )


_UNKNOWN_HELP = {
    "//": "a comment begins with `#`; `/` divides",
    "/*": "a comment begins with `#` and ends with the line",
    "%": "a comment begins with `#`; there is no remainder operator",
    "\\": "a line needs no sign to be continued: begin the next with an operator",
    "$": "names are letters, digits and `_`",
    "`": "names stand without quotes, strings in double quotes",
    "√": "write `sqrt(x)`",
    "∇": "write `grad(y, x)`",
    "∂": "write `grad(y, x)`",
    "∑": "write `sum(x)`",
    "∏": "write `prod(x)`",
    "∞": "write `inf`",
    "∈": "write `in`",
    "→": "`->` stands only inside a pattern, in quotes",
    ".": "there is no dotted access; `...` stands for all other axes",
    "?": "a choice is `if c then a else b`, or on data `where(c, a, b)`",
}


def dotted_name(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "dotted-name",
        span,
        f"there is no dotted access: `.{name}` means nothing here",
        notes=(
            ("rule", "the only thing behind a point is `x.T`, the transpose"),
            (
                "help",
                f"call a function by its name alone: `{name}(x)` or `x |> {name}`",
            ),
        ),
    )


def foreign_letter(span: Span, word: str, char: str, plain: str) -> Diagnostic:
    if char == "²":
        help_ = "a power is written `x^2`"
    elif char == "³":
        help_ = "a power is written `x^3`"
    elif plain:
        help_ = f"write `{plain}` with plain letters"
    else:
        help_ = "pick another name; other letters may stand in comments"
    return Diagnostic(
        "foreign-letter",
        span,
        f"`{word}` has a letter that no name may have: {char} (U+{ord(char):04X}, "
        f"{_called(char)})",
        notes=(
            (
                "rule",
                "names are made of a-z, A-Z, 0-9, `_` and the Greek letters that look "
                "like no Latin one",
            ),
            ("help", help_),
        ),
    )


def underscore_at_end(span: Span, plain: str) -> Diagnostic:
    help_ = f"call it `{plain}`" if plain else "pick a name with a letter in it"
    return Diagnostic(
        "underscore",
        span,
        "a name may not begin or end with `_`",
        notes=(
            ("rule", "such names belong to the generated code"),
            ("help", help_),
        ),
    )


def name_too_long(span: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "name-too-long",
        span,
        f"this name has {span.end - span.start} characters; names have at most {limit}",
    )


def bad_number(span: Span) -> Diagnostic:
    text = span.text
    if "_" in text:
        help_ = f"digits are not grouped: `{text.replace('_', '')}`"
    elif text[-1:] in "jJ":
        help_ = "there are no complex numbers"
    elif text[-1:] in "fFlL" and text[1:2] not in "xX":
        help_ = f"numbers have no suffix: `{text[:-1]}`"
    else:
        help_ = "a number looks like `64`, `0.5`, `1e-3`"
    return Diagnostic(
        "bad-number", span, f"`{text}` is not a number", notes=(("help", help_),)
    )


def number_too_long(span: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "number-too-long",
        span,
        f"this number has {span.end - span.start} characters; numbers have at most {limit}",
    )


def number_too_large(span: Span) -> Diagnostic:
    return Diagnostic(
        "number-too-large",
        span,
        "this number is too large for a 64-bit real",
        label="beyond 1.8e308",
        notes=(("help", "infinity is written `inf`"),),
    )


def unterminated_string(span: Span) -> Diagnostic:
    return Diagnostic(
        "unterminated-string",
        span,
        "this string does not end on its line",
        notes=(("help", 'end it with `"`'),),
    )


def string_escape(span: Span) -> Diagnostic:
    return Diagnostic(
        "string-escape",
        span,
        "a string may not contain a backslash",
        notes=(
            (
                "rule",
                "strings are paths, patterns and option words; they have no escapes",
            ),
            ("help", "folders are separated by `/`, on every system"),
        ),
    )


# ----------------------------------------------------------------------------- brackets


def nested_too_deeply(span: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "nesting",
        span,
        f"nested more than {limit} deep",
        notes=(("help", "give the inner part a name in an equation of its own"),),
    )


def unclosed_bracket(span: Span) -> Diagnostic:
    close = {"(": ")", "[": "]", "{": "}"}[span.text]
    return Diagnostic(
        "unclosed-bracket",
        span,
        f"this `{span.text}` is never closed",
        notes=(("help", f"a `{close}` is missing"),),
    )


def bracket_mismatch(span: Span, opening: Span) -> Diagnostic:
    close = {"(": ")", "[": "]", "{": "}"}[opening.text]
    return Diagnostic(
        "bracket-mismatch",
        span,
        f"`{span.text}` cannot close `{opening.text}`",
        label=f"expected `{close}`",
        notes=(("", f"`{opening.text}` was opened at {opening.line}:{opening.col}"),),
    )


def stray_bracket(span: Span) -> Diagnostic:
    return Diagnostic(
        "stray-bracket",
        span,
        f"this `{span.text}` closes nothing",
        label="never opened",
    )
