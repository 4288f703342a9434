"""The printed DAG: what `--emit dag` and the goldens show.

In: roots with names. Out: one line a node, arguments before users, numbered from 0 in that
order, so that the text says nothing of what else the graph holds.

    %0 = input x                      [N, 784]
    %1 = param W                      [784, 10]
    %2 = einsum2(%0, %1) "ij,jk->ik"  [N, 10]
    output scores = %2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .dims import Dim, show
from .graph import topological
from .node import Node
from .program import Joint, Mode, Program

INLINE = ("const", "size")  # written where they stand


def dag_text(roots: Iterable[tuple[str, Node]], hints: bool = True) -> str:
    """Print the nodes below some roots, and at the end the roots themselves."""
    named = list(roots)
    nodes = topological([n for _, n in named])
    numbers: dict[Node, str] = {}
    for n in nodes:
        if n.op.name not in INLINE:
            numbers[n] = f"%{len(numbers)}"
    names = {n: numbers.get(n) or inline_text(n) for n in nodes}
    lines = []
    for n in nodes:
        if n.op.name in INLINE:
            continue
        hint = n.graph.hints.get(n) if hints else None
        note = f"  # {hint[0]}{hint[1] or ''}" if hint else ""
        kind = "" if n.kind == "real" else f"{n.kind}"
        head = f"{names[n]} = {node_text(n, names)}"
        lines.append((head, f"{kind}{show(n.shape)}{note}"))
    width = min(max((len(h) for h, _ in lines), default=0), 60)
    text = [f"{head:<{width}}  {shape}" for head, shape in lines]
    text += [f"{label} = {names[n]}" for label, n in named]
    return "\n".join(text) + "\n"


def node_text(node: Node, names: Mapping[Node, str]) -> str:
    """``sum(%3) axes=(1,)``: one node, its arguments by name."""
    attrs = dict(node.attrs)
    if node.op.family == "leaf":
        name = attrs.pop("name", "")
        attrs.pop("shape", None)
        attrs.pop("kind", None)
        return " ".join([node.op.name, *([name] if name else []), *_attrs(attrs)])
    attrs.pop("shape", None)
    args = ", ".join(names[a] for a in node.args)
    return " ".join([f"{node.op.name}({args})", *_attrs(attrs)])


def inline_text(node: Node) -> str:
    """A number, a named constant or a size."""
    if node.op.name == "size":
        return str(node.attrs["dim"])
    return str(node.attrs["name"] or node.attrs["value"])


def _attrs(attrs: Mapping[str, Any]) -> list[str]:
    return [f"{k}={_value(v)}" for k, v in attrs.items()]


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        if value and all(isinstance(v, Dim) for v in value):
            return show(value)
        return "(" + ",".join(_value(v) for v in value) + ")"
    return f'"{value}"' if isinstance(value, str) else str(value)


# -------------------------------------------------------------------- whole programs
def program_text(program: Program) -> str:
    """The training form of a program; the evaluation form below it where it differs."""
    text = dag_text(_roots(program.training))
    if program.evaluation is not program.training:
        text += "\n# in evaluation\n" + dag_text(_roots(program.evaluation))
    return text


def joint_text(joint: Joint) -> str:
    """A program with its gradients."""
    roots = _roots(joint.program.training)
    roots += [(f"d_{path}", node) for path, node in joint.gradients.items()]
    return dag_text(roots)


def _roots(mode: Mode) -> list[tuple[str, Node]]:
    """Everything that has a name outside of the program."""
    roots = [(f"loss {r.name}".rstrip(), r.node) for r in mode.losses]
    if mode.total is not None and len(mode.losses) > 1:
        roots.append(("total", mode.total.node))
    roots += [(f"metric {r.name}", r.node) for r in mode.metrics]
    roots += [(f"output {r.name}", r.node) for r in mode.outputs]
    roots += [(f"update {path}", node) for path, node in mode.updates]
    return roots
