"""L-BFGS by SciPy: the optimiser that chooses its own steps.

In: the loss and its gradient as a function of θ, θ to start from, how many iterations. Out: a
message if it ended before them. Each accepted iteration is told to the caller, who may end it.
SciPy is an extra (`pip install gradc[scipy]`), and is imported when it is first needed.

    method = QuasiNewton({"history": 50})
    method.minimize(value_and_gradient, theta, steps=2000, accepted=lambda point, loss: False)

The steps are those of `scipy.optimize.minimize(method="L-BFGS-B", jac=True)`: `history` is its
`maxcor`, `tolerance` its `ftol`. A run that is stopped and begun again begins without history.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError

Vector = NDArray[Any]
DEFAULTS: dict[str, float] = {"history": 10, "tolerance": 1e-15}
LINE_SEARCH = 50  # points that one iteration may try


class _Stopped(Exception):
    """The caller has seen enough."""


class QuasiNewton:
    """L-BFGS with its arguments. `evaluations` counts calls of the function."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Check arguments and that SciPy is there: `ValueError`, `SettingError`."""
        for name in given:
            if name not in DEFAULTS:
                raise ValueError(
                    f"lbfgs has no argument {name!r}; it has {', '.join(DEFAULTS)}"
                )
        if importlib.util.find_spec("scipy") is None:
            raise SettingError(
                "lbfgs needs SciPy, which is not installed",
                "pip install 'gradc[scipy]', or another optimizer",
            )
        self.arguments: dict[str, Any] = {**DEFAULTS, **given}
        self.evaluations = 0

    def minimize(
        self,
        function: Callable[[Vector], tuple[float, Vector]],
        theta: Vector,
        steps: int,
        accepted: Callable[[Vector, float], bool],
    ) -> str:
        """Iterate up to `steps` times from θ, which is only read.

        `accepted(point, loss)` is called after each iteration; true ends it. The message
        says why fewer iterations were made, and is empty otherwise.
        """
        # Half a second of imports, for those who ask for it.
        optimize: Any = importlib.import_module("scipy.optimize")
        good = math.nan  # the loss at the last point where it was finite
        seen: dict[bytes, float] = {}  # of this iteration's points, their losses

        def guarded(point: Vector) -> tuple[float, Vector]:
            nonlocal good
            loss, gradient = function(point)
            self.evaluations += 1
            if math.isfinite(loss) and np.isfinite(gradient).all():
                good = loss
                seen[point.tobytes()] = loss
                return loss, gradient
            # A wall behind which the line search turns back.
            return good + 10 * (abs(good) + 1), np.zeros_like(gradient)

        def told(point: Vector) -> None:
            loss = seen.get(point.tobytes(), good)
            seen.clear()
            if accepted(point, loss):
                raise _Stopped

        start = theta.astype(np.float64)
        try:
            result = optimize.minimize(
                guarded,
                start,
                method="L-BFGS-B",
                jac=True,
                callback=told,
                options={
                    "maxiter": steps,
                    "maxfun": 10**9,
                    "maxls": LINE_SEARCH,
                    "maxcor": int(self.arguments["history"]),
                    "ftol": float(self.arguments["tolerance"]),
                    "gtol": 0.0,
                },
            )
        except _Stopped:
            return ""
        if result.nit >= steps:
            return ""
        why = str(result.message).strip().lower()
        if result.status == 0:
            return f"it has converged ({why})"
        return f"no lower point was found ({why})"
