"""Products of matrices as one writes them: from the letters of a contraction to `A @ B'`.

In: two formulas and `"ij,kj->ik"`. Out: `A @ B'` where it is a product of matrices, a batch of
them, or of a matrix and a vector; `einsum(A, B, spec = …)` where it is none of these.
"""

from __future__ import annotations

from collections.abc import Sequence

from .formula import Apply, Binary, Formula, Transposed


def contraction(a: Formula, b: Formula, spec: str) -> Formula:
    """A product of matrices as one writes it, or `einsum("ij,jk->ik", a, b)`."""
    operands, out = spec.split("->")
    left, right = operands.split(",")
    batch = ""
    while min(len(left), len(right), len(out)) > 2 and left[0] == right[0] == out[0]:
        batch, left, right, out = batch + out[0], left[1:], right[1:], out[1:]
    made = _rows(a, b, spec)
    if made is not None:
        return made
    if not batch or min(len(left), len(right), len(out)) == 2:
        made = _matrices(a, b, left, right, out)
    if made is not None:
        return made
    options = (("spec", f'"{spec}"'),)
    return Apply("einsum", (a, b), options, len(spec.partition("->")[2]))


def _rows(a: Formula, b: Formula, spec: str) -> Formula | None:
    """`x @ W` where x has more axes than two: a product for each of its rows."""
    operands, out = spec.split("->")
    left, right = operands.split(",")
    if len(left) == 2 < len(right):
        a, b, left, right = b, a, right, left
    if len(left) < 3 or len(right) != 2 or out[:-1] != left[:-1]:
        return None
    if right == left[-1] + out[-1]:
        return Binary("@", a, b)
    if right == out[-1] + left[-1]:
        return Binary("@", a, flipped(b))
    return None


def _matrices(
    a: Formula, b: Formula, left: str, right: str, out: str
) -> Formula | None:
    """`A @ B` with transposes, at most two axes each."""
    summed = [c for c in left if c in right and c not in out]
    if max(len(left), len(right), len(out)) > 2 or len(summed) != 1:
        return None
    if set(out) != set(left) ^ set(right):
        return None
    if len(left) == len(right) == 2 and out[0] in right:
        a, b, left, right = b, a, right, left
    elif len(left) == 2 and len(right) == 1:
        pass
    k = summed[0]
    if len(left) == 2 and left[0] == k:
        a = flipped(a)
    if len(right) == 2 and right[1] == k:
        b = flipped(b)
    return Binary("@", a, b)


def flipped(f: Formula) -> Formula:
    """The transpose: twice is nothing."""
    return f.x if isinstance(f, Transposed) else Transposed(f)


def transposed(f: Formula, perm: Sequence[int]) -> Formula:
    n = len(perm)
    if n >= 2 and tuple(perm) == (*range(n - 2), n - 1, n - 2):
        return flipped(f)
    return Apply(
        "transpose", (f,), (("perm", "[" + ", ".join(str(p) for p in perm) + "]"),), n
    )
