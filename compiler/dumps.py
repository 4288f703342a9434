"""What each stage made, as text: `gradc compile --emit ast|dag|grad|opt|schedule|py`.

In: a stage's name and what it handed on. Out: lines for a person, the same from run to run.

    print(dump("ast", build(source, until="ast").value))
    # Program
    #   doc: 'A line.'
    #   Define 2:1
    #     targets:
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from .backend.plan import Function, Plan
from .frontend import ast
from .ir.dims import Dim, show
from .ir.graph import topological
from .ir.node import Node
from .ir.program import Joint, Program
from .source import Span


def dump(stage: str, value: Any) -> str:
    """The text of what a stage of the driver handed on."""
    match value:
        case ast.Program():
            return dump_ast(value)
        case Program():
            return dump_program(value)
        case Joint():
            return dump_joint(value)
        case Plan():
            return dump_plan(value)
    raise ValueError(f"stage {stage!r} has no printed form")


def dump_ast(tree: ast.Node) -> str:
    """The tree: a line a node with its place, its plain fields, its children below it."""
    lines: list[str] = []
    stack: list[tuple[int, str, Any]] = [(0, "", tree)]
    while stack:
        depth, label, value = stack.pop()
        indent = "  " * depth + (f"{label}: " if label else "")
        if isinstance(value, ast.Node):
            plain, below = _parts(value)
            line, col = value.span.source.position(value.span.start)
            lines.append(f"{indent}{type(value).__name__} {line}:{col}{plain}")
            stack += [(depth + 1, name, child) for name, child in reversed(below)]
        else:
            lines.append(f"{indent.rstrip(' ')}")
            stack += [(depth + 1, "", child) for child in reversed(value)]
    return "\n".join(lines)


def _parts(node: ast.Node) -> tuple[str, list[tuple[str, Any]]]:
    """A node's numbers and words on its own line; its nodes below."""
    plain, below = "", []
    for name, value in _fields(node):
        if isinstance(value, ast.Name) and not isinstance(node, ast.Name):
            plain += f" {name}={value.text}"
        elif _is_below(value):
            below.append((name, value))
        elif value not in (None, "", ()):
            plain += f" {name}={value!r}"
    return plain, below


def _is_below(value: Any) -> bool:
    items = value if isinstance(value, tuple) else (value,)
    return any(isinstance(item, ast.Node) for item in items)


def _fields(node: ast.Node) -> Iterator[tuple[str, Any]]:
    for info in fields(node):
        if info.name not in ("span", "arrow", "symbol_span", "symbol_spans", "source"):
            yield info.name, getattr(node, info.name)


# -------------------------------------------------------------------------- the DAG


def dump_program(program: Program) -> str:
    """The nodes of a program in order, the values that its text names, and its roots."""
    return _graph(program, {}, "")


def dump_joint(joint: Joint) -> str:
    """The nodes of a program and its derivatives; `d_h` is the adjoint of `h`."""
    return _graph(joint.program, joint.gradients, "gradient")


def _graph(program: Program, gradients: Mapping[str, Node], title: str) -> str:
    modes = [("", program.training)]
    if program.evaluation is not program.training:
        modes = [("training ", program.training), ("evaluation ", program.evaluation)]
    roots: dict[Node, None] = {}
    footer: list[str] = []
    named: dict[Node, str] = {}
    numbers: dict[Node, int] = {}
    listed: list[tuple[str, Node]] = []
    for prefix, mode in modes:
        for binding in mode.bindings:
            named.setdefault(binding.node, binding.name)
            roots.setdefault(binding.node)
        kinds = (
            ("loss", mode.losses),
            ("metric", mode.metrics),
            ("output", mode.outputs),
        )
        for kind, found in kinds:
            listed += [(f"{prefix}{kind} {root.name}", root.node) for root in found]
        if mode.total is not None:
            listed.append((f"{prefix}total", mode.total.node))
        listed += [(f"{prefix}update {path}", node) for path, node in mode.updates]
    listed += [(f"{title} {path}", node) for path, node in gradients.items()]
    roots.update(dict.fromkeys(node for _, node in listed))
    rows = []
    for number, node in enumerate(topological(roots)):
        numbers[node] = number
        rows.append(
            (
                f"%{number}",
                _written(node, numbers),
                _type(node),
                named.get(node, ""),
                _line(node),
            )
        )
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    lines = [
        "  ".join(
            [*(c.ljust(w) for c, w in zip(row[:4], widths, strict=True)), row[4]]
        ).rstrip()
        for row in rows
    ]
    footer += [f"{label} = %{numbers[node]}" for label, node in listed]
    return "\n".join([*lines, "", *footer])


def _written(node: Node, numbers: Mapping[Node, int]) -> str:
    """`einsum2(%0, %3, spec='ij,jk->ik')`; a leaf by its name or value."""
    parts = [f"%{numbers[argument]}" for argument in node.args]
    for name, value in sorted(node.attrs.items()):
        if name == "kind" or (name == "shape" and not node.args):
            continue
        if name == "name" and not node.args:
            parts += [str(value)] if value else []
        else:
            parts.append(f"{name}={_attribute(value)}")
    return f"{node.op.name}({', '.join(parts)})"


def _attribute(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_attribute(item) for item in value)}]"
    return str(value) if isinstance(value, Dim) else repr(value)


def _type(node: Node) -> str:
    kind = "" if node.kind == "real" else node.kind
    return kind + (show(node.shape, described=True) if node.shape else "") or "real"


def _line(node: Node) -> str:
    span = node.origin.span
    return f"{span.source.name}:{span.line}" if isinstance(span, Span) else ""


# ------------------------------------------------------------------------- schedule


def dump_plan(plan: Plan) -> str:
    """Each function's lines by equation; what a line does not compute stands inside it."""
    numbers: dict[Node, int] = {}
    for function in plan.functions.values():
        for node in (*function.leaves, *(n for b in function.blocks for n in b.lines)):
            numbers.setdefault(node, len(numbers))
    parts = [_function(plan, function, numbers) for function in plan.functions.values()]
    saved = ", ".join(_operand(node, numbers) for node in plan.saved)
    return "\n\n".join([*parts, f"saved: {saved or 'nothing'}"])


def _function(plan: Plan, function: Function, numbers: Mapping[Node, int]) -> str:
    lines: list[str] = [function.name]
    for block in function.blocks:
        if block.lines and 0 <= block.equation < len(plan.program.equations):
            equation = plan.program.equations[block.equation]
            place = f"{equation.file or plan.program.name}:{equation.line}"
            lines.append(f"  {equation.text}   {place}")
        for node in block.lines:
            bound = function.bound.get(node)
            name = f"  {bound.name}" if bound else ""
            text = _expression(node, numbers)
            lines.append(f"    %{numbers[node]} = {text}  {_type(node)}{name}")
    results = (f"{name} = {_operand(node, numbers)}" for name, node in function.results)
    return "\n".join([*lines, f"  return {', '.join(results)}"])


def _operand(node: Node, numbers: Mapping[Node, int]) -> str:
    """A value where it is used: the number of its line, a leaf's name, or all of it."""
    if not node.args:
        name = node.attrs.get("name") or node.attrs.get("value", node.attrs.get("dim"))
        return str(name) if name is not None else node.op.name
    return f"%{numbers[node]}" if node in numbers else _expression(node, numbers)


def _expression(node: Node, numbers: Mapping[Node, int]) -> str:
    if not node.args:
        return _operand(node, numbers)
    parts = [_operand(argument, numbers) for argument in node.args]
    parts += [
        f"{k}={_attribute(v)}" for k, v in sorted(node.attrs.items()) if k != "kind"
    ]
    return f"{node.op.name}({', '.join(parts)})"
