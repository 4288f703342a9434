"""What the measures mean: findings, each with the figures that show it and what to try.

In: `Seen`, the measures of all sites, parameters and inputs of one look. Out: `Finding`s in the
order of the program. A finding has the id of an essay (`gradc explain dead-units`), and a subject: a
site by its number, a parameter by its path, an input by its name. Where one fault explains
another (units that are all dead, and the parameters behind them), it alone is told.

    for finding in judge(seen):
        print(finding.id, finding.subject, finding.message)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import thresholds as t
from .measures import (
    Activation,
    Carry,
    Classes,
    Layer,
    Norm,
    Parameter,
    Softmax,
    Table,
    twins,
)

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


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where, in a sentence, by which figures, and what to try."""

    id: str
    subject: Subject
    message: str
    figures: tuple[str, ...]
    advice: str
    others: tuple[int, ...] = ()  # a site that it is compared with
    copies: int = 1  # of one line: how many have the same fault


@dataclass(frozen=True)
class Spot:
    """A site and its numbers. `below` are the sites of layers that it leads to."""

    kind: str
    numbers: Any
    name: str
    below: tuple[int, ...] = ()
    hidden: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Seen:
    """All that one look at a network gave."""

    spots: Sequence[Spot]
    parameters: Sequence[Parameter]
    untrained: Sequence[str] = ()
    reaches: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ignored: Sequence[str] = ()  # inputs that the loss does not depend on
    trained: bool = False  # the parameters of a run, not those of `init`
    losses: Sequence[float] = ()  # before the first steps of training, and after each
    optimizer: str = ""
    rate: float = 0.0


def judge(seen: Seen) -> list[Finding]:
    """Every finding."""
    found = [
        *_activations(seen),
        *_depth(seen),
        *_time(seen),
        *_softmaxes(seen),
        *_norms(seen),
        *_tables(seen),
        *_scales(seen),
        *_steps(seen),
        *_classes(seen),
    ]
    stuck = {
        int(f.subject[1])
        for f in found
        if f.id == "dead-units" and _all_dead(seen.spots[int(f.subject[1])].numbers)
    }
    found += _parameters(seen, stuck)
    if not stuck and not any(f.id.startswith("exploding") for f in found):
        found += _ignored(seen)
    return found


def percent(share: float) -> str:
    """`97 %`, and never 100 % for less."""
    return f"{min(100 * share, 99.9) if share < 1 else 100:.3g} %"


def _spots(seen: Seen, kind: str) -> Iterator[tuple[int, Spot]]:
    return ((k, s) for k, s in enumerate(seen.spots) if s.kind == kind)


# ------------------------------------------------------------------------- activations
def _all_dead(a: Activation) -> bool:
    return a.rows > 0 and bool(a.stuck.all())


def _activations(seen: Seen) -> Iterator[Finding]:
    for k, spot in _spots(seen, "activation"):
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
                f"the gate `{spot.name}` is closed: {percent(closed)} of its values are below {t.CLOSED:g}",
                (
                    f"root mean square {a.value.rms:.2g}; mean slope {a.mean_slope:.2g} of the steepest",
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
                    f"mean slope {a.mean_slope:.2g} of the steepest; a value counts below {t.FLAT:g} of it",
                    f"{stuck:,} of {a.units:,} units are so in all {a.rows:,} rows",
                ),
                "smaller initial weights (`init = glorot()`), data scaled to deviation 1 "
                "(`scale = standard`), or a norm in front",
            )
        elif not spot.hidden and wrong > t.WRONG:
            yield Finding(
                "saturated-units",
                ("site", k),
                f"{percent(wrong)} of the values of the output `{spot.name}` are saturated on the wrong side",
                (
                    f"flat: {percent(flat)} of the values; mean slope {a.mean_slope:.2g} of the steepest",
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


# ------------------------------------------------------------------------------- depth
def _chain(seen: Seen) -> list[int]:
    """The sites that have a δ to compare: layers and tables."""
    return [
        k
        for k, s in enumerate(seen.spots)
        if s.kind in ("layer", "table") and s.numbers.delta.batches
    ]


def last_of(seen: Seen, k: int) -> tuple[int, ...]:
    """Of the layers that a site leads to, those that lead to no other."""
    below = seen.spots[k].below
    return tuple(j for j in below if not seen.spots[j].below and j != k)


def ratio_of(seen: Seen, k: int) -> float | None:
    """‖δ‖ over the largest ‖δ‖ of the last layers that a site leads to; None for a last one."""
    heads = [
        seen.spots[j].numbers.delta
        for j in last_of(seen, k)
        if seen.spots[j].numbers.delta.batches
    ]
    mine = seen.spots[k].numbers.delta
    top = max((d.norm for d in heads), default=0.0)
    if not top or not mine.finite or not all(d.finite for d in heads):
        return None
    return float(mine.norm / top)


def _depth(seen: Seen) -> Iterator[Finding]:
    chain = _chain(seen)
    ratios = {k: r for k in chain if (r := ratio_of(seen, k)) is not None}
    faint = [k for k, r in ratios.items() if 0 < r < t.VANISHING]
    loud = [k for k, r in ratios.items() if r > t.EXPLODING]
    for id_, worst, verb in (
        ("vanishing-gradient", min(faint, key=lambda k: ratios[k], default=None), "of"),
        (
            "exploding-gradient",
            max(loud, key=lambda k: ratios[k], default=None),
            "times",
        ),
    ):
        if worst is None:
            continue
        head = max(last_of(seen, worst), key=lambda j: seen.spots[j].numbers.delta.norm)
        path = [k for k in chain if k == worst or (k in seen.spots[worst].below)]
        norms = [seen.spots[k].numbers.delta.norm for k in path]
        advice = (
            "activations with slopes about 1 (`relu`, `gelu`, `tanh`), `init = glorot()` or "
            "`he()`, layers around which the value also goes (`h = h + …`), a norm"
            if id_ == "vanishing-gradient"
            else "smaller initial weights (`init = glorot()` or `he()`), a norm; `clip` in `train` "
            "keeps a single step in bounds"
        )
        yield Finding(
            id_,
            ("site", worst),
            f"δ {'vanishes' if verb == 'of' else 'explodes'} on its way back: ‖δ‖ is "
            f"{ratios[worst]:.2g} {verb} that of the last layer",
            (
                f"‖δ‖ by layer, from here to the last: {_list(norms)}",
                f"a factor {_factor(norms):.2g} a layer",
            ),
            advice,
            (head,),
        )
    yield from _growth(seen)


def _list(norms: Sequence[float]) -> str:
    shown = [f"{n:.1e}" for n in norms]
    if len(shown) > 9:
        shown = [*shown[:4], "…", *shown[-4:]]
    return ", ".join(shown)


def _factor(norms: Sequence[float]) -> float:
    if len(norms) < 2 or not norms[-1] or not norms[0]:
        return 0.0
    return float((norms[0] / norms[-1]) ** (1 / (len(norms) - 1)))


def _growth(seen: Seen) -> Iterator[Finding]:
    """z that is far from the scale of the data, at the first layer where it is."""
    given = [
        float(np.sqrt(np.mean(np.square(s.numbers.scales))))
        for _, s in _spots(seen, "layer")
        if s.numbers.scales.size
    ]
    scale = max([1.0, *given])
    bound = t.GROWTH_TRAINED if seen.trained else t.GROWTH_FRESH
    for k, s in _spots(seen, "layer"):
        z = s.numbers.value
        if seen.trained and not s.below:
            continue
        if z.finite and z.rms > bound * scale:
            yield Finding(
                "exploding-activations",
                ("site", k),
                f"the values of `{s.name}` have grown to a root mean square of {z.rms:.2g}",
                (
                    f"{z.rms / scale:.2g} times that of the data ({scale:.2g}); the largest is {z.largest:.2g}",
                ),
                "smaller initial weights (`init = glorot()` or `he()`, whose deviation falls "
                "with the width), or a norm",
            )
            return


# -------------------------------------------------------------------------------- time
def _time(seen: Seen) -> Iterator[Finding]:
    fading: list[tuple[int, Spot, int]] = []
    lasting = False
    for k, s in _spots(seen, "carry"):
        c: Carry = s.numbers
        norms = c.norms
        steps = len(norms)
        if steps >= 2 and np.isfinite(norms).all() and norms.max() > 0:
            faded = norms < t.FADED * norms.max()
            count = steps if faded.all() else int(np.argmin(faded))
            if count > t.FADED_STEPS * steps and steps > 2:
                fading.append((k, s, count))
            else:
                lasting = True
            if norms[-1] > 0 and norms[0] > t.EXPLODING_STEPS * norms[-1]:
                yield Finding(
                    "exploding-through-time",
                    ("site", k),
                    f"δ explodes on its way back through {steps:,} steps: ‖δ‖ of the first is "
                    f"{norms[0] / norms[-1]:.2g} times that of the last",
                    (
                        f"‖δ‖ of the first, middle and last step: {norms[0]:.1e}, "
                        f"{norms[steps // 2]:.1e}, {norms[-1]:.1e}",
                        f"a factor {_factor(list(norms)):.3g} a step",
                    ),
                    "smaller recurrent weights (`init = orthogonal()`), `clip` in `train`, "
                    "an `lstm` or `gru`, shorter windows",
                )
        rms = c.rms
        bound = t.GROWTH_TRAINED if seen.trained else t.GROWTH_FRESH
        if steps_of(rms) and rms[-1] > bound * max(1.0, float(rms[0])):
            yield Finding(
                "exploding-activations",
                ("site", k),
                f"`{s.facts.get('name') or s.name}` grows from step to step: from {rms[0]:.2g} to {rms[-1]:.2g}",
                (
                    f"root mean square after the first and the last of {len(rms):,} steps",
                ),
                "recurrent weights whose eigenvalues are at most 1 (`init = orthogonal()`), "
                "an activation with bounds (`tanh`), a norm",
            )
    if lasting:
        return  # another memory of the same net reaches back
    for k, s, count in fading[:1]:
        norms = s.numbers.norms
        yield Finding(
            "fading-through-time",
            ("site", k),
            f"δ fades on its way back: the first {count:,} of {len(norms):,} steps add nothing to the gradient",
            (
                f"‖δ‖ of the first, middle and last step: {norms[0]:.1e}, "
                f"{norms[len(norms) // 2]:.1e}, {norms[-1]:.1e}",
                f"below {t.FADED:g} of the largest, a float32 sum does not change",
            ),
            "recurrent weights with eigenvalues near 1 (`init = orthogonal()`), an `lstm` or "
            "`gru` (with a forget gate that starts open), or a loss at every step",
        )


def steps_of(norms: np.ndarray[Any, Any]) -> bool:
    """Are there steps to compare, all of them finite?"""
    return len(norms) >= 2 and bool(np.isfinite(norms).all())


# ------------------------------------------------------- softmaxes, norms, tables
def _softmaxes(seen: Seen) -> Iterator[Finding]:
    for kind in ("scores", "softmax"):
        for k, s in _spots(seen, kind):
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
                f"have a probability above {t.PEAKED:g}, {percent(share)} of all on the wrong entry",
                (f"{m.rows:,} rows",),
                (
                    "divide the scores by the root of their width (`q @ k' / sqrt(d)`), "
                    "and begin with smaller weights"
                    if inner
                    else "smaller last weights (`init = normal(0, 0.01)`), scaled data, a norm in front"
                ),
            )


def _norms(seen: Seen) -> Iterator[Finding]:
    for k, s in _spots(seen, "norm"):
        m: Norm = s.numbers
        if m.count and m.flat > t.FLAT_NORM * m.count:
            yield Finding(
                "flat-norm",
                ("site", k),
                f"`{s.name}` divides by the deviation of what does not vary: "
                f"{percent(m.flat / m.count)} of its variances are at most ε = {m.eps:g}",
                (f"the largest variance is {m.largest:.2g}",),
                "normalise over an axis that has more than one entry and values that differ; look at "
                "what makes them equal; a batch of one row has no variance",
            )


def _tables(seen: Seen) -> Iterator[Finding]:
    for k, s in _spots(seen, "table"):
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
            f"{unused:,} of the {m.rows:,} rows of `{s.facts.get('table', s.name)}` are named by no data",
            (
                f"{m.lookups:,} look-ups; the first unused rows: "
                f"{', '.join(map(str, which[:6].tolist()))}{' …' if len(which) > 6 else ''}",
            ),
            "a table as large as the data need; look at how the index is computed",
        )


# ------------------------------------------------------------------ parameters, inputs
def _parameters(seen: Seen, stuck: set[int]) -> Iterator[Finding]:
    explained = {path for path, sites in seen.reaches.items() if stuck & set(sites)}
    for k in stuck:  # the weights that are given nothing but zeros
        for j in seen.spots[k].below:
            explained |= set(seen.spots[j].facts.get("weights", ()))
    for path in seen.untrained:
        yield Finding(
            "dead-parameter",
            ("parameter", path),
            f"`{path}` has no gradient: every way to a loss is cut",
            ("it stays what `init` made it",),
            "leave `stop` or the factor 0 out; a value that is meant to stay is a `const` or a `state`",
        )
    for p in seen.parameters:
        if p.path in explained or _cancels(seen, p):
            continue
        if p.batches and not p.moved and not p.moved_later:
            yield Finding(
                "dead-parameter",
                ("parameter", p.path),
                f"the gradient of `{p.path}` is exactly 0 in {p.batches:,} "
                f"batch{'' if p.batches == 1 else 'es'}",
                ("and still is after a step down the gradient of the others",),
                "look for what cuts the way to the loss: a mask or factor of 0, units that are "
                "off, weights that all start at 0",
            )
    for p in seen.parameters:
        if not p.batches or not np.isfinite(p.gradient).all():
            continue
        for axis in range(-1, -p.value.ndim - 1, -1):
            if p.value.ndim < 2:
                break
            units = p.value.shape[axis]
            same = twins(p.value, p.gradient, axis, t.TWIN_ERROR)
            if same > max(1, t.TWINS * units):
                yield Finding(
                    "symmetric-units",
                    ("parameter", p.path),
                    f"{'all' if same == units else f'{same:,} of'} {units:,} "
                    f"{'columns' if axis == -1 else 'slices'} of `{p.path}` are equal, and so "
                    "are their gradients: they stay copies of one unit",
                    (f"equal to {t.TWIN_ERROR:g} of the largest entry",),
                    "start from random weights: `init = glorot()`, `he()` or `normal(0, 0.1)`",
                )
                break


def _cancels(seen: Seen, p: Parameter) -> bool:
    """Is it a bias whose δ are not 0, but add up to 0? The loss does not change with it: a shift
    of both of two values that are compared, and no fault."""
    return p.value.ndim < 2 and any(
        s.numbers.delta.squares > 0
        for _, s in _spots(seen, "layer")
        if p.path in s.facts.get("added", ())
    )


def _scales(seen: Seen) -> Iterator[Finding]:
    for k, s in _spots(seen, "layer"):
        scales = s.numbers.scales
        if scales.size and np.isfinite(scales).all() and scales.max() > t.SCALE:
            usual = float(np.median(scales))
            yield Finding(
                "unscaled-input",
                ("site", k),
                f"the data meet the first weights of `{s.name}` at a scale of {scales.max():.3g}",
                (
                    f"root mean square of the largest of {scales.size:,} features; of the middle one {usual:.3g}",
                ),
                "`scale = standard` in `train`, or divide by the range (`x / 255`)",
            )


def _ignored(seen: Seen) -> Iterator[Finding]:
    for name in seen.ignored:
        yield Finding(
            "ignored-input",
            ("input", name),
            f"the loss does not depend on `{name}`",
            ("it is the same to the last bit with other values",),
            "look for what cuts the way: a factor 0, units that are off, an index that is constant",
        )


def _steps(seen: Seen) -> Iterator[Finding]:
    """The first updates of a training."""
    ratios: dict[str, float] = {}
    for p in seen.parameters:
        if p.update is None or p.value.ndim < p.weights or not p.value.size:
            continue
        fan = p.value.size / p.value.shape[-1] + p.value.shape[-1]
        size = max(
            float(np.linalg.norm(p.value)),
            float(np.sqrt(2 / fan * p.value.size)),
        )
        ratios[p.path] = float(np.linalg.norm(p.update)) / size
    rate = f"{seen.optimizer}(lr = {seen.rate:g})"
    large = {k: r for k, r in ratios.items() if r > t.LARGE_STEP}
    before = seen.losses[0] if seen.losses else 0.0
    blown = bool(seen.losses) and (
        not np.isfinite(seen.losses).all()
        or (before > 0 and seen.losses[-1] > t.BLOWN * before)
    )
    worst = max(ratios, key=lambda k: ratios[k], default="")
    if large or (blown and worst):
        figures = [f"‖Δθ‖ / ‖θ‖ of `{worst}`: {ratios[worst]:.2g}; 1e-3 is usual"]
        if seen.losses:
            figures.append(
                f"the loss over {len(seen.losses) - 1} first steps: {_list(seen.losses)}"
            )
        yield Finding(
            "large-step",
            ("optimizer", worst),
            f"the first updates by {rate} are too large",
            tuple(figures),
            f"a smaller rate: --set train.optimizer.lr={seen.rate / 10:g}",
        )
    elif ratios and not seen.trained and 0 < ratios[worst] < t.SMALL_STEP:
        yield Finding(
            "small-step",
            ("optimizer", worst),
            f"the first update by {rate} is too small to be seen in float32",
            (
                f"‖Δθ‖ / ‖θ‖ is at most {ratios[worst]:.2g} (in `{worst}`); 1e-3 is usual",
            ),
            f"a larger rate: --set train.optimizer.lr={seen.rate * 1e4:g}",
        )


def _classes(seen: Seen) -> Iterator[Finding]:
    if not seen.trained:
        return  # what a fresh net answers says nothing
    for k, s in _spots(seen, "classes"):
        m: Classes = s.numbers
        if m.rows < t.COLLAPSE_ROWS or len(m.answers) != 1:
            continue
        (answer,) = m.answers
        others = 1 - m.labels.get(answer, 0) / m.rows
        if others >= t.RARE:
            yield Finding(
                "class-collapse",
                ("site", k),
                f"every one of {m.rows:,} rows is answered with class {answer}",
                (
                    f"{len(m.labels):,} classes among the labels; {percent(others)} of the rows are another's",
                ),
                "look at the findings above it; shuffle the rows, weight the rare classes, a smaller rate",
            )
