"""A look at a network: its sites' numbers over some batches, for `gradc diagnose`.

In: a program (of a file, or of a run with its weights) and its data. Out: `Looked`: what
`health` judges, and where in the text each site stands. The arrays come from an emitted module
that computes the values and adjoints of all sites (`explain/watching.py`), in float64; whether
a step is finite is seen by the program's own module in its own precision.

    subject = subject_of(args)                  # what to look at, with which θ and data
    looked = look(subject, batches=None)
    judge(looked.seen)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..records import record
from .programs import load
from .subjects import MOST_BATCHES, ROWS, Subject, batches_of

if TYPE_CHECKING:
    from gradc.compiler.explain.watching import Site, Watching

    from ..data import Part
    from ..diagnosis import NonFinite
    from ..health.findings import Seen
    from ..health.measures import Table
    from ..network import Network

BYTES = 2**28  # of all arrays that are looked at at once
MOST_BYTES = 2**30  # and of all batches together, but for
FEWEST_BATCHES = 3
NUDGE = 1e-3  # of a parameter's root mean square: a small step down the gradient


@record(frozen=False)
class Looked:
    """What was seen, and the site of each spot."""

    seen: Seen
    sites: Sequence[Site]
    batches: int
    rows: int
    broken: NonFinite | None = None


# ---------------------------------------------------------------------------------- look
def look(subject: Subject, count: int | None = None) -> Looked:
    """Compute the values and adjoints of every site, batch by batch, and count."""
    import numpy as np

    from gradc.compiler.driver import compile_program
    from gradc.compiler.explain.probe import probe
    from gradc.compiler.explain.watching import watch

    from ..health.findings import Seen, Spot
    from ..health.measures import Parameter

    network, trace = subject.network, subject.trace
    if not network.has("backward"):  # no parameter has a gradient
        return Looked(Seen([], [], trace.joint.frozen), [], 0, 0)
    watching = watch(trace.program)
    shapes = _shapes(watching, subject)
    wanted = {
        name: n
        for name, n in watching.wanted.items()
        if not _unshaped(watching, shapes, name)
    }
    probed = load(compile_program(probe(watching.program, wanted), subject.options))
    probed.bind({k: v for k, v in network.sizes.items() if k in probed.frozen})
    probed.seed = subject.settings.seed
    names = network.signature["functions"]["forward"]["inputs"]
    needed = [
        n
        for n in probed.signature["functions"]["predict"]["inputs"]
        if n not in watching.probes
    ]
    every = list(dict.fromkeys([*names, *needed]))
    rows, most = _fitting(subject, probed, every, count)
    batches = list(batches_of(subject, every, count or most, rows))
    numbers: dict[int, Any] = {}
    views = network.views(subject.theta)
    parameters = {
        path: Parameter(path, np.array(views[path]), np.zeros(views[path].shape))
        for path in watching.gradients
    }
    broken = _finite(subject, names, batches)
    for k, (arrays, _) in enumerate(batches):
        found = _values(probed, watching, subject, arrays, needed, k)
        for j, site in enumerate(watching.sites):
            mine = {
                role: found[f"s{j}_{role}"]
                for role in site.values
                if f"s{j}_{role}" in found
            }
            _count(numbers, j, site, mine, shapes.get(j), views)
        for j, path in enumerate(watching.gradients):
            parameters[path].add(found[f"g{j}"])
    for j, site in enumerate(watching.sites):
        if site.kind == "table" and subject.part is not None:
            _whole_tables(numbers[j], site, subject.part)
    kept = [j for j in range(len(watching.sites)) if j in numbers]
    place = {j: k for k, j in enumerate(kept)}
    spots = [
        Spot(
            watching.sites[j].kind,
            numbers[j],
            _shown(watching.sites[j]),
            tuple(place[b] for b in watching.sites[j].below if b in place),
            watching.sites[j].hidden,
            watching.sites[j].facts,
        )
        for j in kept
    ]
    reaches = {
        path: tuple(place[b] for b in sites if b in place)
        for path, sites in watching.reaches.items()
    }
    seen = Seen(
        spots,
        list(parameters.values()),
        watching.untrained,
        reaches,
        trained=subject.trained,
    )
    if broken is None:
        _first_steps(subject, names, batches, seen)
        _nudged(subject, names, batches, seen)
    sites = [watching.sites[j] for j in kept]
    return Looked(seen, sites, len(batches), sum(n for _, n in batches), broken)


def _shown(site: Site) -> str:
    """The call or the expression that made a site, short."""
    text = site.call
    return text if len(text) <= 40 else f"{text[:39]}…"


def _unshaped(watching: Watching, shapes: Mapping[int, Any], name: str) -> bool:
    """Is it of a function that is no activation?"""
    if not name.startswith("s"):
        return False
    k = int(name[1:].partition("_")[0])
    return watching.sites[k].kind == "activation" and k not in shapes


def _shapes(watching: Watching, subject: Subject) -> dict[int, Any]:
    """What kind of function each activation is."""
    import numpy as np

    from gradc.compiler.driver import compile_program
    from gradc.compiler.explain.probe import probe
    from gradc.compiler.explain.watching import GRID

    from ..health.measures import grid, shape_of

    if not watching.curves:
        return {}
    program = probe(watching.with_grid(), watching.shapes)
    network = load(compile_program(program, subject.options))
    z = grid(GRID)
    wanted = network.signature["functions"]["predict"]["inputs"]
    with np.errstate(all="ignore"):
        found = network.predict(**{name: z for name in wanted})
    shapes = {}
    for k in watching.curves:
        value = np.broadcast_to(found[f"c{k}_value"], z.shape)
        slope = np.broadcast_to(found[f"c{k}_slope"], z.shape)
        shape = shape_of(z, value, slope)
        if shape is not None:
            shapes[k] = shape
    return shapes


def _values(
    probed: Network,
    watching: Watching,
    subject: Subject,
    arrays: Mapping[str, Any],
    needed: Sequence[str],
    k: int,
) -> dict[str, Any]:
    """What the probe computes for a batch. Chance is that of step k + 1."""
    import numpy as np

    from ..sizes import bind, evaluate

    given = {name: arrays[name] for name in needed}
    known = bind(
        probed.signature,
        {name: np.shape(a) for name, a in given.items()},
        {**_known(subject), **probed.sizes},
        checks=False,
    )
    for entry in probed.signature["inputs"]:
        if entry["name"] in watching.probes:
            shape = tuple(evaluate(d, known) for d in entry["shape"])
            given[entry["name"]] = np.zeros(shape)
    wanted = probed.signature["functions"]["predict"]["inputs"]
    noise = probed.draw("predict", known, subject.settings.seed, k + 1, np.float64)
    return probed.predict(
        subject.theta, subject.state, noise, **{name: given[name] for name in wanted}
    )


def _known(subject: Subject) -> dict[str, int]:
    data = subject.data
    return dict(subject.drawn) if data is None else dict(data.sizes)


def _fitting(
    subject: Subject, probed: Network, names: Sequence[str], count: int | None
) -> tuple[int | None, int | None]:
    """How many rows a batch may have, so that all that is looked at fits into memory, and
    how many batches there are where each is much to look at; None: as many as usual."""
    import numpy as np

    from ..sizes import bind, evaluate

    first = next(batches_of(subject, names, count, None))
    shapes = {n: np.shape(a) for n, a in first[0].items() if n in probed.inputs}
    known = bind(
        probed.signature, shapes, {**_known(subject), **probed.sizes}, checks=False
    )
    total = sum(
        8 * math.prod(evaluate(d, known) for d in entry["shape"])
        for entry in probed.signature["outputs"]
    )
    usual = math.ceil(ROWS / max(1, first[1]))
    fitting = max(FEWEST_BATCHES, int(MOST_BYTES / max(1, total)))
    most = fitting if fitting < min(usual, MOST_BATCHES) else None
    if total <= BYTES:
        return None, most
    return max(1, int(first[1] * BYTES / total)), most


def _count(
    numbers: dict[int, Any],
    j: int,
    site: Site,
    found: Mapping[str, Any],
    shape: Any,
    views: Mapping[str, Any],
) -> None:
    """Add a batch's arrays to the numbers of a site."""
    from ..health import measures as m

    delta = found.get("delta")
    match site.kind:
        case "layer":
            layer = numbers.setdefault(j, m.Layer())
            layer.add(found["value"], delta, found.get("input"))
        case "activation" if shape is not None:
            axis = site.axis
            activation = numbers.setdefault(j, m.Activation(shape, axis))
            activation.add(found["value"], found["slope"], delta)
        case "softmax":
            softmax = numbers.setdefault(j, m.Softmax(site.facts["axis"]))
            softmax.add(found["value"], delta)
        case "scores" if delta is not None and "weight" in found:
            scores = numbers.setdefault(j, m.Softmax(site.facts["axis"]))
            scores.add_scores(found["value"], delta, found["weight"])
        case "norm":
            numbers.setdefault(j, m.Norm(site.facts["eps"])).add(found["value"])
        case "table":
            rows = len(views[site.facts["table"]])
            table = numbers.setdefault(j, m.Table(rows))
            table.add(found["index"], found.get("value"), delta)
        case "carry":
            carry = numbers.setdefault(j, m.Carry(site.backwards))
            carry.add(found["value"], delta)
        case "classes":
            numbers.setdefault(j, m.Classes()).add(found["chosen"], found["label"])


def _whole_tables(table: Table, site: Site, part: Part) -> None:
    """Where an input is an index as it stands, all of the data say which rows it names."""
    from ..data.text import Characters, Windows

    name = site.facts.get("index")
    if name is None:
        return
    columns = [t.columns[name] for t in part.tables.values() if name in t.columns]
    texts = [c.codes for c in columns if isinstance(c, Characters | Windows)]
    table.add(texts[0] if texts else part.arrays([name])[0], None, None)
    table.complete, table.text = True, bool(texts)


# -------------------------------------------------------------- the program's own steps
Batches = Sequence[tuple[Mapping[str, Any], int]]


def _step(
    subject: Subject,
    names: Sequence[str],
    theta: Any,
    arrays: Mapping[str, Any],
    k: int,
) -> tuple[float, Any]:
    """Loss and ∇ of the program's own module, in the precision of θ."""
    network = subject.network
    given = {n: arrays[n] for n in names}
    known = {
        **_known(subject),
        **network.sizes_of("forward", [given[n] for n in names]),
    }
    noise = network.draw("forward", known, subject.settings.seed, k + 1, theta.dtype)
    found = network.value_and_grad(theta, subject.state or None, noise or None, **given)
    return float(found[0]), found[1]


def _finite(
    subject: Subject, names: Sequence[str], batches: Batches
) -> NonFinite | None:
    """The first batch whose loss or gradient is not finite, in the run's precision.

    Where it began is seen in a module with a line for each operation.
    """
    import numpy as np

    from gradc.compiler.driver import compile_program

    from ..diagnosis import diagnose

    a_line_each = replace(subject.options, level=0)
    theta = subject.theta.astype(subject.settings.dtype)
    for k, (arrays, _) in enumerate(batches):
        loss, nabla = _step(subject, names, theta, arrays, k)
        if math.isfinite(loss) and np.isfinite(nabla).all():
            continue
        network = load(compile_program(subject.trace.program, a_line_each))
        network.bind(subject.network.sizes)
        given = network.arrays("forward", {n: arrays[n] for n in names}, theta.dtype)
        known = {**_known(subject), **network.sizes_of("forward", given)}
        noise = network.draw(
            "forward", known, subject.settings.seed, k + 1, theta.dtype
        )
        state = network.as_state(subject.state, theta.dtype)
        return diagnose(network, theta, nabla, loss, given, state, noise)
    return None


def _first_steps(
    subject: Subject, names: Sequence[str], batches: Batches, seen: Seen
) -> None:
    """The first updates that training would make, and the loss before and after each."""
    import numpy as np

    from ..health.thresholds import FEW_STEPS
    from ..optimizers import Optimizer, clip_norm, clip_value
    from ..schedules import Schedule

    settings, network = subject.settings, subject.network
    if settings.optimizer == "lbfgs" or not network.trained or not batches:
        return
    theta = subject.theta.copy()
    places = {p.path: (p.start, p.stop) for p in network.places if p.trained}
    rule = Optimizer(
        settings.optimizer, settings.arguments, theta[: network.trained], places
    )
    schedule = Schedule.of(settings.schedule) if settings.schedule else None
    lr = float(rule.arguments["lr"])
    seen.optimizer, seen.rate = settings.optimizer, lr
    losses = []
    for k in range(FEW_STEPS):
        arrays, _ = batches[k % len(batches)]
        with np.errstate(all="ignore"):
            loss, nabla = _step(subject, names, theta, arrays, k)
        losses.append(loss)
        if not math.isfinite(loss) or not np.isfinite(nabla).all():
            break
        moved = nabla[: network.trained]
        if settings.clip_norm is not None:
            clip_norm(moved, settings.clip_norm)
        if settings.clip_value is not None:
            clip_value(moved, settings.clip_value)
        before = theta.copy()
        rule.step(moved, None if schedule is None else schedule.rate(lr, k, 10**6))
        if not k:
            change = network.views(theta - before)
            for p in seen.parameters:
                p.update = change[p.path]
        if subject.trained:
            return
    if math.isfinite(losses[-1]):  # the same batch, before and after
        with np.errstate(all="ignore"):
            losses.append(_step(subject, names, theta, batches[0][0], 0)[0])
    one_loss = all(e["over"] is None for e in network.signature["losses"])
    seen.losses = losses if one_loss else ()


def _nudged(
    subject: Subject, names: Sequence[str], batches: Batches, seen: Seen
) -> None:
    """What two small steps down the gradient wake: weights that start at 0 in front of others.

    There, too, an input is tried that has not been: does the loss change with it?
    """
    import numpy as np

    network = subject.network
    theta = subject.theta.copy()
    for k in range(2):
        _, nabla = _step(subject, names, theta, batches[k % len(batches)][0], k)
        if not np.isfinite(nabla).all():
            return
        for path, view in network.views(theta).items():
            size = float(np.sqrt(np.mean(np.square(view)))) if view.size else 0.0
            view -= NUDGE * (size or 1.0) * np.sign(network.views(nabla)[path])
    still = [p for p in seen.parameters if not p.moved]
    for k, (arrays, _) in enumerate(batches if still else ()):
        nabla = network.views(_step(subject, names, theta, arrays, k)[1])
        for p in still:
            p.moved_later = p.moved_later or bool((nabla[p.path] != 0).any())
    seen.ignored = [n for n in names if _ignored(subject, names, theta, batches[:2], n)]


def _ignored(
    subject: Subject, names: Sequence[str], theta: Any, batches: Batches, name: str
) -> bool:
    """Is the loss the same with other values of an input? False where there are no others."""
    import numpy as np

    tried = False
    for k, (arrays, _) in enumerate(batches):
        other = _others(arrays[name])
        if other is None:
            continue
        tried = True
        loss = _step(subject, names, theta, arrays, k)[0]
        changed = _step(subject, names, theta, {**arrays, name: other}, k)[0]
        if not np.isclose(loss, changed, rtol=1e-13, atol=0.0):
            return False
    return tried


def _others(array: Any) -> Any:
    """Other values of an input: each whole number that occurs becomes the next that does."""
    import numpy as np

    array = np.asarray(array)
    if not array.size:
        return None
    if array.dtype.kind == "b":
        return ~array
    if array.dtype.kind in "iu":
        values, places = np.unique(array, return_inverse=True)
        if len(values) < 2:
            return None
        return np.roll(values, 1)[places].reshape(array.shape)
    size = float(array.std()) or float(np.abs(array).max()) or 1.0
    return array + size * np.cos(np.arange(array.size)).reshape(array.shape)
