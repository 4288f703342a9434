"""`gradc new`: a .net to start from, which trains at once.

gradc new moons                          # moons.net and moons.csv, a toy problem
gradc new wine --csv wine.csv            # inputs and sizes from the file's header
gradc new wine --csv wine.csv --target quality
"""

from __future__ import annotations

import json
import math
import random
import re
import shlex
from argparse import Namespace
from pathlib import Path

from .columns import Column, Table, choose_target, printable, read_table
from .exits import Exit, UsageError
from .options import Parser, add_common
from .terminal import Terminal

SUMMARY = "write a .net to start from"


def parser() -> Parser:
    """The flags of `gradc new`."""
    made = Parser("new", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1])
    made.add_argument("name", metavar="NAME", help="of the net: NAME.net is written")
    made.add_argument(
        "--template",
        choices=("mlp",),
        default="mlp",
        help="the kind of net (default: mlp)",
    )
    made.add_argument(
        "--csv", metavar="FILE", help="a CSV or TSV file (.gz too) to learn from"
    )
    made.add_argument("--target", metavar="COLUMN", help="the column to predict")
    made.add_argument("--force", action="store_true", help="overwrite files that exist")
    add_common(made, program=False)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Write the program (and toy data, without --csv) and say what to do next."""
    from gradc.compiler.frontend.format import format_source
    from gradc.compiler.source import Source

    name = args.name.removesuffix(".net")
    net = Path(f"{name}.net")
    if not Path(name).name or not net.parent.is_dir():
        raise UsageError("no-folder", f"there is no folder `{net.parent}`")
    if args.target and not args.csv:
        raise UsageError("command-line", "--target names a column of --csv FILE")
    files: dict[Path, str] = {}
    if args.csv is None:
        data = Path(f"{name}.csv")
        files[data] = two_moons()
        program, train = toy(net.stem, data.name), f"gradc train {net}"
    else:
        table = read_table(args.csv)
        inside = within(Path(args.csv), net.parent)
        program, where = for_table(
            net.stem, table, choose_target(table, args.target), inside
        )
        train = f"gradc train {net}"
        for name, source in [] if inside else where:
            train += (
                f" --data {shlex.quote(f'{name}=' * bool(name) + args.csv + source)}"
            )
    files[net] = format_source(Source.from_text(net.name, program))
    for path in files:
        if path.exists() and not args.force:
            raise UsageError(
                "would-overwrite",
                f"`{path}` exists",
                help="take another name, or --force",
            )
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    if args.json:
        terminal.product(json.dumps({"files": [str(p) for p in files], "train": train}))
    else:
        terminal.say(f"wrote  {', '.join(str(path) for path in files)}")
        terminal.say(f"next   {train}")
    return Exit.OK


def within(data: Path, folder: Path) -> str | None:
    """The path of the data as a program may write it; None where it may not: outside of
    its folder, or with a letter that no string holds."""
    try:
        path = data.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return None
    return path if re.fullmatch(r'[^"\\:\x00-\x1f\x7f]+', path) else None


# ------------------------------------------------------------------------- templates


def toy(name: str, data: str) -> str:
    """A classifier of two moons: small enough to read, hard enough to need a hidden layer."""
    return f"""\
# {printable(name)}: a multilayer perceptron that tells two moons apart.
const hidden = 16    # --set hidden=32

input x: [N, 2]      # the columns x.0 and x.1 of {data}
input label: int[N]  # 0 or 1

h = x |> dense(hidden, relu) |> dense(hidden, relu)
scores = h |> dense(2)

loss fit = cross_entropy(scores, label)
metric accuracy = mean(argmax(scores) == label)
output answer = argmax(scores)
output p = softmax(scores)

train {{
  data = "{data}"
  valid = 0.2
  optimizer = adam(lr = 1e-2)
  batch = 32
  epochs = 20
}}
"""


def two_moons(rows: int = 400) -> str:
    """Points of two interleaved half circles, as CSV; the same ones each time."""
    draw = random.Random(0)
    lines = ["x.0,x.1,label"]
    for i in range(rows):
        label = i % 2
        angle = math.pi * draw.random()
        x, y = math.cos(angle), math.sin(angle)
        if label:
            x, y = 1 - x, 0.5 - y
        x, y = x + draw.gauss(0, 0.15), y + draw.gauss(0, 0.15)
        lines.append(f"{x:.4f},{y:.4f},{label}")
    return "\n".join(lines) + "\n"


def for_table(
    name: str, table: Table, target: Column, path: str | None
) -> tuple[str, list[tuple[str, str]]]:
    """A network that predicts one column from all the others that are numbers.

    Also where its inputs come from: (input or "", what follows the file's name).
    """
    features = [c for c in table.columns if c is not target and c.usable]
    if not features:
        raise UsageError(
            "no-columns", f"{table.name} has no column of numbers to learn from"
        )
    dropped = [c for c in table.columns if c is not target and not c.usable]
    y = target.identifier("label" if target.is_class else "y", taken=RESERVED_HERE)
    lines = [
        f"# {printable(name)}: a multilayer perceptron for {printable(table.name)}."
    ]
    if dropped:
        left_out = ", ".join(f"{printable(c.title)} ({c.reason})" for c in dropped)
        lines.append(f"# Left out: {left_out}.")
    lines += [f"# {line}" for line in target.guess()]
    lines += ["const hidden = 32  # --set hidden=64"]
    if not target.is_class:
        lines.append(
            f"const center = {target.numbers.mean():.6g}  # mean of {printable(target.title)}"
        )
        lines.append(f"const spread = {target.deviation:.6g}  # its standard deviation")
    lines += [
        "",
        f"input x: [N, {len(features)}]  # {listing([c.title for c in features])}",
        f"input {y}: {'int' if target.is_class else ''}[N]",
        "",
    ]
    if target.is_class:
        lines += [
            "h = x |> dense(hidden, relu)",
            f"scores = h |> dense({target.classes})",
            "",
            f"loss fit = cross_entropy(scores, {y})",
            f"metric accuracy = mean(argmax(scores) == {y})",
            "output answer = argmax(scores)",
            "output p = softmax(scores)",
        ]
    else:
        lines += [
            "h = x |> dense(hidden, relu) |> dense(1)",
            "answer = center + spread * h[:, 0]",
            "",
            f"loss fit = mse(answer / spread, {y} / spread)",
            f"metric error = mean(abs(answer - {y}))  # in units of {printable(target.title)}",
            "output answer",
        ]
    lines += ["", "train {"]
    where = sources(table, features, target, y)
    if path is not None:
        lines += [
            f'  data {name}{" " * bool(name)}= "{path}{more}"' for name, more in where
        ]
    if any(c.missing for c in (*features, target)):
        lines.append("  missing = drop  # rows with empty cells")
    lines += [
        "  valid = 0.2",
        "  scale x = standard",
        f"  optimizer = adam(lr = {'1e-2' if table.rows < 2000 else '1e-3'})",
        "  batch = 32",
        f"  epochs = {epochs_for(table.rows)}",
        "}",
        "",
    ]
    return "\n".join(lines), where


RESERVED_HERE = frozenset(
    "x h N hidden scores fit accuracy answer p center spread error".split()
)


def listing(titles: list[str]) -> str:
    """`age, bmi, …` for a comment."""
    shown = [printable(title) for title in titles]
    if len(shown) > 8:
        shown = [*shown[:3], "…", shown[-1]]
    return ", ".join(shown)


def sources(
    table: Table, features: list[Column], target: Column, y: str
) -> list[tuple[str, str]]:
    """Which columns feed which input: `("x", ":age,bmi")`; `("", "")` where names do it."""
    others = [c for c in table.columns if c is not target]
    if len(features) == len(others):
        if not table.header and target is table.columns[-1]:
            return [("", "")]
        if table.header and target.title == y:
            return [("", "")]
    if not table.header:
        raise UsageError(
            "no-header",
            f"{table.name} has no header, so its columns cannot be chosen among",
            help="put a row of column names on top of it",
        )
    for column in (target, *features):
        if not column.title or not re.fullmatch(
            r'[^"\\:,\x00-\x1f\x7f]+', column.title
        ):
            raise UsageError(
                "column-name",
                f"the column name {column.title!r} cannot be written in a program",
                help="rename it: no quotes, colons, commas or line ends",
            )
    return [
        ("x", f":{','.join(c.title for c in features)}"),
        (y, f":{target.title}"),
    ]


def epochs_for(rows: int) -> int:
    """So many epochs that there are a few thousand steps."""
    return max(2, min(100, 3000 * 32 // rows))
