"""`gradc check`: the emitted gradients against differences of the emitted forward.

gradc check digits.net                        # complex step, random data, 3 seeds
gradc check digits.net -O0 --method central   # real differences of -O0
gradc check digits.net --data digits.csv.gz --size N=16
"""

from __future__ import annotations

from argparse import Namespace

from .exits import Exit
from .options import Parser, add_common, number, positive, sizes
from .programs import add_level, one_blas_thread
from .terminal import Terminal

SUMMARY = "compare the emitted gradients with differences"


def parser() -> Parser:
    """The flags of `gradc check`."""
    made = Parser(
        "check", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
    )
    made.add_argument("file", metavar="FILE", help="a .net file, or - for stdin")
    made.add_argument(
        "--method",
        choices=("complex", "central", "forward"),
        default="complex",
        help="complex step (exact to rounding), or real differences",
    )
    made.add_argument(
        "--data",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="data to check at (default: drawn: normal, whole numbers in their range)",
    )
    made.add_argument(
        "--eps", type=number, metavar="E", help="the step of the differences"
    )
    made.add_argument(
        "--tol", type=number, metavar="T", help="the error that is let pass"
    )
    made.add_argument(
        "--size",
        metavar="N=8",
        action="append",
        default=[],
        help="a size (default: different small primes)",
    )
    made.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="how many draws (3)"
    )
    add_level(made)
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Compile, compare, and print a line a parameter."""
    one_blas_thread()
    sizes(args.size)
    raise NotImplementedError
