"""What the measures mean: every finding, in the order of the kinds of fault.

In: `Seen`, the measures of all sites, parameters and inputs of one look. Out: `Finding`s. Where one
fault explains another (units that are all dead, and the parameters behind them), it alone is
told.

    for finding in judge(seen):
        print(finding.id, finding.subject, finding.message)
"""

from __future__ import annotations

from .findings import IDS, Finding, Seen
from .flow import depth, time
from .learning import classes, ignored, parameters, scales, steps
from .units import activations, all_dead, norms, softmaxes, tables

__all__ = ["IDS", "judge"]


def judge(seen: Seen) -> list[Finding]:
    """Every finding."""
    found = [
        *activations(seen),
        *depth(seen),
        *time(seen),
        *softmaxes(seen),
        *norms(seen),
        *tables(seen),
        *scales(seen),
        *steps(seen),
        *classes(seen),
    ]
    stuck = {
        int(f.subject[1])
        for f in found
        if f.id == "dead-units" and all_dead(seen.spots[int(f.subject[1])].numbers)
    }
    found += parameters(seen, stuck)
    if not stuck and not any(f.id.startswith("exploding") for f in found):
        found += ignored(seen)
    return found
