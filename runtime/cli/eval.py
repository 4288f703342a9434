"""`gradc eval`: the loss and metrics of a trained run.

gradc eval runs/digits-1                                  # on what was held out
gradc eval runs/digits-1 --require 'accuracy>=0.97'       # exit 1 where it is less
gradc eval runs/digits-1 --data more.csv --weights last
"""

from __future__ import annotations

import json
import operator
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..blas import prepare_blas
from .exits import Exit, UsageError
from .options import Parser, add_common, repeated, suggestion
from .programs import open_run
from .terminal import Terminal, figure

if TYPE_CHECKING:
    from .. import Trained
    from ..data import Part

SUMMARY = "the loss and metrics of a trained run"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


def parser() -> Parser:
    """The flags of `gradc eval`."""
    made = Parser("eval", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1])
    made.add_argument("run", metavar="RUN", help="a run folder, or a checkpoint")
    repeated(
        made,
        "--data",
        "[NAME=]PATH",
        "other data (default: what the run held out, or else its training data)",
    )
    repeated(made, "--metric", "NAME", "these alone")
    repeated(
        made,
        "--require",
        "'NAME>=VALUE'",
        "exit 1 where it does not hold (< <= > >= ==)",
    )
    made.add_argument(
        "--weights",
        choices=("best", "last", "ema"),
        default="best",
        help="which of the run's weights",
    )
    add_common(made, program=False)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Load, evaluate, print, and hold against what is required."""
    prepare_blas()
    required = [requirement(text) for text in args.require]
    trained = open_run(args.run, args.weights)

    from ..evaluation import figures

    if not trained.network.has("evaluate"):
        raise UsageError(
            "no-figures", f"{trained.network.name} has neither loss nor metric"
        )
    part = data_of(trained, args.data)
    found = figures(trained.network, trained.network.theta, part)
    for name in [*args.metric, *(name for name, _, _ in required)]:
        if name not in found:
            raise UsageError(
                "unknown-metric",
                f"{trained.network.name} has no figure `{name}`",
                f"figures: {', '.join(found)}",
                help=suggestion(name, list(found)),
            )
    shown = {name: found[name] for name in args.metric or order(found)}
    failed = [(n, s, v) for n, s, v in required if not COMPARISONS[s](found[n], v)]
    rows = sum(part.rows.values())
    if args.json:
        holds = {f"{n}{s}{v:g}": (n, s, v) not in failed for n, s, v in required}
        step = trained.weights.state["step"]
        terminal.product(
            json.dumps({**shown, "n": rows, "step": step, "required": holds})
        )
    else:
        figures_line = "   ".join(f"{name} {figure(v, 4)}" for name, v in shown.items())
        terminal.product(figures_line + (f"   n {rows:,}" if rows else ""))
    for name, symbol, value in failed:
        message = f"{name} is {found[name]:.6g}, required is {name} {symbol} {value:g}"
        terminal.failure(message, "required", ())
    return Exit.CHECK_FAILED if failed else Exit.OK


def data_of(trained: Trained, sources: list[str]) -> Part:
    """What the run held out (or trained on), or other data, prepared in the same way."""
    from ..data import load
    from ..data.sources import combine

    settings = trained.run.settings
    if sources:
        found = combine(list(settings.sources.items()), sources)
        settings = replace(settings, sources=found, valid=None)
    data = load(
        trained.network.signature,
        settings,
        trained.run.folder,
        "evaluate",
        trained.weights.transforms,
        trained.weights.sizes,
    )
    return data.held_out


def order(found: Mapping[str, float]) -> list[str]:
    """Metrics first, the loss last: `accuracy 0.983   loss 0.066`."""
    return [
        *(name for name in found if name != "loss"),
        *(["loss"] if "loss" in found else []),
    ]


def requirement(text: str) -> tuple[str, str, float]:
    """`accuracy>=0.97` in its parts."""
    match = re.fullmatch(r"\s*([^\W\d]\w*)\s*(<=|>=|==|<|>)\s*(\S+)\s*", text)
    try:
        return match[1], match[2], float(match[3])  # type: ignore[index]
    except (TypeError, ValueError):
        raise UsageError(
            "command-line",
            f"`--require {text}` is not of the form NAME>=VALUE",
            help="e.g. `--require 'accuracy>=0.97'`, in quotes: the shell knows `>` too",
        ) from None
