"""A choice between multiples of one value is a maximum, or a product with a chosen number."""

from __future__ import annotations

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

HEAD = "input x: [N, 5]\ninput y: [N, 5]\nparam W: [5, 5] = normal(0, 0.5)\n"
WITHOUT = {
    "leaky": "h = leaky_relu(x @ W)\nloss = mse(h, y)\n",
    "the other way": "z = x @ W\nh = where(z < 0, z / 5, z)\nloss = mse(h, y)\n",
    "from zero on": "z = x @ W\nh = where(z >= 0, z, 0.3 * z)\nloss = mse(h, y)\n",
    "steeper below": "z = x @ W\nh = where(z > 0, z, 3 * z)\nloss = mse(h, y)\n",
    "both": "z = x @ W\nh = where(z > y, 2 * z, -0.5 * z)\nloss = mse(h, y)\n",
    "a learnt slope": (
        "param a = 0.1\nz = x @ W\nh = where(z > 0, z, a * z)\nloss = mse(h, y)\n"
    ),
    "two values": "z = x @ W\nh = where(z > 0, z, 0.1 * y)\nloss = mse(h, y)\n",
}
WITH = {
    "infinite": "z = x @ W\nh = where(z > 0, z, inf * z)\nloss = mean(min(h, y))\n",
}
CASES = WITHOUT | WITH


@pytest.mark.parametrize("name", CASES)
def test_values_are_the_same(name: str) -> None:
    plain = drawn(HEAD + CASES[name], {"N": 6})
    plain.inputs["x"][0] = [0, 0, 0, 0, 0]
    with np.errstate(all="ignore"):
        wanted_loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
    module = Fast(compiled(HEAD + CASES[name], poison=True))
    loss, found = module.step(values_of(plain))
    assert loss == pytest.approx(wanted_loss, rel=1e-13, nan_ok=True)
    assert largest_error(found, wanted) < 1e-13


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_chosen(name: str) -> None:
    source = compiled(HEAD + CASES[name]).source
    steps = source.partition("def forward")[2].partition("def evaluate")[0]
    assert ("where=" in steps) == (name in WITH)
    assert ("np.maximum(" in steps) == (
        name in ("leaky", "the other way", "from zero on", "a learnt slope")
    )
