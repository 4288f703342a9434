"""What to look at in a network that trains badly, and where in the text it stands.

In: a program, as lowering made it. Out: `Watching`: an opened program (its loops let their
adjoints out), and the *sites* in it: layers, activations, softmaxes, norms, tables that are
indexed, values that a loop carries. Each has the nodes whose numbers tell how it does, and
the node whose origin says its line. The numbers are had by `probe`; nothing here has any.

    watching = watch(program)
    [(s.kind, s.node.origin.span.line, s.call) for s in watching.sites]
    compiled = compile_program(probe(watching.program, watching.wanted), options)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal

from gradc.records import record

from ..autodiff.reverse import groups, reverse, seeds
from ..ir.dims import as_shape
from ..ir.graph import topological, users
from ..ir.node import Node
from ..ir.program import Input, Program
from ..ops.loops import formals, parts
from .activations import Function, curve, functions, slope
from .opening import Opened, open_loops

Kind = Literal[
    "layer", "activation", "softmax", "scores", "norm", "table", "carry", "classes"
]
GRID = 4001  # places at which an activation is looked at
SMALL = 1e-2  # a constant below it, added under a root, keeps a quotient finite


@record
class Site:
    """One thing to look at.

    `values` are nodes of the opened program by role; `axis` the axis of units of `value`
    (counted from the end; None: it is one unit). `below` are the layers that its value
    reaches, as indices of `sites`. `steps`: the value has steps in front; `backwards`:
    they run from the last to the first.
    """

    kind: Kind
    node: Node
    call: str
    path: str
    values: Mapping[str, Node]
    axis: int | None = None
    below: tuple[int, ...] = ()
    hidden: bool = True
    steps: bool = False
    backwards: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@record
class Watching:
    """The opened program and what to look at in it."""

    program: Program
    sites: tuple[Site, ...]
    gradients: Mapping[str, Node]  # parameter -> its adjoint
    untrained: tuple[str, ...]
    reaches: Mapping[str, tuple[int, ...]]  # parameter -> sites that it has a part in
    probes: tuple[str, ...]  # inputs of zeros that were added
    curves: Mapping[int, tuple[Node, Node]]  # site -> f(z), f'(z) at the places of `z`
    z: Node  # an input of GRID places

    @property
    def wanted(self) -> dict[str, Node]:
        """Everything to compute for a batch, by name."""
        found = {
            f"s{k}_{role}": n
            for k, s in enumerate(self.sites)
            for role, n in s.values.items()
        }
        return found | {f"g{k}": n for k, n in enumerate(self.gradients.values())}

    @property
    def shapes(self) -> dict[str, Node]:
        """What the curves of the activations are computed from, by name."""
        return {
            f"c{k}_{part}": n
            for k, pair in self.curves.items()
            for part, n in zip(("value", "slope"), pair, strict=True)
        }

    def with_grid(self) -> Program:
        """The program whose input is `z`, the places of the curves, and nothing else."""
        alone = (Input(self.z.attrs["name"], self.z, 0),)
        return replace(self.program, inputs=alone, params=(), states=(), noises=())


@record(frozen=False)
class _Domain:
    """The nodes of the program, or of the body of one of its loops."""

    order: list[Node]
    ends: frozenset[Node]
    loop: Node | None
    trained: dict[Node, bool]  # made of trained parameters
    data: dict[Node, bool]  # made of data, chance, or what is remembered
    readers: dict[Node, list[Node]] = field(init=False)

    def __post_init__(self) -> None:
        self.readers = users(self.order)

    def weight(self, n: Node) -> bool:
        """Made of trained parameters alone?"""
        return self.trained[n] and not self.data[n]

    def learnt(self, n: Node) -> bool:
        """Made of both?"""
        return self.trained[n] and self.data[n]


def watch(program: Program) -> Watching:
    """Find the sites, open the loops, and make the adjoints. The program has a loss."""
    mode = program.training
    assert mode.total is not None
    roots = list(dict.fromkeys([*(r.node for r in mode.losses), mode.total.node]))
    outer = _domain(topological(roots), frozenset(roots), None, None)
    bodies = [_body(n, outer) for n in outer.order if n.op.name == "loop"]
    drafts: list[_Draft] = []
    for domain in (outer, *bodies):
        drafts += _sites(domain)
    if not any(d.kind == "layer" for d in drafts):
        drafts += [d for b in (outer, *bodies) for d in _factors(b)]
    drafts += _classes(program)
    drafts.sort(key=lambda d: (d.anchor.serial, d.node.serial))
    watched: dict[Node, list[Node]] = {}
    for d in drafts:
        if d.loop is not None:
            for n in d.adjoint_of.values():
                mine = watched.setdefault(d.loop, [])
                if n not in mine:
                    mine.append(n)
    opened = open_loops(program, watched)
    z = program.graph.leaf("input", "z", as_shape((GRID,)))
    return _finished(program, outer, drafts, opened, z)


# ------------------------------------------------------------------------- the domains
def _domain(
    order: list[Node],
    ends: frozenset[Node],
    loop: Node | None,
    given: Mapping[Node, tuple[bool, bool]] | None,
) -> _Domain:
    trained: dict[Node, bool] = {}
    data: dict[Node, bool] = {}
    for n in order:
        if given is not None and n in given:
            trained[n], data[n] = given[n]
            continue
        name = n.op.name
        own = name in ("input", "state", "noise", "formal")
        trained[n] = name == "param" or (
            name != "stop" and any(trained[a] for a in n.args)
        )
        data[n] = own or any(data[a] for a in n.args)
    return _Domain(order, ends, loop, trained, data)


def _body(loop: Node, outer: _Domain) -> _Domain:
    """A body, and what its formals are made of."""
    given: dict[Node, tuple[bool, bool]] = {}
    for formal_nodes, role in zip(
        zip(formals(loop), parts(loop), strict=True),
        ("carry", "slice", "capture"),
        strict=True,
    ):
        for f, value in zip(*formal_nodes, strict=True):
            flags = (outer.trained[value], outer.data[value])
            given[f] = (True, True) if role == "carry" else flags
    ends = [
        n.attrs["value"]
        for n in outer.order
        if n.args[:1] == (loop,) and "value" in n.attrs
    ]
    ends += loop.attrs["body"]
    return _domain(topological(ends), frozenset(ends), loop, given)


# --------------------------------------------------------------------------- the sites
@record(frozen=False)
class _Draft:
    """A site before the loops are open: nodes of the program, or of a body."""

    kind: Kind
    node: Node
    anchor: Node  # of the program: the node, or the loop that it is in
    loop: Node | None
    value_of: dict[str, Node] = field(default_factory=dict)
    adjoint_of: dict[str, Node] = field(default_factory=dict)
    function: Function | None = None
    unit_of: Node | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def _sites(domain: _Domain) -> list[_Draft]:
    found = [*_layers(domain), *_activations(domain), *_softmaxes(domain)]
    found += [*_norms(domain), *_tables(domain), *_carries(domain)]
    return found


def _draft(
    domain: _Domain, kind: Kind, node: Node, unit_of: Node, **facts: Any
) -> _Draft:
    anchor = node if domain.loop is None else domain.loop
    return _Draft(kind, node, anchor, domain.loop, unit_of=unit_of, facts=facts)


def _layers(domain: _Domain) -> list[_Draft]:
    """Products of what depends on the data with a weight. The value is with its bias: z."""
    found: dict[Node, _Draft] = {}
    seen: set[tuple[object, ...]] = set()
    for n in domain.order:
        if n.op.name != "einsum2":
            continue
        weights = [a for a in n.args if domain.weight(a)]
        others = [a for a in n.args if domain.data[a]]
        if len(weights) != 1 or len(others) != 1:
            continue
        # A derivative that the program asks for multiplies by the same weight again.
        o = n.origin
        key = (_leaf(weights[0]), o.equation, o.copy, o.instances, str(o.span))
        if key in seen:
            continue
        seen.add(key)
        z = _outcome(domain, n)
        d = found.get(z)
        if d is None:
            added = _added(domain, z)
            d = found[z] = _draft(domain, "layer", n, z, weights=[], added=added)
            d.value_of["value"] = d.adjoint_of["delta"] = z
        d.facts["weights"].append(_parameter(domain, weights[0]))
        if not domain.trained[others[0]] and domain.loop is None:
            d.value_of.setdefault("input", _before(others[0]))
    return list(found.values())


def _factors(domain: _Domain) -> list[_Draft]:
    """The layers of a net of single numbers: w x."""
    found: list[_Draft] = []
    for n in domain.order:
        if n.op.name == "mul" and sum(domain.weight(a) for a in n.args) == 1:
            z = _outcome(domain, n)
            d = _draft(domain, "layer", n, z, added=_added(domain, z))
            d.value_of["value"] = d.adjoint_of["delta"] = z
            found.append(d)
    return found


def _leaf(n: Node) -> Node:
    while n.args and (n.op.view or n.op.name == "broadcast"):
        n = n.args[0]
    return n


def _parameter(domain: _Domain, n: Node) -> str:
    """The path of the parameter that a weight is another form of; "" where it is none."""
    n = _leaf(n)
    if n.op.name == "formal" and domain.loop is not None:
        for inner, outer in zip(formals(domain.loop), parts(domain.loop), strict=True):
            if n in inner:
                n = _leaf(outer[inner.index(n)])
                break
    return str(n.attrs["name"]) if n.op.name == "param" else ""


def _added(domain: _Domain, z: Node) -> tuple[str, ...]:
    """The parameters that are added on the way to z: its biases."""
    found: dict[str, None] = {}
    stack = [z]
    while stack:
        n = stack.pop()
        if n.op.name in ("add", "sub"):
            stack.extend(n.args)
        elif domain.weight(n):
            found.setdefault(_parameter(domain, n))
        elif n.op.view and n.op.name in ("reshape", "transpose"):
            stack.extend(n.args)
    return tuple(p for p in found if p)


def _before(n: Node) -> Node:
    """What the windows of a convolution are taken of."""
    while n.op.name in ("reshape", "transpose", "windows", "unslice"):
        n = n.args[0]
    return n


def _outcome(domain: _Domain, n: Node) -> Node:
    """A product with what is added to it: its bias, another product, in another shape."""
    while n not in domain.ends:
        readers = domain.readers.get(n, [])
        if len(readers) != 1:
            break
        (r,) = readers
        if r.op.name in ("add", "sub"):
            other = [a for a in r.args if a is not n]
            if not all(domain.weight(a) or _is_product(domain, a) for a in other):
                break
        elif not (r.op.view and r.op.name in ("reshape", "transpose")):
            break
        n = r
    return n


def _is_product(domain: _Domain, n: Node) -> bool:
    while n.op.name in ("reshape", "transpose", "broadcast", "add") and n.args:
        if n.op.name == "add":
            return all(domain.weight(a) or _is_product(domain, a) for a in n.args)
        n = n.args[0]
    return n.op.name == "einsum2" and domain.learnt(n)


def _activations(domain: _Domain) -> list[_Draft]:
    found = []
    for f in functions(domain.order, domain.ends):
        if not domain.learnt(f.root):
            continue
        d = _draft(domain, "activation", f.value, f.value)
        d.function = f
        d.value_of["value"] = f.value
        gates = [r for r in domain.readers.get(f.value, ()) if r.op.name == "mul"]
        d.facts["gate"] = any(
            all(domain.data[a] for a in r.args) and len(set(r.args)) > 1 for r in gates
        )
        if domain.loop is None:
            d.adjoint_of["delta"] = f.value
        found.append(d)
    return found


def _softmaxes(domain: _Domain) -> list[_Draft]:
    found = []
    if domain.loop is not None:
        return []
    for n in domain.order:
        if n.op.name not in ("softmax", "logsumexp") or not domain.learnt(n):
            continue
        axes = n.attrs["axes"]
        if len(axes) != 1:
            continue
        axis = axes[0] - len(n.shape)
        if n.op.name == "softmax":
            d = _draft(domain, "softmax", n, n, axis=axis)
            d.value_of["value"] = d.adjoint_of["delta"] = n
        else:
            d = _draft(domain, "scores", n, n.args[0], axis=axis)
            d.value_of["value"] = d.adjoint_of["delta"] = n.args[0]
            d.adjoint_of["weight"] = n
        found.append(d)
    return found


def _norms(domain: _Domain) -> list[_Draft]:
    """What is divided by √(v + ε), or by √v."""
    found = []
    for n in domain.order:
        if n.op.name != "sqrt" or not domain.learnt(n):
            continue
        (v,), eps = n.args, 0.0
        if v.op.name == "add":
            numbers = [(a, _number(a)) for a in v.args]
            fixed = [(a, x) for a, x in numbers if x is not None]
            if len(fixed) != 1 or not 0 < fixed[0][1] <= SMALL:
                continue
            eps = fixed[0][1]
            v = next(a for a in v.args if a is not fixed[0][0])
        if not any(_divides(domain, n, r) for r in domain.readers.get(n, ())):
            continue
        d = _draft(domain, "norm", n, v, eps=eps)
        d.value_of["value"] = v
        found.append(d)
    return found


def _divides(domain: _Domain, n: Node, reader: Node) -> bool:
    if reader.op.name in ("broadcast", "reshape"):
        return any(_divides(domain, reader, r) for r in domain.readers.get(reader, ()))
    return reader.op.name == "div" and reader.args[1] is n and reader.args[0] is not n


def _number(n: Node) -> float | None:
    while n.op.name in ("broadcast", "reshape"):
        n = n.args[0]
    return float(n.attrs["value"]) if n.op.name == "const" else None


def _tables(domain: _Domain) -> list[_Draft]:
    """Parameters of which the data choose rows."""
    found = []
    for n in domain.order:
        if n.op.name != "take" or n.attrs["axis"] != 0 or domain.loop is not None:
            continue
        table, index = n.args
        if table.op.name != "param" or not domain.data[index]:
            continue
        d = _draft(domain, "table", n, n, table=str(table.attrs["name"]))
        d.value_of |= {"index": index, "value": n}
        if index.op.name == "input":
            d.facts["index"] = str(index.attrs["name"])
        d.adjoint_of["delta"] = n
        found.append(d)
    return found


def _carries(domain: _Domain) -> list[_Draft]:
    """What a loop hands on from step to step, as each step leaves it."""
    if domain.loop is None:
        return []
    found = []
    for n in dict.fromkeys(domain.loop.attrs["body"]):
        if n.kind != "real" or not n.args or not domain.learnt(n):
            continue
        d = _draft(domain, "carry", n, n)
        d.value_of["value"] = d.adjoint_of["delta"] = n
        _, names = n.graph.loops.get(domain.loop, ("", ()))
        place = domain.loop.attrs["body"].index(n)
        d.facts["name"] = names[place] if place < len(names) else ""
        found.append(d)
    return found


def _classes(program: Program) -> list[_Draft]:
    """Where a metric compares an argmax with a label: `mean(argmax(z) == label)`."""
    found = []
    for metric in program.training.metrics:
        for n in topological([metric.node]):
            if n.op.name != "eq":
                continue
            sides = [(_argmax(a), a) for a in n.args]
            chosen = [a for made, a in sides if made]
            labels = [a for made, a in sides if not made and a.kind == "int"]
            if len(chosen) == len(labels) == 1:
                d = _Draft("classes", n, n, None, unit_of=n)
                d.value_of |= {"chosen": chosen[0], "label": labels[0]}
                found.append(d)
    return found


def _argmax(n: Node) -> bool:
    while n.op.name in ("reshape", "cast", "broadcast"):
        n = n.args[0]
    return n.op.name == "argmax"


# ---------------------------------------------------------------------------- finishing
def _finished(
    program: Program,
    outer: _Domain,
    drafts: Sequence[_Draft],
    opened: Opened,
    z: Node,
) -> Watching:
    adjoints, gradients = _adjoints(opened)
    below = _below(outer, drafts)
    inside = {d.anchor: True for d in drafts if d.kind == "layer"}
    sites: list[Site] = []
    curves: dict[int, tuple[Node, Node]] = {}
    for k, d in enumerate(drafts):
        values = {role: _at(opened, d, n) for role, n in d.value_of.items()}
        for role, n in d.adjoint_of.items():
            where = opened.image[n] if d.loop is None else opened.probes[d.loop, n]
            made = adjoints.get(where)
            if made is not None:
                values[role] = made
        if d.function is not None:
            shape = curve(d.function, z)
            if shape is not None and z in topological(shape):
                curves[k] = shape
                values["slope"] = _slope(opened, d, d.function)
        assert d.unit_of is not None
        layers = tuple(j for j in below[k] if drafts[j].kind == "layer")
        origin = d.node.origin
        span = origin.span
        facts = dict(d.facts)
        sites.append(
            Site(
                d.kind,
                d.node,
                (
                    " ".join(span.text.split())
                    if hasattr(span, "text")
                    else d.node.op.name
                ),
                ".".join(origin.instances),
                values,
                _unit_axis(program, d.unit_of),
                layers,
                bool(layers) or d.loop is not None or d.anchor in inside,
                d.loop is not None,
                bool(d.loop is not None and d.loop.attrs["reverse"]),
                facts,
            )
        )
    reaches = _reaches(program, outer, drafts)
    paths = {p.path: gradients[p.path] for p in program.params if p.path in gradients}
    untrained = tuple(p.path for p in program.params if p.path not in gradients)
    probes = tuple(str(leaf.attrs["name"]) for leaf in opened.probes.values())
    return Watching(
        opened.program, tuple(sites), paths, untrained, reaches, probes, curves, z
    )


def _at(opened: Opened, d: _Draft, n: Node) -> Node:
    if d.loop is None:
        return opened.image.get(n, n)
    return opened.at(d.loop, n)


def _slope(opened: Opened, d: _Draft, f: Function) -> Node:
    if d.loop is None:
        image = opened.image
        return slope(Function(image[f.root], image[f.value]))
    inside = opened.inside[d.loop]
    root, value = inside[f.root], inside[f.value]
    return opened.at(d.loop, slope(Function(root, value)))


def _adjoints(opened: Opened) -> tuple[dict[Node, Node], dict[str, Node]]:
    """The adjoint of every value, with that of the loss 1; and each parameter's gradient."""
    found: dict[Node, Node] = {}
    gradients: dict[str, Node] = {}
    leaves = list(opened.probes.values())
    for roots, wanted in groups(opened.program):
        one = roots[0].node.graph.const(1)
        made = reverse(seeds(roots, one), [*wanted.values(), *leaves]).adjoints
        for n, adjoint in made.items():
            if n.op.family != "tuple":
                found.setdefault(n, adjoint)
        for path, n in wanted.items():
            gradients[path] = made.get(n) or n.graph.zero(n.shape)
    return found, gradients


def _below(outer: _Domain, drafts: Sequence[_Draft]) -> list[tuple[int, ...]]:
    """For each site the sites that its value reaches, others than those in its own loop."""
    mine: dict[Node, int] = {}
    for k, d in enumerate(drafts):
        mine[d.anchor] = mine.get(d.anchor, 0) | 1 << k
    reach: dict[Node, int] = {}
    for n in reversed(outer.order):
        total = 0
        for r in outer.readers.get(n, ()):
            total |= reach[r] | mine.get(r, 0)
        reach[n] = total
    return [_bits(reach.get(d.anchor, 0)) for d in drafts]


def _reaches(
    program: Program, outer: _Domain, drafts: Sequence[_Draft]
) -> dict[str, tuple[int, ...]]:
    """The sites that each parameter has a part in."""
    mine: dict[Node, int] = {}
    for k, d in enumerate(drafts):
        mine[d.anchor] = mine.get(d.anchor, 0) | 1 << k
    reach: dict[Node, int] = {}
    for n in reversed(outer.order):
        total = mine.get(n, 0)
        for r in outer.readers.get(n, ()):
            total |= reach[r]
        reach[n] = total
    return {p.path: _bits(reach.get(p.node, 0)) for p in program.params}


def _bits(mask: int) -> tuple[int, ...]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


def _unit_axis(program: Program, n: Node) -> int | None:
    """The last axis whose size is no number of rows: the units of a layer, its channels."""
    of_weights = {s for p in program.params for d in p.node.shape for s in d.symbols()}
    for k in range(len(n.shape) - 1, -1, -1):
        if set(n.shape[k].symbols()) <= of_weights:
            return k - len(n.shape)
    return None
