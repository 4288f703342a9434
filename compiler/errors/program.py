"""What is said of a program as a whole: roles, parameters, fills, repeats, limits, luck."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic, did_you_mean
from .operands import described

Notes = list[tuple[str, str]]


# ------------------------------------------------------------------------------ roles
def root_not_scalar(span: Span, role: str, name: str, shape: Shape) -> Diagnostic:
    text = span.text if len(span.text) <= 40 and "\n" not in span.text else "…"
    return Diagnostic(
        f"{role}-not-scalar",
        span,
        f"a {role} is one number",
        label=f"this is {described(shape)}",
        notes=(("help", f"average it, `mean({text})`, or add it up, `sum({text})`"),),
    )


def loss_kind(span: Span, name: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "loss-kind",
        span,
        f"a loss is real, this is {kind}: it has no gradient",
        notes=(("help", "what is only counted is a `metric`"),),
    )


def over_nothing(span: Span, name: str, paths: Sequence[str]) -> Diagnostic:
    heads = list(dict.fromkeys(p.split(".")[0] for p in paths))
    notes: Notes = []
    meant = did_you_mean(name, heads)
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    elif heads:
        notes.append(("", f"parameters lie below: {', '.join(heads[:12])}"))
    return Diagnostic(
        "over-nothing",
        span,
        f"no parameter's path is `{name}` or lies below it",
        notes=tuple(notes),
    )


def unused_param(
    span: Span, name: str, path: str, declared: Span | None = None
) -> Diagnostic:
    if declared is not None:
        return Diagnostic(
            "unused-param",
            span,
            f"no loss depends on `{path}`, so it can never be trained",
            notes=(("help", "use the value in a loss, or leave the layer out"),),
        )
    return Diagnostic(
        "unused-param",
        span,
        f"no loss depends on `{name}`, so it can never be trained",
        notes=(("help", "use it, delete it, or make it a `state` or a `const`"),),
    )


def flat_param(span: Span, name: str, through: str, line: int) -> Diagnostic:
    """A parameter whose every way to a loss leads through a constant piece."""
    return Diagnostic(
        "flat-param",
        span,
        f"no gradient reaches `{name}`: the loss depends on it through {through} alone",
        notes=(
            ("", f"{through} (line {line}) is constant between its jumps"),
            (
                "help",
                "softmax or sigmoid instead, or `stop` if it is not meant to be trained",
            ),
        ),
    )


# ------------------------------------------------------------------------- parameters
def param_kind(span: Span, kind: str) -> Diagnostic:
    return Diagnostic(
        "param-kind",
        span,
        f"a parameter is real: {kind} has no gradient",
        notes=(("help", "what is not trained is a `const` or a `state`"),),
    )


def shared_fn_shape(
    span: Span, function: str, name: str, here: Shape, there: Shape, line: int
) -> Diagnostic:
    return Diagnostic(
        "shared-fn-shape",
        span,
        f"`{function}` is a `fn`: one set of weights, shared by all its calls",
        label=f"here {name} would be {show(here)}",
        notes=(
            ("", f"but line {line} already made {name} {show(there)}"),
            (
                "help",
                f"write `layer {function}(...)` if every call should have weights of "
                "its own",
            ),
        ),
    )


def path_twice(span: Span, path: str, line: int) -> Diagnostic:
    return Diagnostic(
        "path-twice",
        span,
        f"two parameters would be called `{path}`",
        label=f"the first is made on line {line}",
        notes=(("help", "rename the equation or one of the functions"),),
    )


def no_params(span: Span, pattern: str, paths: Sequence[str]) -> Diagnostic:
    notes: Notes = []
    if paths:
        notes.append(("", f"made so far: {', '.join(paths[:8])}"))
        if len(paths) > 8:
            notes[-1] = ("", notes[-1][1] + ", …")
    else:
        notes.append(("", "no parameter is made above this line"))
    return Diagnostic(
        "no-params",
        span,
        f'no parameter\'s path matches "{pattern}"',
        notes=tuple(notes),
    )


# ------------------------------------------------------------------------------ fills
def fill_is_no_value(span: Span, path: str, what: str) -> Diagnostic:
    return Diagnostic(
        "fill-no-value",
        span,
        f"`{path}` cannot be filled with {what}",
        notes=(("help", "write a number, `normal(0, 1)`, `he()`, `glorot()` …"),),
    )


def fill_kind(span: Span, path: str, what: str) -> Diagnostic:
    return Diagnostic(
        "fill-kind", span, f"`{path}` is filled with numbers", label=f"this is {what}"
    )


def fill_orthogonal(span: Span, path: str, shape: Shape) -> Diagnostic:
    """`orthogonal()` for what is no matrix of known proportions."""
    return Diagnostic(
        "fill-orthogonal",
        span,
        f"`orthogonal()` fills a matrix, but `{path}` is {show(shape, described=True)}",
        notes=(
            ("rule", "two axes, both known at compile time or both the same size"),
            ("help", "`glorot()` and `he()` fill any shape"),
        ),
    )


def fill_shape(span: Span, path: str, wanted: Shape, given: Shape) -> Diagnostic:
    return Diagnostic(
        "fill-shape",
        span,
        f"`{path}` is {described(wanted)}, but what fills it is {described(given)}",
        notes=(("rule", "a fill is a number or has just the parameter's shape"),),
    )


def fill_from_data(span: Span, path: str, name: str) -> Diagnostic:
    return Diagnostic(
        "fill-from-data",
        span,
        f"`{path}` gets its first value before any data: it cannot come from `{name}`",
        notes=(("help", "numbers, constants, sizes and draws may stand here"),),
    )


def fill_argument(span: Span, law: str, what: str) -> Diagnostic:
    return Diagnostic(
        "fill-argument",
        span,
        f"the arguments of `{law}` are numbers",
        label=f"this is {what}",
    )


# --------------------------------------------------------------------------- equations
def replaced_name(span: Span, name: str, line: int, meant: str) -> Diagnostic:
    better = (
        f"use a new name, or did you mean `{meant}`?" if meant else "use a new name"
    )
    return Diagnostic(
        "replaced-name",
        span,
        f"`{name}` already has a value (line {line})",
        label="would throw the old value away",
        notes=(
            (
                "rule",
                f"a name may be continued (`{name} = f({name})`) but not silently replaced",
            ),
            ("help", better),
        ),
    )


def repeat_count(span: Span, text: str, what: str) -> Diagnostic:
    shown = f"`{text}` is {what}" if what != text else f"{what} is none"
    return Diagnostic(
        "repeat-count",
        span,
        f"`repeat` needs a whole number known at compile time: {shown}",
        notes=(
            ("rule", "`repeat` copies its text"),
            ("help", "over a size of the data goes `for t in T { … }`"),
        ),
    )


# ------------------------------------------------------------------------------ limits
def too_many_copies(span: Span, copies: int, limit: int) -> Diagnostic:
    return Diagnostic(
        "too-many-copies",
        span,
        f"this would make {copies} copies; at most {limit} are possible",
        notes=(("help", "a loop at run time is `for`"),),
    )


def too_many_nodes(span: Span | None, limit: int) -> Diagnostic:
    return Diagnostic(
        "too-many-nodes",
        span,
        f"the program has more than {limit} operations once repeats are unrolled",
        notes=(("help", "raise it with `--limit nodes=…`"),),
    )


def too_slow(name: str, limit: int) -> Diagnostic:
    return Diagnostic(
        "too-slow",
        None,
        f"compiling {name} takes more than {limit} s",
        notes=(
            ("help", f"if it is meant to be so large: `--limit seconds={10 * limit}`"),
        ),
    )


def too_many_axes(span: Span, text: str, rank: int, limit: int) -> Diagnostic:
    return Diagnostic(
        "too-many-axes",
        span,
        f"{text} would have {rank} axes; at most {limit} are possible",
    )


def too_many_elements(span: Span, text: str, shape: Shape, limit: int) -> Diagnostic:
    return Diagnostic(
        "too-many-elements",
        span,
        f"{text} would be too large",
        label=f"{described(shape)} has more than {limit} elements",
    )


def empty_param(span: Span, name: str, shape: Shape) -> Diagnostic:
    """A parameter with an axis of size 0: `dense(0)`, `const hidden = 0`."""
    return Diagnostic(
        "empty-param",
        span,
        f"the parameter `{name}` would have no entries",
        label=f"here `{name}` is {described(shape)}",
        notes=(("help", "every axis of a parameter has at least size 1"),),
    )


# ------------------------------------------------------------------------------ luck
def same_by_luck(span: Span, text: str, a: Dim, b: Dim) -> Diagnostic:
    """Two sizes fit only as long as no constant is overridden."""
    named = [d for d in (a, b) if d.written != d.value]
    if len(named) == 2:
        said = f"`{a}` and `{b}` are both {a.value}"
    else:
        said = f"`{named[0]}` is {a.value}"
    constants = [
        s for d in (a, b) for s in d.written.symbols() if s not in d.value.symbols()
    ]
    notes: Notes = []
    if constants:
        number = a.integer if a.integer is not None else 1
        notes.append(("", f"it will fail with `--set {constants[0]}={2 * number}`"))
    return Diagnostic(
        "same-by-luck",
        span,
        f"{said}, so `{text}` fits by luck",
        notes=tuple(notes),
        level="warning",
    )


def open_shape(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "open-shape",
        span,
        f"`{text}` leaves a size open, which cannot be here",
        notes=(("rule", "`...` and `*` stand for axes of an argument that is passed"),),
    )
