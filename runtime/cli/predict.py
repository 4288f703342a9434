"""`gradc predict`: the outputs of a trained run for new data.

gradc predict runs/digits-1 --data new.csv -o answers.csv
head -3 new.csv | gradc predict runs/digits-1 --data - -o -
gradc predict derivatives.net --data x=0.5        # a program without parameters
"""

from __future__ import annotations

from argparse import Namespace

from .exits import Exit
from .options import Parser, add_common, names
from .programs import one_blas_thread
from .terminal import Terminal

SUMMARY = "the outputs of a trained run for new data"


def parser() -> Parser:
    """The flags of `gradc predict`."""
    made = Parser(
        "predict", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
    )
    made.add_argument(
        "run", metavar="RUN", help="a run folder, or a .net without parameters"
    )
    made.add_argument(
        "--data",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="a file for every input or for one, or - for a CSV on stdin",
    )
    made.add_argument(
        "-o",
        dest="out",
        metavar="OUT",
        default="-",
        help="OUT.csv, OUT.npz, or - (default)",
    )
    made.add_argument("--output", type=names, metavar="a,b", help="these outputs alone")
    made.add_argument(
        "--size",
        metavar="N=16",
        action="append",
        default=[],
        help="a size that no input binds",
    )
    made.add_argument(
        "--weights",
        choices=("best", "last"),
        default="best",
        help="which of the run's weights",
    )
    made.add_argument("--force", action="store_true", help="overwrite OUT")
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Load, predict, write."""
    one_blas_thread()
    raise NotImplementedError
