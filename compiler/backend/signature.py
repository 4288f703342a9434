"""The signature: what the runtime has to know of an emitted module.

In: a plan. Out: a dict that JSON can hold, every key always present. A size is an integer or
a list of monomials ``[numerator, denominator, [symbols]]``, which the runtime evaluates.

    signature(plan)["functions"]["forward"]     {"params": True, "inputs": ["x"], …}
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from fractions import Fraction
from typing import Any

from ..ir.dims import Dim
from ..ir.node import Node
from ..ir.program import Input, Param, Root
from .cost import elements, products
from .fills import draw_sizes, init_sizes
from .plan import Plan
from .sources import tables
from .storage import storage

VERSION = 1


def signature(plan: Plan) -> dict[str, Any]:
    """What a caller of the module has to know."""
    program = plan.program
    evaluation = program.evaluation
    trained = {p.path for p in program.params} & set(plan.joint.gradients)
    functions = {name: _function(plan, name) for name in plan.functions}
    return {
        "version": VERSION,
        "name": program.name,
        "text_sha256": program.sha256,
        "level": plan.level,
        "doc": "\n".join(program.doc),
        "constants": {c.name: c.value for c in program.constants},
        "inputs": [_input(i) for i in program.inputs],
        "sizes": _sizes(plan),
        "parameters": [_parameter(p, trained, plan.turned) for p in program.params],
        "states": [_state(s) for s in program.states],
        "randoms": [_random(plan, n) for n in program.noises],
        "init_sizes": init_sizes(plan),
        "draw_sizes": draw_sizes(plan),
        "functions": functions,
        "losses": [_root(r) for r in evaluation.losses],
        "metrics": [_root(r) for r in evaluation.metrics],
        "total": _total(evaluation.total),
        "outputs": (
            [
                _output(plan, name, node)
                for name, node in plan.functions["predict"].results
            ]
            if "predict" in plan.functions
            else []
        ),
        "storage": storage(plan),
        "work": None,  # of a module of -O2: how its buffers are made, see `fast`
        "shards": None,  # of such a module: what decides how a batch is cut
        "stratify": program.stratify,
        "train": dict(program.train),
        "checks": [
            {
                "kind": c.kind,
                "left": c.left.json(),
                "right": c.right.json(),
                "line": c.line,
                "text": c.text,
                "message": c.message,
            }
            for c in program.checks
        ],
    }


def shards(
    plan: Plan, row_dim: str | None, line: int | None, least_rows: int
) -> dict[str, Any]:
    """The rows by which a batch may be cut into slices, or the line where they mix; and what
    decides how many: a step's operations in products of matrices and in elementwise work,
    those of the products of `forward` alone, and the rows that a slice has at least."""
    forward, backward = plan.functions["forward"], plan.functions["backward"]
    multiplied = products(plan, forward)
    both = multiplied + products(plan, backward)
    others = elements(plan, forward) + elements(plan, backward)
    others += both.scaled(Fraction(-1))
    counts = {"forward_products": multiplied, "products": both, "elements": others}
    return {
        "row_dim": row_dim,
        "mixing_line": line,
        "least_rows": least_rows,
        **{name: Dim(count, count).json() for name, count in counts.items()},
    }


def shape(dims: Sequence[Dim]) -> list[Any]:
    return [d.json() for d in dims]


def _function(plan: Plan, name: str) -> dict[str, Any]:
    """What a function asks for: dicts, and inputs in order of declaration."""
    program = plan.program
    read = () if name == "backward" else plan.functions[name].leaves
    taken = [] if name == "backward" else tables(program, name, read)
    return {
        "params": "params" in taken,
        "state": "state" in taken,
        "noise": "noise" in taken,
        "inputs": [i.name for i in program.inputs if i.node in read],
        "draws": [str(n.attrs["name"]) for n in program.noises if n in read],
    }


def _input(i: Input) -> dict[str, Any]:
    span = None
    if i.low is not None and i.high is not None:
        span = [i.low.json(), i.high.json(), *(d.json() for d in i.also)]
    return {
        "name": i.name,
        "kind": i.node.kind,
        "shape": shape(i.node.shape),
        "line": i.line,
        "range": span,
    }


def _parameter(p: Param, trained: set[str], turned: Set[str]) -> dict[str, Any]:
    return {
        "path": p.path,
        "shape": shape(p.node.shape),
        "trained": p.path in trained,
        "turned": p.path in turned,  # its columns lie together in θ
        "line": p.line,
    }


def _state(s: Param) -> dict[str, Any]:
    return {"path": s.path, "shape": shape(s.node.shape), "line": s.line}


def _random(plan: Plan, n: Node) -> dict[str, Any]:
    """A standard draw, with the line of the equation that it was first drawn for."""
    equations = plan.program.equations
    at = n.origin.equation
    return {
        "path": n.attrs["name"],
        "shape": shape(n.shape),
        "law": n.attrs["law"],
        "line": equations[at].line if 0 <= at < len(equations) else 0,
    }


def _sizes(plan: Plan) -> dict[str, Any]:
    """A symbol is a row dim where it stands first in inputs' shapes and nowhere else."""
    program = plan.program
    table: dict[str, Any] = {}
    for s in program.symbols:
        bound_by = []
        first = elsewhere = False
        for i in program.inputs:
            axes = [k for k, d in enumerate(i.node.shape) if s in d.symbols()]
            if axes:
                bound_by.append(i.name)
            for k in axes:
                if k == 0 and i.node.shape[0] == Dim.symbol(s):
                    first = True
                else:
                    elsewhere = True
        kept = (*program.params, *program.states)
        frozen = any(s in d.symbols() for p in kept for d in p.node.shape)
        table[s] = {
            "row": first and not elsewhere and not frozen,
            "bound_by": bound_by,
            "frozen": frozen,
        }
    return table


def _root(r: Root) -> dict[str, Any]:
    return {
        "name": r.name or "loss",
        "rows": r.rows,
        "row_dim": r.row_dim,
        "over": None if r.over is None else list(r.over),
    }


def _total(total: Root | None) -> dict[str, Any]:
    if total is None:
        return {"rows": None, "row_dim": None}
    return {"rows": total.rows, "row_dim": total.row_dim}


def _output(plan: Plan, name: str, node: Node) -> dict[str, Any]:
    program = plan.program
    reached = _reached(node)
    return {
        "name": name,
        "shape": shape(node.shape),
        "kind": node.kind,
        "inputs": [i.name for i in program.inputs if i.node in reached],
        "classes_of": program.classes_of.get(name),
    }


def _reached(node: Node) -> set[Node]:
    seen = {node}
    stack = [node]
    while stack:
        for a in stack.pop().args:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return seen
