"""Provenance: all that came of a line of the program, across the stages.

In: a `Trace`, what every stage handed on. Out: `Line`s: the equations of a line, the nodes
that they made, the adjoints of these, and the lines of the emitted module that compute
them. As JSON it is what a page needs that lights up one pane from another.

    lines(trace, "mlp.net:10")
    document(trace)                       # the whole table
"""

from __future__ import annotations

from dataclasses import dataclass

from ..backend.plan import Plan
from ..backend.readable import Emission
from ..frontend import ast
from ..ir.program import Joint, Program
from ..source import Source
from .stations import Stations


@dataclass(frozen=True)
class Trace:
    """What every stage made of one program, in the order of the stages."""

    source: Source
    tree: ast.Program
    joint: Joint  # as reverse mode left it: adjoints by node
    plan: Plan  # after the passes; `plan.joint.image` says what became of each node
    written: Emission
    named: Stations

    @property
    def program(self) -> Program:
        """The program before any pass."""
        return self.joint.program
