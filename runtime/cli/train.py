"""`gradc train`: compile a .net and train it on data.

gradc train examples/digits/digits.net
gradc train wine.net --data wine.csv --valid 0.2 --epochs 50
gradc train wine.net --set hidden=64 --set train.optimizer.lr=0.01 --seed 3
gradc train wine.net --print-config          # every setting, and who said so
"""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exits import Exit
from .options import Parser, add_common, assignments, positive, whole
from .programs import (
    add_level,
    compile_text,
    load,
    one_blas_thread,
    options_of,
    source_of,
)
from .terminal import Terminal, columns

if TYPE_CHECKING:
    from gradc.compiler import Compiled

    from ..settings import Settings
    from ..trainer import Result, Trainer

SUMMARY = "compile a .net and train it on data"
LATER = (
    "-O2",
    "--resume",
    "--init-from",
    "--time-limit",
    "--workers",
    "--shards",
    "--checkpoint-every",
    "--keep",
    "--dry-run",
)


def parser() -> Parser:
    """The flags of `gradc train`."""
    made = Parser(
        "train",
        __doc__.splitlines()[0],
        examples=__doc__.split("\n\n", 1)[1],
        later=LATER,
    )
    made.add_argument("file", metavar="FILE", help="a .net file, or - for stdin")
    made.add_argument(
        "--data",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="a file for every input, or for one; PATH:ENTRY chooses an entry or columns",
    )
    made.add_argument(
        "--valid", metavar="SHARE|PATH", help="what is held out: 0.2, or a file"
    )
    made.add_argument(
        "--dtype", choices=("float32", "float64"), help="the precision of the run"
    )
    made.add_argument(
        "--out", metavar="DIR", help="the run folder (default: runs/NAME-1, -2, …)"
    )
    length = made.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the data"
    )
    length.add_argument(
        "--steps", type=positive, metavar="N", help="updates, instead of epochs"
    )
    made.add_argument(
        "--seed", type=seed, metavar="N", help="0 by default; `random` draws one"
    )
    made.add_argument(
        "--threads",
        choices=("1", "blas"),
        default="1",
        help="threads of BLAS: 1 (the same bits each time), or as it likes",
    )
    made.add_argument(
        "--print-config", action="store_true", help="show the settings; do not train"
    )
    add_level(made)
    add_common(made)
    return made


def seed(text: str) -> int:
    """An argparse type: a seed, or `random` for one that is drawn and printed."""
    if text == "random":
        import secrets

        return secrets.randbelow(2**32)
    number = whole(text)
    if number >= 2**64:
        raise argparse.ArgumentTypeError(f"{text} is not below 2^64")
    return number


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Compile, read the data, train, and say where the result lies."""
    one_blas_thread(args.threads)
    source, folder = source_of(args)
    compiled = compile_text(source, options_of(args, folder), terminal)
    settings = settings_of(compiled, args)
    if args.print_config:
        print_config(settings, compiled, args, terminal)
        return Exit.OK

    from ..allocation import keep_freed
    from ..data import load as load_data
    from ..runs import RunFolder
    from ..trainer import Trainer
    from .session import Session, interruptible

    keep_freed()
    network = load(compiled)
    data = load_data(compiled.signature, settings, folder)
    session = Session(terminal, data, args.threads)
    trainer = Trainer(network, data, settings, reporter=session)
    facts = {"overrides": dict(options_of(args, folder).overrides), "level": args.level}
    trainer.run = RunFolder.create(
        Path(args.out or "runs"), network, source.text, settings, folder, facts
    )
    keep_libraries(compiled, trainer.run.path)
    with session, interruptible(trainer, terminal) as signals:
        result = trainer.train()
    if args.json:
        terminal.product(json.dumps(document(trainer, result)))
    return signals.exit if result.stopped else Exit.OK


def settings_of(compiled: Compiled, args: Namespace) -> Settings:
    """Built-in < the program's `train` < `--set` (the compiler has merged it) < flags."""
    from ..settings import Settings

    return Settings.of(
        compiled.signature,
        data=args.data,
        valid=args.valid,
        epochs=args.epochs,
        steps=args.steps,
        seed=args.seed,
        dtype=args.dtype,
    )


def keep_libraries(compiled: Compiled, folder: Path) -> None:
    """Put what the program `use`s beside its text, so that the run can be compiled again."""
    for name, text in compiled.libraries.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def document(trainer: Trainer, result: Result) -> dict[str, Any]:
    """What `--json` prints at the end."""
    best = result.best
    return {
        "run": str(trainer.run.path) if trainer.run else None,
        "stopped": result.stopped,
        "steps": result.steps,
        "epochs": len(result.history),
        "seconds": round(result.seconds, 3),
        "best": best and {"epoch": best.number, "loss": best.loss, **best.figures},
        "checkpoint": result.checkpoint,
        "best_checkpoint": result.best_checkpoint,
    }


# ----------------------------------------------------------------------- the settings


def print_config(
    settings: Settings, compiled: Compiled, args: Namespace, terminal: Terminal
) -> None:
    """Every setting, its value, and where that came from."""
    rows = []
    for name, value in shown_settings(settings).items():
        rows.append((name, value, origin(name, compiled, args)))
    if args.json:
        found = {name: {"value": value, "from": where} for name, value, where in rows}
        terminal.product(json.dumps(found))
    else:
        terminal.product(columns(rows))


def shown_settings(settings: Settings) -> dict[str, str]:
    """The settings as a program would write them."""
    schedule = settings.schedule
    shown = {
        "optimizer": called(settings.optimizer, settings.arguments),
        "schedule": called(schedule["name"], schedule["args"]) if schedule else "",
        "batch": keyed(settings.batch) or "32",
        "epochs": str(settings.epochs) if settings.epochs is not None else "",
        "steps": str(settings.steps) if settings.steps is not None else "",
        "seed": str(settings.seed),
        "dtype": settings.dtype,
        "data": keyed(
            {name: described(source) for name, source in settings.sources.items()}
        ),
        "valid": described(settings.valid),
        "missing": settings.missing,
        "scale": keyed(settings.scale),
        "clip": f"{settings.clip_norm or ''}"
        + (f"value({settings.clip_value})" if settings.clip_value else ""),
        "window": keyed(settings.window),
    }
    return {name: value for name, value in shown.items() if value}


def called(name: str, arguments: Mapping[str, Any]) -> str:
    """`sgd(lr = 0.1, nesterov = true)`."""
    shown = (
        f"{key} = {str(value).lower() if isinstance(value, bool) else value}"
        for key, value in arguments.items()
    )
    return f"{name}({', '.join(shown)})"


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


def origin(name: str, compiled: Compiled, args: Namespace) -> str:
    """Who said so."""
    if getattr(args, name, None) not in (None, []):
        return f"--{name}"
    overrides = assignments(args.overrides, "--set")
    if any(
        key == f"train.{name}" or key.startswith(f"train.{name}.") for key in overrides
    ):
        return "--set"
    if name in compiled.signature["train"]:
        return f"{compiled.signature['name']}"
    return "default"
