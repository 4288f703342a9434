"""What is said of sizes: arithmetic on them, reshaping, what the data decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic
from .operands import described


def division_by_zero(span: Span, text: str) -> Diagnostic:
    return Diagnostic("division-by-zero", span, f"`{text}` is divided by 0")


def power_too_large(span: Span) -> Diagnostic:
    return Diagnostic(
        "overflow",
        span,
        "this number is too large to be computed",
        notes=(("rule", "numbers are finite: below 1.8e308"),),
    )


def size_not_whole(span: Span, text: str, number: int | float | bool) -> Diagnostic:
    shown = str(number).lower() if isinstance(number, bool) else f"{number:.12g}"
    same = shown == text
    return Diagnostic(
        "size-not-whole",
        span,
        f"{shown} is no size" if same else f"`{text}` is {shown}, which is no size",
        notes=(("rule", "sizes are whole numbers"),),
    )


def size_from_data(span: Span, text: str, what: str) -> Diagnostic:
    return Diagnostic(
        "size-from-data",
        span,
        f"`{text}` is computed, so it is no size",
        label=f"it is {what}",
        notes=(
            (
                "rule",
                "sizes are made of numbers, constants and the sizes of inputs by + - * /",
            ),
        ),
    )


def negative_size(span: Span, text: str, number: int) -> Diagnostic:
    shown = f"`{text}` is {number}" if text != str(number) else f"it is {number}"
    return Diagnostic("negative-size", span, f"a size cannot be negative: {shown}")


def not_dividing(
    span: Span,
    whole: tuple[str, Dim],
    part: tuple[str, Dim],
    overrides: Mapping[str, str],
) -> Diagnostic:
    """`whole` and `part`: what the place calls the sizes ("c", "h"), and the sizes."""
    size, parts = whole[1], part[1]
    number, count = size.integer, parts.integer
    notes: list[tuple[str, str]] = []
    shown = []
    for local, d in (whole, part):
        names = [local] * bool(local) + [str(d)] * (d.written != d.value)
        if names:
            shown.append(" = ".join((*names, str(d.value))))
    label = ", ".join(shown)
    text = f"cannot split {size.value} into {parts.value} equal parts"
    if number is not None and count is not None and number > 0:
        fitting = [k for k in range(2, 65) if number % k == 0 and k != number]
        below = sum(1 for k in fitting if k < count)
        near = fitting[max(0, below - 1) :][:4]
        divisible = (
            f"{number} is divisible by {', '.join(map(str, near))}" if near else ""
        )
        given = next(
            (
                n
                for n in (*parts.written.symbols(), *size.written.symbols())
                if n in overrides
            ),
            None,
        )
        if given is not None:
            head = f"`--set {given}={overrides[given]}` was given on the command line"
            notes.append(("help", f"{head}; {divisible}" if divisible else head))
        elif divisible:
            notes.append(("help", divisible))
    return Diagnostic("not-dividing", span, text, label=label, notes=tuple(notes))


def reshape_size(span: Span, shape: Shape, total: Dim, wanted: Dim) -> Diagnostic:
    return Diagnostic(
        "reshape-size",
        span,
        "a reshape keeps the number of elements",
        label=f"{show(shape, described=True)} has {total}, this asks for {wanted}",
    )


def two_open_sizes(span: Span) -> Diagnostic:
    return Diagnostic(
        "two-open-sizes", span, "only one size of a reshape may be left open by -1"
    )


def open_input(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "open-input",
        span,
        f"`{text}` cannot stand in the shape of an input",
        notes=(
            ("rule", "an input has as many axes as are written, each with a size"),
            ("help", "a new name leaves a size to the data: `input x: [N, D]`"),
        ),
    )


def size_untold(span: Span, name: str, sizes: Sequence[str]) -> Diagnostic:
    """`sizes` are the axes in which the size stands."""
    axes = ", ".join(f"`{size}`" for size in sizes)
    return Diagnostic(
        "size-untold",
        span,
        f"the data cannot tell `{name}` from {axes}",
        notes=(
            (
                "rule",
                "an axis tells a size that stands in it once, beside sizes that others tell",
            ),
            ("help", f"give it an axis of its own, or fix it: `const {name} = 4`"),
        ),
    )


def open_type(span: Span) -> Diagnostic:
    return Diagnostic(
        "open-type", span, "a number cannot fill a shape that is open", notes=()
    )


def type_kind(span: Span, name: str, declared: str, kind: str, text: str) -> Diagnostic:
    shape = text[text.index("[") :] if "[" in text else ""
    help_ = f"write `{name}: {'' if kind == 'real' and shape else kind}{shape}`"
    return Diagnostic(
        "type-kind",
        span,
        f"`{name}` is {kind}, not {declared}",
        notes=(("help", help_),),
    )


def type_shape(span: Span, name: str, declared: str, shape: Shape) -> Diagnostic:
    shown = described(shape)
    return Diagnostic(
        "type-shape",
        span,
        f"`{name}` is {shown}, not {declared}",
        notes=(("rule", "a type on an equation is a checked comment"),),
    )
