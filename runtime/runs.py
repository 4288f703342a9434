"""Run folders: everything of one training, enough to evaluate, predict and resume.

    runs/digits-1/
      digits.net        the program's text
      signature.json    what the compiler said of it
      digits_net.py     the emitted source, to be read; it is never imported from here
      run.json          settings, sizes, where the data were
      log.jsonl         one event a line
      ckpt/             step-000001215.npz; LATEST and BEST hold a name each

In: a network and what is to be kept. Out: a folder, or a run that is opened again.

    run = RunFolder.create(Path("runs"), network, text, settings, folder)
    run.log({"event": "epoch", "loss": 0.1})
    RunFolder.open(Path("runs/digits-1")).weights("best")
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import checkpoint
from .data import Transforms
from .errors import CheckpointError
from .network import Network, State
from .optimizers import Optimizer
from .settings import Settings

VERSION = 1
LONGEST_JSON = 2**26


@dataclass(frozen=True)
class Weights:
    """What a checkpoint holds: parameters by path, the optimiser's slots, the state of the
    run, and in `memory` the state that the program itself declares."""

    parameters: dict[str, NDArray[Any]]
    slots: dict[str, dict[str, NDArray[Any]]]
    state: dict[str, Any]
    path: Path
    memory: dict[str, NDArray[Any]] = field(default_factory=dict)

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

    def theta(self, network: Network, dtype: Any = None) -> NDArray[Any]:
        """θ for a network of the same program, whose sizes are bound on the way."""
        try:
            network.bind(self.sizes)
            known = {place.path for place in network.places}
            if known != set(self.parameters):
                odd = sorted(known ^ set(self.parameters))
                raise ValueError(f"one of them lacks {', '.join(odd[:5])}")
            return network.vector(self.parameters, dtype or self.state["dtype"])
        except ValueError as error:
            raise CheckpointError(
                f"{self.path} is not of {network.name} as it is now: {error}"
            ) from None

    def remembered(self, network: Network, dtype: Any = None) -> State:
        """The program's state, for a network of the same program."""
        try:
            return network.as_state(self.memory, dtype or self.state["dtype"])
        except ValueError as error:
            raise CheckpointError(
                f"{self.path} is not of {network.name} as it is now: {error}"
            ) from None


@dataclass
class RunFolder:
    """A folder under `runs/`. `info` is what run.json holds."""

    path: Path
    info: dict[str, Any] = field(default_factory=dict)
    signature: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def create(
        cls,
        parent: Path,
        network: Network,
        text: str,
        settings: Settings,
        folder: Path,
        facts: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """A new folder NAME-1, NAME-2, …: the first that does not exist.

        `folder` is the program's, `facts` are whatever else is to be known later, such as
        the overrides that the program was compiled with.
        """
        stem = _stem(network.name)
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = parent / f"{stem}-{number}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                number += 1
        (path / "ckpt").mkdir()
        info = {
            "version": VERSION,
            "net": network.name,
            "folder": os.path.abspath(folder),
            "settings": settings.to_json(),
            **(facts or {}),
        }
        signature = dict(network.signature)
        (path / f"{stem}.net").write_text(text, encoding="utf-8")
        (path / f"{stem}_net.py").write_text(network.source, encoding="utf-8")
        (path / "signature.json").write_text(json.dumps(signature, indent=1) + "\n")
        (path / "run.json").write_text(json.dumps(info, indent=1) + "\n")
        return cls(path, info, signature, text)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run; `CheckpointError` where it is none, or of a newer version."""
        info = _read_json(path / "run.json")
        if not isinstance(info, dict) or "net" not in info:
            raise CheckpointError(f"{path} is no run folder: run.json is damaged")
        if info.get("version", 0) > VERSION:
            raise CheckpointError(
                f"{path} was written by a newer gradc (version {info['version']} of the "
                f"folder; this one reads up to {VERSION})"
            )
        signature = _read_json(path / "signature.json")
        try:
            text = (path / f"{_stem(info['net'])}.net").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{path}: the program cannot be read: {error}"
            ) from None
        return cls(path, info, signature, text)

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        try:
            return Settings.from_json(self.info["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path}/run.json is damaged: {error}") from None

    @property
    def folder(self) -> Path:
        """The folder that the program's data are relative to."""
        return Path(self.info["folder"])

    def log(self, event: Mapping[str, Any]) -> None:
        """Append an event to log.jsonl. `OSError` where that is not possible."""
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"v": 1, **event}) + "\n")

    def save(
        self,
        network: Network,
        theta: NDArray[Any],
        state: Mapping[str, Any],
        optimizer: Optimizer | None = None,
        names: tuple[str, ...] = ("LATEST",),
        memory: Mapping[str, NDArray[Any]] | None = None,
    ) -> Path:
        """Write `ckpt/step-….npz` with weights and states, and point `names` at it."""
        arrays = {f"p/{path}": view for path, view in network.views(theta).items()}
        arrays |= {f"s/{path}": array for path, array in (memory or {}).items()}
        if optimizer is not None:
            for slot, vector in optimizer.slots.items():
                for place in network.places:
                    if place.trained:
                        part = vector[place.start : place.stop].reshape(place.shape)
                        arrays[f"o/{slot}/{place.path}"] = part
        path = self.path / "ckpt" / f"step-{state['step']:09d}.npz"
        checkpoint.save(path, arrays, state)
        for name in names:
            checkpoint.write_atomically(
                self.path / "ckpt" / name, f"{path.name}\n".encode()
            )
        return path

    def weights(self, which: str = "best") -> Weights:
        """The weights called `best`, `latest` or `last`, of a step (`1215`), or of a file."""
        ckpt = self.path / "ckpt"
        if which.isdigit():
            return read_weights(ckpt / f"step-{int(which):09d}.npz")
        if which not in ("best", "last", "latest"):
            return read_weights(Path(which))
        pointer = "BEST" if which == "best" else "LATEST"
        problem: CheckpointError
        try:
            name = (ckpt / pointer).read_text(encoding="utf-8").strip()
            if os.path.basename(name) != name or not name.endswith(".npz"):
                raise CheckpointError(
                    f"{ckpt / pointer} names no checkpoint: {name[:60]!r}"
                )
            return read_weights(ckpt / name)
        except (OSError, UnicodeDecodeError) as error:
            problem = CheckpointError(f"{ckpt / pointer} cannot be read: {error}")
        except CheckpointError as error:
            problem = error
        if which != "best":
            for path in sorted(ckpt.glob("step-*.npz"), reverse=True):
                try:
                    return read_weights(path)
                except CheckpointError:
                    continue
        raise problem


def read_weights(path: Path) -> Weights:
    """The weights in one checkpoint file."""
    arrays, state = checkpoint.load(path)
    parameters = {k[2:]: v for k, v in arrays.items() if k.startswith("p/")}
    memory = {k[2:]: v for k, v in arrays.items() if k.startswith("s/")}
    slots: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        if key.startswith("o/"):
            _, slot, place = key.split("/", 2)
            slots.setdefault(slot, {})[place] = array
    for key in ("step", "transforms", "sizes", "dtype"):
        if key not in state:
            raise CheckpointError(f"{path} is no checkpoint of a run: it has no {key}")
    if not all(np.isfinite(array).all() for array in parameters.values()):
        raise CheckpointError(f"{path} holds weights that are not finite")
    return Weights(parameters, slots, state, path, memory)


def _stem(name: str) -> str:
    stem = os.path.basename(name).removesuffix(".net")
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem) or "net"


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > LONGEST_JSON:
            raise CheckpointError(f"{path} is too long")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} cannot be read: {error}") from None
