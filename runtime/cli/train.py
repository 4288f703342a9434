"""`gradc train`: compile a .net and train it on data.

gradc train examples/digits/digits.net
gradc train wine.net --data wine.csv --valid 0.2 --epochs 50
gradc train wine.net --set hidden=64 --set train.optimizer.lr=0.01 --seed 3
gradc train wine.net --print-config          # every setting, and who said so
"""

from __future__ import annotations

import argparse
from argparse import Namespace

from .exits import Exit
from .options import Parser, add_common, positive, whole
from .programs import add_level, one_blas_thread
from .terminal import Terminal

SUMMARY = "compile a .net and train it on data"


def parser() -> Parser:
    """The flags of `gradc train`."""
    made = Parser(
        "train", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
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
    raise NotImplementedError
