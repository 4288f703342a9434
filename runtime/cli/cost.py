"""`gradc cost`: what a step costs: operations, bytes and memory, line by line.

gradc cost digits.net                        # counted, for a batch as the program trains
gradc cost digits.net --size N=32 --time     # and measured, line by line
gradc cost digits.net --compare              # backprop against differences
"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..blas import prepare_blas
from .exits import Exit, UsageError
from .options import Parser, add_common, repeated, sizes, suggestion
from .terminal import Terminal, columns
from .tracing import traced

if TYPE_CHECKING:
    from gradc.compiler import Options
    from gradc.compiler.explain.costs import Costs, LineCost
    from gradc.compiler.explain.provenance import Trace

SUMMARY = "operations, bytes and memory of a step, line by line"
USUAL = 64  # of a size that nobody says


def parser() -> Parser:
    """The flags of `gradc cost`."""
    made = Parser(
        "cost",
        __doc__.splitlines()[0],
        examples=__doc__.split("\n\n", 1)[1],
    )
    made.add_argument("file", metavar="FILE", help="a .net file, or - for stdin")
    repeated(
        made,
        "--size",
        "N=32",
        f"a size (default: the batch that the program trains with, else {USUAL})",
    )
    made.add_argument(
        "--dtype", choices=("float32", "float64"), help="of the real numbers"
    )
    made.add_argument(
        "--time", action="store_true", help="measure each line of the emitted module"
    )
    made.add_argument(
        "--compare",
        action="store_true",
        help="measure backprop against forward, central and complex-step differences",
    )
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Count, measure what is asked for, and print tables."""
    prepare_blas()
    from gradc.compiler.explain.costs import count, planned_peak

    asked = sizes(args.size)
    trace, options, _folder = traced(args)
    if not trace.plan.functions:
        raise UsageError("nothing-to-count", f"{trace.program.name} computes nothing")
    known = sizes_of(trace, asked)
    dtype = args.dtype or str(trace.program.train.get("dtype", "float32"))
    itemsize = 8 if dtype == "float64" else 4
    names = trace.written.names
    costs = count(trace.plan, names, known, itemsize)
    peak = planned_peak(fast_plan(trace, options), known, itemsize)
    document: dict[str, Any] = as_document(trace, costs, peak, dtype)
    tables = [summary(costs, peak, dtype)]
    if args.time:
        from .timing import line_times

        times = line_times(trace, options, known, dtype)
        document["milliseconds"] = {
            function: dict(found) for function, found in times.items()
        }
        tables.append(line_table(costs, times))
    else:
        tables.append(line_table(costs, {}))
    if costs.layers:
        tables.append(layer_table(costs))
    if args.compare:
        from .timing import compare

        made = compare(trace, options, known)
        document["compare"] = asdict(made)
        tables.append(made.text())
    if args.json:
        terminal.product(json.dumps(document, ensure_ascii=False))
    else:
        terminal.product("\n\n".join(tables))
    return Exit.OK


def sizes_of(trace: Trace, asked: dict[str, int]) -> dict[str, int]:
    """A number for each size of the data; a bare one is that of the rows."""
    symbols = trace.program.symbols
    rows = _rows(trace)
    known = dict.fromkeys(symbols, USUAL)
    batch = dict(trace.program.train.get("batch") or [])
    for name in rows:
        known[name] = int(batch.get(name) or batch.get(None) or USUAL)
    for name, value in trace.program.train.get("window") or []:
        if name in known:
            known[name] = int(value)
    for name, value in asked.items():
        if not name and len(rows) != 1:
            raise UsageError(
                "command-line", f"`--size {value}` of what? e.g. `--size N={value}`"
            )
        key = name or rows[0]
        if key not in known:
            raise UsageError(
                "unknown-size",
                f"{trace.program.name} has no size `{key}`",
                f"sizes: {', '.join(symbols) or 'none'}",
                help=suggestion(key, list(symbols)),
            )
        known[key] = value
    return known


def _rows(trace: Trace) -> list[str]:
    """The sizes that are the first axis of an input: rows of a table."""
    found: dict[str, None] = {}
    for i in trace.program.inputs:
        if i.node.shape and len(i.node.shape[0].symbols()) == 1:
            found.setdefault(i.node.shape[0].symbols()[0])
    return list(found)


def fast_plan(trace: Trace, options: Options) -> Any:
    """The buffer plan of -O2, as its signature has it; None where it makes none."""
    from gradc.compiler.driver import compile_program

    compiled = compile_program(trace.program, replace(options, level=2))
    return compiled.signature.get("work")


# ----------------------------------------------------------------------------- tables
def amount(value: float, units: tuple[str, ...], step: float) -> str:
    """`0.15 MFLOP`, `9.4 KiB`: three digits that count."""
    k = 0
    while abs(value) >= step and k < len(units) - 1:
        value /= step
        k += 1
    digits = f"{value:.0f}" if k == 0 or value >= 100 else f"{value:.3g}"
    return f"{digits} {units[k]}"


def flops(value: float) -> str:
    return amount(value, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"), 1000.0)


def nbytes(value: float) -> str:
    return amount(value, ("B", "KiB", "MiB", "GiB"), 1024.0)


def summary(costs: Costs, peak: float, dtype: str) -> str:
    """The totals, a line each."""
    sizes_ = ", ".join(f"{k} = {v}" for k, v in costs.sizes.items())
    rows = [("sizes", f"{sizes_ or 'none'}; {dtype}")]
    forward, backward = costs.forward, costs.backward
    rows.append(("forward", f"{flops(forward.flops)}, {nbytes(forward.bytes)} moved"))
    if backward.flops or backward.bytes:
        ratio = backward.flops / forward.flops if forward.flops else 0.0
        rows.append(
            (
                "backward",
                f"{flops(backward.flops)}, {nbytes(backward.bytes)} moved: "
                f"{ratio:.1f} times forward",
            )
        )
    if costs.layers:
        many = f"{costs.parameters:,.0f}"
        weight = nbytes(sum(layer.bytes for layer in costs.layers))
        rows.append(("parameters", f"{many}, {weight}"))
    made = sorted((k for k in costs.kept if not k.leaf), key=lambda k: -k.bytes)
    if costs.kept:
        parts = ", ".join(f"{k.name} {nbytes(k.bytes)}" for k in made[:8])
        more = f", … {len(made) - 8} more" if len(made) > 8 else ""
        whole = nbytes(sum(k.bytes for k in made))
        rows.append(
            ("kept", f"{whole} for backward ({parts}{more})" if made else "nothing")
        )
    if peak:
        rows.append(
            ("peak", f"{nbytes(peak)}: the buffers of -O2, gradients among them")
        )
    return columns(rows)


def line_table(costs: Costs, times: dict[str, dict[str, float]]) -> str:
    """A row a line of the program; measured milliseconds where there are any."""
    head = ["line", "forward", "bytes", "backward", "bytes", "kept"]
    if times:
        head += ["ms forward", "ms backward"]
    head.append("")
    rows = [head]
    for line in costs.lines:
        row = [
            line.place or "-",
            flops(line.forward.flops),
            nbytes(line.forward.bytes),
            flops(line.backward.flops),
            nbytes(line.backward.bytes),
            nbytes(line.kept),
        ]
        if times:
            key = line.place or line.text
            row += [_ms(times, "forward", key), _ms(times, "backward", key)]
        rows.append([*row, _shown(line)])
    right = tuple(range(1, len(head) - 1))
    return columns(rows, right=right)


def _ms(times: dict[str, dict[str, float]], function: str, key: str) -> str:
    found = times.get(function, {}).get(key)
    return "" if found is None else f"{found:.3f}"


def _shown(line: LineCost) -> str:
    text = line.text if len(line.text) <= 48 else line.text[:47] + "…"
    return f"{text}  ({line.copies} copies)" if line.copies > 1 else text


def layer_table(costs: Costs) -> str:
    """Parameters by layer."""
    rows = [["parameters", "number", "bytes", ""]]
    for layer in costs.layers:
        state = "" if layer.trained else "frozen"
        rows.append([layer.name, f"{layer.count:,.0f}", nbytes(layer.bytes), state])
    return columns(rows, right=(1, 2))


def as_document(trace: Trace, costs: Costs, peak: float, dtype: str) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "version": 1,
        "name": trace.program.name,
        "sizes": dict(costs.sizes),
        "dtype": dtype,
        "forward": asdict(costs.forward),
        "backward": asdict(costs.backward),
        "parameters": costs.parameters,
        "peak": peak,
        "kept": [asdict(k) for k in costs.kept],
        "lines": [asdict(line) for line in costs.lines],
        "layers": [asdict(layer) for layer in costs.layers],
    }
