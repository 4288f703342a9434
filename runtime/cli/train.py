"""`gradc train`: compile a .net and train it on data.

gradc train examples/digits/digits.net
gradc train wine.net --data wine.csv --valid 0.2 --epochs 50
gradc train wine.net --set hidden=64 --set train.optimizer.lr=0.01 --seed 3
gradc train wine.net --resume                # the newest run of it, from its last checkpoint
gradc train --resume runs/wine-2 --epochs 80
gradc train wine.net --init-from runs/wine-2 --data more.csv
gradc train wine.net --print-config          # every setting, and who said so
"""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..blas import prepare_blas
from ..records import record
from .config import DEFAULTS, given, origins, print_config, rows
from .exits import Exit, UsageError
from .options import Parser, add_common, assignments, positive, repeated, whole
from .programs import (
    add_level,
    compile_text,
    in_time,
    load,
    options_of,
    runs_near,
    show_warnings,
    source_of,
)
from .reporting import safely
from .terminal import Terminal

if TYPE_CHECKING:
    from gradc.compiler import Compiled

    from ..policy import Policy
    from ..runs import RunFolder
    from ..settings import Settings
    from ..shards import Parallel
    from ..trainer import Result, Trainer
    from ..weights import Weights

SUMMARY = "compile a .net and train it on data"
LATER = ("--workers",)


def parser() -> Parser:
    """The flags of `gradc train`."""
    made = Parser(
        "train",
        __doc__.splitlines()[0],
        examples=__doc__.split("\n\n", 1)[1],
        later=LATER,
    )
    made.add_argument(
        "file", metavar="FILE", nargs="?", help="a .net file, or - for stdin"
    )
    repeated(
        made,
        "--data",
        "[NAME=]PATH",
        "a file for every input, or for one; PATH:ENTRY chooses an entry or columns",
    )
    made.add_argument(
        "--valid", metavar="SHARE|PATH", help="what is held out: 0.2, or a file"
    )
    made.add_argument(
        "--dtype", choices=("float32", "float64"), help="the precision of the run"
    )
    made.add_argument(
        "--out", metavar="DIR", help="where runs lie (default: runs; NAME-1, -2, …)"
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
        type=threads,
        metavar="N|blas",
        help="threads that compute the shards of a batch at -O2, the same bits for any "
        "number (one for each core); or blas: BLAS has threads, and ours is one",
    )
    made.add_argument(
        "--shards",
        type=shards,
        metavar="K",
        help="shards of a batch at -O2: 1, 2, 4, 8 or 16 (as many as pay)",
    )
    going = made.add_argument_group("checkpoints")
    going.add_argument(
        "--resume",
        nargs="?",
        const="latest",
        metavar="latest|STEP|PATH",
        help="go on with the newest run of FILE, with a run folder, or from a checkpoint",
    )
    going.add_argument(
        "--init-from",
        metavar="RUN|CKPT",
        help="a new run that begins with the weights of another one",
    )
    going.add_argument(
        "--checkpoint-every",
        type=every,
        default="60s",
        metavar="60s|N",
        help="how often to save: a time (90s, 10m, 1h), or a number of steps",
    )
    going.add_argument(
        "--keep",
        type=positive,
        default=3,
        metavar="N",
        help="checkpoints to keep beside the best weights (3)",
    )
    going.add_argument(
        "--time-limit",
        type=limit,
        metavar="TIME",
        help="stop with a checkpoint after so long (90s, 10m, 1.5h)",
    )
    made.add_argument(
        "--on-nonfinite",
        choices=("stop", "skip"),
        default="stop",
        help="what to do when the loss or a gradient is infinite or NaN: stop (exit 6), "
        "or drop that update",
    )
    made.add_argument(
        "--print-config", action="store_true", help="show the settings; do not train"
    )
    made.add_argument(
        "--dry-run",
        action="store_true",
        help="do all that comes before the first step, and say what it would take",
    )
    made.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="lines for people, or one JSON object a line on stderr",
    )
    add_level(made, default=DEFAULTS["level"])
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


def threads(text: str) -> str:
    """An argparse type: a number of threads, or `blas`."""
    return text if text == "blas" else str(positive(text))


def shards(text: str) -> int:
    """An argparse type: a power of two up to 16."""
    number = positive(text)
    if number not in (1, 2, 4, 8, 16):
        raise argparse.ArgumentTypeError(f"{text} is not 1, 2, 4, 8 or 16")
    return number


def every(text: str) -> str:
    """An argparse type: a length of time or a number of steps."""
    if text.strip().isdigit():
        positive(text)
        return text.strip()
    return limit(text)


def limit(text: str) -> str:
    """An argparse type: a length of time."""
    from ..policy import duration

    try:
        duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: e.g. 90s, 10m, 1.5h") from None
    return text.strip()


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Compile, read the data, train, and say where the result lies."""
    from .interrupts import interruptible

    prepare_blas(args.threads or "1")
    with interruptible() as signals:
        prepared = prepare(args, terminal)
        if args.print_config:
            listed = rows(prepared.settings, args, prepared.origins)
            print_config(listed, args.json, terminal)
            return Exit.OK
        trainer = trainer_of(prepared, args, terminal)
        if args.dry_run:
            dry_run(trainer, args, terminal)
            return Exit.OK
        signals.trainer = trainer
        with trainer.reporter:  # type: ignore[attr-defined]
            result = trainer.train()
        signals.trainer = None
        listed = rows(prepared.settings, args, prepared.origins)
        if problem := safely(trainer, result, listed, prepared.text):
            terminal.warn(problem)
        if args.json:
            terminal.product(json.dumps(document(trainer, result)))
        return signals.exit if result.ending == "stopped" else Exit.OK


# ------------------------------------------------------------------------ preparation


@record
class Prepared:
    """What a training is of: a program and its settings, and the run that goes on."""

    compiled: Compiled
    text: str
    folder: Path
    settings: Settings
    origins: dict[str, str]
    overrides: dict[str, str]
    level: int
    run: RunFolder | None = None
    weights: Weights | None = None


def prepare(args: Namespace, terminal: Terminal) -> Prepared:
    """Compile the program of the command, or that of the run that is to go on."""
    if args.resume is not None:
        return resumed(args, terminal)
    if args.file is None:
        raise UsageError(
            "missing-argument",
            "gradc train needs FILE",
            help="see `gradc train --help`",
        )
    source, folder = source_of(args)
    options = options_of(args, folder)
    compiled = compile_text(source, options, terminal)
    settings = settings_of(compiled, args)
    who = origins(compiled.signature["train"], source.name, args)
    return Prepared(
        compiled,
        source.text,
        folder,
        settings,
        who,
        dict(options.overrides),
        options.level,
    )


def resumed(args: Namespace, terminal: Terminal) -> Prepared:
    """The program, settings and checkpoint of the run that `--resume` means."""
    from gradc.compiler import Source

    from .. import compile_again
    from ..errors import CheckpointError
    from ..resuming import merged

    if args.init_from is not None:
        raise UsageError(
            "command-line",
            "--resume goes on with a run, --init-from begins one: not both",
        )
    if args.file is None and args.resume.endswith(".net"):
        args.file, args.resume = args.resume, "latest"
    run, weights = going_on(args)
    program = weights.program or run.program
    overrides = assignments(args.overrides, "--set")
    options = options_of(args, run.folder)
    if args.file is not None:
        source, _ = source_of(args)
        if source.text != program["text"]:
            raise CheckpointError(
                f"{args.file} has changed since {run.path} was begun",
                f"to go on with the program as it was:  gradc train --resume {run.path}",
                f"to begin a new run with its weights:  --init-from {run.path}",
            )
    for name, text in overrides.items():
        kept = program["overrides"].get(name)
        if not name.startswith("train.") and text != kept:
            raise UsageError(
                "command-line",
                f"`--set {name}={text}`: a run that is resumed keeps its constants",
                help=f"a new run with its weights: --init-from {run.path}",
            )
    if args.level not in (DEFAULTS["level"], program["level"]):
        raise UsageError(
            "command-line",
            f"`-O{args.level}`: a run that is resumed keeps its -O{program['level']}",
            help=f"a new run with its weights: --init-from {run.path}",
        )
    with in_time(Source.from_text(program["name"], program["text"]), options):
        compiled = compile_again(program, run.path, overrides, options)
    show_warnings(compiled, terminal)
    settings = merged(run.settings, settings_of(compiled, args), given(args))
    before = run.info.get("origins")
    who = origins(compiled.signature["train"], run.info["net"], args, before)
    who["level"] = (before or {}).get("level", "default")
    args.level = program["level"]
    return Prepared(
        compiled,
        program["text"],
        run.folder,
        settings,
        who,
        {**program["overrides"], **overrides},
        program["level"],
        run,
        weights,
    )


def going_on(args: Namespace) -> tuple[RunFolder, Weights]:
    """The run folder and the checkpoint that `--resume` names."""
    from ..runs import RunFolder, newest
    from ..weights import read_weights

    which = args.resume
    if which == "latest" or which.isdigit():
        if args.file is None:
            raise UsageError(
                "missing-argument",
                f"`--resume {which}` needs FILE: whose run?",
                help="or name the run: `gradc train --resume runs/NAME-1`",
            )
        parent = Path(args.out or "runs")
        found = newest(parent, args.filename_in_msg or Path(args.file).name)
        if found is None:
            raise UsageError(
                "no-run", f"there is no run of {args.file} in `{parent}` to resume"
            )
        run = RunFolder.open(found)
        return run, run.weights(which)
    path = Path(which)
    if path.is_file():
        folder = path.resolve().parent.parent
        weights = read_weights(path)
        return RunFolder.open(folder), weights
    if not path.is_dir():
        raise UsageError(
            "no-run", f"there is no run folder `{which}`", help=runs_near(path)
        )
    run = RunFolder.open(path)
    return run, run.weights("latest")


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


def policy_of(args: Namespace) -> Policy:
    """What the flags say of saving and stopping."""
    from ..policy import Policy, duration

    steps = int(args.checkpoint_every) if args.checkpoint_every.isdigit() else None
    return Policy(
        save_seconds=None if steps else duration(args.checkpoint_every),
        save_steps=steps,
        keep=args.keep,
        time_limit=duration(args.time_limit) if args.time_limit else None,
        on_nonfinite=args.on_nonfinite,
    )


def parallel_of(prepared: Prepared, args: Namespace) -> Parallel:
    """How a step is shared out among threads; `UsageError` where a program cannot be cut."""
    from ..shards import Parallel, cores

    if args.shards and args.shards > 1:
        if args.threads == "blas":
            raise UsageError(
                "command-line",
                "`--threads blas` computes a batch whole: `--shards` does not go with it",
            )
        plan = prepared.compiled.signature.get("shards")
        if plan is None:
            raise UsageError(
                "command-line",
                f"`--shards {args.shards}` needs -O2: modules of -O{prepared.level} take "
                "a batch whole",
            )
        if plan["row_dim"] is None:
            name, line = prepared.compiled.signature["name"], plan["mixing_line"]
            why = (
                f"{name}:{line} mixes the rows of a batch"
                if line
                else f"the loss of {name} is no sum over the rows of one table"
            )
            raise UsageError(
                "command-line",
                f"`--shards {args.shards}`: {why}, so it cannot be cut",
            )
    if args.threads == "blas":
        return Parallel(1, 1)
    number = int(args.threads) if args.threads else cores()
    return Parallel(number, args.shards or 0)


def trainer_of(prepared: Prepared, args: Namespace, terminal: Terminal) -> Trainer:
    """A trainer at its first step, or at that of the checkpoint; its run folder exists."""
    from ..allocation import keep_freed
    from ..data import load as load_data
    from ..runs import RunFolder
    from ..trainer import Trainer
    from .session import Session

    keep_freed()
    compiled, settings = prepared.compiled, prepared.settings
    network = load(compiled)
    data = load_data(compiled.signature, settings, prepared.folder)
    session = Session(terminal, data, args.threads or "", args.log_format)
    trainer = Trainer(
        network,
        data,
        settings,
        prepared.run,
        session,
        policy=policy_of(args),
        parallel=parallel_of(prepared, args),
    )
    if prepared.run is not None and prepared.weights is not None:
        from ..resuming import resume

        for note in resume(trainer, prepared.weights):
            terminal.warn(note)
        if not args.dry_run:
            prepared.run.info |= {"origins": prepared.origins}
            prepared.run.info |= {"overrides": prepared.overrides}
            prepared.run.update(settings)
        return trainer
    if args.init_from is not None:
        from ..resuming import begin_with

        session.begun = begin_with(trainer, weights_of(args.init_from))
        session.begun = f"{args.init_from}: {session.begun}"
    if args.dry_run:
        return trainer
    facts = {
        "overrides": prepared.overrides,
        "level": prepared.level,
        "origins": prepared.origins,
    }
    trainer.run = RunFolder.create(
        Path(args.out or "runs"),
        network,
        prepared.text,
        settings,
        prepared.folder,
        facts,
        compiled.libraries,
    )
    return trainer


def weights_of(path: str) -> Weights:
    """The weights of a checkpoint, or the best of a run folder."""
    from ..runs import RunFolder
    from ..weights import read_weights

    if Path(path).is_dir():
        return RunFolder.open(Path(path)).weights("best")
    return read_weights(Path(path))


# --------------------------------------------------------------------------- after it


def dry_run(trainer: Trainer, args: Namespace, terminal: Terminal) -> None:
    """Say what the first lines of the run would say, and what it would take."""
    trainer.reporter.started(trainer)
    facts = {
        "parameters": trainer.network.size,
        "steps": trainer.steps,
        "epochs": trainer.epochs,
        "steps_per_epoch": trainer.steps_per_epoch,
        "memory": trainer.memory.total,
    }
    if args.json:
        terminal.product(json.dumps(facts))
    else:
        from ..memory import available, described, shown

        free, whose = available()
        terminal.say(
            f"steps  {trainer.steps:,} ({trainer.epochs:,} epochs of "
            f"{trainer.steps_per_epoch:,}), {trainer.network.size:,} parameters"
        )
        beside = f"; {shown(free)} are {whose}" if free is not None else ""
        terminal.say(f"memory {shown(trainer.memory.total)}{beside}")
        for tensor in trainer.memory.tensors:
            terminal.say(f"       {described(tensor, trainer.network.name)}")
        terminal.say("nothing was trained")


def document(trainer: Trainer, result: Result) -> Mapping[str, Any]:
    """What `--json` prints at the end."""
    best = result.best
    return {
        "run": str(trainer.run.path) if trainer.run else None,
        "stopped": result.stopped,
        "ending": result.ending,
        "steps": result.steps,
        "epochs": result.history[-1].number if result.history else 0,
        "seconds": round(result.seconds, 3),
        "best": best and {"epoch": best.number, "loss": best.loss, **best.figures},
        "checkpoint": result.checkpoint,
        "best_checkpoint": result.best_checkpoint,
        "skipped": result.skipped,
    }
