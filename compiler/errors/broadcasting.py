"""What is said where shapes do not meet: in arithmetic, and in products of matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic
from .operands import Named, both, shown

Notes = list[tuple[str, str]]


def _is_postfix(text: str) -> bool:
    """Whether an index may stand right behind it: `x`, `dense(x, 1)`."""
    return text.isidentifier() or (text[:1].isalpha() and text.endswith((")", "]")))


# ------------------------------------------------------------------------- broadcasting
def broadcast(
    span: Span,
    left: Named,
    right: Named,
    homes: Mapping[str, int],
    inputs: Mapping[str, int],
) -> Diagnostic:
    """Two shapes do not meet (rules B1 to B3); `homes` and `inputs`: the lines of the
    sizes, and of the operands that are inputs."""
    large, small = (left, right) if len(left[1]) >= len(right[1]) else (right, left)
    return Diagnostic(
        "broadcast",
        span,
        "shapes do not line up",
        label=both(left, right),
        notes=tuple(_broadcast_notes(large, small, homes, inputs)),
    )


def _broadcast_notes(
    large: Named, small: Named, homes: Mapping[str, int], inputs: Mapping[str, int]
) -> Notes:
    (big, a), (little, b) = large, small
    numpy = _numpy(a, b)
    notes: Notes = []
    if numpy is not None:
        notes.append(
            (
                "",
                f"NumPy would silently make this {numpy}; this language does not.",
            )
        )
    for first, second in _renamed(a, b):
        if first in homes and second in homes:
            notes.append(
                (
                    "",
                    f"`{first}` is from line {homes[first]}, `{second}` from line "
                    f"{homes[second]}; `{first}` and `{second}` are two different "
                    "dimensions",
                )
            )
    help_ = _broadcast_help(big, a, little, b)
    differing = [i for i in range(len(a)) if len(a) == len(b) and a[i] != b[i]]
    if not help_ and little in inputs and len(differing) == 1:
        i = differing[0]
        if a[i].symbols() and b[i].symbols():
            fitted = show((*b[:i], a[i], *b[i + 1 :]))
            help_ = f"did you mean `input {little}: {fitted}` on line {inputs[little]}?"
    rule = "the smaller shape must be the tail of the larger"
    if len(a) == len(b):
        rule = "sizes are equal, or one of them is a stretch axis"
    notes.append(("help", help_) if help_ else ("rule", rule))
    return notes


def _broadcast_help(big: str, a: Shape, little: str, b: Shape) -> str:
    def at(name: str, index: str) -> str:
        return f"`{name}[{index}]`" if _is_postfix(name) else f"`(…)[{index}]`"

    if len(a) == len(b) + 1 and a[-1].integer == 1 and a[:-1] == b:
        return f"drop the extra axis with {at(big, '..., 0' if len(a) > 2 else ':, 0')}"
    if len(a) == len(b) + 1 and a[:-1] == b:
        index = ", ".join(":" * len(b)) + ", *"
        return f"give it a stretch axis with {at(little, index)}"
    if len(a) == len(b):
        for name, x, y in ((big, a, b), (little, b, a)):
            if x and x[-1].integer == 1 and x[:-1] == y[:-1] and not x[-1].stretch:
                index = ", ".join(":" * (len(x) - 1))
                first, second = (f"{index}, 0", f"{index}, *") if index else ("0", "*")
                dropped = at(name, first)[:-1]
                return (
                    "an axis of size 1 does not stretch: drop it and add a stretch "
                    f"axis with {dropped}[{second}]`, or make it with `keep = true`"
                )
        if len(a) >= 2 and a[-1] == b[-2] and a[-2] == b[-1]:
            return f"transpose one side: `{little}'`" if little.isidentifier() else ""
    return ""


def _renamed(a: Shape, b: Shape) -> Iterable[tuple[str, str]]:
    """Pairs of sizes of the data that stand against each other."""
    for p, q in zip(reversed(a), reversed(b), strict=False):
        if p != q and len(p.symbols()) == 1 and len(q.symbols()) == 1:
            yield p.symbols()[0], q.symbols()[0]


def _numpy(a: Shape, b: Shape) -> str | None:
    """The shape that NumPy would make of it, or None where it refuses, too."""
    out: list[Dim] = list(a[: len(a) - len(b)])
    for p, q in zip(a[len(a) - len(b) :], b, strict=True):
        if p == q or q.integer == 1:
            out.append(p)
        elif p.integer == 1:
            out.append(q)
        else:
            return None
    return show(out)


def ambiguous_broadcast(
    span: Span,
    symbol: str,
    left: Named,
    right: Named,
    small: str,
    small_rank: int,
    large_rank: int,
) -> Diagnostic:
    verbs = {
        "+": "added to",
        "-": "subtracted from",
        "*": "multiplied with",
        "/": "divided into",
    }
    verb = verbs.get(symbol, "matched with")
    where = "the rows or to the columns" if symbol == "+" else "the rows or the columns"
    if (small_rank, large_rank) != (1, 2):
        where = "the leading axes or the last ones"
    name = small if small.isidentifier() else "(…)"
    colons = ", ".join(":" * small_rank)
    stretches = ", ".join("*" * (large_rank - small_rank))
    first = "same for every row" if large_rank == 2 else "along the last axes"
    second = "same for every column" if large_rank == 2 else "along the first axes"
    return Diagnostic(
        "ambiguous-broadcast",
        span,
        f"`{small}` could be {verb} {where}",
        label=both(left, right),
        notes=(
            (
                "help",
                f"write `{name}[{stretches}, {colons}]` ({first}) or "
                f"`{name}[{colons}, {stretches}]` ({second})",
            ),
        ),
    )


def dim_conflict(
    span: Span,
    rule: str,
    first: Named,
    second: Named,
    axis: int,
    homes: Mapping[str, int],
) -> Diagnostic:
    """Shapes that must agree do not; `homes`: the lines of the inputs among them."""
    (x, a), (y, b) = first, second
    why, notes = "", []
    if len(a) == len(b):
        for i, (p, q) in enumerate(zip(a, b, strict=True)):
            if i != axis and p != q:
                why = f": `{p.described()}` is not `{q.described()}`"
                break
        if x in homes and y in homes:
            text = (
                f"{x}: {show(a)} is from line {homes[x]}, "
                f"{y}: {show(b)} from line {homes[y]}"
            )
            if p.symbols() and q.symbols():
                text += f"; `{p}` and `{q}` are two different dimensions"
                fitted = (*b[:i], p, *b[i + 1 :])
                notes.append(
                    (
                        "help",
                        f"did you mean `input {y}: {show(fitted)}` on line {homes[y]}?",
                    )
                )
            notes.insert(0, ("", text))
    else:
        why = f": {len(a)} axes and {len(b)}"
    if not notes:
        notes.append(("", f"{shown(first)}"))
    return Diagnostic(
        "dim-conflict", span, f"{rule}{why}", label=shown(second), notes=tuple(notes)
    )


# ----------------------------------------------------------------------- matrix product
def matmul_shape(
    span: Span,
    left: Named,
    right: Named,
    inner_left: Dim,
    inner_right: Dim,
    transposed: Shape | None,
    other: Named | None,
) -> Diagnostic:
    x, y = left[1], right[1]
    rule = "`A @ B` multiplies [.., k] by [k, m]"
    if len(y) == 1:
        rule = "`A @ v` multiplies [.., k] by [k]"
    notes: Notes = [("rule", rule)]
    parts: list[str] = []
    if transposed is not None and right[0].isidentifier():
        parts.append(
            f"transpose with `{right[0]}'` to get {show(transposed, described=False)}"
        )
    if other is not None:
        name, shape = other
        parts.append(f"did you mean `{name}` {show(shape, described=True)}?")
    if len(x) == 2 and len(y) == 2 and not parts and x[-2] == y[-2]:
        parts.append(f"transpose the left side: `{left[0]}' @ {right[0]}`")
    if parts:
        notes.append(("help", ", or ".join(parts)))
    return Diagnostic(
        "matmul-shape",
        span,
        f"inner sizes differ: {inner_left.described()} and {inner_right.described()}",
        label=both(left, right),
        notes=tuple(notes),
    )


def matmul_scalar(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "matmul-scalar",
        span,
        "`@` multiplies matrices and vectors, not scalars",
        label=f"{text} is a scalar",
        notes=(("help", "write `*` to multiply by a number"),),
    )


def matmul_leading(span: Span, left: Named, right: Named) -> Diagnostic:
    return Diagnostic(
        "matmul-leading",
        span,
        "the leading axes of a matrix product must be equal",
        label=both(left, right),
        notes=(
            (
                "rule",
                "[.., n, k] @ [k, m], or [.., n, k] @ [.., k, m] with the same ..",
            ),
        ),
    )


def transpose_rank(span: Span, text: str, shape: str) -> Diagnostic:
    return Diagnostic(
        "transpose-rank",
        span,
        "a transpose needs two axes",
        label=f"{text} is {shape}",
        notes=(
            ("rule", "`x'` swaps the last two axes; a vector has no rows and columns"),
            ("help", "`x[:, *]` is a column, `x[*, :]` a row"),
        ),
    )
