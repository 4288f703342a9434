"""`gradc diagnose`: why a network does not learn, line by line.

gradc diagnose mlp.net                        # fresh parameters, the program's data
gradc diagnose runs/mlp-1                     # a run's weights on what it was trained on
gradc diagnose mlp.net --data x=new.npz --strict   # exit 1 where something is found
gradc explain dead-units                      # what a finding means
"""

from __future__ import annotations

import json
from argparse import Namespace

from ..blas import prepare_blas
from .exits import Exit
from .options import Parser, add_common, positive, repeated, whole
from .terminal import Terminal

SUMMARY = "why a network does not learn, line by line"


def parser() -> Parser:
    """The flags of `gradc diagnose`."""
    made = Parser(
        "diagnose", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
    )
    made.add_argument(
        "file", metavar="RUN|FILE", help="a run folder, a checkpoint, or a .net file"
    )
    repeated(
        made,
        "--data",
        "[NAME=]PATH",
        "other data than the program names; where there are none they are drawn",
    )
    made.add_argument(
        "--batches", type=positive, metavar="N", help="how many (default: 1,024 rows)"
    )
    made.add_argument(
        "--seed", type=whole, metavar="N", help="of fresh parameters (default: 0)"
    )
    repeated(made, "--size", "N=8", "of drawn data")
    made.add_argument(
        "--weights",
        choices=("best", "last", "ema"),
        default="best",
        help="which of a run's weights",
    )
    made.add_argument(
        "--strict", action="store_true", help="exit 1 where there is a finding"
    )
    made.add_argument("--format", choices=("text", "md", "json"), default="text")
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Look, judge, print."""
    prepare_blas()
    from .looking import look
    from .subjects import subject_of
    from .told import document, report

    subject = subject_of(args)
    as_json = args.json or args.format == "json"
    program = subject.trace.program
    if program.training.total is None:
        terminal.warn(f"{program.name} has no loss, so there is no gradient to look at")
        if as_json:
            terminal.product(json.dumps({"findings": [], "layers": []}))
        return Exit.OK
    looked = look(subject, args.batches)
    found = document(subject, looked)
    if as_json:
        terminal.product(json.dumps(found, ensure_ascii=False))
    else:
        terminal.product(report(subject, looked, args.format, terminal.color))
    return Exit.CHECK_FAILED if args.strict and found["findings"] else Exit.OK
