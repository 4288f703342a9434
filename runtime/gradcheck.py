"""The gradient check: the emitted backward pass against differences of the forward pass.

In: a network, and for the complex step a second module of the same program whose forward pass
is defined on complex numbers. Out: for each parameter the largest relative error of its
gradient. The complex step, Im f(θ + ih) / h with h = 1e-30, has no cancellation: it is exact
to rounding, and shares no code with reverse mode.

    result = check(network, complex_network, seeds=3)
    result.ok, result.worst, result.parameters[0].error

The error of an entry is |a - b| / max(|a|, |b|, m), where a is the emitted derivative, b the
difference and m the largest entry of the whole gradient, but at least 1e-4 and at most 1: an
entry that is small because larger ones cancel can't be known to all its digits. A gradient of
16 entries or fewer is checked entry by entry; of a larger one a fixed sample is, and
projections on random directions, which no wrong entry escapes. A program of many parameters
has fewer entries of each looked at (`shares`), so that the check of a transformer is no longer
than that of a perceptron times its cost a pass.

Compared is only where the program has a value in the reals: log(x) of a negative x is NaN
there, though the forward pass for complex numbers gives a number. Points are drawn from one
domain after another until the loss is finite (`points.py`); if it never is, nothing is
contradicted and `warning` says so. Where complex step and backward pass differ, real
differences to both sides have the last word (`excused`): at a kink the derivative is what
lies between the two slopes, and `max` and `abs` choose in their own ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .network import Network
from .points import DOMAINS, Point, choose_sizes, find_point
from .records import record
from .sizes import show
from .streams import stream

Method = Literal["complex", "central", "forward"]
Vector = NDArray[Any]
Loss = Callable[[Vector], Any]
Part = tuple[Network | None, Network]  # for complex numbers, and for the reals

EPS: dict[str, float] = {"complex": 1e-30, "central": 6e-6, "forward": 1.5e-8}
TOLERANCE: dict[str, float] = {"complex": 1e-10, "central": 1e-6, "forward": 1e-4}
ENTRIES = 16  # of a parameter that are checked one by one
PROJECTIONS = 3  # random directions for each parameter that has more
PASSES = 300  # forward passes of a check, about
MAGNIFIED = 1e4  # how much coarser a derivative may be than the value it is of
FLOOR = 1e-4


@record
class ParameterError:
    """The largest relative error in one parameter's gradient over all seeds.

    `entry` is where, or None where a projection showed it; `emitted` and `difference` are
    the two numbers there.
    """

    path: str
    shape: tuple[int, ...]
    error: float
    entry: tuple[int, ...] | None
    emitted: float
    difference: float
    checked: int


@record
class CheckResult:
    """All parameters' errors, and how they were found.

    `seeds` are the points that were compared; `warning` is what the user should know where
    they are fewer than were asked for.
    """

    parameters: tuple[ParameterError, ...]
    method: Method
    eps: float
    tolerance: float
    sizes: Mapping[str, int]
    seeds: int
    linear: bool = True  # backward(saved, d_loss) is linear in d_loss
    warning: str = ""

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max((parameter.error for parameter in self.parameters), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every parameter agrees."""
        return self.linear and self.worst <= self.tolerance


def difference(
    f: Callable[[Vector], Any],
    x: Vector,
    direction: Vector,
    method: Method = "complex",
    eps: float | None = None,
) -> float:
    """The derivative of f at x along a direction, by differences."""
    if method not in EPS:
        raise ValueError(f"no method {method!r}; there are {', '.join(EPS)}")
    h = EPS[method] if eps is None else eps
    match method:
        case "complex":
            point = np.empty(np.shape(x), np.complex128)
            point.real, point.imag = x, h * direction
            return float(np.imag(f(point))) / h
        case "central":
            return (float(f(x + h * direction)) - float(f(x - h * direction))) / (2 * h)
        case "forward":
            return (float(f(x + h * direction)) - float(f(x))) / h


def differences(
    f: Callable[[Vector], Any],
    x: Vector,
    method: Method = "complex",
    eps: float | None = None,
) -> Vector:
    """The gradient of f, a function of a vector, at x, entry by entry.

    `complex` needs an f that takes complex numbers; the others take f as it is.
    """
    x = np.asarray(x, np.float64)
    gradient = np.empty_like(x)
    for index in range(x.size):
        unit = np.zeros_like(x)
        unit.reshape(-1)[index] = 1.0
        gradient.reshape(-1)[index] = difference(f, x, unit, method, eps)
    return gradient


def check(
    network: Network,
    complex_network: Network | None = None,
    sizes: Mapping[str, int] | None = None,
    seeds: int = 3,
    *,
    seed: int = 0,
    inputs: Mapping[str, Any] | None = None,
    theta: Vector | None = None,
    method: Method = "complex",
    eps: float | None = None,
    tolerance: float | None = None,
    parts: Mapping[str, Part] | None = None,
) -> CheckResult:
    """Compare the emitted backward pass with differences, in float64.

    `sizes` are chosen where they are not given: different small primes that pass the
    program's checks. `inputs` are rows of data; those that are missing are drawn: reals
    normal, ints uniform in their range. θ is what `init` gives, moved a little, so that no
    parameter sits on a kink or at a zero that hides a mistake; or it is given. Where losses
    are limited to some parameters (`over`), `parts` has the programs of each loss alone.
    """
    if not network.has("backward"):
        raise ValueError(f"{network.name} has no loss: there is no gradient to check")
    if method == "complex" and complex_network is None:
        raise ValueError("the complex step needs the module for complex numbers")
    given = dict(inputs or {})
    sizes = choose_sizes(network.signature, {**network.sizes, **(sizes or {})}, given)
    network.bind({n: s for n, s in sizes.items() if n in network.frozen})
    if complex_network is not None:
        complex_network.bind({n: s for n, s in sizes.items() if n in network.frozen})
    h = EPS[method] if eps is None else eps
    bound = TOLERANCE[method] if tolerance is None else tolerance
    worst: dict[str, ParameterError] = {}
    linear = True
    probe = complex_network if method == "complex" and complex_network else network
    compared = 0
    for number in range(max(1, seeds)):
        point = find_point(network, sizes, seed + number, given, theta)
        if point is None:
            continue
        compared += 1
        emitted, scaled = _emitted(network, point)
        linear = linear and _is_linear(emitted, scaled)
        for found in _compare(
            network,
            _losses(network, probe, parts, method, point),
            point.theta,
            emitted,
            method,
            h,
            bound,
            seed + number,
            shares(network, max(1, seeds)),
        ):
            old = worst.get(found.path)
            if old is None or not found.error <= old.error:
                worst[found.path] = found
    order = [place.path for place in network.places if place.trained]
    parameters = tuple(worst[path] for path in order if path in worst)
    return CheckResult(
        parameters,
        method,
        h,
        bound,
        sizes,
        compared,
        linear,
        _warning(network, compared, max(1, seeds)),
    )


def shares(network: Network, seeds: int) -> tuple[int, int]:
    """How many entries of a parameter are checked one by one at a seed, and how many random
    directions of one that has more entries: ENTRIES and PROJECTIONS, or fewer where the
    parameters are so many that the passes would come to more than PASSES."""
    parameters = sum(place.trained for place in network.places)
    share = PASSES // max(1, seeds * parameters)
    projections = min(PROJECTIONS, max(1, share // 4))
    return min(ENTRIES, max(0, share - projections)), projections


def _warning(network: Network, compared: int, seeds: int) -> str:
    where = f"{len(DOMAINS)} ways to draw parameters and data"
    if not compared:
        return (
            f"the loss of {network.name} is infinite or NaN at every point of {where}: "
            "there was no gradient to compare"
        )
    if compared < seeds:
        return (
            f"the loss of {network.name} is finite for {compared} of {seeds} seeds, "
            f"with {where}: only these were compared"
        )
    return ""


def covers(loss: Mapping[str, Any], path: str) -> bool:
    """Whether a loss trains a parameter: `over a` names a or what lies below it."""
    over = loss.get("over")
    return over is None or any(
        path == a or path.startswith((f"{a}.", f"{a}[")) for a in over
    )


def _losses(
    network: Network,
    probe: Network,
    parts: Mapping[str, Part] | None,
    method: Method,
    point: Point,
) -> Callable[[str], tuple[Loss, Loss]]:
    """For a parameter, what its gradient is of: the sum of the losses that cover it, as the
    function to take differences of, and in the reals."""
    losses = network.signature["losses"]
    whole = (_function(probe, network, point), _function(network, network, point))

    def of(path: str) -> tuple[Loss, Loss]:
        mine = tuple(loss["name"] for loss in losses if covers(loss, path))
        return whole if len(mine) == len(losses) else together(mine)

    @cache
    def together(mine: tuple[str, ...]) -> tuple[Loss, Loss]:
        if parts is None:
            raise ValueError(
                f"{network.name} limits losses by `over`: the check needs each by itself"
            )
        chosen = [parts[name] for name in mine]
        reals = [_function(real, network, point) for _, real in chosen]
        probes = [
            _function(one, network, point)
            for one, _ in chosen
            if one is not None and method == "complex"
        ]
        return _sum(probes or reals), _sum(reals)

    return of


def _sum(functions: Sequence[Loss]) -> Loss:
    return lambda theta: sum(f(theta) for f in functions)


def _function(module: Network, network: Network, point: Point) -> Loss:
    """The loss of a module of the same program as a function of the network's θ."""
    if not module.has("forward"):
        return lambda theta: 0.0  # no parameter moves this loss
    needs = module.signature["functions"]["forward"]
    names = network.signature["functions"]["forward"]["inputs"]
    given = dict(zip(names, point.arrays, strict=True))
    rest = module.extras("forward", point.state, point.noise)
    inputs = [given[name] for name in needs["inputs"]]
    rest += [*inputs, *module.work(inputs, point.noise, point.theta.dtype)]
    forward = module.module["forward"]

    def loss(theta: Vector) -> Any:
        leading = [network.views(theta)] if needs["params"] else []
        with np.errstate(all="ignore"):
            return forward(*leading, *rest)[0]

    return loss


def _emitted(network: Network, point: Point) -> tuple[Vector, Vector]:
    """The emitted gradient, and the one for d_loss = -2.5 (an exact number)."""
    gradients = []
    with np.errstate(all="ignore"):
        for cotangent in (1.0, -2.5):
            if network.signature.get("work") is not None:  # it writes into ∇ itself
                vector = np.zeros_like(point.theta)
                step = network.stepper(point.theta, vector, dict(point.state))
                step(point.arrays, point.noise, cotangent)
                gradients.append(vector)
                continue
            _, saved, *_ = network.call(
                "forward", point.theta, point.arrays, point.state, point.noise
            )
            found = network.module["backward"](saved, cotangent)
            vector = np.zeros_like(point.theta)
            views = network.views(vector)
            for place in network.places:
                if place.trained:
                    array = np.asarray(found[place.path])
                    if array.shape != place.shape:
                        raise ValueError(
                            f"the gradient of {place.path} is {list(array.shape)}, the "
                            f"parameter {list(place.shape)}"
                        )
                    views[place.path][...] = array
            gradients.append(vector)
    return gradients[0], gradients[1]


def _is_linear(emitted: Vector, scaled: Vector) -> bool:
    """Whether one is -2.5 times the other; infinite entries are for `_compare` to judge."""
    finite = np.isfinite(emitted)
    bound = max(1.0, float(np.abs(emitted[finite]).max(initial=0.0)))
    apart = np.abs(scaled[finite] + 2.5 * emitted[finite])
    return bool(apart.max(initial=0.0) <= 1e-11 * bound)


def _compare(
    network: Network,
    losses: Callable[[str], tuple[Loss, Loss]],
    theta: Vector,
    emitted: Vector,
    method: Method,
    eps: float,
    tolerance: float,
    seed: int,
    share: tuple[int, int],
) -> Iterator[ParameterError]:
    largest = float(np.abs(emitted).max(initial=0.0))
    floor = min(1.0, max(FLOOR, largest if math.isfinite(largest) else 1.0))
    heights: dict[tuple[Loss, Loss], tuple[float, float]] = {}
    direction = np.zeros_like(theta)
    for place in network.places:
        if not place.trained or place.start == place.stop:
            continue
        f, real = losses(place.path)
        # Two forward passes that differ are a mistake of their own: nothing excuses it.
        if (f, real) not in heights:
            heights[f, real] = float(real(theta)), float(np.real(f(theta)))
        height, other = heights[f, real]
        apart = abs(other - height) / max(1.0, abs(height))
        same = apart <= 1e-9
        # A program that magnifies rounding has its value, and so its derivative, to fewer
        # digits: how many, the two forms of its forward pass tell.
        blurred = MAGNIFIED * apart if same else 0.0
        size = place.stop - place.start
        rng = stream(seed, "gradcheck", place.path)
        entries: Any = range(size)
        projections = 0
        if size > share[0]:
            entries = np.sort(rng.choice(size, share[0], replace=False))
            projections = share[1]
        worst: tuple[float, Any, float, float] = (-1.0, None, 0.0, 0.0)
        mine = emitted[place.start : place.stop]
        for number in [*entries, *[None] * projections]:
            part = direction[place.start : place.stop]
            part[...] = 0.0
            if number is None:
                part[...] = rng.choice([-1.0, 1.0], size) / math.sqrt(size)
                a = float(mine @ part)
            else:
                part[number] = 1.0
                a = float(mine[number])
            b = difference(f, theta, direction, method, eps)
            error = abs(a - b) / max(abs(a), abs(b), floor)
            if not math.isfinite(error):
                error = math.inf
            doubtful = same and error > tolerance
            if doubtful and (
                error <= blurred or excused(real, theta, direction, a, b, floor)
            ):
                error = 0.0
            if error > worst[0]:
                worst = (error, number, a, b)
        direction[place.start : place.stop] = 0.0
        entry = None
        if worst[1] is not None:
            entry = place.entry(worst[1])
        yield ParameterError(
            place.path,
            place.shape,
            worst[0],
            entry,
            worst[2],
            worst[3],
            len(entries) + projections,
        )


def excused(
    f: Callable[[Vector], Any],
    x: Vector,
    direction: Vector,
    emitted: float,
    difference: float,
    floor: float = FLOOR,
) -> bool:
    """Whether real differences to both sides do not contradict `emitted`, whatever
    `difference`, the complex step, says.

    So it is at a kink, where the slopes differ however small the step and `emitted` lies
    between them; at the edge of where f has a value, where there is no derivative; where the
    derivative is infinite; and where they agree with `emitted` and not with `difference`.
    """
    slopes = []
    height = abs(float(f(x)))
    for h in (1e-5, 1e-7):
        right = (float(f(x + h * direction)) - float(f(x))) / h
        left = (float(f(x)) - float(f(x - h * direction))) / h
        rounding = 64 * float(np.finfo(np.float64).eps) * height / h
        slopes.append((right, left, rounding))
    (right, left, rounding), (near_right, near_left, near_rounding) = slopes
    if not (math.isfinite(near_right) and math.isfinite(near_left)):
        return math.isfinite(emitted) or math.isinf(emitted)
    steep = max(abs(near_right), abs(near_left))
    if not math.isfinite(emitted):
        # √|x| at 0: the slope grows as the step shrinks, without end
        return steep > 5 * max(abs(right), abs(left)) and steep > 100 * near_rounding
    near = 1e-4 * max(steep, floor) + near_rounding
    jump, near_jump = abs(right - left), abs(near_right - near_left)
    if near_jump > 10 * near and near_jump > 0.5 * jump:
        low, high = sorted((near_right, near_left))
        return low - near <= emitted <= high + near
    central = (right + left) / 2
    about = 1e-4 * max(abs(central), floor) + rounding
    return abs(emitted - central) <= about and not (
        abs(difference - central) <= 10 * about
    )


def show_sizes(result: CheckResult) -> str:
    """The sizes of a check for its last line: `N = 8, D = 5`."""
    return ", ".join(f"{name} = {show(size)}" for name, size in result.sizes.items())
