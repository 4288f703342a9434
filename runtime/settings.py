"""Settings of a run: what the program's `train` says, what the command line says instead.

In: `signature["train"]`, which the compiler has checked, and overrides. Out: `Settings`, with
the defaults filled in. Built-in < `train { }` < command.

    settings = Settings.of(signature, epochs=3, data=["x=new.npz:images"])
    settings.optimizer, settings.batch_of("N"), settings.seed        # ("adam", 32, 0)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .data.sources import File, Next, Source, Sources, Value, combine, from_setting
from .errors import SettingError
from .sizes import Signature

BATCH, EPOCHS, ITERATIONS = 32, 10, 1000
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Settings:
    """How to train. Exactly one of `epochs` and `steps` is given."""

    optimizer: str = "adam"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    batch: Mapping[str | None, int] = field(default_factory=dict)
    epochs: int | None = EPOCHS
    steps: int | None = None
    seed: int = 0
    dtype: str = "float32"
    valid: float | File | None = None
    missing: str = "error"
    scale: Mapping[str | None, str] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None
    window: Mapping[str, int] = field(default_factory=dict)
    sources: Sources = field(default_factory=dict)
    schedule: Mapping[str, Any] | None = None
    accumulate: int = 1
    ema: float | None = None
    patience: int | None = None
    min_delta: float = 0.0

    @classmethod
    def of(
        cls,
        signature: Signature,
        *,
        data: Iterable[str] = (),
        valid: float | str | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        seed: int | None = None,
        dtype: str | None = None,
    ) -> Settings:
        """The settings of a program, with what a command says instead; `SettingError`s."""
        train: Mapping[str, Any] = signature["train"]
        optimizer = train.get("optimizer", {"name": "adam", "args": {}})
        clip = train.get("clip", {})
        if epochs is not None and steps is not None:
            raise SettingError("give a number of epochs or of steps, not both")
        if epochs is None and steps is None:
            steps = train.get("steps")
            epochs = None if steps is not None else train.get("epochs")
            if epochs is None and steps is None:
                # An epoch of lbfgs is a single step.
                epochs = ITERATIONS if optimizer["name"] == "lbfgs" else EPOCHS
        program: list[tuple[str | None, Source]] = [
            (name, from_setting(source)) for name, source in train.get("data", [])
        ]
        settings = cls(
            optimizer=optimizer["name"],
            arguments=dict(optimizer.get("args", {})),
            batch={name: size for name, size in train.get("batch", [])},
            epochs=epochs,
            steps=steps,
            seed=train.get("seed", 0) if seed is None else seed,
            dtype=dtype or train.get("dtype", _precision(optimizer["name"])),
            valid=_valid(train.get("valid") if valid is None else valid),
            missing=train.get("missing", "error"),
            scale={name: kind for name, kind in train.get("scale", [])},
            clip_norm=clip.get("norm"),
            clip_value=clip.get("value"),
            window={name: size for name, size in train.get("window", [])},
            sources=combine(program, data),
            schedule=train.get("schedule"),
            accumulate=train.get("accumulate", 1),
            ema=train.get("ema"),
            patience=train.get("patience"),
            min_delta=train.get("min_delta", 0.0),
        )
        settings._check(signature)
        return settings

    def to_json(self) -> dict[str, Any]:
        """For a run folder. Files that the user named become absolute paths."""
        data = {k: v for k, v in vars(self).items() if k not in ("sources", "valid")}
        for name in ("batch", "scale"):
            data[name] = [[key, value] for key, value in data[name].items()]
        data["sources"] = [[k, _source_json(v)] for k, v in self.sources.items()]
        valid = self.valid
        data["valid"] = _source_json(valid) if isinstance(valid, File) else valid
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """The inverse of `to_json`."""
        given = dict(data)
        for name in ("batch", "scale"):
            given[name] = {key: value for key, value in data[name]}
        given["sources"] = {k: _source_from(v) for k, v in data["sources"]}
        valid = data["valid"]
        given["valid"] = _source_from(valid) if isinstance(valid, Mapping) else valid
        return cls(**given)

    def _check(self, signature: Signature) -> None:
        for what, number in (("epochs", self.epochs), ("steps", self.steps)):
            if number is not None and number < 0:
                raise SettingError(f"{what} is {number}; it cannot be negative")
        if self.dtype not in DTYPES:
            raise SettingError(
                f"dtype is {self.dtype!r}; there are {' and '.join(DTYPES)}"
            )
        if self.missing not in ("error", "drop", "mean"):
            raise SettingError(
                f"missing is {self.missing!r}; there are error, drop, mean"
            )
        if not 0 <= self.seed < 2**64:
            raise SettingError(f"seed is {self.seed}; it must be from 0 to 2^64 - 1")
        if isinstance(self.valid, float) and not 0 < self.valid < 1:
            raise SettingError(
                f"valid is {self.valid:g}; a part to hold out is between 0 and 1"
            )
        if self.optimizer == "lbfgs":
            for what, given in (
                ("schedule", self.schedule),
                ("clip", self.clip_norm or self.clip_value),
                ("accumulate", self.accumulate > 1),
                ("ema", self.ema),
            ):
                if given:
                    raise SettingError(
                        f"lbfgs chooses its own steps: there is no {what} beside it"
                    )
        sizes = signature["sizes"]
        for name in self.batch:
            if name is not None and not sizes.get(name, {}).get("row"):
                tables = ", ".join(n for n, size in sizes.items() if size["row"])
                raise SettingError(
                    f"batch {name}: no table has rows called {name}; there are: {tables or 'none'}"
                )

    def batch_of(self, dim: str) -> int | None:
        """The rows of a table in one step; None where it is used whole.

        A batch without a name is that of every table; once one is named, the tables that
        are not are used whole. `lbfgs` takes all tables whole.
        """
        if self.optimizer == "lbfgs":
            return None
        if dim in self.batch:
            return self.batch[dim]
        if None in self.batch:
            return self.batch[None]
        return None if self.batch else BATCH


def _precision(optimizer: str) -> str:
    """The dtype where none is given: the line searches of lbfgs need all digits."""
    return "float64" if optimizer == "lbfgs" else "float32"


def _valid(value: float | str | Mapping[str, Any] | None) -> float | File | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return File(str(value), trusted=True)
    if isinstance(value, Mapping):
        return File(value["path"])
    return float(value) if value else None  # 0 is what it says: nothing


def _source_json(source: Source) -> dict[str, Any]:
    match source:
        case File(path=path, trusted=True) if path != "-":
            path = os.path.abspath(os.path.expanduser(path))
            return {"file": {**vars(source), "path": path}}
        case File():
            return {"file": dict(vars(source))}
        case Value(value=value):
            return {"value": value}
        case Next(of=of):
            return {"next": of}


def _source_from(data: Mapping[str, Any]) -> Source:
    if "file" in data:
        return File(**data["file"])
    return Next(data["next"]) if "next" in data else Value(data["value"])
