"""`gradc info`: what this installation, a run, a checkpoint or a data file is.

gradc info                                       # versions, BLAS, threads, limits
gradc info runs/digits-1                         # digests, tensors, settings and who said them
gradc info runs/digits-1/ckpt/step-000001215.npz
gradc info wine.csv                              # columns, missing values, classes
gradc info digits.csv --program digits.net       # and which input takes what
gradc info big.csv:p0,p1 --to big.npy            # columns as an array that is mapped, not read
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..blas import prepare_blas
from .exits import Exit, UsageError
from .options import Parser, add_common
from .terminal import Terminal, columns, figure

if TYPE_CHECKING:
    from ..weights import Weights

SUMMARY = "what this installation, a run, a checkpoint or a data file is"
Facts = dict[str, Any]


def parser() -> Parser:
    """The flags of `gradc info`."""
    made = Parser("info", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1])
    made.add_argument(
        "subject", metavar="RUN|CKPT|DATA", nargs="?", help="left out: gradc itself"
    )
    made.add_argument(
        "--program", metavar="FILE", help="of data: which input of this .net takes what"
    )
    made.add_argument(
        "--to", metavar="OUT.npy", help="of data: write its columns as one array"
    )
    made.add_argument(
        "--dtype",
        choices=("float32", "float64", "int64"),
        default="float32",
        help="of --to (float32)",
    )
    made.add_argument("--force", action="store_true", help="overwrite OUT.npy")
    add_common(made, program=False)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Find out what it is, and say it."""
    prepare_blas()
    subject = args.subject
    if subject is None:
        for flag in ("to", "program"):
            if getattr(args, flag):
                raise UsageError("missing-argument", f"--{flag} needs a data file")
        return tell(installation(), args, terminal)
    path = Path(subject)
    if path.is_dir():
        from ..runs import RunFolder

        run_folder = RunFolder.open(path)
        facts = checkpoint_facts(run_folder.weights("last"))
        return tell(run_facts(run_folder) | facts, args, terminal)
    if subject.endswith(".npz") and path.is_file() and is_checkpoint(path):
        from ..weights import read_weights

        return tell(checkpoint_facts(read_weights(path)), args, terminal)
    if args.to is not None:
        return convert(args, terminal)
    return tell(data_facts(subject, args.program), args, terminal)


def tell(facts: Facts, args: Namespace, terminal: Terminal) -> Exit:
    """One JSON document, or rows: a table below its title, all else beside its name."""
    if args.json:
        terminal.product(json.dumps(facts))
        return Exit.OK
    parts: list[str] = []
    plain = [(k, str(v)) for k, v in facts.items() if not isinstance(v, list | dict)]
    if plain:
        parts.append(columns(plain))
    for title, table in facts.items():
        rows: list[tuple[str, ...]] = []
        if isinstance(table, dict):
            rows = [(f"  {name}", _cell(value)) for name, value in table.items()]
        elif isinstance(table, list) and table:
            heads = list(table[0])
            rows = [
                tuple(f"  {head}" if not i else head for i, head in enumerate(heads))
            ]
            rows += [
                tuple(
                    f"  {_cell(row[head])}" if not i else _cell(row[head])
                    for i, head in enumerate(heads)
                )
                for row in table
            ]
        if rows:
            parts.append(f"{title}\n{columns(rows)}")
    terminal.product("\n".join(parts))
    return Exit.OK


def _cell(value: Any) -> str:
    match value:
        case float():
            return figure(value, 6)
        case list() | tuple():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{k} {v}" for k, v in value.items())
        case None:
            return ""
    return str(value)


# ------------------------------------------------------------------------ installation


def installation() -> Facts:
    """Versions, BLAS, threads, memory and the limits of the compiler."""
    import importlib.util
    import os
    import platform

    from gradc.compiler import __version__
    from gradc.compiler.frontend.scan import Limits

    from ..checkpoint import FORMAT
    from ..environment import environment
    from ..memory import available, shown

    free, whose = available()
    extras = {
        "rich": "pretty",
        "pyarrow": "arrow",
        "scipy": "scipy",
        "threadpoolctl": "threads",
    }
    there = {
        name: "installed" if importlib.util.find_spec(name) else f"gradc[{extra}]"
        for name, extra in extras.items()
    }
    return {
        "gradc": __version__,
        **environment(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "memory": f"{shown(free)} {whose}" if free is not None else "unknown",
        "checkpoint format": FORMAT,
        "extras": there,
        "limits": {
            f.name: getattr(Limits(), f.name) for f in dataclasses.fields(Limits)
        },
    }


# ------------------------------------------------------------------ runs and checkpoints


def is_checkpoint(path: Path) -> bool:
    """Whether an NPZ is one of gradc's: data have no manifest."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "gradc/manifest.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def run_facts(run: Any) -> Facts:
    """A run folder: its program, its settings and who said them, its epochs."""
    from .config import shown

    who = run.info.get("origins", {})
    events = [e for e in run.events() if e.get("event") == "epoch"]
    settings = [
        {"setting": name, "value": text, "from": who.get(name, "")}
        for name, text in shown(run.settings).items()
    ]
    best = min(events, key=lambda e: e["figures"].get("loss", e["loss"]), default=None)
    facts: Facts = {"run": str(run.path), "program": run.info["net"]}
    facts["constants"] = dict(run.info.get("overrides", {}))
    if best is not None:
        facts["best epoch"] = best["epoch"]
        facts["figures"] = best["figures"]
    facts["checkpoints"] = ", ".join(str(step) for step, _ in run.steps())
    facts["settings"] = settings
    return facts


def checkpoint_facts(weights: Weights) -> Facts:
    """A checkpoint: what it is of, each tensor with its digest."""
    import numpy as np

    from ..checkpoint import digest

    state = weights.state
    program = weights.program
    groups = {"p": weights.parameters, "s": weights.memory, "ema": weights.averages}
    arrays = {f"{g}/{n}": a for g, found in groups.items() for n, a in found.items()}
    for slot, found in weights.slots.items():
        arrays |= {f"o/{slot}/{name}": array for name, array in found.items()}
    tensors = [
        {
            "tensor": name,
            "shape": str(list(array.shape)),
            "dtype": array.dtype.name,
            "from": float(np.min(array)) if array.size else None,
            "to": float(np.max(array)) if array.size else None,
            "sha256": digest(array)[:16],
        }
        for name, array in arrays.items()
    ]
    facts: Facts = {
        "checkpoint": str(weights.path),
        "sha256": hashlib.sha256(weights.path.read_bytes()).hexdigest(),
        "format": state["format"],
        "of": program["name"] if program else "a program in its run folder",
        "step": state["step"],
        "epoch": state.get("epoch", ""),
        "seed": state.get("seed", ""),
        "can be resumed": "yes" if weights.resumable else "no",
        "parameters": int(sum(a.size for a in weights.parameters.values())),
        "trained with": state.get("environment", {}),
        "sizes": weights.sizes,
    }
    transforms = weights.transforms
    facts["fitted"] = {
        **{f"classes of {n}": list(words) for n, words in transforms.classes.items()},
        **{f"scale of {n}": s.kind for n, s in transforms.scales.items()},
        **{
            f"vocabulary of {n}": f"{len(v)} characters"
            for n, v in transforms.vocabulary.items()
        },
    }
    return facts | {"tensors": tensors}


# -------------------------------------------------------------------------------- data


def data_facts(subject: str, program: str | None) -> Facts:
    """Shapes, missing values, classes and ranges of a data file."""
    from ..data.describe import describe

    facts = describe(subject)
    if program is not None:
        facts["inputs"] = bound(subject, program)
    return facts


def bound(subject: str, program: str) -> dict[str, str]:
    """Which input of a program takes what of the data."""
    from gradc.compiler import compile_file

    from ..data import load
    from ..settings import Settings

    file = Path(program)
    if not file.is_file():
        raise UsageError("no-file", f"there is no file `{program}`")
    signature = compile_file(file).signature
    settings = Settings.of(signature, data=[subject])
    return dict(load(signature, settings, file.parent).bindings)


def convert(args: Namespace, terminal: Terminal) -> Exit:
    """Write a file's columns as an NPY, block by block."""
    from ..data.convert import to_npy

    out = Path(args.to)
    if out.suffix.lower() != ".npy":
        raise UsageError("command-line", f"--to {out}: data are written as .npy")
    if not out.parent.is_dir():
        raise UsageError("no-folder", f"there is no folder `{out.parent}`")
    if out.exists() and not args.force:
        raise UsageError(
            "would-overwrite", f"`{out}` exists", help="overwrite it with --force"
        )
    shape = to_npy(args.subject, out, args.dtype)
    if args.json:
        terminal.product(
            json.dumps({"file": str(out), "shape": shape, "dtype": args.dtype})
        )
    else:
        terminal.say(f"wrote  {out}   {args.dtype} {shape}")
    return Exit.OK
