"""What is said of axes, axis patterns and the options of functions."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic
from .operands import described


def needs_axis(span: Span, name: str, what: str) -> Diagnostic:
    return Diagnostic("needs-axis", span, f"`{name}` needs an axis, but this is {what}")


def axis_range(span: Span, name: str, axis: int, text: str, shape: Shape) -> Diagnostic:
    return Diagnostic(
        "axis-range",
        span,
        f"there is no axis {axis} for `{name}`",
        label=f"{text} is {show(shape, described=True)}",
        notes=(("rule", "axes count from 0, and from -1 backwards"),),
    )


def axis_twice(span: Span, name: str, axis: int) -> Diagnostic:
    return Diagnostic("axis-twice", span, f"axis {axis} is given to `{name}` twice")


def one_axis(span: Span, name: str) -> Diagnostic:
    return Diagnostic("one-axis", span, f"`{name}` works along one axis")


def wants_text(span: Span, function: str, name: str, what: str) -> Diagnostic:
    help_ = f'write it in quotes: `{name} = "…"`'
    if function == "einsum":
        help_ = 'the pattern stands first: `einsum("n i, i o -> n o", x, W)`'
    elif name == "pattern" and what == "a value":
        help_ = f"axes are given by keyword: `{function}(x, axis = -1)`"
    return Diagnostic(
        "wants-text",
        span,
        f"`{name}` of `{function}` is a string",
        label=f"this is {what}",
        notes=(("help", help_),),
    )


def wants_flag(span: Span, function: str, name: str) -> Diagnostic:
    return Diagnostic(
        "wants-flag", span, f"`{name}` of `{function}` is `true` or `false`"
    )


def wants_whole(span: Span, function: str, name: str) -> Diagnostic:
    return Diagnostic(
        "wants-whole",
        span,
        f"`{name}` of `{function}` is a whole number known at compile time",
    )


def max_of_two_with_axis(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "max-of-two",
        span,
        f"`{name}` either compares two values or reduces one along an axis",
        notes=(("help", f"`{name}(a, b)` or `{name}(x, axis = -1)`"),),
    )


def prod_of_data(span: Span, text: str, size: Dim) -> Diagnostic:
    return Diagnostic(
        "prod-of-data",
        span,
        f"`prod` multiplies along axes of a known size, not along {size}",
        label=f"the size of {text} comes from the data",
        notes=(("help", "for positive numbers `exp(sum(log(x)))`"),),
    )


def empty_axis(span: Span, name: str, text: str, shape: Shape) -> Diagnostic:
    return Diagnostic(
        "empty-axis",
        span,
        f"`{name}` of no elements has no value",
        label=f"{text} is {show(shape, described=True)}",
    )


def pattern_and_axis(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "pattern-and-axis",
        span,
        f"`{name}` takes a pattern or `axis` and `keep`, not both",
    )


def argmax_pattern(span: Span) -> Diagnostic:
    return Diagnostic(
        "argmax-pattern", span, "`argmax` takes an axis: `argmax(x, axis = -1)`"
    )


def bad_pattern(span: Span, text: str, why: str) -> Diagnostic:
    return Diagnostic(
        "bad-pattern",
        span,
        f'the pattern "{text}" makes no sense: {why}',
        notes=(
            ("help", 'a pattern reads like "n t (h d) -> n h t d" or "... c -> c"'),
        ),
    )


def pattern_rank(span: Span, pattern: str, text: str, shape: Shape) -> Diagnostic:
    shown = described(shape)
    return Diagnostic(
        "pattern-rank",
        span,
        f'the pattern "{pattern}" does not name the axes of `{text}`',
        label=f"{text} is {shown}",
        notes=(("help", "`...` stands for any axes that are not named"),),
    )


def pattern_one(span: Span, pattern: str, text: str, shape: Shape) -> Diagnostic:
    return Diagnostic(
        "pattern-one",
        span,
        "a `1` in a pattern drops an axis of size 1, which this one is not",
        label=f"{text} is {show(shape, described=True)}",
    )


def unknown_letter(span: Span, name: str, letters: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "unknown-letter",
        span,
        f"`{name}` is no axis of the pattern",
        notes=(("", f"its axes: {' '.join(letters)}"),),
    )


def letter_size(span: Span, name: str, given: Dim, size: Dim) -> Diagnostic:
    return Diagnostic(
        "letter-size",
        span,
        f"`{name}` is {size.described()}, not {given.described()}",
    )


def open_letters(span: Span, group: Sequence[str], names: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "open-letters",
        span,
        f"how is `({' '.join(group)})` to be split?",
        notes=(
            (
                "help",
                f"give all sizes but one, e.g. `{names[0]} = 4`",
            ),
        ),
    )


def concat_stretch(span: Span) -> Diagnostic:
    return Diagnostic(
        "concat-stretch", span, "a stretch axis has no size to be joined along"
    )


def split_count(span: Span, count: int) -> Diagnostic:
    return Diagnostic(
        "split-count", span, f"cannot split into {count} parts: 1 to 1000 are possible"
    )


def einsum_operands(span: Span, pattern: str, named: int, given: int) -> Diagnostic:
    return Diagnostic(
        "einsum-operands",
        span,
        f'the pattern "{pattern}" names the axes of {named}, but {given} '
        f"{'is' if given == 1 else 'are'} given",
    )


def einsum_size(span: Span, name: str, first: Dim, second: Dim) -> Diagnostic:
    return Diagnostic(
        "einsum-size",
        span,
        f"axis `{name}` is {first.described()} and {second.described()}",
    )


def fill_draws_int(span: Span, law: str) -> Diagnostic:
    """A param or state is real, and cannot be filled with whole numbers."""
    return Diagnostic(
        "fill-draws-int",
        span,
        f"`{law}` draws an int; a param or state is real",
        notes=(("help", "whole numbers are drawn by `random k: int[N] = …`"),),
    )
