"""Random DAGs, emitted at every level, against the reference and the complex step."""

from __future__ import annotations

import pytest
import random_dags
from backend.executing import Emitted

from gradc.compiler.autodiff.reverse import differentiate

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_level_agrees(seed: int) -> None:
    dag = random_dags.random_dag(seed)
    joint = differentiate(random_dags.program_of(dag), ())
    for level in (0, 1):
        m = Emitted(joint, level, sizes=random_dags.SIZES)
        for leaf, value in dag.leaves.items():
            table = m.params if leaf.attrs["name"] in m.params else m.inputs
            table[leaf.attrs["name"]] = value
        m.agrees(1e-9)
        m.stays_single()
