"""Repeated layers stay repeated: neighbouring blocks that are alike become a loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ir.node import Node
from .comments import Commentary
from .names import Names
from .plan import Plan
from .statements import BlockText


@dataclass
class Loop:
    """A run of copies."""

    def render(self, comments: Commentary, function: str) -> list[str]:
        raise NotImplementedError


@dataclass
class Rolled:
    """One function after rolling: blocks and loops, and what is left outside."""

    entries: list[BlockText | Loop]
    saved: list[Node] = field(default_factory=list)
    layers: bool = False
    gradients: bool = False
    stored: set[str] = field(default_factory=set)
    inside: set[Node] = field(default_factory=set)


def roll(
    plan: Plan,
    names: Names,
    bodies: Mapping[str, list[BlockText]],
    comments: Commentary,
    flat: Mapping[str, str],
) -> dict[str, Rolled]:
    return {
        name: Rolled(list(blocks), list(plan.saved)) for name, blocks in bodies.items()
    }
