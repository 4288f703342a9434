"""What `gradc diagnose` looks at: a program, its parameters, and batches of its data.

In: the words of a command line. Out: `Subject`: the program of a file with fresh parameters, or of
a run with its own; and its batches, as training has them, or drawn where there are no data.

    subject = subject_of(args)
    for arrays, rows in batches_of(subject, ["x", "label"], count=4, rows=None): ...
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..records import record
from .options import sizes as sizes_in
from .programs import in_time, load, open_run, options_of, source_of

if TYPE_CHECKING:
    from argparse import Namespace

    from gradc.compiler import Options
    from gradc.compiler.explain.provenance import Trace

    from ..data import Dataset, Part
    from ..network import Network, State
    from ..settings import Settings

ROWS = 1024  # that a look has at least, where the data have so many
MOST_BATCHES = 32
LARGEST_BATCH = 4096  # rows of a table that is otherwise used whole
DRAWN = 64  # rows that are drawn where there are no data


@record
class Subject:
    """What to look at: a program, its parameters, its data."""

    trace: Trace
    options: Options
    network: Network
    settings: Settings
    theta: Any  # float64
    state: State
    data: Dataset | None
    trained: bool
    described: str
    drawn: Mapping[str, int] = field(
        default_factory=dict
    )  # sizes, where there are no data

    @property
    def part(self) -> Part | None:
        """What it is trained on."""
        return None if self.data is None else self.data.train


def subject_of(args: Namespace) -> Subject:
    """The program of a file with fresh parameters, or that of a run with its own."""
    import numpy as np

    from gradc.compiler.driver import compile_program, trace

    from ..data import load as load_data
    from ..data.sources import Next, combine
    from ..settings import Settings

    trained = None
    with ExitStack() as stack:
        path = Path(args.file)
        if path.is_dir() or path.suffix == ".npz":
            from .. import program_again

            trained = open_run(args.file, args.weights)
            program = trained.weights.program or trained.run.program
            source, options = stack.enter_context(
                program_again(program, trained.run.path)
            )
            folder = trained.run.folder
        else:
            source, folder = source_of(args)
            options = options_of(args, folder)
        options = replace(options, level=1)
        with in_time(source, options):
            traced = trace(source, options)
        compiled = compile_program(traced.program, options)
    network = load(compiled)
    signature = compiled.signature
    if trained is not None:
        settings = trained.run.settings
        if args.data:
            sources = combine(list(settings.sources.items()), args.data)
            settings = replace(settings, sources=sources, valid=None)
    else:
        settings = Settings.of(signature, data=args.data, seed=args.seed)
    data, drawn = None, {}
    needs_data = bool(signature["functions"].get("forward", {}).get("inputs"))
    fed = any(not isinstance(s, Next) for s in settings.sources.values())
    if fed and needs_data:
        transforms = trained.weights.transforms if trained else None
        known = trained.weights.sizes if trained else None
        data = load_data(signature, settings, folder, "train", transforms, known)
        network.bind({k: v for k, v in data.sizes.items() if k in network.frozen})
    else:
        known = trained.weights.sizes if trained else {}
        drawn = _sizes(signature, sizes_in(args.size), known)
        network.bind({k: v for k, v in drawn.items() if k in network.frozen})
    if trained is not None:
        theta = trained.weights.theta(network, average=args.weights != "last")
        theta = np.asarray(theta, np.float64)
        state = trained.weights.remembered(network)
        said = f"the {args.weights} weights of {args.file}"
    else:
        theta = network.init(settings.seed, np.float64)
        state = network.initial_state(settings.seed, np.float64)
        said = f"fresh parameters (seed {settings.seed})"
    network.seed = settings.seed
    return Subject(
        traced,
        options,
        network,
        settings,
        theta,
        state,
        data,
        trained is not None,
        said,
        drawn,
    )


def _sizes(
    signature: Mapping[str, Any], asked: dict[str, int], known: Mapping[str, int]
) -> dict[str, int]:
    """Sizes to draw data in: so many rows, and small numbers for the rest."""
    from ..points import choose_sizes

    rows = [n for n, s in signature["sizes"].items() if s["row"] and n not in known]
    wanted = {**known, **{(n or (rows or [""])[0]): s for n, s in asked.items()}}
    for name in rows:
        wanted.setdefault(name, DRAWN)
    return choose_sizes(signature, wanted)


def batches_of(
    subject: Subject, names: Sequence[str], count: int | None, rows: int | None
) -> Iterator[tuple[dict[str, Any], int]]:
    """Batches as training has them, of at most `rows` rows."""
    import numpy as np

    part = subject.part
    if part is None:
        from ..points import random_inputs
        from ..streams import stream

        signature = subject.network.signature
        known = dict(subject.drawn)
        tables = [n for n, s in signature["sizes"].items() if s["row"] and n in known]
        for name in tables:
            known[name] = min(known[name], rows or known[name])
        for k in range(count or (4 if names else 1)):
            draw = stream(subject.settings.seed, "diagnose", "", k)
            arrays = random_inputs(signature, known, draw)
            yield {n: arrays[n] for n in names}, max(
                (known[n] for n in tables), default=1
            )
        return

    def batch(dim: str) -> int | None:
        size = subject.settings.batch_of(dim)
        whole = part.tables[dim].draws
        size = min(size or LARGEST_BATCH, whole)
        return min(size, rows) if rows else size

    longest = part.longest(batch)
    size = batch(longest) if longest is not None else 1
    steps = part.steps(batch)
    many = count or min(MOST_BATCHES, max(4, math.ceil(ROWS / max(1, size or 1))))
    running = part.batches(names, 0, subject.settings.seed, batch)
    for found, taken in itertools.islice(running, min(many, steps)):
        yield {n: np.asarray(a) for n, a in zip(names, found, strict=True)}, taken
