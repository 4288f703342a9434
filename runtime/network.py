"""A network: an emitted module, executed, with its parameters as one vector.

In: the source that the compiler emitted, and its signature. Out: `Network`, whose functions
take θ, the flat vector of all parameters, and the inputs by name. Parameters and gradients
are views of θ and ∇, one contiguous vector each, so that an optimiser, a norm or SciPy see a
vector, and the emitted code sees matrices, and nothing is copied between them.

    net = Network(source, signature)
    theta = net.init(seed=0, D=13)
    loss, nabla = net.value_and_grad(theta, x=x, y=y)
    net.views(nabla)["w"]                           # the gradient of w, a view
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .sizes import Signature, evaluate, limits, show_type
from .sizes import bind as bind_sizes
from .streams import stream

if TYPE_CHECKING:
    from .data import Transforms

SIGNATURE_VERSION = 1

Array = NDArray[Any]
Vector = NDArray[Any]
Step = Callable[[Sequence[Array]], float]


def _import(name: str, *rest: Any) -> Any:
    """All that `import` can reach in an emitted module.

    NumPy's own C code imports parts of NumPy on the way, through the builtins of its caller:
    they are loaded already.
    """
    if name != "numpy" and not (name.startswith("numpy.") and name in sys.modules):
        raise ImportError(f"an emitted module imports numpy, not {name!r}")
    return __import__(name, *rest)


_BUILTINS = {
    "enumerate": enumerate,
    "len": len,
    "range": range,
    "reversed": reversed,
    "zip": zip,
    "__import__": _import,
}


@dataclass(frozen=True)
class Place:
    """Where a parameter lies in θ: `theta[start:stop]`, in this shape."""

    path: str
    shape: tuple[int, ...]
    start: int
    stop: int
    trained: bool


class Network:
    """An emitted module and its signature, ready to be called.

    `source` is the text that one reads, `sizes` the sizes that are bound: those that
    parameters use are frozen from then on. The trained parameters come first in θ, then the
    frozen ones, each in the order of the program; `trained` is the length of the first part.
    Of a run that was loaded, `theta` are the weights and `transforms` what was fitted.
    """

    def __init__(
        self,
        source: str,
        signature: Signature,
        filename: str | None = None,
        tree: ast.Module | None = None,
    ) -> None:
        """Execute `source` (or `tree`, which a guard has parsed from it and admitted)."""
        if signature.get("version") != SIGNATURE_VERSION:
            raise ValueError(
                f"the signature has version {signature.get('version')!r}; "
                f"this runtime reads {SIGNATURE_VERSION}"
            )
        self.source = source
        self.signature = signature
        self.name: str = signature["name"]
        digest = hashlib.sha256(source.encode()).hexdigest()[:8]
        self.filename = filename or f"<gradc {self.name} {digest}>"
        # With no time of change the text stays in the cache, so that a traceback or a
        # debugger shows the lines of the emitted module.
        linecache.cache[self.filename] = (
            len(source),
            None,
            source.splitlines(keepends=True),
            self.filename,
        )
        space: dict[str, Any] = {"__builtins__": _BUILTINS, "__name__": "gradc_module"}
        exec(compile(tree or source, self.filename, "exec"), space)
        self.module = space
        self.inputs: dict[str, Mapping[str, Any]] = {
            entry["name"]: entry for entry in signature["inputs"]
        }
        self.frozen: tuple[str, ...] = tuple(
            name for name, size in signature["sizes"].items() if size["frozen"]
        )
        self.sizes: dict[str, int] = {}
        self.theta: Vector = np.zeros(0)
        self.transforms: Transforms | None = None
        self._places: tuple[Place, ...] | None = None

    # ---------------------------------------------------------------- sizes and layout

    def bind(self, sizes: Mapping[str, int]) -> Network:
        """Fix the sizes that parameters use; others are ignored. Returns the network."""
        for name, size in sizes.items():
            if name not in self.signature["sizes"]:
                known = ", ".join(self.signature["sizes"]) or "none"
                raise ValueError(
                    f"{self.name} has no size {name!r}; its sizes are: {known}"
                )
            if name not in self.frozen:
                continue
            if self.sizes.setdefault(name, int(size)) != size:
                raise ValueError(
                    f"size {name} is {self.sizes[name]} in the parameters of {self.name}, "
                    f"not {size}"
                )
        return self

    @property
    def places(self) -> tuple[Place, ...]:
        """The layout of θ. `ValueError` where a size is not bound yet."""
        if self._places is None:
            missing = [name for name in self.frozen if name not in self.sizes]
            if missing:
                raise ValueError(
                    f"the parameters of {self.name} need the size {', '.join(missing)}: "
                    f"bind it first, as in init(seed=0, {missing[0]}=…)"
                )
            places, start = [], 0
            entries = self.signature["parameters"]
            for entry in sorted(entries, key=lambda entry: not entry["trained"]):
                shape = tuple(evaluate(dim, self.sizes) for dim in entry["shape"])
                stop = start + math.prod(shape)
                places.append(
                    Place(entry["path"], shape, start, stop, entry["trained"])
                )
                start = stop
            self._places = tuple(places)
        return self._places

    @property
    def size(self) -> int:
        """The length of θ."""
        return self.places[-1].stop if self.places else 0

    @property
    def trained(self) -> int:
        """The length of the trained part of θ, which comes first."""
        return max((place.stop for place in self.places if place.trained), default=0)

    def views(self, theta: Vector) -> dict[str, Array]:
        """The parameters by path, each a view of θ (or of ∇, or of any such vector)."""
        if theta.shape != (self.size,):
            raise ValueError(
                f"theta has shape {list(theta.shape)}; {self.name} has {self.size} parameters"
            )
        return {
            place.path: theta[place.start : place.stop].reshape(place.shape)
            for place in self.places
        }

    def vector(self, parameters: Mapping[str, Any], dtype: Any = None) -> Vector:
        """θ made of parameters by path: the inverse of `views`."""
        theta = np.zeros(self.size, dtype or self.dtype)
        for path, view in self.views(theta).items():
            if path not in parameters:
                raise ValueError(f"no value for parameter {path}")
            array = np.asarray(parameters[path])
            if array.shape != view.shape:
                raise ValueError(
                    f"parameter {path} is {list(array.shape)}; "
                    f"{self.name} has {list(view.shape)}"
                )
            view[...] = array
        return theta

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision that the program asks for: float32 unless it says otherwise."""
        name: str = self.signature["train"].get("dtype", "float32")
        return np.dtype(name)

    def init(self, seed: int = 0, dtype: Any = None, **sizes: int) -> Vector:
        """A new θ, drawn by the program's initialisers; `sizes` are bound on the way.

        The values are a function of the seed; float32 values are those of float64, rounded.
        """
        self.bind(sizes)
        if not self.places:
            return np.zeros(0, dtype or self.dtype)
        arguments = [self.sizes[name] for name in self.signature["init_sizes"]]
        drawn = self.module["init"](stream(seed, "init"), *arguments)
        return self.vector(drawn, dtype)

    # ------------------------------------------------------------------------- functions

    def has(self, function: str) -> bool:
        """Whether the module has this function: forward, backward, evaluate or predict."""
        return function in self.module

    def value_and_grad(self, theta: Vector, **inputs: Any) -> tuple[float, Vector]:
        """The loss and ∇, a new vector in the layout of θ, 0 in its frozen part."""
        theta, arrays = self._ready("forward", theta, inputs)
        nabla = np.zeros_like(theta)
        with np.errstate(all="ignore"):
            loss = self.stepper(theta, nabla)(arrays)
        return loss, nabla

    def evaluate(self, theta: Vector, **inputs: Any) -> dict[str, float]:
        """The loss, each named loss and each metric, in evaluation mode."""
        theta, arrays = self._ready("evaluate", theta, inputs)
        with np.errstate(all="ignore"):
            figures = self.call("evaluate", theta, arrays)
        return {name: float(figure) for name, figure in figures.items()}

    def predict(self, theta: Vector | None = None, **inputs: Any) -> dict[str, Array]:
        """The outputs by name. Only the inputs that they need are asked for."""
        if theta is None:
            theta = np.zeros(0, self.dtype)
        theta, arrays = self._ready("predict", theta, inputs)
        with np.errstate(all="ignore"):
            outputs = self.call("predict", theta, arrays)
        return {name: np.asarray(output) for name, output in outputs.items()}

    def call(self, function: str, theta: Vector, arrays: Iterable[Any]) -> Any:
        """Call a function of the module with arrays in its order, unchecked."""
        if self.signature["functions"][function]["params"]:
            return self.module[function](self.views(theta), *arrays)
        return self.module[function](*arrays)

    def stepper(self, theta: Vector, nabla: Vector) -> Step:
        """A function of the inputs' arrays, unchecked, that fills ∇ and returns the loss.

        θ and ∇ are fixed: their views are made here, once, and a training step is a call of
        `forward`, one of `backward` and a copy into the views.
        """
        forward, backward = self.module["forward"], self.module.get("backward")
        if backward is None:
            raise ValueError(
                f"{self.name} has no loss: there is nothing to differentiate"
            )
        views = self.views(nabla)
        trained = [
            (place.path, views[place.path]) for place in self.places if place.trained
        ]
        parameters = self.views(theta)
        leading = (
            (parameters,) if self.signature["functions"]["forward"]["params"] else ()
        )

        def step(arrays: Sequence[Array]) -> float:
            loss, saved = forward(*leading, *arrays)
            gradients = backward(saved)
            for path, view in trained:
                view[...] = gradients[path]
            return float(loss)

        return step

    # --------------------------------------------------------------------- checked inputs

    def _ready(
        self, function: str, theta: Vector, inputs: Mapping[str, Any]
    ) -> tuple[Vector, list[Array]]:
        if function not in self.module:
            what = "output" if function == "predict" else "loss"
            raise ValueError(
                f"{self.name} has no {what}, so it has no function {function}"
            )
        theta = np.asarray(theta)
        if theta.dtype.kind not in "fc":
            raise ValueError(f"theta is {theta.dtype}; it must be float32 or float64")
        theta = np.ascontiguousarray(theta)
        return theta, self.arrays(function, inputs, theta.dtype)

    def arrays(
        self, function: str, inputs: Mapping[str, Any], dtype: Any = None
    ) -> list[Array]:
        """The inputs of a function in its order, checked and converted.

        `ValueError` names what is missing or too many, and each input of wrong shape, type
        or range.
        """
        wanted = self.signature["functions"][function]["inputs"]
        missing = [name for name in wanted if name not in inputs]
        if missing:
            entries = [f"{name}: {show_type(self.inputs[name])}" for name in missing]
            raise ValueError(f"{function} of {self.name} lacks {'; '.join(entries)}")
        for name in inputs:
            if name not in self.inputs:
                raise ValueError(
                    f"{self.name} has no input {name!r}; its inputs are: "
                    f"{', '.join(self.inputs) or 'none'}"
                )
        dtype = np.dtype(dtype or self.dtype)
        arrays = {
            name: _converted(self.name, self.inputs[name], inputs[name], dtype)
            for name in wanted
        }
        try:
            sizes = bind_sizes(
                self.signature,
                {name: array.shape for name, array in arrays.items()},
                self.sizes,
            )
        except DataError as error:
            raise ValueError(str(error)) from None
        self.bind({name: size for name, size in sizes.items() if name in self.frozen})
        for name, array in arrays.items():
            check_range(self.inputs[name], array, sizes)
        return [arrays[name] for name in wanted]


def _converted(
    net: str, entry: Mapping[str, Any], value: Any, dtype: np.dtype[Any]
) -> Array:
    """One argument as an array of the input's kind, in the dtype of the run."""
    name, kind = entry["name"], entry["kind"]
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name} is no array: {error}") from None
    fits = {"real": "fiu", "int": "iu", "bool": "b"}[kind]
    if np.issubdtype(dtype, np.complexfloating) and kind == "real":
        fits += "c"
    if array.dtype.kind not in fits:
        raise ValueError(
            f"{name} is {array.dtype}; {net}:{entry['line']} says input {name}: "
            f"{show_type(entry)} ({kind})"
        )
    if array.ndim != len(entry["shape"]):
        raise ValueError(
            f"{name} is {list(array.shape)}; {net}:{entry['line']} says input {name}: "
            f"{show_type(entry)}"
        )
    if kind == "real":
        return array.astype(dtype, copy=False)
    if kind == "int":
        return array.astype(np.int64, copy=False)
    return array


def check_range(
    entry: Mapping[str, Any], array: Array, sizes: Mapping[str, int]
) -> None:
    """`ValueError` where an int input holds a value outside of the range of its use."""
    bounds = limits(entry, sizes)
    if bounds is None or not array.size:
        return
    low, high = bounds
    wrong = (array < low) | (array >= high)
    if wrong.any():
        first = np.argwhere(wrong)[0]
        raise ValueError(
            f"{entry['name']}{[int(i) for i in first]} is {array[tuple(first)]}; "
            f"{entry['name']} is used as an index, from {low} to {high - 1}"
        )
