"""What the emitted functions read by path: parameters, state and noise.

In: a program. Out: its leaves that stand in a dict, with the dict and the path of each.

    W1 = params["h.dense.W"]      seen_mean = state["h.batchnorm.seen_mean"]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gradc.records import record

from ..ir.node import Node
from ..ir.program import Program

Table = Literal["params", "state", "noise"]
TABLES: tuple[Table, ...] = ("params", "state", "noise")


@record
class Source:
    """A leaf of the program, and where a function finds its value."""

    node: Node
    path: str
    table: Table
    rank: int  # its place among them all


def sources(program: Program) -> dict[Node, Source]:
    """The leaves that are read by path, in the order of the arguments."""
    found: list[tuple[Node, str, Table]] = []
    found += [(p.node, p.path, "params") for p in program.params]
    found += [(s.node, s.path, "state") for s in program.states]
    found += [(n, str(n.attrs["name"]), "noise") for n in program.noises]
    return {row[0]: Source(*row, rank) for rank, row in enumerate(found)}


def tables(program: Program, function: str, read: Sequence[Node]) -> list[Table]:
    """The dicts that a function takes: those it reads, and for `forward` all that the
    program has of parameters and state."""
    known = sources(program)
    wanted: set[str] = {known[n].table for n in read if n in known}
    if function == "forward":
        wanted |= {"params"} if program.params else set()
        wanted |= {"state"} if program.states else set()
    return [t for t in TABLES if t in wanted]
