"""`gradc check`: the emitted gradients against differences of the emitted forward.

gradc check digits.net                        # complex step, random data, 3 seeds
gradc check digits.net -O0 --method central   # real differences of -O0
gradc check digits.net --data digits.csv.gz --size N=16
"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..blas import prepare_blas
from .exits import Exit, UsageError
from .options import Parser, add_common, number, positive, repeated, sizes, suggestion
from .programs import (
    add_level,
    compile_text,
    load,
    options_of,
    source_of,
)
from .terminal import Terminal, columns

if TYPE_CHECKING:
    from gradc.compiler import Compiled

    from ..gradcheck import CheckResult, ParameterError
    from ..network import Network

SUMMARY = "compare the emitted gradients with differences"
LATER = ("--exact", "--against")


def parser() -> Parser:
    """The flags of `gradc check`."""
    made = Parser(
        "check",
        __doc__.splitlines()[0],
        examples=__doc__.split("\n\n", 1)[1],
        later=LATER,
    )
    made.add_argument("file", metavar="FILE", help="a .net file, or - for stdin")
    made.add_argument(
        "--method",
        choices=("complex", "central", "forward"),
        default="complex",
        help="complex step (exact to rounding), or real differences",
    )
    repeated(
        made,
        "--data",
        "[NAME=]PATH",
        "data to check at (default: drawn: normal, whole numbers in their range)",
    )
    made.add_argument(
        "--eps", type=number, metavar="E", help="the step of the differences"
    )
    made.add_argument(
        "--tol", type=number, metavar="T", help="the error that is let pass"
    )
    repeated(made, "--size", "N=8", "a size (default: different small primes)")
    made.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="how many draws (3)"
    )
    add_level(made)
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Compile, compare, and print a line a parameter."""
    prepare_blas()
    wanted = sizes(args.size)
    source, folder = source_of(args)
    options = options_of(args, folder)
    compiled = compile_text(source, options, terminal)

    from ..gradcheck import check

    network = load(compiled)
    if not network.has("backward"):
        terminal.warn(f"{network.name} has no loss, so there is no gradient to check")
        if args.json:
            terminal.product(json.dumps({"ok": True, "parameters": []}))
        return Exit.OK
    from gradc.compiler import compile_source

    def module(**more: Any) -> Network:
        return load(compile_source(source, replace(options, **more)))

    probe = module(complex=True) if args.method == "complex" else None
    parts: dict[str, tuple[Network | None, Network]] = {}
    losses = compiled.signature["losses"]
    if any(loss["over"] is not None for loss in losses):
        for name in (loss["name"] for loss in losses):
            part = module(complex=True, loss=name) if probe else None
            parts[name] = (part, module(loss=name))
    result = check(
        network,
        probe,
        named(wanted, compiled),
        args.seeds,
        inputs=inputs_of(args, compiled, folder, wanted) if args.data else None,
        method=args.method,
        eps=args.eps,
        tolerance=args.tol,
        parts=parts,
    )
    if result.warning:
        terminal.warn(result.warning)
    if args.json:
        terminal.product(json.dumps(document(result)))
    else:
        if result.parameters:
            terminal.product(
                columns([row(p, result) for p in result.parameters], right=(1, 2))
            )
        terminal.product(verdict(result, compiled))
    return Exit.OK if result.ok else Exit.CHECK_FAILED


def named(wanted: dict[str, int], compiled: Compiled) -> dict[str, int]:
    """`--size 8` is the rows of the only table."""
    known = compiled.signature["sizes"]
    rows = [name for name, size in known.items() if size["row"]]
    found = {}
    for name, size in wanted.items():
        if not name and len(rows) != 1:
            raise UsageError(
                "command-line", f"`--size {size}` of what? e.g. `--size N={size}`"
            )
        found[name or rows[0]] = size
        if name and name not in known:
            raise UsageError(
                "unknown-size",
                f"{compiled.signature['name']} has no size `{name}`",
                f"sizes: {', '.join(known) or 'none'}",
                help=suggestion(name, list(known)),
            )
    return found


def inputs_of(
    args: Namespace, compiled: Compiled, folder: Path, wanted: dict[str, int]
) -> dict[str, Any]:
    """The first rows of the data, as many as --size says (8 by default)."""
    import numpy as np

    from ..data import load as load_data
    from ..settings import Settings

    signature = compiled.signature
    settings = replace(
        Settings.of(signature, data=args.data, dtype="float64"), valid=None
    )
    part = load_data(signature, settings, folder, "train").train
    names = signature["functions"]["forward"]["inputs"]
    arrays = dict(zip(names, part.arrays(names), strict=True))
    asked = named(wanted, compiled)
    for table in part.tables.values():
        rows = min(asked.get(table.dim, 8), table.rows)
        for name in table.columns:
            if name in arrays:
                arrays[name] = np.asarray(arrays[name][:rows])
    return arrays


def row(parameter: ParameterError, result: CheckResult) -> tuple[str, str, str, str]:
    """A parameter's path and shape, its error, and whether that is let pass."""
    shape = f"[{', '.join(str(n) for n in parameter.shape)}]"
    fine = parameter.error <= result.tolerance
    where = "ok"
    if not fine:
        entry = "" if parameter.entry is None else f" at {list(parameter.entry)}"
        if parameter.entry is None:
            entry = " along a random direction"
        where = (
            f"WRONG{entry}: backward says {parameter.emitted:.10g}, "
            f"differences {parameter.difference:.10g}"
        )
    return (parameter.path, shape, f"max rel err {parameter.error:.1e}", where)


def verdict(result: CheckResult, compiled: Compiled) -> str:
    """`complex step, float64, N = 8, 3 seeds: all 4 parameters agree (tol 1e-10)`."""
    step = {"complex": "complex step", "central": "central", "forward": "forward"}[
        result.method
    ]
    if result.method != "complex":
        step += f" differences, eps {result.eps:g}"
    parts = [step, f"-O{compiled.signature['level']}", "float64"]
    parts += [f"{name} = {size}" for name, size in result.sizes.items()]
    parts.append(f"{result.seeds} seed{'' if result.seeds == 1 else 's'}")
    count = len(result.parameters)
    wrong = [p.path for p in result.parameters if not p.error <= result.tolerance]
    if wrong:
        found = f"{len(wrong)} of {count} parameters differ"
    elif not count:
        found = "nothing to compare"
    elif not result.linear:
        found = "backward is not linear in d_loss"
    else:
        found = f"all {count} parameters agree" if count > 1 else "the parameter agrees"
    return f"{', '.join(parts)}: {found} (tol {result.tolerance:g})"


def document(result: CheckResult) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "ok": result.ok,
        "method": result.method,
        "eps": result.eps,
        "tolerance": result.tolerance,
        "sizes": dict(result.sizes),
        "seeds": result.seeds,
        "warning": result.warning,
        "parameters": [
            {
                "path": p.path,
                "shape": list(p.shape),
                "error": p.error,
                "ok": p.error <= result.tolerance,
            }
            for p in result.parameters
        ],
    }
