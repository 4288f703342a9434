"""What is counted: numbers of a site, batch by batch, and the shape of an activation.

In: arrays. Out: one record a kind of site, that further batches are added to. Units are the
entries along one axis; all other axes are examples (rows, places, steps). Nothing is judged here.

    numbers = Activation(shape, axis=-1)
    numbers.add(value, slope, delta)        # [N, units] each
    numbers.off_units                       # [units]: off in every row so far
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..records import record
from .thresholds import ASTRAY, CLOSED, FLAT, OFF, PEAKED

Array = NDArray[Any]
SAMPLE = 2048  # entries of a batch that a histogram is made of
BINS = 16


def grid(places: int) -> Array:
    """Where an activation is looked at: dense about 0, to ±10⁴."""
    return np.sinh(np.linspace(-9.9, 9.9, places))


@record
class Shape:
    """What kind of function an activation is.

    `saturating`: flat on both sides and steep about 0, as sigmoid and tanh; `rectifying`: flat on
    some side of 0 up to it. `steepest` is max |f′|, `low` and `high` are its ends, `middle` its
    value where it is steepest.
    """

    kind: Literal["saturating", "rectifying"]
    steepest: float
    low: float
    high: float
    middle: float


def shape_of(z: Array, value: Array, slope: Array) -> Shape | None:
    """Look at f and f′ on a grid; None for a function that is flat nowhere, grows faster than
    its argument, or is not finite everywhere."""
    if not (np.isfinite(value).all() and np.isfinite(slope).all()):
        return None
    steep = np.abs(slope)
    steepest = float(steep.max())
    # where it bends may lie off 0: `relu(z - 50)`
    near = [float(steep[np.abs(z) <= w].max()) for w in (10, 100)]
    if not any(n and steepest <= 20 * n for n in near):
        return None
    edge = max(1, len(z) // 50)
    centre = len(z) // 2
    about = steep[centre - 1 : centre + 2 : 2].min() / steepest
    ends = [float(steep[:edge].max()), float(steep[-edge:].max())]
    middle = float(value[int(steep.argmax())])
    low, high = float(value[0]), float(value[-1])
    if max(ends) < FLAT * steepest and about > FLAT:
        return Shape("saturating", steepest, low, high, middle)
    if min(ends) < OFF * steepest:
        return Shape("rectifying", steepest, low, high, middle)
    return None


# ------------------------------------------------------------------------------ spreads
@record(frozen=False)
class Spread:
    """An array's entries over all batches: their mean square, a sample, whether they are finite."""

    count: int = 0
    batches: int = 0
    squares: float = 0.0
    largest: float = 0.0
    finite: bool = True
    sample: list[Array] = field(default_factory=list)

    def add(self, array: Array) -> None:
        """Another batch."""
        flat = np.asarray(array, np.float64).reshape(-1)
        self.batches += 1
        if not flat.size:
            return
        good = flat[np.isfinite(flat)]
        self.finite = self.finite and good.size == flat.size
        self.count += good.size
        with np.errstate(over="ignore"):
            self.squares += float(np.dot(good, good))
        if good.size:
            self.largest = max(self.largest, float(np.abs(good).max()))
        self.sample.append(good[:: max(1, -(-good.size // SAMPLE))].copy())

    @property
    def rms(self) -> float:
        """√ of the mean square of the entries."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    @property
    def norm(self) -> float:
        """The Frobenius norm of a batch: √ of the mean over batches of Σ x²."""
        return float(np.sqrt(self.squares / self.batches)) if self.batches else 0.0

    def histogram(self, logarithmic: bool = False) -> tuple[list[int], float, float]:
        """Counts in equal bins, and their ends: of the entries, or of log₁₀ of their sizes
        where they are not 0."""
        values = np.concatenate(self.sample) if self.sample else np.zeros(0)
        if logarithmic:
            values = np.log10(np.abs(values[values != 0]))
        if not values.size:
            return [], 0.0, 0.0
        low, high = float(values.min()), float(values.max())
        if not high - low > 1e-9 * max(abs(low), abs(high)):
            return [values.size], low, high
        counts, _ = np.histogram(values, BINS, (low, high))
        return [int(c) for c in counts], low, high


def by_unit(array: Array, axis: int | None) -> Array:
    """[examples, units]: the axis of units last, all others one."""
    array = np.asarray(array)
    if axis is None or not array.ndim:
        return array.reshape(-1, 1)
    moved = np.moveaxis(array, axis, -1)
    return moved.reshape(-1, moved.shape[-1])


# -------------------------------------------------------------------- records of sites
@record(frozen=False)
class Layer:
    """z and δ of a product with a weight; of one that reads the data, their features too."""

    value: Spread = field(default_factory=Spread)
    delta: Spread = field(default_factory=Spread)
    features: Array | None = None  # Σ x² by feature
    rows: int = 0

    def add(self, value: Array, delta: Array | None, given: Array | None) -> None:
        """Another batch."""
        self.value.add(value)
        if delta is not None:
            self.delta.add(delta)
        if given is not None and np.ndim(given):
            flat = np.asarray(given, np.float64).reshape(-1, np.shape(given)[-1])
            squares = np.square(flat).sum(axis=0)
            self.features = (
                squares if self.features is None else self.features + squares
            )
            self.rows += len(flat)

    @property
    def scales(self) -> Array:
        """The root mean square of each feature of the data; empty where none are read."""
        if self.features is None or not self.rows:
            return np.zeros(0)
        found: Array = np.sqrt(self.features / self.rows)
        return found


@record(frozen=False)
class Activation:
    """How many entries of each unit are flat, off, closed, or flat on the wrong side."""

    shape: Shape
    axis: int | None
    rows: int = 0
    flat: Array = field(default_factory=lambda: np.zeros(0))
    wrong: Array = field(default_factory=lambda: np.zeros(0))
    closed: Array = field(default_factory=lambda: np.zeros(0))
    slopes: float = 0.0  # Σ |f′| / max |f′|
    asked: int = 0  # values with a δ that is not 0: the loss asks for another
    value: Spread = field(default_factory=Spread)
    delta: Spread = field(default_factory=Spread)

    def add(self, value: Array, slope: Array, delta: Array | None) -> None:
        """Another batch. `wrong`: flat, and δ asks for what leads back to where f is steep."""
        self.value.add(value)
        a = by_unit(value, self.axis)
        steep = np.abs(by_unit(slope, self.axis)) / self.shape.steepest
        saturating = self.shape.kind == "saturating"
        flat = steep < (FLAT if saturating else OFF)
        if not self.flat.size:
            self.flat, self.wrong, self.closed = (np.zeros(a.shape[1]) for _ in "123")
        self.rows += len(a)
        self.flat += flat.sum(axis=0)
        self.slopes += float(np.minimum(steep, 1).sum())
        self.closed += (a < CLOSED).sum(axis=0)
        if delta is not None:
            self.delta.add(delta)
            g = by_unit(delta, self.axis)
            back = np.sign(self.shape.middle - a) * np.sign(-g) > 0
            self.wrong += (flat & back).sum(axis=0)
            self.asked += int((g != 0).sum())

    @property
    def units(self) -> int:
        """The number of units."""
        return self.flat.size

    @property
    def entries(self) -> int:
        """The number of values looked at."""
        return self.rows * self.units

    @property
    def stuck(self) -> Array:
        """[units]: flat in every row."""
        stuck: Array = self.flat == self.rows
        return stuck

    @property
    def astray(self) -> float:
        """Of the values that the loss wants changed, those that are flat on the wrong side."""
        return float(self.wrong.sum()) / self.asked if self.asked else 0.0

    def share(self, counts: Array) -> float:
        """Counted entries among all."""
        return float(counts.sum()) / self.entries if self.entries else 0.0

    @property
    def mean_slope(self) -> float:
        """The mean of |f′| / max |f′|: how much of δ passes."""
        return self.slopes / self.entries if self.entries else 0.0


@record(frozen=False)
class Softmax:
    """Rows of probabilities: how many are peaked, and how many of these astray."""

    axis: int
    rows: int = 0
    peaked: int = 0
    wrong: int = 0

    def add(self, p: Array, delta: Array | None) -> None:
        """Another batch of an inner softmax: astray where δ asks for another entry."""
        rows = by_unit(p, self.axis)
        if rows.shape[1] < 2:
            return
        peaked = rows.max(axis=1) > PEAKED
        self.rows += len(rows)
        self.peaked += int(peaked.sum())
        if delta is not None:
            g = by_unit(delta, self.axis)
            best = np.take_along_axis(g, rows.argmax(axis=1)[:, None], 1)[:, 0]
            self.wrong += int((peaked & (best > g.min(axis=1))).sum())

    def add_scores(self, z: Array, delta: Array, weight: Array) -> None:
        """Another batch of scores: p = softmax z, δ = g (p - y), g the adjoint of the logsumexp."""
        scores = by_unit(z, self.axis)
        if scores.shape[1] < 2:
            return
        peak = np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
        peaked = 1 / peak > PEAKED
        size = np.sqrt(np.square(by_unit(delta, self.axis)).sum(axis=1))
        g = np.abs(by_unit(weight, self.axis)).max(axis=1)
        counted = g > 0
        self.rows += int(counted.sum())
        self.peaked += int((peaked & counted).sum())
        self.wrong += int((peaked & counted & (size > ASTRAY * g)).sum())


@record(frozen=False)
class Norm:
    """Variances under a root: how many are less than the ε beside them."""

    eps: float
    count: int = 0
    flat: int = 0
    largest: float = 0.0

    def add(self, variance: Array) -> None:
        """Another batch."""
        v = np.asarray(variance).reshape(-1)
        self.count += v.size
        self.flat += int((v <= self.eps).sum())
        if v.size:
            self.largest = max(self.largest, float(v.max()))


@record(frozen=False)
class Table:
    """Which rows of a table the data named."""

    rows: int
    used: Array = field(default_factory=lambda: np.zeros(0, bool))
    lookups: int = 0
    complete: bool = False  # all of the data were looked at
    text: bool = False  # the rows stand for characters of a text
    delta: Spread = field(default_factory=Spread)
    value: Spread = field(default_factory=Spread)

    def add(self, index: Array, value: Array | None, delta: Array | None) -> None:
        """Another batch of indices."""
        if not self.used.size:
            self.used = np.zeros(self.rows, bool)
        self.used[np.asarray(index).reshape(-1)] = True
        self.lookups += int(np.size(index))
        if value is not None:
            self.value.add(value)
        if delta is not None:
            self.delta.add(delta)


@record(frozen=False)
class Carry:
    """By step, in the order of the steps: Σ h² and Σ δ² of what a loop hands on."""

    backwards: bool
    squares: Array = field(default_factory=lambda: np.zeros(0))
    adjoints: Array = field(default_factory=lambda: np.zeros(0))
    entries: int = 0

    def add(self, value: Array, delta: Array | None) -> None:
        """Another batch, the steps in front; as many steps in each, or the shortest is kept."""
        squares = _steps(value, self.backwards)
        self.squares = _longer(self.squares, squares)
        self.entries += int(np.size(value)) // max(1, len(squares))
        if delta is not None:
            self.adjoints = _longer(self.adjoints, _steps(delta, self.backwards))

    @property
    def rms(self) -> Array:
        """[T]: the root mean square at each step."""
        return np.sqrt(self.squares / max(1, self.entries))

    @property
    def norms(self) -> Array:
        """[T]: ‖δ_t‖."""
        return np.sqrt(self.adjoints)


def _steps(array: Array, backwards: bool) -> Array:
    a = np.asarray(array, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.square(a.reshape(len(a), -1)).sum(axis=1)
    turned: Array = found[::-1] if backwards else found
    return turned


def _longer(so_far: Array, more: Array) -> Array:
    """Sums by step; where a batch has fewer steps, those of both."""
    if not so_far.size:
        return more.copy()
    steps = min(len(so_far), len(more))
    total: Array = so_far[:steps] + more[:steps]
    return total


@record(frozen=False)
class Classes:
    """What was answered, and what would have been right."""

    answers: dict[int, int] = field(default_factory=dict)
    labels: dict[int, int] = field(default_factory=dict)
    rows: int = 0

    def add(self, chosen: Array, label: Array) -> None:
        """Another batch."""
        for table, array in ((self.answers, chosen), (self.labels, label)):
            found, counts = np.unique(np.asarray(array), return_counts=True)
            for k, n in zip(found.tolist(), counts.tolist(), strict=True):
                table[int(k)] = table.get(int(k), 0) + int(n)
        self.rows += int(np.size(label))


@record(frozen=False)
class Parameter:
    """A parameter, its mean gradient, and whether any batch moved it."""

    path: str
    value: Array
    gradient: Array
    batches: int = 0
    moved: bool = False
    moved_later: bool = False  # after a small step down the gradient
    update: Array | None = None  # what the first step of training adds
    weights: int = 2  # axes from which on it is a weight, not a bias

    def add(self, gradient: Array) -> None:
        """The gradient of another batch."""
        self.gradient = (self.gradient * self.batches + gradient) / (self.batches + 1)
        self.batches += 1
        self.moved = self.moved or bool((gradient != 0).any())


def twins(value: Array, gradient: Array, axis: int, error: float) -> int:
    """How many entries along an axis have the same values and the same gradient (not 0) as
    the most frequent one."""
    v, g = by_unit(value, axis).T, by_unit(gradient, axis).T
    scale_v, scale_g = float(np.abs(v).max()), float(np.abs(g).max())
    if len(v) < 2 or not scale_g or not np.isfinite(scale_g):
        return 0
    alive = np.abs(g).max(axis=1) > error * scale_g
    keys = np.concatenate(
        [
            np.round(v / (scale_v or 1.0) / error / 4),
            np.round(g / scale_g / error / 4),
        ],
        axis=1,
    )[alive]
    if not len(keys):
        return 0
    _, counts = np.unique(keys, axis=0, return_counts=True)
    most = int(counts.max())
    return most if most > 1 else 0
