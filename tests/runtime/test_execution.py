"""Emitted modules executed: what they reach, and what is done for the speed of their calls."""

from __future__ import annotations

import ast
import warnings

import numpy as np
import pytest

from gradc.buffers import zeros
from gradc.execution import execute

TEXT = '''import numpy as np


def step(x, y, out):
    """Everything that is written somewhere."""
    np.add(x, y, out=out)
    for _ in range(2):
        np.multiply(out, x, out=out)
        np.maximum(out, y, out=out)
    np.exp(out, out=out)
    np.dot(x, out, out=y)
    np.add(x, y, out=out, where=x > 2)
    np.maximum.reduce(x, axis=0, out=out[0])
    return out
'''


def test_places_by_position_change_nothing() -> None:
    x = np.arange(9.0).reshape(3, 3) / 9
    plain: dict[str, object] = {}
    exec(TEXT, plain)
    found = []
    for space in (plain, execute(TEXT, "<test>")):
        y = np.eye(3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            out = space["step"](x, y, np.zeros((3, 3)))
        found.append((out.tolist(), y.tolist()))
    assert found[0] == found[1]


def test_only_calls_that_take_the_place_there_are_changed() -> None:
    tree = ast.parse(TEXT)
    execute(TEXT, "<test>", tree)
    text = ast.unparse(tree)
    assert "np.add(x, y, out)" in text and "np.multiply(out, x, out)" in text
    assert "np.dot(x, out, y)" in text and "np.exp(out, out)" in text
    for kept in ("np.maximum(out, y, out=out)", "where=x > 2", "out=out[0]"):
        assert kept in text


def test_numpy_alone_is_in_reach() -> None:
    with pytest.raises(ImportError, match="imports numpy, not 'os'"):
        execute("import os\n", "<test>")
    space = execute(
        "import numpy as np\nhalf = np.linalg.inv(np.eye(2) * 2)\n", "<test>"
    )
    assert space["half"][0, 0] == 0.5 and not hasattr(space["np"], "__getattr__")
    with pytest.raises(NameError):
        execute("open('x')\n", "<test>")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "object"])
def test_vectors_begin_with_a_cache_line(dtype: str) -> None:
    for count in (0, 1, 5, 1000):
        made = zeros(count, dtype)
        assert made.shape == (count,) and made.dtype == np.dtype(dtype)
        assert not made.any() and made.flags.c_contiguous and made.flags.writeable
        if dtype != "object" and count:
            assert made.ctypes.data % 64 == 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_memory_begins_with_a_cache_line(dtype: str) -> None:
    text = (
        "import numpy as np\n\n\ndef room(n, dtype):\n    return np.empty(n, dtype)\n"
    )
    room = execute(text, "<gradc room>")["room"]
    for n in (1, 7, 1000):
        made = room(n, dtype)
        assert made.shape == (n,) and made.dtype == dtype
        assert made.__array_interface__["data"][0] % 64 == 0
    assert room((2, 3), dtype).shape == (2, 3) and room(2, object).dtype == object
