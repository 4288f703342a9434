"""A moving average of the weights: what is evaluated where the settings ask for `ema`.

In: θ after each update. Out: a vector ā, at first θ and then ā + (1 - d)(θ - ā), as
`torch.optim.swa_utils.get_ema_multi_avg_fn(d)` has it.

    average = Average(0.999, theta)
    average.update()
    average.vector
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .progress import averaged

Vector = NDArray[Any]


class Average:
    """The average of a vector that others change in place. `begun` after an update."""

    def __init__(self, decay: float, theta: Vector) -> None:
        self.decay, self.theta = decay, theta
        self.vector: Vector = theta.copy()
        self.begun = False
        self._scratch = np.empty_like(theta)

    def update(self) -> None:
        """Take in θ as it is now."""
        if not self.begun:
            self.vector[...] = self.theta
            self.begun = True
            return
        np.subtract(self.theta, self.vector, out=self._scratch)
        self._scratch *= 1 - self.decay
        self.vector += self._scratch

    def weights(self, theta: Vector) -> Vector:
        """All of θ with the average for its trained part: a new vector."""
        return averaged(theta, self.vector)
