"""The run-time loop: one node with a closed body, and projections of it.

    L = loop(init_0 …, sequence_0 …, capture_0 …; body, steps, reverse)

`body` holds the next carries, over *formals* only: carry k (enters the step), slice k
(sequence k at t), capture k (the same at every step). The loop itself is a tuple; values
are read off it:

    last(L, k)    carry k after the last step
    each(L, e)    the body expression e at every step, entry t from step t, T in front
    total(L, e)   the sum of e over the steps

What is collected or summed is thus no part of the loop: a derivative adds projections and
never changes it, what nobody reads does not exist, and "saved" means an `each` that the
backward reads. Bodies are closed, so interning works by content and there is nothing to
rename. The VJP of a loop is a loop that runs the other way (`reverse_loop`).

Three rewrites stand in the constructors: what needs no carry is *hoisted* and computed for
all steps at once; `each` is *pushed to the leaves*; `total` is *pushed out*, so the
gradient of a weight is one product of matrices after the loop. `rewriting(False)` turns
them off, for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..ir.dims import ONE, Dim, Shape
from ..ir.graph import Graph, rebuild, topological
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Kind, Op
from . import zeros
from .classes import InferError
from .cotangents import cotangents

Args = tuple[Node, ...]
ROLES = ("carry", "slice", "capture")
PROJECTIONS = ("last", "each", "total")
_REWRITING = [True]
_ALL = [False]


@contextmanager
def rewriting(on: bool) -> Iterator[None]:
    """Switch the three rewrites on or off (they change cost, never values)."""
    _REWRITING.append(on)
    try:
        yield
    finally:
        _REWRITING.pop()


@contextmanager
def hoisting_all(on: bool = True) -> Iterator[None]:
    """Take elementwise work without a carry out of loops too: fewer calls, more memory."""
    _ALL.append(on)
    try:
        yield
    finally:
        _ALL.pop()


# ------------------------------------------------------------------- the parts of a loop
def formal(
    graph: Graph, role: str, index: int, shape: Shape, kind: Kind, tag: int = 0
) -> Node:
    """A formal argument of a body. In a finished loop the tag is 0."""
    return graph.apply(
        "formal", role=role, index=index, shape=shape, kind=kind, tag=tag
    )


def parts(loop: Node) -> tuple[Args, Args, Args]:
    """The initial carries, the sequences and the captures of a loop."""
    n, m = loop.attrs["carries"], loop.attrs["sequences"]
    return loop.args[:n], loop.args[n : n + m], loop.args[n + m :]


def formals(loop: Node) -> tuple[Args, Args, Args]:
    """The formals that stand for them in the body."""
    g = loop.graph
    inits, sequences, captures = parts(loop)
    return (
        tuple(formal(g, "carry", i, x.shape, x.kind) for i, x in enumerate(inits)),
        tuple(
            formal(g, "slice", i, x.shape[1:], x.kind) for i, x in enumerate(sequences)
        ),
        tuple(formal(g, "capture", i, x.shape, x.kind) for i, x in enumerate(captures)),
    )


def depends_on(roots: Iterable[Node], tag: int = 0) -> dict[Node, frozenset[str]]:
    """For every node below the roots, the roles of the formals that it is made of."""
    found: dict[Node, frozenset[str]] = {}
    nothing: frozenset[str] = frozenset()
    for n in topological(roots):
        if n.op.name == "formal" and n.attrs["tag"] == tag:
            found[n] = frozenset((n.attrs["role"],))
        else:
            found[n] = nothing.union(*(found[a] for a in n.args))
    return found


def is_fixed(n: Node) -> bool:
    """A number, a size, a row of places or the structural zero: free to make anywhere."""
    return n.op.name in ("const", "size", "iota", "zero")


# ----------------------------------------------------------------------------- building
@dataclass
class Draft:
    """A loop while it is written: its formals bear a tag, which no other loop has.

    `carry`, `slice` and `capture` give the formal of an outer value; `finish` closes the
    body: whatever in it does not depend on the step becomes a capture, what does not
    depend on a carry is hoisted, formals are numbered by first use.
    """

    graph: Graph
    steps: Dim
    reverse: bool = False
    tag: int = 0
    outer: dict[str, list[Node]] = field(default_factory=lambda: {r: [] for r in ROLES})

    places: dict[tuple[str, Node], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph.drafts += 1
        self.tag = self.graph.drafts

    def carry(self, init: Node) -> Node:
        """The formal of a new carry that starts as `init`."""
        carries = self.outer["carry"]
        carries.append(init)
        return formal(
            self.graph, "carry", len(carries) - 1, init.shape, init.kind, self.tag
        )

    def carry_of(self, index: int) -> Node:
        """The formal of the carry of that number."""
        init = self.outer["carry"][index]
        return formal(self.graph, "carry", index, init.shape, init.kind, self.tag)

    def slice(self, sequence: Node) -> Node:
        """The formal of a sequence (T first) at the step's place."""
        return self._formal("slice", sequence, sequence.shape[1:])

    def capture(self, value: Node) -> Node:
        """The formal of a value that is the same at every step."""
        return self._formal("capture", value, value.shape)

    def _formal(self, role: str, value: Node, shape: Shape) -> Node:
        known = self.outer[role]
        place = self.places.setdefault((role, value), len(known))
        if place == len(known):
            known.append(value)
        return formal(self.graph, role, place, shape, value.kind, self.tag)

    def own(self, node: Node) -> Node | None:
        """The outer value of one of this draft's formals."""
        if node.op.name == "formal" and node.attrs["tag"] == self.tag:
            value: Node = self.outer[node.attrs["role"]][node.attrs["index"]]
            return value
        return None

    def finish(
        self, nexts: Sequence[Node], values: Sequence[Node]
    ) -> tuple[Node, list[Node]]:
        """The loop, and `values` (to be projected) in terms of its formals."""
        roots = [*nexts, *values]
        roots = self._closed(roots)
        if _REWRITING[-1]:
            roots = self._hoisted(roots, len(nexts))
        return self._numbered(roots[: len(nexts)], roots[len(nexts) :])

    def _closed(self, roots: list[Node]) -> list[Node]:
        """Outer values that the body reads become captures."""
        inside = depends_on(roots, self.tag)
        new: dict[Node, Node] = {}
        for n in (r for r in roots if not inside[r] and not _costless(r)):
            new[n] = self.capture(n)
        for n in topological(roots):
            if inside[n]:
                for a in n.args:
                    if not inside[a] and a not in new and not _costless(a):
                        new[a] = self.capture(a)
        return replaced(self.graph, roots, new)

    def _hoisted(self, roots: list[Node], carried: int) -> list[Node]:
        """Maximal work without a carry below it is done for all steps at once."""
        if _ALL[-1]:
            roots = _regrouped(self.graph, roots, depends_on(roots, self.tag))
        inside = depends_on(roots, self.tag)
        border: dict[Node, None] = {}
        for n in topological(roots[:carried]):
            if "carry" in inside[n]:
                for a in n.args:
                    if inside[a] and "carry" not in inside[a]:
                        border.setdefault(a)
        new: dict[Node, Node] = {}
        leaves = {
            n: (self.own(n), n.attrs["role"] == "slice")
            for n in inside
            if self.own(n) is not None and n.attrs["role"] != "carry"
        }
        for n in border:
            if not (_heavy(n, inside) or (_ALL[-1] and _is_work(n))):
                continue
            value, varies = lifted(self.graph, n, self.steps, leaves)
            if value is not None:
                new[n] = self.slice(value) if varies else self.capture(value)
        return replaced(self.graph, roots, new)

    def _numbered(
        self, nexts: list[Node], values: list[Node]
    ) -> tuple[Node, list[Node]]:
        """Formals in order of first use; sequences and captures without one are dropped."""
        g, roots = self.graph, [*nexts, *values]
        used = [n for n in topological(roots) if self.own(n) is not None]
        used.sort(key=lambda n: (ROLES.index(n.attrs["role"]), n.attrs["index"]))
        new: dict[Node, Node] = {}
        kept: dict[str, list[Node]] = {"slice": [], "capture": []}
        for n in used:
            role, index = n.attrs["role"], n.attrs["index"]
            if role != "carry":
                kept[role].append(self.outer[role][index])
                index = len(kept[role]) - 1
            new[n] = formal(g, role, index, n.shape, n.kind)
        done = replaced(g, roots, new)
        loop = g.apply(
            "loop",
            *self.outer["carry"],
            *kept["slice"],
            *kept["capture"],
            carries=len(nexts),
            sequences=len(kept["slice"]),
            body=tuple(done[: len(nexts)]),
            steps=self.steps,
            reverse=self.reverse,
        )
        return loop, done[len(nexts) :]


def _costless(n: Node) -> bool:
    """A number, or a number in some shape: written wherever it is read."""
    while n.op.name in ("broadcast", "reshape", "cast") and n.args:
        n = n.args[0]
    return is_fixed(n)


def _regrouped(
    graph: Graph, roots: list[Node], inside: Mapping[Node, frozenset[str]]
) -> list[Node]:
    """`x + h @ W + b` with the terms that need no carry first: `(x + b) + h @ W`."""
    new: dict[Node, Node] = {}
    inner = {
        a
        for n in topological(roots)
        if n.op.name == "add"
        for a in n.args
        if a.op.name == "add" and "carry" in inside[a]
    }
    for n in topological(roots):
        if n.op.name != "add" or n in inner or "carry" not in inside[n]:
            continue
        free: list[Node] = []
        carried: list[Node] = []
        stack = [n]
        while stack:
            m = stack.pop()
            if m.op.name == "add" and "carry" in inside[m]:
                stack.extend(reversed(m.args))
            else:
                (carried if "carry" in inside[m] else free).append(m)
        if len(free) > 1 and len(carried) < 8:
            total = free[0]
            for m in (*free[1:], *carried):
                total = total + m
            new[n] = total
    return replaced(graph, roots, new) if new else roots


def _is_work(n: Node) -> bool:
    """Is there anything to compute, or is it a formal as it stands, spread perhaps?"""
    while n.op.view and n.args:
        n = n.args[0]
    return n.op.family != "leaf"


def _heavy(n: Node, inside: Mapping[Node, frozenset[str]]) -> bool:
    """Is there more to do below `n` than elementwise work, which stays where it is read?"""
    seen: set[Node] = set()
    stack = [n]
    while stack:
        m = stack.pop()
        if m in seen or not inside.get(m):
            continue
        seen.add(m)
        if m.op.family not in ("leaf", "elementwise") and not m.op.view:
            return True
        stack.extend(m.args)
    return False


def replaced(
    graph: Graph, roots: Iterable[Node], new: Mapping[Node, Node]
) -> list[Node]:
    """The roots with some nodes below them replaced (bodies of inner loops are closed)."""
    roots = list(roots)
    table: dict[Node, Node] = {}
    for n in topological(roots, stop=new.keys()):
        if n in new:
            table[n] = new[n]
            continue
        args = tuple(table[a] for a in n.args)
        if args == n.args:
            table[n] = n
        else:
            with graph.at(n.origin):
                table[n] = rebuild(graph, n, args)
            if n in graph.hints:
                graph.hint(table[n], *graph.hints[n])
    return [table[r] for r in roots]


# ------------------------------------------------------------- whole sequences at once
def lifted(
    graph: Graph,
    root: Node,
    steps: Dim,
    leaves: Mapping[Node, tuple[Node | None, bool]],
) -> tuple[Node | None, bool]:
    """`root` for all steps at once, and whether it varies; (None, True) if it cannot be.

    `leaves` gives the outer value of a formal (or of a collected node), and whether that
    has the steps in front.
    """
    found: dict[Node, tuple[Node, bool]] = {}
    for n in topological([root], stop=leaves.keys()):
        if n in leaves:
            value, varies = leaves[n]
            if value is None:
                return None, True
            found[n] = (value, varies)
            continue
        args = [found[a] for a in n.args]
        if not any(varies for _, varies in args):
            found[n] = (rebuild(graph, n, tuple(v for v, _ in args)), False)
            continue
        with graph.at(n.origin):
            made = _lift(graph, n, args, steps)
        if made is None:
            return None, True
        if n in graph.hints:
            graph.hint(made, *graph.hints[n])
        found[n] = (made, True)
    return found[root]


def spread(graph: Graph, x: Node, steps: Dim) -> Node:
    """A value that does not vary, repeated for every step."""
    return graph.broadcast(x, (steps, *x.shape))


def _lift(
    graph: Graph, n: Node, args: list[tuple[Node, bool]], steps: Dim
) -> Node | None:
    """`n` on operands with the steps in front; None where there is no such form."""
    name, a = n.op.name, n.attrs
    x, varies = args[0]
    shape = (steps, *n.shape)
    if n.op.family == "elementwise":
        full = [v if var else spread(graph, v, steps) for v, var in args]
        return graph.apply(name, *full, **a)
    if name == "einsum2":
        return _lift_product(graph, a["spec"], args)
    if name in ("take", "scatter_add"):
        if varies or a["axis"] != 0 or name == "scatter_add":
            return None
        return graph.apply("take", x, args[1][0], axis=0)
    if name in ("pick", "put", "one_hot", "concat"):
        full = [v if var else spread(graph, v, steps) for v, var in args]
        moved = {**a, "axis": a["axis"] + 1} if name == "concat" else a
        return graph.apply(name, *full, **moved)
    if len(args) != 1:
        return None
    if name == "broadcast":
        lead = len(n.shape) - len(n.args[0].shape)
        column = (steps, *([ONE] * lead), *n.args[0].shape)
        return graph.broadcast(graph.apply("reshape", x, shape=column), shape)
    if name == "reshape":
        return graph.apply("reshape", x, shape=shape)
    if name == "transpose":
        return graph.apply("transpose", x, perm=(0, *(p + 1 for p in a["perm"])))
    if "axes" in a:
        return graph.apply(name, x, **{**a, "axes": tuple(i + 1 for i in a["axes"])})
    if name in ("argmax", "cumsum", "argsort"):
        return graph.apply(name, x, **{**a, "axis": a["axis"] + 1})
    if name in ("slice", "unslice"):
        whole = {
            "starts": (Dim.of(0), *a["starts"]),
            "stops": (steps, *a["stops"]),
            "steps": (1, *a["steps"]),
        }
        if name == "unslice":
            whole["shape"] = shape
        return graph.apply(name, x, **whole)
    return None


def _lift_product(graph: Graph, spec: str, args: list[tuple[Node, bool]]) -> Node:
    """The steps are one more axis of the product: a batch of it, or rows of a matrix."""
    inputs, output = spec.split("->")
    left, right = inputs.split(",")
    t = _fresh(spec)
    marked = [
        t + s if var else s for s, (_, var) in zip((left, right), args, strict=True)
    ]
    nodes = [v for v, _ in args]
    return graph.apply("einsum2", *nodes, spec=f"{marked[0]},{marked[1]}->{t}{output}")


def _fresh(spec: str) -> str:
    return next(c for c in "tuvwxyzabcdefghijklmnopqrs" if c not in spec)


# ---------------------------------------------------------------------------- records
def _formal_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    return tuple(attrs["shape"]), attrs["kind"]


def _loop_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    inits = args[: attrs["carries"]]
    if len(attrs["body"]) != len(inits):
        raise InferError("loop: a next value for every carry")
    for init, after in zip(inits, attrs["body"], strict=True):
        if (init.shape, init.kind) != (after.shape, after.kind):
            raise InferError(f"loop: {init.shape} becomes {after.shape}")
    for s in args[attrs["carries"] : attrs["carries"] + attrs["sequences"]]:
        if not s.shape or s.shape[0] != attrs["steps"]:
            raise InferError(f"loop: a sequence {s.shape} of {attrs['steps']} steps")
    return (), "real"


def _last_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    init = args[0].args[attrs["index"]]
    return init.shape, init.kind


def _each_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    return (args[0].attrs["steps"], *attrs["value"].shape), attrs["value"].kind


def _total_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    return attrs["value"].shape, attrs["value"].kind


def _last_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    """A carry that no step changes is what it was."""
    loop, k = args[0], attrs["index"]
    after = loop.attrs["body"][k]
    if after.op.name == "formal" and after.attrs["role"] == "carry":
        return loop.args[k] if after.attrs["index"] == k else None
    return None


def _computes(loop: Node, n: Node) -> bool:
    """Is the value one that the recurrence computes at every step anyway?"""
    roles = loop.graph.roles.get(loop)
    if roles is None:
        roles = loop.graph.roles[loop] = depends_on(loop.attrs["body"])
    return "carry" in roles.get(n, ()) and n.op.name != "formal" and not n.op.view


def _leaves(loop: Node, value: Node) -> dict[Node, tuple[Node | None, bool]]:
    """Where the lifting of `value` ends: at formals, and at what the recurrence computes."""
    graph = loop.graph
    outer = dict(zip(ROLES, parts(loop), strict=True))
    leaves: dict[Node, tuple[Node | None, bool]] = {}
    seen: set[Node] = set()
    stack = [value]
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if n.op.name == "formal":
            role = n.attrs["role"]
            if role == "carry":
                leaves[n] = (_collected(graph, loop, n), True)
            else:
                leaves[n] = (outer[role][n.attrs["index"]], role == "slice")
        elif _computes(loop, n):
            leaves[n] = (_collected(graph, loop, n), True)
        else:
            stack.extend(n.args)
    return leaves


def _collected(graph: Graph, loop: Node, value: Node) -> Node:
    """The `each` that stays one."""
    return graph.intern("each", (loop,), {"value": value})


def _each_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    """Push to the leaves: a value that the recurrence computes is collected, the rest is
    computed from what is collected, for all steps at once."""
    loop, value = args[0], attrs["value"]
    steps = loop.attrs["steps"]
    if value.op.name == "zero":
        return graph.zero((steps, *value.shape), value.kind)
    found = zeros.mask(value)
    if found is not None:
        condition, inner, kept = found
        over = graph.apply("each", loop, value=condition)
        return zeros.masked(over, graph.apply("each", loop, value=inner), kept)
    if not _REWRITING[-1] and not _is_argument(value):
        return None
    carry = value.op.name == "formal" and not _is_argument(value)
    if carry or _computes(loop, value):
        return None
    leaves = _leaves(loop, value)
    made, varies = lifted(graph, value, steps, leaves)
    if made is None:
        return None
    return made if varies else spread(graph, made, steps)


def _is_argument(n: Node) -> bool:
    return n.op.name == "formal" and n.attrs["role"] != "carry"


def _total_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    """Push out: a sum of products of matrices is one product over all steps."""
    loop, e = args[0], attrs["value"]
    if e.op.name == "zero":
        return graph.zero(e.shape, e.kind)
    if not _REWRITING[-1]:
        return None
    name = e.op.name
    if _computes(loop, e):
        return None

    def total(x: Node) -> Node:
        return graph.apply("total", loop, value=x)

    if name in ("add", "sub"):
        return graph.apply(name, total(e.args[0]), total(e.args[1]))
    if name == "neg":
        return -total(e.args[0])
    if name in ("reshape", "transpose", "sum", "broadcast"):
        inner = total(e.args[0])
        return graph.apply(name, inner, **e.attrs)
    if name == "einsum2":
        leaves = _leaves(loop, e)
        steps = loop.attrs["steps"]
        pair = [lifted(graph, a, steps, leaves) for a in e.args]
        if any(v is None for v, _ in pair):
            return None
        found = [(v, var) for v, var in pair if v is not None]
        if all(var for _, var in found):
            inputs, output = e.attrs["spec"].split("->")
            left, right = inputs.split(",")
            t = _fresh(e.attrs["spec"])
            spec = f"{t}{left},{t}{right}->{output}"
            return graph.apply("einsum2", found[0][0], found[1][0], spec=spec)
        summed = [
            total(a) if var else v for a, (v, var) in zip(e.args, found, strict=True)
        ]
        return graph.apply("einsum2", *summed, spec=e.attrs["spec"])
    made = graph.apply("each", loop, value=e)
    if made.op.name == "each":
        return None
    whole = graph.apply("sum", made, axes=(0,))
    return graph.apply("reshape", whole, shape=e.shape)


# ---------------------------------------------------------------------------- the VJP
def _cotangents_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    return (), "real"


def _projected(g: Node, out: Node, loop: Node, **attrs: Any) -> tuple[Node | None, ...]:
    return (cotangents(out.graph, {out: g}),)


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
    from ..autodiff.reverse import reverse  # the same pass, on the body

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


REGISTRY.add(Op(name="formal", args=(), family="leaf", infer=_formal_infer, weight=0))
REGISTRY.add(
    Op(
        name="cotangents",
        args=("gs",),
        family="tuple",
        infer=_cotangents_infer,
        variadic=True,
        note="What reverse mode hands to a loop: the cotangents of its projections.",
    )
)
REGISTRY.add(
    Op(
        name="loop",
        args=("xs",),
        family="tuple",
        infer=_loop_infer,
        vjp=reverse_loop,
        variadic=True,
        note="With no steps, last is the initial carry, each is empty and total is zero.",
    )
)
for _name, _infer, _rule in (
    ("last", _last_infer, _last_rule),
    ("each", _each_infer, _each_rule),
    ("total", _total_infer, _total_rule),
):
    REGISTRY.add(
        Op(
            name=_name,
            args=("loop",),
            family="special",
            infer=_infer,
            vjp=_projected,
            simplify=(_rule,),
            result={"last": "last", "each": "steps", "total": "total"}[_name],
        )
    )
