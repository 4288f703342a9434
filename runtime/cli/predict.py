"""`gradc predict`: the outputs of a trained run for new data.

gradc predict runs/digits-1 --data new.csv -o answers.csv
head -3 new.csv | gradc predict runs/digits-1 --data - -o -
gradc predict derivatives.net --data x=0.5        # a program without parameters
"""

from __future__ import annotations

import csv
import io
import json
import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..blas import prepare_blas
from ..records import record
from .exits import Exit, UsageError
from .options import Parser, add_common, names, repeated, sizes, suggestion
from .programs import (
    compile_text,
    load,
    open_run,
    options_of,
    source_of,
)
from .terminal import Terminal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..data import Transforms
    from ..network import Network
    from ..settings import Settings

SUMMARY = "the outputs of a trained run for new data"


def parser() -> Parser:
    """The flags of `gradc predict`."""
    made = Parser(
        "predict", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
    )
    made.add_argument(
        "run",
        metavar="RUN",
        help="a run folder, a checkpoint, or a .net without parameters",
    )
    repeated(
        made,
        "--data",
        "[NAME=]PATH",
        "a file for every input or for one, or - for a CSV on stdin",
    )
    made.add_argument(
        "-o",
        dest="out",
        metavar="OUT",
        default="-",
        help="OUT.csv, OUT.npz, or - (default)",
    )
    repeated(
        made,
        "--size",
        "N=16",
        "a size that no needed input binds: how many samples to draw, say",
    )
    made.add_argument("--output", type=names, metavar="a,b", help="these outputs alone")
    made.add_argument(
        "--weights",
        choices=("best", "last", "ema"),
        default="best",
        help="which of the run's weights",
    )
    made.add_argument("--force", action="store_true", help="overwrite OUT")
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Load, predict, write."""
    prepare_blas()
    out = Path(args.out)
    if args.out != "-":
        form = out.name.rpartition(".")[2].lower()
        if form not in ("csv", "tsv", "npz"):
            raise UsageError(
                "command-line", f"-o {out}: predictions are .csv, .tsv or .npz"
            )
        if not out.parent.is_dir():
            raise UsageError("no-folder", f"there is no folder `{out.parent}`")
        if out.exists() and not args.force:
            raise UsageError(
                "would-overwrite", f"`{out}` exists", help="overwrite it with --force"
            )
    wanted_sizes = sizes(args.size)
    subject = subject_of(args, terminal)
    values = predicted(subject, args.data, wanted_sizes)
    wanted = args.output or tuple(values)
    for name in wanted:
        if name not in values:
            raise UsageError(
                "unknown-output",
                f"{subject.network.name} has no output `{name}`",
                f"outputs: {', '.join(values)}",
                help=suggestion(name, list(values)),
            )
    chosen = {name: worded(name, values[name], subject) for name in wanted}
    if args.json:
        terminal.product(json.dumps({name: v.tolist() for name, v in chosen.items()}))
    elif args.out.lower().endswith(".npz"):
        import numpy as np

        write_bytes(out, lambda file: np.savez(file, allow_pickle=False, **chosen))
    else:
        tab = args.out.lower().endswith(".tsv")
        text = table(chosen, subject, "\t" if tab else ",")
        if args.out == "-":
            terminal.product(text)
        else:
            write_bytes(out, lambda file: file.write(text.encode()))
    if args.out != "-" and not args.json:
        rows = ", ".join(f"{name} {list(v.shape)}" for name, v in chosen.items())
        terminal.say(f"wrote  {out}   {rows}")
    return Exit.OK


@record
class Subject:
    """What predicts: a network, its weights, and how data are prepared for it."""

    network: Network
    theta: Any
    settings: Settings
    folder: Path
    transforms: Transforms | None
    sizes: dict[str, int]


def subject_of(args: Namespace, terminal: Terminal) -> Subject:
    """A run folder, or a program that has nothing to train."""
    if args.run != "-" and not args.run.endswith(".net"):
        for flag, given in (("--set", args.overrides), ("-I", args.include_dirs)):
            if given:
                raise UsageError(
                    "command-line", f"{flag}: a run is of the program it was trained as"
                )
        trained = open_run(args.run, args.weights)
        run, weights = trained.run, trained.weights
        return Subject(
            trained.network,
            trained.network.theta,
            run.settings,
            run.folder,
            weights.transforms,
            weights.sizes,
        )

    from ..settings import Settings

    args.file = args.run
    source, folder = source_of(args)
    compiled = compile_text(source, options_of(args, folder), terminal)
    if compiled.signature["parameters"]:
        raise UsageError(
            "untrained",
            f"{source.name} has parameters: what predicts is a run of it",
            help=f"`gradc train {args.run}`, then `gradc predict runs/{source.name[:-4]}-1`",
        )
    network = load(compiled)
    settings = Settings.of(compiled.signature)
    theta = network.init(0, settings.dtype)
    return Subject(network, theta, settings, folder, None, {})


def predicted(
    subject: Subject, sources: list[str], wanted: dict[str, int]
) -> dict[str, NDArray[Any]]:
    """Every output for the data of the command line; `wanted` are the sizes of draws."""
    from ..data import load as load_data
    from ..data.dataset import needed_inputs
    from ..data.sources import combine
    from ..evaluation import outputs

    network = subject.network
    if not network.has("predict"):
        raise UsageError("no-outputs", f"{network.name} has no output")
    needed = needed_inputs(network.signature, "predict")
    if needed and not sources and not subject.settings.sources:
        raise UsageError(
            "missing-argument",
            f"gradc predict needs --data for {', '.join(needed)}",
            help="e.g. `--data new.csv`, or `--data -` for a CSV on stdin",
        )
    known = list(network.signature["sizes"])
    if "" in wanted and len(known) == 1:  # `--size 16`: there is no other to mean
        wanted = {known[0]: wanted[""]}
    for name in wanted:
        if name not in known:
            raise UsageError(
                "unknown-size",
                f"{network.name} has no size `{name}`",
                f"sizes: {', '.join(known) or 'none'}",
                help=suggestion(name, known),
            )
    found = combine(list(subject.settings.sources.items()), sources)
    data = load_data(
        network.signature,
        replace(subject.settings, sources=found, valid=None),
        subject.folder,
        "predict",
        subject.transforms,
        subject.sizes,
    )
    return outputs(network, subject.theta, data.train, wanted)


def worded(name: str, value: NDArray[Any], subject: Subject) -> NDArray[Any]:
    """An argmax over classes that were read as words, as those words."""
    import numpy as np

    entry = next(o for o in subject.network.signature["outputs"] if o["name"] == name)
    classes = (
        subject.transforms.classes.get(entry["classes_of"])
        if subject.transforms
        else None
    )
    if classes is None or value.dtype.kind not in "iu":
        return value
    words: NDArray[Any] = np.array(classes)[value]
    return words


def table(chosen: Mapping[str, NDArray[Any]], subject: Subject, delimiter: str) -> str:
    """Outputs as CSV: a line a row, `[N]` as the column `name`, `[N, k]` as `name.0` …"""
    import numpy as np

    if all(value.ndim == 0 for value in chosen.values()):
        rows, columns = 1, {name: value.reshape(1) for name, value in chosen.items()}
    else:
        rows = table_rows(chosen, subject)
        columns = {}
        for name, value in chosen.items():
            if value.ndim == 1:
                columns[name] = value
                continue
            flat = (
                value.reshape(rows, -1)
                if rows
                else value.reshape(0, int(np.prod(value.shape[1:])))
            )
            columns.update({f"{name}.{i}": flat[:, i] for i in range(flat.shape[1])})
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    cells = [[cell(item) for item in column] for column in columns.values()]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue()


def table_rows(chosen: Mapping[str, NDArray[Any]], subject: Subject) -> int:
    """The rows that all outputs share: a CSV has no place for others."""
    signature = subject.network.signature
    shapes = {o["name"]: o["shape"] for o in signature["outputs"]}
    firsts = {name: shapes[name][0] if shapes[name] else None for name in chosen}
    rows = [name for name, dim in firsts.items() if is_row(dim, signature)]
    alone = [
        name for name in chosen if name not in rows or firsts[name] != firsts[rows[0]]
    ]
    if alone:
        raise UsageError(
            "no-rows",
            f"{', '.join(alone)} {'have' if len(alone) > 1 else 'has'} no line for each row, "
            "as a CSV needs",
            help="-o OUT.npz or --json holds any shape; --output a,b chooses among outputs",
        )
    return len(chosen[rows[0]])


def is_row(dim: Any, signature: Mapping[str, Any]) -> bool:
    """Whether a size is that of a table's rows, and nothing else."""
    match dim:
        case [[1, 1, [str(name)]]]:
            return bool(signature["sizes"][name]["row"])
    return False


def cell(item: Any) -> str:
    """A number in as many digits as it has, a word as it is."""
    if item.dtype.kind == "b":
        return "true" if item else "false"
    return str(item)


def write_bytes(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """A file, which is never left half-written."""
    temporary = path.with_name(f".{path.name}.tmp.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
