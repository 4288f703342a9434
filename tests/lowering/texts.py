"""Short ways for tests from a text to what lowering makes of it, and to numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reference import evaluate

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend.parser import parse
from gradc.compiler.frontend.resolve import resolve
from gradc.compiler.frontend.scan import Limits
from gradc.compiler.ir.dims import show
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.program import Program
from gradc.compiler.lowering.lower import lower
from gradc.compiler.source import Source


@dataclass(frozen=True)
class Given:
    """Options of a compilation, as the driver hands them on."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    include_dirs: tuple[Path, ...] = ()
    folder: Path | None = None
    limits: Limits = field(default_factory=Limits)


def lowered(text: str, limits: Limits | None = None, **overrides: str) -> Program:
    """The program of a text."""
    given = Given(overrides, limits=limits or Limits())
    return lower(resolve(parse(Source.from_text("test.net", text)), given), given)


def warned(text: str) -> list[str]:
    """The ids of the warnings that a text gets."""
    resolved = resolve(parse(Source.from_text("test.net", text)))
    lower(resolved)
    return [warning.id for warning in resolved.warnings]


def refused(text: str, **overrides: str) -> list[str]:
    """The ids of the errors that a text gets, [] if it is fine."""
    try:
        lowered(text, **overrides)
    except CompileError as error:
        return [diagnostic.id for diagnostic in error.diagnostics]
    return []


def node(program: Program, name: str) -> Node:
    """The node that a name stands for at the end."""
    for root in (*program.training.outputs, *program.training.losses):
        if root.name == name:
            return root.node
    return [b for b in program.training.bindings if b.name == name][-1].node


def shape(text: str, name: str = "y") -> str:
    """The shape (and kind, if it is not real) of a name, as the DAG has it."""
    found = node(lowered(text), name)
    return ("" if found.kind == "real" else found.kind) + show(found.shape)


def paths(text: str) -> list[str]:
    """The parameters' paths, in order."""
    return [p.path for p in lowered(text).params]


def value(text: str, name: str = "y", **inputs: Any) -> Any:
    """The number or array that a name stands for, by the reference interpreter.

    Inputs and parameters by name or path (dots as two underscores); sizes from their
    shapes.
    """
    program = lowered(text)
    leaves: dict[Node, Any] = {}
    sizes: dict[str, int] = {}
    given = {key.replace("__", "."): array for key, array in inputs.items()}
    for leaf_name, leaf in [
        *((i.name, i.node) for i in program.inputs),
        *((p.path, p.node) for p in program.params),
    ]:
        if leaf_name in given:
            leaves[leaf] = given[leaf_name]
            for d, n in zip(
                leaf.shape, getattr(given[leaf_name], "shape", ()), strict=True
            ):
                if d.symbols() == (str(d),):
                    sizes[str(d)] = n
    return evaluate([node(program, name)], leaves, sizes)[0]
