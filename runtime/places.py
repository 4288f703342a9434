"""Where parameters lie in θ: one flat vector for all of them.

In: the parameters of a signature, and the sizes that they use. Out: their places, the trained
ones first, then those that are frozen, each in the order of the program.

    for place in lay_out(signature["parameters"], {"D": 13}):
        parameters[place.path] = place.view(theta)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .records import record
from .sizes import evaluate

Array = NDArray[Any]


@record
class Place:
    """Where a parameter lies in θ: `theta[start:stop]`, in this shape.

    Of one that is `turned` each column lies together, not each row.
    """

    path: str
    shape: tuple[int, ...]
    start: int
    stop: int
    trained: bool
    turned: bool = False

    def view(self, vector: Array) -> Array:
        """The parameter in a vector that is laid out like θ."""
        return laid(vector[self.start : self.stop], self.shape, self.turned)

    def entry(self, k: int) -> tuple[int, ...]:
        """The indices of `theta[start + k]`."""
        shape = self.shape[::-1] if self.turned else self.shape
        found = tuple(int(i) for i in np.unravel_index(k, shape))
        return found[::-1] if self.turned else found


def laid(part: Array, shape: Sequence[int], turned: bool) -> Array:
    """The numbers of a vector as an array: row by row or, if `turned`, column by column."""
    return part.reshape(shape[::-1]).T if turned else part.reshape(shape)


def lay_out(
    parameters: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]
) -> tuple[Place, ...]:
    """The places of parameters, one behind another."""
    places, start = [], 0
    for entry in sorted(parameters, key=lambda entry: not entry["trained"]):
        shape = tuple(evaluate(dim, sizes) for dim in entry["shape"])
        stop = start + math.prod(shape)
        trained, turned = entry["trained"], entry.get("turned", False)
        places.append(Place(entry["path"], shape, start, stop, trained, turned))
        start = stop
    return tuple(places)
