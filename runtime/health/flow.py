"""How δ and z fare on their way: from layer to layer, and from step to step of a loop.

In: `Seen`. Out: findings. δ is judged by ratios: of a layer to the last ones that it leads to, of a
step to the step of the largest. So neither the units of the loss nor its size matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import thresholds as t
from .findings import Finding, Seen, Spot, spots
from .measures import Carry


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


def depth(seen: Seen) -> Iterator[Finding]:
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
                f"‖δ‖ by layer, from here to the last: {listed(norms)}",
                f"a factor {_factor(norms):.2g} a layer",
            ),
            advice,
            (head,),
        )
    yield from _growth(seen)


def listed(norms: Sequence[float]) -> str:
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
        for _, s in spots(seen, "layer")
        if s.numbers.scales.size
    ]
    scale = max([1.0, *given])
    bound = t.GROWTH_TRAINED if seen.trained else t.GROWTH_FRESH
    for k, s in spots(seen, "layer"):
        z = s.numbers.value
        if seen.trained and not s.below:
            continue
        if z.finite and z.rms > bound * scale:
            yield Finding(
                "exploding-activations",
                ("site", k),
                f"the values of `{s.name}` have grown to a root mean square of {z.rms:.2g}",
                (
                    f"{z.rms / scale:.2g} times that of the data ({scale:.2g}); the "
                    f"largest is {z.largest:.2g}",
                ),
                "smaller initial weights (`init = glorot()` or `he()`, whose deviation falls "
                "with the width), or a norm",
            )
            return


def time(seen: Seen) -> Iterator[Finding]:
    fading: list[tuple[int, Spot, int]] = []
    lasting = False
    for k, s in spots(seen, "carry"):
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
                f"`{s.facts.get('name') or s.name}` grows from step to step: from "
                f"{rms[0]:.2g} to {rms[-1]:.2g}",
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
            f"δ fades on its way back: the first {count:,} of {len(norms):,} steps add "
            "nothing to the gradient",
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
