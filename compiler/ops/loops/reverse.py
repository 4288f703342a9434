"""The VJP of a loop: backpropagation through time, itself a loop that runs the other way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...ir.graph import topological
from ...ir.node import Node
from .. import zeros
from .body import depends_on, formals, parts, replaced
from .draft import Draft

PROJECTIONS = ("last", "each", "total")


def reverse_loop(
    g: Node, out: Node, *args: Node, **attrs: Any
) -> tuple[Node | None, ...]:
    """The VJP of a loop: a loop the other way, whose carries are cotangents.

    Its sequences are the primal's, what it reads of every step (an `each` of the primal,
    which is what is saved), and the cotangents of collected values; its results are the
    cotangents of the initial carries (`last`), of the sequences (`each`) and of the
    captures (`total`). A carry whose cotangent stays zero is dropped.
    """
    graph, loop = out.graph, out
    carried = [f for f in formals(loop)[0]]
    alive = [False] * len(carried)
    for p in g.attrs["of"]:
        if p.op.name == "last":
            alive[p.attrs["index"]] = True
    while True:
        draft, sweep_of = _differentiated(loop, g, alive)
        found = [sweep_of[f] for f in carried]
        grown = [
            was or (c is not None and c.op.name != "zero")
            for was, c in zip(alive, found, strict=True)
        ]
        if grown == alive:
            break
        alive = grown
    everything = [f for group in formals(loop) for f in group]
    wanted = {f: sweep_of[f] for f in everything}
    nexts = [
        wanted[f] or graph.zero(f.shape)
        for f, on in zip(carried, alive, strict=True)
        if on
    ]
    others = [f for f in everything if f not in carried]
    values = [c for f in others if (c := wanted[f]) is not None]
    projected = [p.attrs["value"] for p in g.attrs["of"] if "value" in p.attrs]
    ready = _reading(loop, projected, draft, [*nexts, *values])
    back, values = draft.finish(ready[: len(nexts)], ready[len(nexts) :])
    if loop in graph.loops:
        index, names = graph.loops[loop]
        carries = [f"d_{n}" for n, on in zip(names, alive, strict=True) if on]
        graph.loops.setdefault(back, (index, tuple(carries)))

    results: list[Node | None] = []
    place = 0
    for on in alive:
        results.append(graph.apply("last", back, index=place) if on else None)
        place += on
    rest = iter(values)
    for f in others:
        if wanted[f] is None:
            results.append(None)
        elif f.attrs["role"] == "slice":
            results.append(graph.apply("each", back, value=next(rest)))
        else:
            results.append(graph.apply("total", back, value=next(rest)))
    return tuple(results)


def _differentiated(
    loop: Node, g: Node, alive: Sequence[bool]
) -> tuple[Draft, dict[Node, Node | None]]:
    """Reverse mode on the body, with the live carries' cotangents as carries."""
    from ...autodiff.reverse import reverse  # the same pass, on the body

    graph = loop.graph
    draft = Draft(graph, loop.attrs["steps"], not loop.attrs["reverse"])
    inits: dict[int, Node] = {}
    outputs: dict[Node, Node] = {}

    def seed(node: Node, share: Node) -> None:
        outputs[node] = outputs[node] + share if node in outputs else share

    for p, share in zip(g.attrs["of"], g.args, strict=True):
        if p.op.name == "last":
            inits[p.attrs["index"]] = share
        elif p.op.name == "each":
            seed(p.attrs["value"], _inside(draft.slice, share))
        else:
            seed(p.attrs["value"], _inside(draft.capture, share))
    for k, (after, on) in enumerate(zip(loop.attrs["body"], alive, strict=True)):
        if on:
            start = inits.get(k)
            if start is None:
                # A carry that starts without a cotangent: an ordinary array of zeros.
                start = graph.broadcast(graph.const(0), after.shape)
            seed(after, draft.carry(start))
    wrt = [f for group in formals(loop) for f in group if f.kind == "real"]
    adjoints = reverse(outputs, wrt).adjoints
    _name_adjoints(loop, adjoints)
    found: dict[Node, Node | None] = {}
    for group in formals(loop):
        for f in group:
            c = adjoints.get(f)
            found[f] = None if c is None or c.op.name == "zero" else c
    return draft, found


def _inside(formal_of: Callable[[Node], Node], share: Node) -> Node:
    """A cotangent as the body reads it: a masked one stays masked, or 0 times the infinite
    derivative of what the mask left out would be NaN."""
    found = zeros.mask(share)
    if found is None:
        return formal_of(share)
    condition, value, kept = found
    return zeros.masked(formal_of(condition), formal_of(value), kept)


def _name_adjoints(loop: Node, adjoints: Mapping[Node, Node]) -> None:
    """`d_h` for the adjoint of what is called `h` at each step."""
    graph = loop.graph
    _, names = graph.loops.get(loop, ("", ()))
    known = dict(zip(loop.attrs["body"], names, strict=False))
    for primal, adjoint in adjoints.items():
        name, number = known.get(primal, ""), 0
        if not name and primal in graph.hints:
            name, number = graph.hints[primal]
        elif not name and primal.op.family != "leaf" and "{" not in primal.op.result:
            name = primal.op.result
        if name and adjoint.op.family != "leaf":
            graph.hint(adjoint, f"d_{name}", number)


def _reading(
    loop: Node, projected: list[Node], draft: Draft, roots: list[Node]
) -> list[Node]:
    """Replace what belongs to the primal body by slices of what is saved of it."""
    graph = loop.graph
    _, sequences, captures = parts(loop)
    new: dict[Node, Node] = {}

    def taken(n: Node) -> Node:
        if n.op.name == "formal":
            if n.attrs["role"] == "slice":
                return draft.slice(sequences[n.attrs["index"]])
            if n.attrs["role"] == "capture":
                return draft.capture(captures[n.attrs["index"]])
        return draft.slice(graph.apply("each", loop, value=n))

    primal = depends_on([*loop.attrs["body"], *projected])
    for n in topological(roots):
        if n.op.name == "formal":
            if n.attrs["tag"] == 0:
                new[n] = taken(n)
        elif n.op.name in PROJECTIONS and primal.get(n.args[0]):
            new[n] = taken(n)  # of an inner loop, which is not run again
        elif primal.get(n) and not n.op.view and n.op.family != "tuple":
            new[n] = taken(n)
    return replaced(graph, roots, new)
