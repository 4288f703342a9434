"""What the units of a layer do: off, saturated, closed; softmaxes, norms and tables.

In: `Seen`. Out: findings, site by site.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import thresholds as t
from .findings import Finding, Seen, Spot, percent, spots
from .measures import Activation, Norm, Softmax, Table


def all_dead(a: Activation) -> bool:
    return a.rows > 0 and bool(a.stuck.all())


def activations(seen: Seen) -> Iterator[Finding]:
    for k, spot in spots(seen, "activation"):
        a: Activation = spot.numbers
        if not a.entries or not a.value.finite:
            continue
        closed = a.share(a.closed)
        bounded = abs(a.shape.low) < t.CLOSED and 0.5 < a.shape.high < 2
        is_gate = spot.facts.get("gate") and bounded
        if is_gate and closed > t.CLOSED_SHARE:
            yield Finding(
                "closed-gate",
                ("site", k),
                f"the gate `{spot.name}` is closed: {percent(closed)} of its values are "
                f"below {t.CLOSED:g}",
                (
                    f"root mean square {a.value.rms:.2g}; mean slope {a.mean_slope:.2g} "
                    "of the steepest",
                ),
                "start the gate's bias nearer to 0 (or above, for a gate that keeps a memory), "
                "and look at the scale of what feeds it",
            )
            continue
        if a.shape.kind == "rectifying":
            yield from _dead(k, spot, a)
            continue
        flat, wrong = a.share(a.flat), a.astray
        if spot.hidden and flat > t.SATURATED:
            stuck = int(a.stuck.sum())
            yield Finding(
                "saturated-units",
                ("site", k),
                f"{percent(flat)} of the values of `{spot.name}` are saturated",
                (
                    f"mean slope {a.mean_slope:.2g} of the steepest; a value counts below "
                    f"{t.FLAT:g} of it",
                    f"{stuck:,} of {a.units:,} units are so in all {a.rows:,} rows",
                ),
                "smaller initial weights (`init = glorot()`), data scaled to deviation 1 "
                "(`scale = standard`), or a norm in front",
            )
        elif not spot.hidden and wrong > t.WRONG:
            yield Finding(
                "saturated-units",
                ("site", k),
                f"{percent(wrong)} of the values of the output `{spot.name}` are "
                "saturated on the wrong side",
                (
                    f"flat: {percent(flat)} of the values; mean slope {a.mean_slope:.2g} "
                    "of the steepest",
                ),
                "give the loss the scores and not their activation (`bce`, `cross_entropy`), "
                "or make the last weights smaller",
            )


def _dead(k: int, spot: Spot, a: Activation) -> Iterator[Finding]:
    dead, units = int(a.stuck.sum()), a.units
    bound = t.DEAD + t.DEAD_SIGMAS / (2 * units**0.5)
    if dead < units and dead / units <= bound:
        return
    if not spot.hidden and a.wrong.sum() <= t.WRONG * a.flat.sum():
        return  # a loss that is 0 where it should be
    one = units == 1
    yield Finding(
        "dead-units",
        ("site", k),
        (
            f"the unit of `{spot.name}` is off in all {a.rows:,} rows"
            if one
            else f"{'all' if dead == units else f'{dead:,} of'} {units:,} units of `{spot.name}` "
            f"are off in all {a.rows:,} rows"
        ),
        (
            "no gradient comes through a unit that is off: it stays so",
            f"off: {percent(a.share(a.flat))} of the values; by chance no more than "
            f"{percent(min(1.0, bound))} of the units would be dead",
        ),
        "a bias that starts at 0 or a little above, `init = he()`, centred data; a smaller "
        "learning rate where training did it; `leaky_relu` or `gelu`",
    )


def softmaxes(seen: Seen) -> Iterator[Finding]:
    for kind in ("scores", "softmax"):
        for k, s in spots(seen, kind):
            m: Softmax = s.numbers
            if not m.rows:
                continue
            inner = kind == "softmax" and s.hidden
            share = (m.wrong if m.wrong or not inner else 0) / m.rows
            if share <= (t.PEAKED_SHARE if inner else t.WRONG):
                continue
            yield Finding(
                "saturated-softmax",
                ("site", k),
                f"the softmax of `{s.name}` is saturated: {percent(m.peaked / m.rows)} of its rows "
                f"have a probability above {t.PEAKED:g}, {percent(share)} of all on the "
                "wrong entry",
                (f"{m.rows:,} rows",),
                (
                    "divide the scores by the root of their width (`q @ k' / sqrt(d)`), "
                    "and begin with smaller weights"
                    if inner
                    else "smaller last weights (`init = normal(0, 0.01)`), scaled data, a norm"
                ),
            )


def norms(seen: Seen) -> Iterator[Finding]:
    for k, s in spots(seen, "norm"):
        m: Norm = s.numbers
        if m.count and m.flat > t.FLAT_NORM * m.count:
            yield Finding(
                "flat-norm",
                ("site", k),
                f"`{s.name}` divides by the deviation of what does not vary: "
                f"{percent(m.flat / m.count)} of its variances are at most ε = {m.eps:g}",
                (f"the largest variance is {m.largest:.2g}",),
                "normalise over an axis that has more than one entry and values that "
                "differ; look at "
                "what makes them equal; a batch of one row has no variance",
            )


def tables(seen: Seen) -> Iterator[Finding]:
    for k, s in spots(seen, "table"):
        m: Table = s.numbers
        unused = int(m.rows - m.used.sum())
        bound = t.UNUSED_CHARACTERS if m.text else t.UNUSED_ROWS
        if unused <= bound * m.rows:
            continue
        if not m.complete and m.lookups < t.LOOKUPS * m.rows:
            continue
        which = np.flatnonzero(~m.used)
        yield Finding(
            "unused-rows",
            ("site", k),
            f"{unused:,} of the {m.rows:,} rows of `{s.facts.get('table', s.name)}` are "
            "named by no data",
            (
                f"{m.lookups:,} look-ups; the first unused rows: "
                f"{', '.join(map(str, which[:6].tolist()))}{' …' if len(which) > 6 else ''}",
            ),
            "a table as large as the data need; look at how the index is computed",
        )
