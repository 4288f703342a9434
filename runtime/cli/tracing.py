"""From a verb's flags to a traced program and to numbers: what explain, graph and cost share.

trace, options, folder = traced(args)
numbers = numbers_of(args, trace, options, folder)    # --at and --data
numbers.of({"z": node})                  # arrays, computed by an emitted module
"""

from __future__ import annotations

import ast
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exits import UsageError
from .options import Parser, repeated, sizes, suggestion
from .programs import in_time, load, options_of, source_of

if TYPE_CHECKING:
    from gradc.compiler import Options
    from gradc.compiler.explain.provenance import Trace
    from gradc.compiler.ir.node import Node

    from ..data import Part
    from ..network import Network


def add_point(parser: Parser) -> None:
    """The flags that say at which numbers a program is shown."""
    repeated(
        parser,
        "--at",
        "x=1,w=0.5|FILE:ROW",
        "show the values there; what is not given is drawn",
    )
    repeated(
        parser,
        "--data",
        "[NAME=]PATH",
        "show the values at the first batch of these data",
    )
    repeated(parser, "--size", "N=8", "a size of what is drawn")


def traced(args: Namespace) -> tuple[Trace, Options, Path]:
    """The program of the command line, with all that its stages made."""
    from gradc.compiler.driver import trace

    source, folder = source_of(args)
    options = options_of(args, folder)
    with in_time(source, options):
        return trace(source, options), options, folder


def parameter_of(trace: Trace, wanted: str) -> str:
    """The path of a parameter (or the name of an input) by its path or its name in code."""
    program, named = trace.program, trace.named
    known = {p.path: p.path for p in program.params}
    known |= {i.name: i.name for i in program.inputs if i.node.kind == "real"}
    short = {named.of[p.node]: p.path for p in program.params if p.node in named.of}
    found = known.get(wanted) or short.get(wanted)
    if found is None:
        raise UsageError(
            "unknown-parameter",
            f"{program.name} has no parameter `{wanted}`",
            f"parameters: {', '.join(p.path for p in program.params) or 'none'}",
            help=suggestion(wanted, [*known, *short]),
        )
    return found


# ----------------------------------------------------------------------------- numbers
def assignments_at(texts: Sequence[str]) -> tuple[dict[str, Any], str]:
    """`x=1,w1=[0.5, 2]` as values by name, and `rows.csv:17`, if that was given."""
    values: dict[str, Any] = {}
    row = ""
    for text in texts:
        if "=" not in text:
            row = text
            continue
        for pair in _split(text):
            name, _, value = pair.partition("=")
            try:
                values[name.strip()] = ast.literal_eval(value.strip())
            except (ValueError, SyntaxError):
                raise UsageError(
                    "command-line",
                    f"`--at {pair}`: `{value.strip()}` is not a number or a list of numbers",
                    help="e.g. `--at x=1,w=[0.5,2]`, or a row of a file: `--at data.csv:17`",
                ) from None
    return values, row


def _split(text: str) -> list[str]:
    """At the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "[(") - (c in "])")
        if c == "," and not depth:
            parts.append(text[start:i])
            start = i + 1
    return [p for p in [*parts, text[start:]] if p.strip()]


def numbers_of(
    args: Namespace, trace: Trace, options: Options, folder: Path
) -> Numbers | None:
    """The numbers that the flags ask for, if they do."""
    if not args.at and not args.data:
        return None
    return Numbers(trace, options, args, folder)


class Numbers:
    """A point: inputs and parameters as given, the others drawn; and values there.

    The values are computed by a module that is emitted for them (`explain/probe.py`).
    """

    def __init__(
        self,
        trace: Trace,
        options: Options,
        args: Namespace,
        folder: Path,
    ) -> None:
        from gradc.compiler.driver import compile_program

        from ..points import choose_sizes

        self.trace = trace
        self.options = replace(options, level=1, wrt=())
        self.given, self.row = assignments_at(args.at)
        self.batch = ", ".join(args.data)
        compiled = compile_program(trace.program, self.options)
        self.network = load(compiled)
        self.signature = compiled.signature
        data = self._data(args, folder)
        short = {
            trace.named.of.get(p.node, p.path): p.path for p in trace.program.params
        }
        self.parameters = {
            short.get(name, name): value
            for name, value in self.given.items()
            if short.get(name, name) in {p.path for p in trace.program.params}
        }
        inputs = {i["name"] for i in self.signature["inputs"]}
        for name in self.given:
            if name not in inputs and short.get(name, name) not in self.parameters:
                known = sorted(inputs | set(short))
                raise UsageError(
                    "unknown-name",
                    f"`--at {name}=…`: {trace.program.name} has no input or parameter `{name}`",
                    f"there are: {', '.join(known)}",
                    help=suggestion(name, known),
                )
        asked = {n: s for n, s in sizes(getattr(args, "size", [])).items() if n}
        shapes = {k: v for k, v in data.items()}
        for name, value in self.given.items():
            if name in inputs and _depth(value):
                shapes[name] = _array(value)
        self.sizes = choose_sizes(self.signature, asked or self._small(shapes), shapes)
        self.inputs = self._inputs(data)
        self.network.bind(self.sizes)

    def _small(self, shapes: Mapping[str, Any]) -> dict[str, int]:
        """One row, where nothing else is said."""
        rows = [n for n, s in self.signature["sizes"].items() if s["row"]]
        return {} if shapes else dict.fromkeys(rows, 1)

    def _data(self, args: Namespace, folder: Path) -> dict[str, Any]:
        """The inputs that files give: one row, or the first batch that is trained on."""
        if self.row and args.data:
            raise UsageError(
                "command-line", f"give a batch or a row: --data or --at {self.row}"
            )
        if not self.row and not args.data:
            return {}
        path, _, number = self.row.rpartition(":")
        if self.row and (not path or not number.isdigit() or int(number) < 1):
            raise UsageError(
                "command-line",
                f"`--at {self.row}` is neither NAME=VALUE nor FILE:ROW",
                help="e.g. `--at x=1,w=0.5`, or the 17th row of a file: `--at data.csv:17`",
            )
        from ..data import load as load_data
        from ..settings import Settings

        data = args.data or [path]
        settings = replace(
            Settings.of(self.signature, data=data, dtype="float64"), valid=None
        )
        part = load_data(self.signature, settings, folder, "train").train
        names = [i["name"] for i in self.signature["inputs"]]
        if args.data:
            arrays, _ = next(part.batches(names, 0, settings.seed, settings.batch_of))
            found = dict(zip(names, arrays, strict=True))
            return {name: a for name, a in found.items() if a is not None}
        return self._one_row(part, names, path, int(number))

    def _one_row(
        self, part: Part, names: list[str], path: str, number: int
    ) -> dict[str, Any]:
        import numpy as np

        arrays = dict(zip(names, part.arrays(names), strict=True))
        for table in part.tables.values():
            if number > table.rows:
                raise UsageError(
                    "command-line", f"`--at {self.row}`: {path} has {table.rows} rows"
                )
            for name in table.columns:
                if name in arrays:
                    arrays[name] = np.asarray(arrays[name][number - 1 : number])
        return arrays

    def _inputs(self, data: Mapping[str, Any]) -> dict[str, Any]:
        import numpy as np

        from ..points import random_inputs
        from ..sizes import evaluate
        from ..streams import stream

        draw = stream(0, "explain", "", 0)
        described = {
            **self.signature,
            "functions": {
                "forward": {"inputs": [i["name"] for i in self.signature["inputs"]]}
            },
        }
        arrays = random_inputs(described, self.sizes, draw)
        arrays.update(data)
        for entry in self.signature["inputs"]:
            name = entry["name"]
            if name not in self.given:
                continue
            shape = tuple(evaluate(d, self.sizes) for d in entry["shape"])
            value = np.asarray(self.given[name])
            if value.ndim and value.shape != shape:
                raise UsageError(
                    "command-line",
                    f"`--at {name}=…` has the shape {list(value.shape)}, "
                    f"the input {list(shape)}",
                )
            kind = {"real": np.float64, "int": np.intp, "bool": np.bool_}[entry["kind"]]
            arrays[name] = np.broadcast_to(value.astype(kind), shape).copy()
        return arrays

    def said(self) -> str:
        """Where the numbers come from."""
        given = list(self.given)
        read = bool(self.row or self.batch)
        drawn = [name for name in self.inputs if name not in given and not read]
        others = len(self.network.places) - len(self.parameters)
        parts = [f"{', '.join(given)} as given"] if given else []
        parts += [f"the inputs are row {self.row}"] if self.row else []
        parts += (
            [f"the inputs are the first batch of {self.batch}"] if self.batch else []
        )
        parts += [f"{', '.join(drawn)} drawn"] if drawn else []
        if others:
            these = "the other parameters" if self.parameters else "parameters"
            parts.append(f"{these} as `init` draws them (seed 0)")
        return "Numbers: " + "; ".join(parts) if parts else ""

    def theta(self, network: Network) -> Any:
        """The parameters: as `init` draws them with seed 0, and as they were given."""
        import numpy as np

        theta = network.init(0, np.float64)
        views = network.views(theta)
        for path, value in self.parameters.items():
            array = np.asarray(value, np.float64)
            if array.ndim and array.shape != views[path].shape:
                raise UsageError(
                    "command-line",
                    f"`--at {path}=…` has the shape {list(array.shape)}, "
                    f"the parameter {list(views[path].shape)}",
                )
            views[path][...] = array
        return theta

    def of(self, wanted: Mapping[str, Node]) -> dict[str, Any]:
        """The value of each node, by its name."""
        from gradc.compiler.driver import compile_program
        from gradc.compiler.explain.probe import probe

        numbered = {f"v{k}": node for k, node in enumerate(wanted.values())}
        compiled = compile_program(probe(self.trace.program, numbered), self.options)
        network = load(compiled)
        network.bind(
            {n: s for n, s in self.sizes.items() if n in compiled.signature["sizes"]}
        )
        needed = compiled.signature["functions"]["predict"]["inputs"]
        theta = self.theta(network)
        found = network.predict(
            theta, None, None, **{name: self.inputs[name] for name in needed}
        )
        return {name: found[f"v{k}"] for k, name in enumerate(wanted)}


def _depth(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _array(value: Any) -> Any:
    import numpy as np

    try:
        return np.asarray(value)
    except ValueError:
        raise UsageError(
            "command-line", f"`{value}` has rows of different lengths"
        ) from None


MOST_SHOWN = 12  # entries of an array that are printed in full


def shown(array: Any) -> str:
    """A number, a small array, or the range of a large one."""
    import numpy as np

    array = np.asarray(array)
    if array.ndim == 0:
        return f"{array:.6g}" if array.dtype.kind == "f" else str(array)
    if array.size <= MOST_SHOWN:
        return np.array2string(array, precision=4, suppress_small=False, separator=", ")
    if array.dtype.kind == "b":
        return f"{list(array.shape)}, true at {int(array.sum())} of {array.size}"
    low, high = float(array.min()), float(array.max())
    norm = float(np.sqrt(np.sum(np.square(array, dtype=float))))
    return f"{list(array.shape)} from {low:.4g} to {high:.4g}, norm {norm:.4g}"
