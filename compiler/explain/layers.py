"""A net that is a stack of layers: its derivation in the four equations of backpropagation.

In: a derivation. Out: the same mathematics with the names of the books, where the net is
z1 = x W1 + b1, a1 = f(z1), z2 = a1 W2 + b2, … and nothing beside; None where it is not. What
comes out is the derivation's own: δ is the adjoint of z, the adjoint of an activation is put
in where it is read, and only the last one, ∇_a C, keeps a line.

    δ2 = d_a2 * sigmoid'(z2)                δ1 = (δ2 @ W2') * sigmoid'(z1)
    d_b2 = sum(δ2, axis = 0)                d_W2 = a1' @ δ2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from gradc.records import record

from .derivation import Derivation, Step, Value
from .formula import Binary, Formula, Name, mapped, names_in


@record
class Layer:
    """The names of one layer in the program; "" where it has none."""

    z: str
    a: str
    W: str
    b: str


@record
class Stack:
    """A net of layers, and its derivation in terms of z, a, W, b and δ of each layer."""

    layers: tuple[Layer, ...]
    derivation: Derivation
    names: Mapping[str, str]  # the program's -> the books'


def stack_of(derivation: Derivation) -> Stack | None:
    """The layers from the first to the last; every parameter belongs to one."""
    values = {v.name: v for v in derivation.values}
    layers: list[Layer] = []
    below = ""
    for v in derivation.values:
        layer = _layer(v, values)
        if layer is None:
            continue
        source, found = layer
        if layers and source != below:
            return None
        a = _activation(found.z, derivation)
        layers.append(replace(found, a=a))
        below = a
    inside = {name for k in layers for name in (k.W, k.b) if name}
    if len(layers) < 1 or set(derivation.targets) - inside:
        return None
    adjoints = {s.name for s in derivation.steps}
    if any(k.a and f"d_{k.z}" not in adjoints for k in layers):
        return None
    names: dict[str, str] = {}
    for k, layer_ in enumerate(layers, 1):
        names[layer_.z], names[layer_.W] = f"z{k}", f"W{k}"
        names[f"d_{layer_.z}"] = f"δ{k}"
        if layer_.a:
            names[layer_.a] = f"a{k}"
        if layer_.b:
            names[layer_.b] = f"b{k}"
    for old in [n for n in names if n in values and f"d_{n}" not in names]:
        names[f"d_{old}"] = f"d_{names[old]}"
    others = set(values) - set(names)
    if others & set(names.values()):
        return None  # another value has a name that the books give to these
    return Stack(tuple(layers), _renamed(derivation, layers, names), names)


def _layer(v: Value, values: Mapping[str, Value]) -> tuple[str, Layer] | None:
    """`z = source @ W + b` or `source @ W`, W and b parameters, one row an example."""
    f, b = v.formula, ""
    match f:
        case Binary("+", Binary() as product, Name() as added):
            if not _is_parameter(added, values):
                return None
            f, b = product, added.text
    match f:
        case Binary("@", Name() as a, Name() as w) if a.rank == w.rank == 2:
            if _is_parameter(w, values):
                return a.text, Layer(v.name, "", w.text, b)
    return None


def _is_parameter(f: Name, values: Mapping[str, Value]) -> bool:
    return f.text in values and values[f.text].node.op.name == "param"


def _activation(z: str, derivation: Derivation) -> str:
    """The `a` of `a = f(z)`, if that is all that reads z."""
    step = next((s for s in derivation.steps if s.primal == z), None)
    return step.through[0] if step is not None and step.chain is not None else ""


def _renamed(
    derivation: Derivation, layers: list[Layer], names: Mapping[str, str]
) -> Derivation:
    """The books' names; an adjoint of an activation that a layer reads is put in."""
    steps = {s.name: s for s in derivation.steps}
    inner = {}
    for layer, above in pairwise(layers):
        step = steps.get(f"d_{layer.a}")
        if step is not None and f"d_{above.z}" in names_in(step.formula):
            inner[step.name] = step.formula

    def book(f: Formula) -> Formula:
        def change(at: Formula) -> Formula:
            if isinstance(at, Name):
                if at.text in inner:
                    return mapped(inner[at.text], change)
                return replace(at, text=names.get(at.text, at.text))
            return at

        return mapped(f, change)

    kept: list[Step] = []
    for s in derivation.steps:
        if s.name in inner:
            continue
        kept.append(
            replace(
                s,
                name=names.get(s.name, s.name),
                primal=names.get(s.primal, s.primal),
                formula=book(s.formula),
                chain=None if s.chain is None else book(s.chain),
                through=tuple(names.get(n, n) for n in s.through),
            )
        )
    return replace(
        derivation,
        targets=tuple(names.get(t, t) for t in derivation.targets),
        values=tuple(
            replace(
                v,
                name=names.get(v.name, v.name),
                formula=None if v.formula is None else book(v.formula),
            )
            for v in derivation.values
        ),
        steps=tuple(kept),
        parts=tuple(replace(p, formula=book(p.formula)) for p in derivation.parts),
    )
