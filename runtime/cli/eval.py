"""`gradc eval`: the loss and metrics of a trained run.

gradc eval runs/digits-1                                  # on what was held out
gradc eval runs/digits-1 --require 'accuracy>=0.97'       # exit 1 where it is less
gradc eval runs/digits-1 --data more.csv --weights last
"""

from __future__ import annotations

from argparse import Namespace

from .exits import Exit
from .options import Parser, add_common
from .programs import one_blas_thread
from .terminal import Terminal

SUMMARY = "the loss and metrics of a trained run"


def parser() -> Parser:
    """The flags of `gradc eval`."""
    made = Parser("eval", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1])
    made.add_argument("run", metavar="RUN", help="a run folder")
    made.add_argument(
        "--data",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="other data (default: what the run held out, or else its training data)",
    )
    made.add_argument(
        "--metric", metavar="NAME", action="append", default=[], help="these alone"
    )
    made.add_argument(
        "--require",
        metavar="'NAME>=VALUE'",
        action="append",
        default=[],
        help="exit 1 where it does not hold (< <= > >= ==)",
    )
    made.add_argument(
        "--weights",
        choices=("best", "last"),
        default="best",
        help="which of the run's weights",
    )
    add_common(made, program=False)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Load, evaluate, print, and hold against what is required."""
    one_blas_thread()
    raise NotImplementedError
