"""Mutants: broken copies of the rules, generated from the registry.

For every rule, every argument: the cotangent with another sign, with a factor, with that of
another argument, summed where it must not be, missing; and a partial that looks right at
first order only. A mutant that computes the same as the original is none, and is not made.

    for mutant in mutants(REGISTRY["div"]): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from gradc.compiler.ir.node import Node
from gradc.compiler.ir.op import REGISTRY, Op

Shares = tuple["Node | None", ...]
Change = Callable[[Shares, Node, Node, tuple[Node, ...]], Shares]


@dataclass(frozen=True)
class Mutant:
    name: str
    op: Op

    def __str__(self) -> str:
        return self.name


def mutants(op: Op) -> Iterator[Mutant]:
    """The mutants of one record's VJP, and of its JVP."""
    assert op.vjp is not None and op.jvp is not None
    slots = [i for i, r in enumerate(_ranges(op)) if r.kind == "real"]
    for i in slots:
        for kind, change in CHANGES.items():
            if _differs(op, kind, i):
                yield Mutant(
                    f"{op.name}.{kind}.{i}", replace(op, vjp=_changed(op, change, i))
                )
    for i in slots:
        for j in slots:
            if i < j and op.name not in SYMMETRIC:
                yield Mutant(
                    f"{op.name}.swap.{i}{j}", replace(op, vjp=_swapped(op, i, j))
                )
    if op.name in TURNED:
        yield Mutant(f"{op.name}.turn", replace(op, vjp=TURNED[op.name](op)))
    yield Mutant(f"{op.name}.jvp.sign", replace(op, jvp=_jvp(op, lambda t: -t)))
    yield Mutant(
        f"{op.name}.jvp.factor", replace(op, jvp=_jvp(op, lambda t: t * 1.0625))
    )


def _ranges(op: Op) -> tuple[Any, ...]:
    ranges = op.samples.args
    return tuple(ranges) + ranges[-1:] * (len(op.args) - len(ranges))


def _scaled(by: float) -> Callable[[Node, Node, Node, Node], Node]:
    return lambda share, g, out, x: share * by


def _kept_mean(share: Node, g: Node, out: Node, x: Node) -> Node:
    """An un-broadcast that was forgotten: one of the entries instead of their sum."""
    graph = share.graph
    zeros = tuple(d * 0 for d in g.shape)
    ones = tuple(d * 0 + 1 for d in g.shape)
    lead = len(g.shape) - len(x.shape)
    starts, stops = zeros, []
    for i, d in enumerate(g.shape):
        filled = i < lead or x.shape[i - lead] != d
        stops.append(ones[i] if filled else d)
    steps = (1,) * len(g.shape)
    part = graph.apply("slice", g, starts=starts, stops=tuple(stops), steps=steps)
    return graph.apply("reshape", part, shape=x.shape)


def _squared(share: Node, g: Node, out: Node, x: Node) -> Node:
    """Right where the cotangent is 1, and nowhere else."""
    return share * share if share.shape != g.shape else share * g


CHANGES: dict[str, Callable[[Node, Node, Node, Node], Node | None]] = {
    "sign": lambda share, g, out, x: -share,
    "factor": _scaled(2),
    "nearly": _scaled(1 + 2.0**-20),
    "shift": lambda share, g, out, x: share + share * 0 + 0.001,
    "gone": lambda share, g, out, x: None,
    "by g": _squared,
    "no un-broadcast": _kept_mean,
}

SYMMETRIC = frozenset({"add"})  # both arguments get g: a swap changes nothing


def _differs(op: Op, kind: str, slot: int) -> bool:
    return op.name == "broadcast" if kind == "no un-broadcast" else True


def _changed(
    op: Op, change: Callable[[Node, Node, Node, Node], Node | None], slot: int
) -> Any:
    def vjp(g: Node, out: Node, *xs: Node, **attrs: Any) -> Shares:
        assert op.vjp is not None
        shares = list(op.vjp(g, out, *xs, **attrs))
        share = shares[slot]
        if share is not None:
            shares[slot] = change(share, g, out, xs[slot])
        return tuple(shares)

    return vjp


def _swapped(op: Op, i: int, j: int) -> Any:
    """The two arguments' cotangents, exchanged where they fit."""

    def vjp(g: Node, out: Node, *xs: Node, **attrs: Any) -> Shares:
        assert op.vjp is not None
        shares = list(op.vjp(g, out, *xs, **attrs))
        if xs[i].shape == xs[j].shape:
            shares[i], shares[j] = shares[j], shares[i]
        return tuple(shares)

    return vjp


def _jvp(op: Op, change: Callable[[Node], Node]) -> Any:
    def jvp(tangents: Shares, out: Node, *xs: Node, **attrs: Any) -> Node | None:
        assert op.jvp is not None
        t = op.jvp(tangents, out, *xs, **attrs)
        return None if t is None else change(t)

    return jvp


# ------------------------------------------------ mistakes that only one op can make
def _with(op: Op, body: Callable[..., Shares]) -> Any:
    return lambda g, out, *xs, **attrs: body(g, out, *xs, **attrs)


def _unturned(op: Op) -> Any:
    """A transpose that is undone by itself."""

    def vjp(g: Node, out: Node, x: Node, perm: tuple[int, ...]) -> Shares:
        back = g.graph.apply("transpose", g, perm=perm)
        if back.shape != x.shape:
            back = g.graph.apply("reshape", g, shape=x.shape)
        return (back,)

    return vjp


def _same_way(op: Op) -> Any:
    def vjp(g: Node, out: Node, x: Node, axis: int, reverse: bool) -> Shares:
        return (g.graph.apply("cumsum", g, axis=axis, reverse=reverse),)

    return vjp


def _off_by_one(op: Op) -> Any:
    """A slice put back one place too early, where there is room."""

    def vjp(g: Node, out: Node, x: Node, **cut: Any) -> Shares:
        moved = dict(cut)
        for i, (a, s) in enumerate(zip(cut["starts"], cut["steps"], strict=True)):
            if s == 1 and a.integer:
                starts, stops = list(cut["starts"]), list(cut["stops"])
                starts[i], stops[i] = a - 1, stops[i] - 1
                moved = {**cut, "starts": tuple(starts), "stops": tuple(stops)}
                break
        return (g.graph.apply("unslice", g, shape=x.shape, **moved),)

    return vjp


def _whole_tie(op: Op) -> Any:
    """Every one of equals gets all of it; the plain max reads the same."""

    def vjp(g: Node, out: Node, x: Node, axes: tuple[int, ...]) -> Shares:
        graph = g.graph
        mask = graph.apply("eq", x, graph.broadcast(out, x.shape))
        first = graph.apply("cast", mask, kind="real")
        return (graph.broadcast(g, x.shape) * first * 0.5,)

    return vjp


TURNED: dict[str, Callable[[Op], Any]] = {
    "transpose": _unturned,
    "cumsum": _same_way,
    "slice": _off_by_one,
    "max": _whole_tie,
}


@contextmanager
def installed(mutant: Mutant) -> Iterator[None]:
    """The registry with the mutant in the place of the original."""
    original = REGISTRY.ops[mutant.op.name]
    REGISTRY.ops[mutant.op.name] = mutant.op
    try:
        yield
    finally:
        REGISTRY.ops[mutant.op.name] = original
