"""Findings, and all that one look at a network gave to find them in.

A finding has the id of an essay (`gradc explain dead-units`), a subject (a site by its number, a
parameter by its path, an input by its name), a sentence, the figures that show it, and what to try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from ..records import record
from .measures import Parameter

Subject = tuple[str, int | str]  # ("site", 3), ("parameter", "W1"), ("input", "x")

IDS = (
    "non-finite",
    "dead-units",
    "saturated-units",
    "closed-gate",
    "vanishing-gradient",
    "exploding-gradient",
    "exploding-activations",
    "fading-through-time",
    "exploding-through-time",
    "saturated-softmax",
    "flat-norm",
    "unused-rows",
    "dead-parameter",
    "symmetric-units",
    "unscaled-input",
    "ignored-input",
    "large-step",
    "small-step",
    "class-collapse",
)
"""Every finding that there is, in the order in which a report tells those of one line."""


@record
class Finding:
    """One thing that is wrong: where, in a sentence, by which figures, and what to try."""

    id: str
    subject: Subject
    message: str
    figures: tuple[str, ...]
    advice: str
    others: tuple[int, ...] = ()  # a site that it is compared with
    copies: int = 1  # of one line: how many have the same fault


@record
class Spot:
    """A site and its numbers. `below` are the sites of layers that it leads to."""

    kind: str
    numbers: Any
    name: str
    below: tuple[int, ...] = ()
    hidden: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


@record(frozen=False)
class Seen:
    """All that one look at a network gave."""

    spots: Sequence[Spot]
    parameters: Sequence[Parameter]
    untrained: Sequence[str] = ()
    reaches: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ignored: Sequence[str] = ()  # inputs that the loss does not depend on
    trained: bool = False  # the parameters of a run, not those of `init`
    losses: Sequence[
        float
    ] = ()  # before each of the first steps, and of the first batch again
    optimizer: str = ""
    rate: float = 0.0


def percent(share: float) -> str:
    """`97 %`, and never 100 % for less."""
    return f"{min(100 * share, 99.9) if share < 1 else 100:.3g} %"


def spots(seen: Seen, kind: str) -> Iterator[tuple[int, Spot]]:
    return ((k, s) for k, s in enumerate(seen.spots) if s.kind == kind)
