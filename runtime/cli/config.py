"""Settings in words: their values as a program writes them, and who said each of them.

In: settings, the compiled program, the flags. Out: rows for `train --print-config`, for
run.json and for the report.

    origins(compiled, args)["optimizer"]        # "--set", "digits.net", "--epochs", "default"
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .options import assignments
from .terminal import Terminal, columns

if TYPE_CHECKING:
    from ..settings import Settings

FLAGS = ("data", "valid", "epochs", "steps", "seed", "dtype")
"""The settings that have a flag of their own."""

POLICY = ("checkpoint_every", "keep", "time_limit", "on_nonfinite", "threads", "level")
"""Flags that change no setting of the program, and are shown beside them."""


def given(args: Namespace) -> set[str]:
    """The settings that the command line says, by `--set train.…` or by a flag."""
    overrides = assignments(args.overrides, "--set")
    said = {n.split(".")[1] for n in overrides if n.startswith("train.")}
    return said | {n for n in FLAGS if getattr(args, n, None) not in (None, [])}


def origins(
    train: Mapping[str, Any],
    name: str,
    args: Namespace,
    before: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Who said each setting, flag before `--set` before the program before the default.

    `train` are the settings that the program `name` gives, `before` the origins of a run that
    is resumed: they count where the command says nothing.
    """
    said, found = given(args), {}
    overrides = assignments(args.overrides, "--set")
    for key in (*shown_keys(), *POLICY):
        flag = key.replace("_", "-")
        if key in FLAGS and getattr(args, key) not in (None, []):
            found[key] = f"--{flag}"
        elif key in POLICY and getattr(args, key, None) != DEFAULTS.get(key):
            found[key] = "-O" if key == "level" else f"--{flag}"
        elif key in said:
            found[key] = "--set"
        elif before is not None and key in before:
            found[key] = before[key]
        elif any(n == f"train.{key}" for n in overrides) or key in train:
            found[key] = name
        else:
            found[key] = "default"
    return found


DEFAULTS: dict[str, Any] = {
    "checkpoint_every": "60s",
    "keep": 3,
    "time_limit": None,
    "on_nonfinite": "stop",
    "threads": "1",
    "level": 2,
}


def shown_keys() -> tuple[str, ...]:
    """The settings in the order in which they are shown."""
    return (
        "optimizer", "schedule", "clip", "accumulate", "batch", "epochs", "steps", "ema",
        "patience", "min_delta", "seed", "dtype", "data", "valid", "missing", "scale",
        "window",
    )  # fmt: skip


def shown(settings: Settings) -> dict[str, str]:
    """The settings as a program would write them; those that are off are left out."""
    schedule = settings.schedule
    clip = f"{settings.clip_norm:g}" if settings.clip_norm else ""
    if settings.clip_value:
        clip = f"value({settings.clip_value:g})"
    sources = {name: described(source) for name, source in settings.sources.items()}
    texts = {
        "optimizer": called(settings.optimizer, settings.arguments),
        "schedule": called(schedule["name"], schedule["args"]) if schedule else "",
        "clip": clip,
        "accumulate": str(settings.accumulate) if settings.accumulate > 1 else "",
        "batch": keyed(settings.batch) or "32",
        "epochs": str(settings.epochs) if settings.epochs is not None else "",
        "steps": str(settings.steps) if settings.steps is not None else "",
        "ema": f"{settings.ema:g}" if settings.ema else "",
        "patience": str(settings.patience or ""),
        "min_delta": f"{settings.min_delta:g}" if settings.min_delta else "",
        "seed": str(settings.seed),
        "dtype": settings.dtype,
        "data": keyed(sources),
        "valid": described(settings.valid),
        "missing": settings.missing,
        "scale": keyed(settings.scale),
        "window": keyed(settings.window),
    }
    return {name: texts[name] for name in shown_keys() if texts[name]}


def rows(
    settings: Settings, args: Namespace, who: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Each setting, its value, and who said so."""
    found = [(n, text, who.get(n, "default")) for n, text in shown(settings).items()]
    for name in POLICY:
        value = getattr(args, name, None)
        if value is not None:
            found.append((name, str(value), who.get(name, "default")))
    return found


def print_config(
    listed: list[tuple[str, str, str]], as_json: bool, to: Terminal
) -> None:
    """Every setting, its value, and where that came from, on stdout."""
    if as_json:
        found = {name: {"value": value, "from": where} for name, value, where in listed}
        to.product(json.dumps(found))
    else:
        to.product(columns(listed))


def called(name: str, arguments: Mapping[str, Any]) -> str:
    """`sgd(lr = 0.1, nesterov = true)`."""
    told = (f"{key} = {_written(value)}" for key, value in arguments.items())
    return f"{name}({', '.join(told)})"


def _written(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(map(_written, value))}]"
    return str(value)


def keyed(table: Mapping[Any, Any]) -> str:
    """`32`, or `P 256, N 32` where entries have names."""
    return ", ".join(
        f"{name} {value}" if name else str(value) for name, value in table.items()
    )


def described(source: Any) -> str:
    """A file, a number or a following text, as the command line writes it."""
    from ..data import File, Next, Value

    match source:
        case None:
            return ""
        case File(path=path, entry=entry):
            return f"{path}:{entry}" if entry else str(path)
        case Value(value=value):
            return f"{value:g}"
        case Next(of=of):
            return f"next({of})"
    return str(source)
