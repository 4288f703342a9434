"""Gradients of readable modules: products are written where they are to lie."""

from __future__ import annotations

import numpy as np

from gradc.execution import execute, function_of
from gradc.landing import Places, landed, takes_places

GRADIENTS = """import numpy as np


def backward(saved, d_loss=1.0):
    x, d, layers = saved
    gradients = {}
    d_V = x.T @ d
    d_V += 1
    d_b = d.sum(axis=0)
    d_c = x.T @ d
    d_c = 2 * d_c
    for i in reversed(range(2)):
        h = layers[i]
        d_W = h.T @ d
        gradients[f"h[{i}].W"] = d_W
        gradients[f"h[{i}].U"] = h.T @ x
        d_W = x @ d.T
        d_again = d_W @ d
    gradients |= {"V": d_V, "b": d_b, "c": d_c, "again": d_again, "W": d_W, "T": d_V}
    return gradients
"""


def test_products_are_written_where_gradients_lie() -> None:
    plain: dict[str, object] = {}
    exec(GRADIENTS, plain)
    backward = execute(GRADIENTS, "<test>")["backward"]
    assert takes_places(backward) and not takes_places(plain["backward"])
    rng = np.random.default_rng(0)
    x, d, *layers = (rng.normal(size=(3, 3)) for _ in range(4))
    wanted = plain["backward"]((x, d, layers))
    places = {path: np.full((3, 3), np.nan).T for path in wanted}
    for found in (
        backward((x, d, layers)),
        backward((x, d, layers), 1.0, Places(places)),
    ):
        assert list(found) == list(wanted)
        for path, value in wanted.items():
            np.testing.assert_allclose(found[path], value, 1e-15)
    lying = {path for path in found if found[path] is places[path]}
    # V's is the same as T's; c's and W's names are those of other values as well.
    assert lying == {"T", "h[0].W", "h[1].W", "h[0].U", "h[1].U"}
    tree = function_of(GRADIENTS, "backward")
    assert set(landed(tree, [*wanted, "h[10].W", "h[x].W"])) == {*lying, "h[10].W"}
    some = backward((x, d, layers), 1.0, Places(T=places["T"]))
    assert some["V"] is some["T"] is places["T"]
