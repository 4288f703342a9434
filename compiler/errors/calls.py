"""What is said of calls: arguments, their shapes, several values."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import Dim, Shape
from ..source import Span
from .form import Diagnostic, did_you_mean
from .operands import Named, described

Notes = list[tuple[str, str]]
# Names that other libraries give to what has another name here.
KNOWN_AS = {
    "kernel": "k",
    "kernel_size": "k",
    "units": "n",
    "out": "n",
    "out_features": "n",
    "filters": "n",
    "channels": "n",
    "width": "n",
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keep",
    "keepdims": "keep",
    "activation": "act",
    "initializer": "init",
    "bias_initializer": "init",
    "epsilon": "eps",
    "padding": "pad",
    "strides": "stride",
    "num_classes": "n",
    "size": "n",
    "rate": "p",
}


def unknown_argument(
    span: Span,
    function: str,
    name: str,
    signature: str,
    names: Sequence[str],
    doc: str,
) -> Diagnostic:
    notes: Notes = [("", signature)]
    other = KNOWN_AS.get(name)
    meant = did_you_mean(name, names)
    if other in names:
        notes.append(("help", f"it is called `{other}` here"))
    elif meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        "call-args",
        span,
        f"`{function}` has no argument `{name}`",
        notes=tuple(notes),
    )


def argument_twice(span: Span, name: str) -> Diagnostic:
    return Diagnostic("argument-twice", span, f"the argument `{name}` is given twice")


def too_many_arguments(
    span: Span, function: str, signature: str, count: int, keywords: Sequence[str]
) -> Diagnostic:
    many = "no arguments" if not count else f"{count} argument{'s' * (count != 1)}"
    by_place = " by place" if keywords else ""
    notes: Notes = [("", signature)]
    if keywords:
        shown = " and ".join(f"`{k} = …`" for k in keywords)
        notes.append(("help", f"{shown} are given by keyword"))
        if len(keywords) == 1:
            notes[-1] = ("help", f"{shown} is given by keyword")
    return Diagnostic(
        "too-many-arguments",
        span,
        f"`{function}` takes {many}{by_place}",
        notes=tuple(notes),
    )


def missing_argument(
    span: Span, function: str, name: str, signature: str
) -> Diagnostic:
    return Diagnostic(
        "missing-argument",
        span,
        f"`{function}` needs an argument `{name}`",
        notes=(("", signature),),
    )


def argument_no_value(
    span: Span, function: str, name: str, wants: str, what: str
) -> Diagnostic:
    return Diagnostic(
        "argument-no-value",
        span,
        f"`{function}` takes {name}: {wants}, a value",
        label=f"this is {what}",
    )


def layer_input(
    span: Span, function: str, wants: str, given: Named, axes: int, more: bool
) -> Diagnostic:
    text, shape = given
    need = f"{'at least ' if more else ''}{axes} ax{'is' if axes == 1 else 'es'}"
    if not axes:
        need = "a scalar"
    notes: Notes = []
    if "[N, H, W, c]" in wants:
        need = "an image"
        if function == "conv" and len(shape) == 3:
            notes.append(("help", "for sequences use `conv1d`"))
    return Diagnostic(
        "layer-input",
        span,
        f"`{function}` needs {need}",
        label=f"{text} is {described(shape)}; {function} takes {wants}",
        notes=tuple(notes),
    )


def argument_kind(
    span: Span, function: str, wants: str, text: str, given: str, kind: str
) -> Diagnostic:
    notes: Notes = []
    if kind == "int":
        notes.append(("help", "whole numbers are declared `int`: `input i: int[N]`"))
    return Diagnostic(
        "argument-kind",
        span,
        f"`{function}` takes {wants}",
        label=f"{text} is {given}",
        notes=tuple(notes),
    )


def unequal_arguments(
    span: Span,
    function: str,
    first: tuple[str, str, Shape],
    second: tuple[str, str, Shape],
    signature: str,
) -> Diagnostic:
    """Rule B4: arguments declared with the same dim are equal."""
    (a, x, left), (b, y, right) = first, second
    notes: Notes = [
        ("", signature),
        ("rule", "arguments declared with the same size are equal, never broadcast"),
    ]
    for text, longer, shorter in ((x, left, right), (y, right, left)):
        extra = len(longer) == len(shorter) + 1 and longer[:-1] == shorter
        if (
            extra
            and longer[-1].integer == 1
            and text[-1:].isidentifier() | text.endswith(")")
        ):
            index = ":, 0" if len(longer) == 2 else "..., 0"
            notes.append(("help", f"drop the extra axis with `{text}[{index}]`"))
    return Diagnostic(
        "unequal-arguments",
        span,
        f"`{a}` and `{b}` of `{function}` must fit each other",
        label=f"{x} is {described(left)}; {y} is {described(right)}",
        notes=tuple(notes),
    )


def argument_size(
    span: Span,
    function: str,
    wants: str,
    given: Named,
    name: str,
    wanted: Dim,
    size: Dim,
) -> Diagnostic:
    text, shape = given
    return Diagnostic(
        "argument-size",
        span,
        f"`{function}` takes {wants}, so this size must be {wanted.described()}",
        label=f"{text} is {described(shape)}",
    )


def formal_size(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "formal-size",
        span,
        f"`{text}` cannot be found from an argument's shape",
        notes=(
            ("rule", "a new size stands alone in a shape: `x: [N, d]`"),
            ("help", "then compute with it: `d / 2`"),
        ),
    )


def needs_stretch(span: Span, function: str, name: str, given: Named) -> Diagnostic:
    text, shape = given
    return Diagnostic(
        "needs-stretch",
        span,
        f"`{function}` wants a stretch axis in `{name}`",
        label=f"{text} is {described(shape)}",
        notes=(("help", "`x[:, *]` and `keep = true` make one"),),
    )


def several_values(span: Span, function: str, count: int, name: str) -> Diagnostic:
    return Diagnostic(
        "several-values",
        span,
        f"`{function}` gives {count} values, but only `{name}` stands on the left",
        notes=(("help", f"give each a name: `{name}, … = …`"),),
    )


def number_of_values(span: Span, function: str, count: int, names: int) -> Diagnostic:
    if count == 1:
        text = f"{names} names stand on the left, but this is one value"
    else:
        text = f"{names} names stand on the left, but `{function}` gives {count} values"
    return Diagnostic("number-of-values", span, text)


def not_storable(span: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "not-storable",
        span,
        f"an equation gives a name to a value; this is {what}",
        notes=(("rule", "functions are passed as arguments, not stored or returned"),),
    )


def no_function(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "no-function-given",
        span,
        f"`{name}` is called here, but what was passed for it is no function",
    )


def calls_too_deep(span: Span, name: str, limit: int) -> Diagnostic:
    return Diagnostic(
        "calls-too-deep",
        span,
        f"calls are nested more than {limit} deep at `{name}`",
        notes=(("rule", "there is no recursion"),),
    )


def not_a_number(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "not-a-number",
        span,
        f"`{text}` is no number, so it is no size",
        notes=(("rule", "shapes are made of whole numbers, constants and sizes"),),
    )
