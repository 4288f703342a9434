"""What is said of systems of equations and the algebra of square matrices."""

from __future__ import annotations

from ..source import Span
from .form import Diagnostic
from .operands import Named, both, shown


def not_square(span: Span, function: str, x: Named) -> Diagnostic:
    return Diagnostic(
        "not-square",
        span,
        f"`{function}` needs a square matrix",
        label=shown(x),
        notes=(("rule", f"{function} takes [.., n, n], the leading axes a batch"),),
    )


def right_side(span: Span, a: Named, b: Named) -> Diagnostic:
    """The right side of a system fits neither as vectors nor as matrices."""
    help_: tuple[tuple[str, str], ...] = ()
    n = a[1][-1]
    if len(a[1]) == len(b[1]) == 2 and b[1][-1] == n:
        help_ = (("help", f"rows are solved for by `solve({a[0]}, {b[0]}')'`"),)
    return Diagnostic(
        "right-side",
        span,
        "the right side does not fit the system",
        label=both(a, b),
        notes=(
            ("rule", "solve takes A: [.., n, n] and b: [.., n] or [.., n, m], same .."),
            *help_,
        ),
    )
