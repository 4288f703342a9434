"""What is said of `grad`."""

from __future__ import annotations

from collections.abc import Sequence

from ..source import Span
from .form import Diagnostic
from .operands import Named, described


def grad_of_no_name(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "grad-of-no-name",
        span,
        "`grad` differentiates by the value of a name",
        label=f"{text} is an expression" if len(text) <= 32 else "",
        notes=(
            ("help", "give it a name first: `h = …`, then use `h` and `grad(y, h)`"),
        ),
    )


def grad_kind(span: Span, text: str, what: str) -> Diagnostic:
    return Diagnostic(
        "grad-kind",
        span,
        "only real values computed from data have derivatives",
        label=f"{text} is {what}",
    )


def grad_not_scalar(span: Span, y: Named, x: Named) -> Diagnostic:
    (text, shape), name = y, x[0]
    column = ", ".join(":" for _ in shape[:-1]) + ", 0" if len(shape) == 2 else ""
    parts = []
    if column and text.isidentifier():
        parts.append(f"differentiate one column, `grad({text}[{column}], {name})`")
    parts.append(f"a sum, `grad(sum({text}), {name})`")
    help_ = ", or ".join(parts)
    if len(parts) == 1:
        help_ = "differentiate " + help_
    return Diagnostic(
        "grad-not-scalar",
        span,
        "`grad` needs one number (per row)",
        label=f"{text} is {described(shape)}; {name} is {described(x[1])}",
        notes=(("help", help_),),
    )


def grad_mixes_rows(span: Span, y: str, x: str, by: str, line: int) -> Diagnostic:
    label = ""
    if by:
        label = f"mixed by `{by}` (line {line})" if line else f"mixed by `{by}`"
    return Diagnostic(
        "grad-mixes-rows",
        span,
        f"row i of `{y}` depends on other rows of `{x}`",
        label=label,
        notes=(
            ("", "so the derivative is a matrix, not one number per row"),
            ("help", f"write `grad(sum({y}), {x})` if the sum is what you want"),
        ),
    )


def grad_independent(span: Span, y: str, x: str, uses: Sequence[str]) -> Diagnostic:
    notes = []
    if uses:
        notes.append(("", f"{y} uses: {', '.join(uses[:12])}"))
    notes.append(("", "the derivative is 0 everywhere; if you mean that, write 0"))
    return Diagnostic(
        "grad-independent",
        span,
        f"`{y}` does not depend on `{x}`",
        notes=tuple(notes),
    )
