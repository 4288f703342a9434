"""Whether anything is learnt: parameters, the data that meet them, first updates, answers.

In: `Seen`. Out: findings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import thresholds as t
from .findings import Finding, Seen, percent, spots
from .flow import listed
from .measures import Classes, Parameter, twins


def parameters(seen: Seen, stuck: set[int]) -> Iterator[Finding]:
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
            "leave `stop` or the factor 0 out; a value that is meant to stay is a "
            "`const` or a `state`",
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
        for _, s in spots(seen, "layer")
        if p.path in s.facts.get("added", ())
    )


def scales(seen: Seen) -> Iterator[Finding]:
    for k, s in spots(seen, "layer"):
        scales = s.numbers.scales
        if scales.size and np.isfinite(scales).all() and scales.max() > t.SCALE:
            usual = float(np.median(scales))
            yield Finding(
                "unscaled-input",
                ("site", k),
                f"the data meet the first weights of `{s.name}` at a scale of {scales.max():.3g}",
                (
                    f"root mean square of the largest of {scales.size:,} features; of the "
                    f"middle one {usual:.3g}",
                ),
                "`scale = standard` in `train`, or divide by the range (`x / 255`)",
            )


def ignored(seen: Seen) -> Iterator[Finding]:
    for name in seen.ignored:
        yield Finding(
            "ignored-input",
            ("input", name),
            f"the loss does not depend on `{name}`",
            ("it is the same to the last bit with other values",),
            "look for what cuts the way: a factor 0, units that are off, an index that is constant",
        )


def steps(seen: Seen) -> Iterator[Finding]:
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
            figures.append(f"the loss, step by step: {listed(seen.losses)}")
        yield Finding(
            "large-step",
            ("optimizer", worst),
            f"the first updates by {rate} are too large",
            tuple(figures),
            f"a smaller rate: --set train.optimizer.lr={_usual(seen.rate, ratios[worst])}",
        )
    elif ratios and not seen.trained and 0 < ratios[worst] < t.SMALL_STEP:
        yield Finding(
            "small-step",
            ("optimizer", worst),
            f"the first update by {rate} is too small to be seen in float32",
            (
                f"‖Δθ‖ / ‖θ‖ is at most {ratios[worst]:.2g} (in `{worst}`); 1e-3 is usual",
            ),
            f"a larger rate: --set train.optimizer.lr={_usual(seen.rate, ratios[worst])}",
        )


def _usual(rate: float, ratio: float) -> str:
    """The rate that makes an update a hundredth of the weights, to one digit, and no more than a
    tenth of one that is too large."""
    found = rate * 1e-2 / ratio if ratio else rate / 10
    found = min(found, rate / 10) if ratio > t.SMALL_STEP else found
    return f"{float(f'{found:.0e}'):g}"


def classes(seen: Seen) -> Iterator[Finding]:
    if not seen.trained:
        return  # what a fresh net answers says nothing
    for k, s in spots(seen, "classes"):
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
                    f"{len(m.labels):,} classes among the labels; {percent(others)} of "
                    "the rows are another's",
                ),
                "look at the findings above it; shuffle the rows, weight the rare "
                "classes, a smaller rate",
            )
