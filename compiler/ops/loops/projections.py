"""Values that are read off a loop: `last`, `each`, `total`; and the records of a loop's parts.

each(L, tanh(c))     tanh(each(L, c)): pushed to the leaves
total(L, x_t' d_t)   one product of matrices over all steps: pushed out
"""

from __future__ import annotations

from typing import Any

from ...ir.dims import Shape
from ...ir.graph import Graph
from ...ir.node import Node
from ...ir.op import REGISTRY, Attrs, Kind, Op
from .. import zeros
from ..classes import InferError
from ..cotangents import cotangents
from .body import ROLES, Args, depends_on, parts
from .lifting import REWRITING, fresh, lifted, spread
from .reverse import reverse_loop


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
    if not REWRITING[-1] and not _is_argument(value):
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
    if not REWRITING[-1]:
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
            t = fresh(e.attrs["spec"])
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


def _cotangents_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    return (), "real"


def _projected(g: Node, out: Node, loop: Node, **attrs: Any) -> tuple[Node | None, ...]:
    return (cotangents(out.graph, {out: g}),)


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
