"""What a checkpoint of a run holds, by name: made of a training, read to use or to go on.

In: a training's vectors and state, or a file. Out: the arrays and the state of a checkpoint,
or `Weights`.

    p/W1            parameters                     ema/W1     their moving average
    o/mean/W1       the optimiser's slots          s/bn.mean  what the program remembers
    gradc/state     step, position, best, transforms, the program's text, …

    found = read_weights(Path("runs/digits-1/ckpt/step-000001215.npz"))
    found.theta(network), found.state["step"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import checkpoint
from .data import Transforms
from .errors import CheckpointError
from .network import Network, State
from .records import record

Vector = NDArray[Any]
NEEDED = ("step", "transforms", "sizes", "dtype")


@record
class Snapshot:
    """A training at one step: all that a checkpoint is made of.

    Without `slots` it is for use, and nothing to resume from.
    """

    theta: Vector
    memory: Mapping[str, NDArray[Any]]
    state: Mapping[str, Any]
    slots: Mapping[str, Vector] = field(default_factory=dict)
    average: Vector | None = None

    def arrays(self, network: Network) -> dict[str, NDArray[Any]]:
        """The arrays by name; slots and average are of the trained part alone."""
        arrays = {f"p/{p}": view for p, view in network.views(self.theta).items()}
        arrays |= {f"s/{path}": array for path, array in self.memory.items()}
        vectors = {f"o/{slot}": vector for slot, vector in self.slots.items()}
        if self.average is not None:
            vectors["ema"] = self.average
        for name, vector in vectors.items():
            for place in network.places:
                if place.trained:
                    arrays[f"{name}/{place.path}"] = place.view(vector)
        return arrays


@record
class Weights:
    """What a checkpoint holds: parameters by path, the optimiser's slots, the state of the
    run, in `memory` the state that the program itself declares, and averaged parameters.

    `note` says why it is another file than the one that was asked for.
    """

    parameters: dict[str, NDArray[Any]]
    slots: dict[str, dict[str, NDArray[Any]]]
    state: dict[str, Any]
    path: Path
    memory: dict[str, NDArray[Any]] = field(default_factory=dict)
    averages: dict[str, NDArray[Any]] = field(default_factory=dict)
    note: str = ""

    @property
    def transforms(self) -> Transforms:
        """What was fitted on the training part."""
        try:
            return Transforms.from_json(self.state["transforms"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.path}: no transforms: {error}") from None

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that the parameters use."""
        return dict(self.state["sizes"])

    @property
    def program(self) -> dict[str, Any] | None:
        """The program as it was trained: `name`, `text`, `libraries`, `overrides`, `level`.

        None in a checkpoint of format 1, whose run folder alone has it.
        """
        program = self.state.get("program")
        if program is None:
            return None
        kinds = {"name": str, "text": str, "libraries": dict, "overrides": dict}
        if not isinstance(program, dict) or any(
            not isinstance(program.get(key), kind) for key, kind in kinds.items()
        ):
            raise CheckpointError(f"{self.path}: its program is damaged")
        return program

    @property
    def resumable(self) -> bool:
        """Whether a training can go on from here: the best weights alone cannot."""
        return "progress" in self.state

    def theta(self, network: Network, dtype: Any = None, average: bool = False) -> Any:
        """θ for a network of the same program, whose sizes are bound on the way.

        With `average` the moving average stands for the trained parameters.
        """
        chosen = self.parameters | (self.averages if average else {})
        try:
            network.bind(self.sizes)
            known = {place.path for place in network.places}
            if known != set(self.parameters):
                odd = sorted(known ^ set(self.parameters))
                raise ValueError(f"one of them lacks {', '.join(odd[:5])}")
            return network.vector(chosen, dtype or self.state["dtype"])
        except ValueError as error:
            raise self._other(network, error) from None

    def remembered(self, network: Network, dtype: Any = None) -> State:
        """The program's state, for a network of the same program."""
        try:
            return network.as_state(self.memory, dtype or self.state["dtype"])
        except ValueError as error:
            raise self._other(network, error) from None

    def slot(self, network: Network, name: str) -> Vector:
        """A slot of the optimiser as a vector of the trained part."""
        return self._trained(network, self.slots.get(name, {}))

    def average(self, network: Network) -> Vector:
        """The moving average as a vector of the trained part."""
        return self._trained(network, self.averages)

    def _trained(
        self, network: Network, arrays: Mapping[str, NDArray[Any]]
    ) -> NDArray[Any]:
        vector = np.zeros(network.trained, self.state["dtype"])
        for place in network.places:
            if not place.trained:
                continue
            array = arrays.get(place.path)
            if array is None or array.shape != place.shape:
                raise CheckpointError(
                    f"{self.path} does not fit the optimizer: {place.path} is "
                    f"{'absent' if array is None else list(array.shape)}"
                )
            place.view(vector)[...] = array
        return vector

    def _other(self, network: Network, error: ValueError) -> CheckpointError:
        return CheckpointError(
            f"{self.path} is not of {network.name} as it is now: {error}"
        )


def read_weights(path: Path) -> Weights:
    """The weights in one checkpoint file; `CheckpointError` where they are no use."""
    arrays, state = checkpoint.load(path)
    groups: dict[str, dict[str, NDArray[Any]]] = {"p": {}, "s": {}, "ema": {}}
    slots: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        group, _, place = key.partition("/")
        if group == "o":
            slot, _, place = place.partition("/")
            slots.setdefault(slot, {})[place] = array
        elif group in groups:
            groups[group][place] = array
    for key in NEEDED:
        if key not in state:
            raise CheckpointError(f"{path} is no checkpoint of a run: it has no {key}")
    for array in (*groups["p"].values(), *groups["ema"].values()):
        if not np.isfinite(array).all():
            raise CheckpointError(f"{path} holds weights that are not finite")
    return Weights(groups["p"], slots, state, path, groups["s"], groups["ema"])
