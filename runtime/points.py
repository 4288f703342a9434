"""Points at which a gradient can be checked: sizes, parameters, inputs, draws.

In: a network. Out: all arguments of its `forward`, at which the loss is finite in the reals, or
nothing, if there are none where was looked. Everything is a function of the seed.

    sizes = choose_sizes(network.signature, {"N": 8})          # {"N": 8, "D": 3}
    point = find_point(network, sizes, seed=0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .network import Network, Noise, State
from .records import record
from .sizes import Signature, bind, evaluate, holds, limits, row_dims, symbols, value
from .streams import stream

Vector = NDArray[Any]

DOMAINS = (
    "near",
    "near, positive data",
    "above",
    "normal",
    "positive",
    "small",
    "large",
)
"""Where to look for a point at which the loss is finite, in this order: see `find_point`."""

PRIMES = (3, 5, 7, 2, 11, 13, 4, 6, 8, 9, 10, 12, 16, 1, 14, 15, 18, 20, 24, 32, 64)


@record
class Point:
    """Where to compare: all arguments of `forward`. Chance is drawn once and held."""

    theta: Vector
    arrays: list[Any]
    state: State
    noise: Noise


def find_point(
    network: Network,
    sizes: Mapping[str, int],
    seed: int,
    given: Mapping[str, Any] | None = None,
    theta: Vector | None = None,
) -> Point | None:
    """Arguments for which the loss is finite in the reals, or None: in the first of
    `DOMAINS` where it is.

    The first is θ as `init` gives it, moved a little, and normal data: what a training
    starts with. What is given stays as it is. State is what it starts as, moved upwards.
    """
    for attempt, domain in enumerate(DOMAINS):
        draw = stream(seed, "gradcheck-point", "", attempt)
        if theta is not None:
            point = np.asarray(theta, np.float64)
        else:
            point = _parameters(network.init(seed, np.float64), domain, draw)
        low = 0.1 if domain in ("positive", "small", "large") else 0.0
        positive = domain not in ("near", "normal")
        drawn = random_inputs(network.signature, sizes, draw, positive, low)
        arrays = network.arrays("forward", {**drawn, **(given or {})}, np.float64)
        state = network.initial_state(seed, np.float64)
        for path, array in state.items():
            if array.dtype.kind == "f":
                moved = 0.1 * np.abs(draw.standard_normal(array.shape))
                state[path] = np.asarray(array + moved)
        noise = network.draw("forward", sizes, seed, attempt + 1, np.float64)
        with np.errstate(all="ignore"):
            loss = network.call("forward", point, arrays, state, noise)[0]
        if np.isfinite(loss):
            return Point(point, arrays, state, noise)
    return None


def _parameters(start: Vector, domain: str, draw: np.random.Generator) -> Vector:
    """θ in a domain; `start` is what `init` gives."""
    normal = draw.standard_normal(start.size)
    match domain:
        case "near" | "near, positive data":
            return start + 0.1 * normal
        case "above":
            return start + 0.1 * np.abs(normal)
        case "normal":
            return normal
        case "positive":
            return draw.uniform(0.1, 1.0, start.size)
        case "small":
            return 0.01 * normal
        case "large":
            return draw.uniform(1.0, 3.0, start.size)
    raise ValueError(f"no domain {domain!r}")


def random_inputs(
    signature: Signature,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    positive: bool = False,
    low: float = 0.0,
) -> dict[str, NDArray[Any]]:
    """Values for the inputs of `forward`: reals normal (or uniform in low … 1), ints uniform."""
    arrays: dict[str, NDArray[Any]] = {}
    wanted = signature["functions"]["forward"]["inputs"]
    for entry in signature["inputs"]:
        if entry["name"] not in wanted:
            continue
        shape = tuple(evaluate(dim, sizes) for dim in entry["shape"])
        if entry["kind"] == "real":
            normal = rng.standard_normal(shape)
            drawn = rng.uniform(low, 1.0, shape) if positive else normal
            arrays[entry["name"]] = np.asarray(drawn)
        elif entry["kind"] == "bool":
            arrays[entry["name"]] = np.asarray(rng.random(shape) < 0.5)
        else:
            first, high = limits(entry, sizes) or (0, 10)
            arrays[entry["name"]] = np.asarray(
                rng.integers(first, max(high, first + 1), shape)
            )
    return arrays


def choose_sizes(
    signature: Signature,
    given: Mapping[str, int],
    inputs: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """A size for each symbol: as given, as the inputs have it, else a small prime.

    Primes differ from each other, so that sizes mistaken for one another show; where the
    program's checks refuse them, other small numbers are tried. `DataError` if none will do.
    """
    sizes = dict(given)
    for name in sizes:
        if name not in signature["sizes"]:
            known = ", ".join(signature["sizes"]) or "none"
            raise DataError(f"no size {name!r}; the sizes are: {known}")
    shapes = {name: np.shape(array) for name, array in (inputs or {}).items()}
    if shapes:
        sizes = bind(signature, shapes, sizes, checks=False)
    # Rows last: a failing check of the others is found before.
    free = [name for name in signature["sizes"] if name not in sizes]
    free.sort(key=lambda name: name in row_dims(signature))
    found = _search(signature, sizes, free)
    if found is None:
        tests = "; ".join(
            f"line {t['line']}: {t['message']}" for t in signature["checks"]
        )
        raise DataError(
            f"no small sizes {', '.join(free)} pass the checks of {signature['name']}",
            tests,
            "give them:  --size N=16",
        )
    return found


def _search(
    signature: Signature, sizes: dict[str, int], free: Sequence[str]
) -> dict[str, int] | None:
    if not _passes(signature, sizes):
        return None
    if not free:
        return sizes
    used = set(sizes.values())
    name, rest = free[0], free[1:]
    candidates = [n for n in PRIMES if n not in used] + [n for n in PRIMES if n in used]
    for size in candidates:
        found = _search(signature, {**sizes, name: size}, rest)
        if found is not None:
            return found
    return None


def _passes(signature: Signature, sizes: Mapping[str, int]) -> bool:
    """Whether checks hold and shapes are sizes, as far as the symbols are known."""
    for test in signature["checks"]:
        names = (*symbols(test["left"]), *symbols(test["right"]))
        if all(name in sizes for name in names) and not holds(test, sizes):
            return False
    groups = ("inputs", "parameters", "states", "randoms")
    for group in (signature[name] for name in groups):
        for entry in group:
            for dim in entry["shape"]:
                if all(name in sizes for name in symbols(dim)):
                    size = value(dim, sizes)
                    if size.denominator != 1 or size < 0:
                        return False
    return True
