"""Gradients that are added to a sum as soon as backward has written them.

In: a network of `-O2`, a `work` of its buffers whose gradients lie in one vector. Out: the
same `backward` with one line more behind the last that touches the gradient of a parameter:
it is added to the sum of the slices before, while it is in the cache, and its place is free
again. So the gradient of a second slice takes the memory of the largest few parameters, not
that of all of them.

    plan = Accumulation(network, work, nabla)
    plan.adding(saved, d_loss, other_work, pairs)       # other_work is of `plan.work`

The additions are those of whole vectors, and so are their bits. Which lines touch a gradient
is read off the function: a name that it takes out of `work`, and what is made of such a name.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .buffers import LINE, Moved, moved, zeros
from .execution import function_of

if TYPE_CHECKING:
    from .network import Network
    from .places import Place

Array = NDArray[Any]
Life = tuple[int, int]  # the first and the last statement that touches it

PAIRS = "_sums_and_parts"  # no emitted name begins with a line


class Accumulation:
    """Where the parts of a gradient lie for a while, and the function that adds them up."""

    def __init__(self, network: Network, work: Mapping[str, Any], own: Array) -> None:
        """`work` has its gradients in `own`, a vector in the layout of θ."""
        tree = function_of(network.source, "backward")
        filled = set(work["gradients"])
        self.places = [p for p in network.places if p.path in filled]
        lives = _lives(tree, work, own, self.places)
        self.starts, self.length = _packed(self.places, lives, own.itemsize)
        space = network.module
        self.adding = _with_additions(tree, lives, space, network.filename)

    def room(self, dtype: Any) -> Array:
        """Memory for the parts."""
        return zeros(self.length, dtype)

    def work(self, work: Mapping[str, Any], own: Array, room: Array) -> dict[str, Any]:
        """`work`, but with its gradients in `room` instead of in `own`."""
        size, found = own.itemsize, []
        for place, start in zip(self.places, self.starts, strict=True):
            found.append(Moved(place.start * size, place.stop * size, start * size))
        made: dict[str, Any] = moved(work, own, room, found)
        return made

    def pairs(self, total: Array, room: Array) -> tuple[tuple[Array, Array], ...]:
        """For each parameter its part of a sum, and where what is to be added lies."""
        return tuple(
            (total[p.start : p.stop], room[start : start + p.stop - p.start])
            for p, start in zip(self.places, self.starts, strict=True)
        )


def _lives(
    tree: ast.FunctionDef,
    work: Mapping[str, Any],
    own: Array,
    places: Sequence[Place],
) -> list[Life]:
    """For each parameter the statements of the body between which its gradient lives."""
    touched = dict(_taken_out(tree, work, own, places))
    whole = (0, len(tree.body) - 1)
    lives: dict[int, Life] = {
        k: whole
        for array in arrays_in(work["forward"])
        for k in _within(array, own, places)
    }
    for at, statement in enumerate(tree.body):
        if _source(statement) is not None or isinstance(statement, ast.Return):
            continue
        names = [n for n in ast.walk(statement) if isinstance(n, ast.Name)]
        read = {k for n in names for k in touched.get(n.id, ())}
        for n in names:
            if isinstance(n.ctx, ast.Store) and read:  # a view of it, perhaps
                touched[n.id] = touched.get(n.id, frozenset()) | read
        for k in read:
            first, last = lives.get(k, (at, at))
            lives[k] = (min(first, at), max(last, at))
    return [lives.get(k, whole) for k in range(len(places))]


def _taken_out(
    tree: ast.FunctionDef, work: Mapping[str, Any], own: Array, places: Sequence[Place]
) -> Iterator[tuple[str, frozenset[int]]]:
    """The names that stand for a gradient, or a view of one, with the parameters' indices."""
    for statement in tree.body:
        if _source(statement) != "work":
            continue
        assert isinstance(statement, ast.Assign)
        (target,) = statement.targets
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        for name, value in zip(names, work["backward"], strict=True):
            found = {k for a in arrays_in(value) for k in _within(a, own, places)}
            if found and isinstance(name, ast.Name):
                yield name.id, frozenset(found)


def _source(statement: ast.stmt) -> str | None:
    """`saved` or `work`, where a statement takes values out of it."""
    match statement:
        case ast.Assign(value=ast.Name(id="saved")):
            return "saved"
        case ast.Assign(value=ast.Subscript(value=ast.Name(id="work"))):
            return "work"
    return None


def arrays_in(value: Any) -> Iterator[Array]:
    """All arrays in tuples, lists and dicts."""
    match value:
        case np.ndarray():
            yield value
        case dict():
            for entry in value.values():
                yield from arrays_in(entry)
        case tuple() | list():
            for entry in value:
                yield from arrays_in(entry)


def _within(array: Array, own: Array, places: Sequence[Place]) -> Iterator[int]:
    """The parameter in whose part of the vector an array lies."""
    start = array.__array_interface__["data"][0] - own.ctypes.data
    for k, place in enumerate(places):
        if place.start * own.itemsize <= start < place.stop * own.itemsize:
            yield k


def _packed(
    places: Sequence[Place], lives: Sequence[Life], itemsize: int
) -> tuple[list[int], int]:
    """Where each part begins, in numbers, and the length of all: the large ones first, each
    at the lowest place that no other needs at the same time."""
    line = max(1, LINE // itemsize)
    sizes = [math.ceil((p.stop - p.start) / line) * line for p in places]
    starts = [0] * len(places)
    done: list[int] = []
    for k in sorted(range(len(places)), key=lambda k: (-sizes[k], k)):
        first, last = lives[k]
        taken = sorted(
            (starts[j], starts[j] + sizes[j])
            for j in done
            if lives[j][0] <= last and first <= lives[j][1]
        )
        at = 0
        for start, stop in taken:
            if at + sizes[k] <= start:
                break
            at = max(at, stop)
        starts[k] = at
        done.append(k)
    return starts, max((s + n for s, n in zip(starts, sizes, strict=True)), default=0)


def _with_additions(
    tree: ast.FunctionDef,
    lives: Sequence[Life],
    space: Mapping[str, Any],
    filename: str,
) -> Any:
    """The function, which takes the pairs as well and adds up each when it is done."""
    pairs = [(f"_sum_{k}", f"_part_{k}") for k in range(len(lives))]
    ending: dict[int, list[ast.stmt]] = {}
    for (total, part), (_, last) in zip(pairs, lives, strict=True):
        at = min(last, len(tree.body) - 2)  # before it returns
        ending.setdefault(at, []).extend(
            ast.parse(f"np.add({total}, {part}, {total})").body
        )
    targets = ", ".join(f"({total}, {part})" for total, part in pairs)
    body = ast.parse(f"{targets}, = {PAIRS}").body if pairs else []
    for at, statement in enumerate(tree.body):
        body.append(statement)
        for extra in ending.get(at, ()):
            for n in ast.walk(extra):
                if isinstance(n, ast.expr | ast.stmt):
                    ast.copy_location(n, statement)
            body.append(extra)
    tree.body = body
    tree.args.args.append(ast.arg(PAIRS))
    module = ast.fix_missing_locations(ast.Module([tree], []))
    found: dict[str, Any] = {}
    exec(compile(module, filename, "exec"), dict(space), found)
    return found["backward"]
