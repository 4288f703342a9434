"""Reshapes of arrays whose axes lie in another order than that of their shape.

In: two shapes of the same elements, and the order in which the axes of the first lie in
memory, the outermost first. Out: the order of the second's axes, if nothing need be copied:
a reshape that cuts axes into parts never copies, one that merges axes does not where these
lie beside one another.

    moved([N, 12, 12, c], [N, 6, 2, 6, 2, c], (3, 1, 2, 0))    # (5, 1, 2, 3, 4, 0)
    moved([N, 12, 12, c], [N, 144 * c], (3, 1, 2, 0))          # None: c comes before
"""

from __future__ import annotations

from ...ir.dims import ONE, Dim, Shape

Order = tuple[int, ...]


def moved(old: Shape, new: Shape, order: Order) -> Order | None:
    """The order of the axes of `new` where those of `old` lie in `order`."""
    groups = _groups(old, new)
    if groups is None:
        return None
    place = {axis: k for k, axis in enumerate(i for i in order if old[i] != ONE)}
    parts: list[tuple[int, list[int]]] = []
    for left, right in groups:
        first = place[left[0]]
        if [place[i] for i in left] != list(range(first, first + len(left))):
            return None
        parts.append((first, right))
    lying = [j for _, right in sorted(parts) for j in right]
    made = [j for j in range(len(new)) if new[j] == ONE and not any(_real(new[:j]))]
    for j in lying:
        made.append(j)
        while (
            j + 1 < len(new) and new[j + 1] == ONE
        ):  # ones stay behind their neighbour
            j += 1
            made.append(j)
    return tuple(made)


def _real(shape: Shape) -> list[bool]:
    return [d != ONE for d in shape]


def _groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Axes of both that hold the same elements, in the smallest groups; ones left out."""
    after: dict[Dim, int] = {}
    count = ONE
    right = [j for j, d in enumerate(new) if d != ONE]
    for k, j in enumerate(right, 1):
        count = count * new[j]
        after[count] = k
    groups: list[tuple[list[int], list[int]]] = []
    left: list[int] = []
    start = 0
    count = ONE
    for i, d in enumerate(old):
        if d == ONE:
            continue
        if d.integer == 0:
            return None
        count = count * d
        left.append(i)
        stop = after.get(count, 0)
        if stop > start:
            groups.append((left, right[start:stop]))
            left, start = [], stop
    return None if left or start != len(right) else groups
