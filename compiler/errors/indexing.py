"""What is said of indices and slices."""

from __future__ import annotations

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic
from .operands import Named, both


def two_rests(span: Span) -> Diagnostic:
    return Diagnostic("two-rests", span, "only one `...` may stand in an index")


def too_many_indices(span: Span, text: str, shape: str, count: int) -> Diagnostic:
    return Diagnostic(
        "too-many-indices",
        span,
        f"`{text}` has fewer than {count} axes",
        label=f"{text} is {shape}",
    )


def two_gathers(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "two-gathers",
        span,
        "only one axis can be indexed by a tensor at a time",
        notes=(
            ("rule", "with two it is unclear whether they go together or form a grid"),
            (
                "help",
                f"`pick({text}, i)` takes one entry of each row; "
                f"`{text}[i][:, j]` gathers twice",
            ),
        ),
    )


def gather_stretch(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "gather-stretch", span, f"a stretch axis of `{text}` has no elements to gather"
    )


def slice_stretch(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "slice-stretch", span, f"a stretch axis of `{text}` has no part to slice"
    )


def index_kind(span: Span, text: str, shape: str, kind: str) -> Diagnostic:
    help_ = "whole numbers are declared `int`: `input i: int[N]`"
    if kind == "bool":
        help_ = "to choose by true and false write `where(c, a, b)`"
    return Diagnostic(
        "index-kind",
        span,
        "an index is a whole number or an int tensor",
        label=f"{text} is {shape}",
        notes=(("help", help_),),
    )


def slice_bound(span: Span, text: str, shape: str, known: bool) -> Diagnostic:
    return Diagnostic(
        "slice-bound",
        span,
        "a slice is bounded by whole numbers and sizes",
        label=f"{text} is {shape}" if not known else f"{text} is not whole",
        notes=(("rule", "shapes never depend on the values of data"),),
    )


def index_range(
    span: Span, text: str, shape: Shape, size: Dim, element: bool
) -> Diagnostic:
    last = ""
    if element and size.integer:
        last = f"; its elements are 0 to {size.integer - 1}"
    return Diagnostic(
        "index-range",
        span,
        f"this lies outside the axis of size {size.described()}{last}",
        label=f"{text} is {show(shape, described=True)}",
        notes=(("rule", "the first element is 0, -1 is the last; nothing is clipped"),),
    )


def backward_slice(span: Span, text: str, start: str, stop: str) -> Diagnostic:
    return Diagnostic(
        "backward-slice",
        span,
        f"this slice of `{text}` ends ({stop}) before it begins ({start})",
        notes=(("help", "backward in order is `flip(x, axis = …)`"),),
    )


def pick_shape(span: Span, x: Named, index: Named) -> Diagnostic:
    return Diagnostic(
        "pick-shape",
        span,
        "`pick(x, i)` takes one entry of each row of x",
        label=both(x, index),
        notes=(("rule", "i has the shape of x without its last axis"),),
    )
