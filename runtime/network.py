"""A network: an emitted module, executed, with its parameters as one vector.

In: the source that the compiler emitted, and its signature. Out: `Network`, whose functions
take θ, the flat vector of all parameters, and the inputs by name. Parameters and gradients
are views of θ and ∇, one contiguous vector each, so that an optimiser, a norm or SciPy see a
vector, and the emitted code sees matrices, and nothing is copied between them.

    net = Network(source, signature)
    theta = net.init(seed=0, D=13)
    loss, nabla = net.value_and_grad(theta, x=x, y=y)
    net.views(nabla)["w"]                           # the gradient of w, a view

Programs with `state` or `random` are pure functions too: what they remember and what chance
gives are arguments. Where a caller leaves them out, the state is `net.state` (what `init` gives,
or a trained run's) and the draws are those of evaluation, index 0 of the seed `net.seed`.

    loss, nabla, state = net.value_and_grad(theta, net.initial_state(), x=x)
    noise = net.draw("forward", {"N": 64}, seed=0, index=step)     # a dict by path
    loss, nabla = net.value_and_grad(theta, noise=noise, x=x)
"""

from __future__ import annotations

import ast
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .arguments import check_range, check_shape, converted
from .buffers import Buffers, zeros
from .errors import DataError
from .execution import computing, execute
from .landing import Places, takes_places
from .places import Place, lay_out
from .sizes import Signature, evaluate, show_shape, show_type, symbols
from .sizes import bind as bind_sizes
from .streams import standard, stream

if TYPE_CHECKING:
    from .data import Transforms

SIGNATURE_VERSION = 1

Array = NDArray[Any]
Vector = NDArray[Any]
State = dict[str, Array]
Noise = Mapping[str, Array]


class Step(Protocol):
    """A training step: fills ∇, moves the state on, and returns the loss."""

    def __call__(
        self,
        arrays: Sequence[Array],
        noise: Noise | None = None,
        d_loss: float = 1.0,
    ) -> float:
        """`noise` may be absent where the program draws nothing. ∇ is times `d_loss`."""


class Network:
    """An emitted module and its signature, ready to be called.

    `source` is the text that one reads, `sizes` the sizes that are bound: those that
    parameters use are frozen from then on. The trained parameters come first in θ, then the
    frozen ones, each in the order of the program; `trained` is the length of the first part.
    Of a run that was loaded, `theta` are the weights, `state` what it remembers, `seed` that
    of its draws and `transforms` what was fitted.
    """

    def __init__(
        self,
        source: str,
        signature: Signature,
        filename: str | None = None,
        tree: ast.Module | None = None,
    ) -> None:
        """Execute `source` (or `tree`, which a guard has parsed from it and admitted): see
        `execution.py`."""
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
        self.module = execute(source, self.filename, tree)
        self.inputs: dict[str, Mapping[str, Any]] = {
            entry["name"]: entry for entry in signature["inputs"]
        }
        states = {
            n for e in signature["states"] for d in e["shape"] for n in symbols(d)
        }
        self.frozen: tuple[str, ...] = tuple(
            name
            for name, size in signature["sizes"].items()
            if size["frozen"] or name in states or name in signature["init_sizes"]
        )
        self.sizes: dict[str, int] = {}
        self.theta: Vector = np.zeros(0)
        self.state: State = {}
        self.seed = 0
        self.transforms: Transforms | None = None
        self._places: tuple[Place, ...] | None = None

    # ---------------------------------------------------------------- sizes and layout

    def bind(self, sizes: Mapping[str, int]) -> Network:
        """Fix the sizes that parameters and state use; others are ignored. Returns the network."""
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
            self._places = lay_out(self.signature["parameters"], self.sizes)
        return self._places

    def lie_like(self, other: Network) -> Network:
        """θ has the layout that it has in another form of the same program."""
        self._places = other.places
        return self

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
        return {place.path: place.view(theta) for place in self.places}

    def vector(self, parameters: Mapping[str, Any], dtype: Any = None) -> Vector:
        """θ made of parameters by path: the inverse of `views`."""
        theta = zeros(self.size, dtype or self.dtype)
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
        return self.vector(self._drawn(seed)[0], dtype)

    def initial_state(
        self, seed: int = 0, dtype: Any = None, **sizes: int
    ) -> dict[str, Array]:
        """What the program's `state` starts as, by path; empty where it has none."""
        self.bind(sizes)
        if not self.signature["states"]:
            return {}
        return self.as_state(self._drawn(seed)[1], dtype)

    def _drawn(self, seed: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Parameters and state by path, as the module's `init` draws them."""
        missing = [n for n in self.signature["init_sizes"] if n not in self.sizes]
        if missing:
            raise ValueError(
                f"{self.name} needs the size {', '.join(missing)}: "
                f"bind it first, as in init(seed=0, {missing[0]}=…)"
            )
        arguments = [self.sizes[name] for name in self.signature["init_sizes"]]
        drawn = self.module["init"](stream(seed, "init"), *arguments)
        return drawn if isinstance(drawn, tuple) else (drawn, {})

    def as_state(self, values: Mapping[str, Any], dtype: Any = None) -> State:
        """A state with new arrays: reals in the dtype of the run."""
        state: State = {}
        for entry in self.signature["states"]:
            path = entry["path"]
            if path not in values:
                raise ValueError(f"no value for state {path}")
            array = np.asarray(values[path])
            kind = dtype or self.dtype if array.dtype.kind == "f" else array.dtype
            state[path] = array.astype(kind)
        return state

    # ---------------------------------------------------------------------------- chance

    def draws(self, function: str) -> list[Mapping[str, Any]]:
        """The entries of the `random`s that a function reads, in the program's order."""
        wanted = self.signature["functions"].get(function, {}).get("draws", ())
        return [e for e in self.signature["randoms"] if e["path"] in wanted]

    def draw(
        self,
        function: str,
        sizes: Mapping[str, int],
        seed: int = 0,
        index: int = 0,
        dtype: Any = None,
    ) -> dict[str, Array]:
        """The draws that a function reads, by path: standard normals, or uniform in [0, 1).

        Each is a function of seed, path and index (the step in training, 0 otherwise) for
        the whole batch; `sizes` are those of its shape.
        """
        known = {**self.sizes, **sizes}
        real = np.finfo(dtype or self.dtype).dtype  # of complex numbers, their parts'
        noise = {}
        for entry in self.draws(function):
            free = [n for d in entry["shape"] for n in symbols(d) if n not in known]
            if free:
                raise DataError(
                    f"{self.name}:{entry['line']}: random {entry['path']}: "
                    f"{show_shape(entry['shape'])} needs the size {free[0]}, "
                    "which no input binds",
                    f"give it:  --size {free[0]}=16",
                )
            shape = tuple(evaluate(dim, known) for dim in entry["shape"])
            noise[entry["path"]] = standard(
                entry["law"], seed, entry["path"], index, shape, real
            )
        return noise

    def sizes_of(self, function: str, arrays: Sequence[Any]) -> dict[str, int]:
        """The sizes that the arrays of a function's inputs bind, with those of θ."""
        names = self.signature["functions"][function]["inputs"]
        shapes = {n: np.shape(a) for n, a in zip(names, arrays, strict=True)}
        return bind_sizes(self.signature, shapes, self.sizes)

    # ------------------------------------------------------------------------- functions

    def has(self, function: str) -> bool:
        """Whether the module has this function: forward, backward, evaluate or predict."""
        return function in self.module

    def value_and_grad(
        self,
        theta: Vector,
        state: Mapping[str, Any] | None = None,
        noise: Noise | None = None,
        /,
        **inputs: Any,
    ) -> Any:
        """The loss and ∇, a new vector in the layout of θ, 0 in its frozen part.

        Of a program with state it is (loss, ∇, state): the new state is a dict of its own.
        """
        theta, arrays, state, noise = self._ready(
            "forward", theta, state, noise, inputs
        )
        nabla, state = zeros(theta.size, theta.dtype), dict(state)
        with computing():
            loss = self.stepper(theta, nabla, state)(arrays, noise)
        return (loss, nabla, state) if self.signature["states"] else (loss, nabla)

    def evaluate(
        self,
        theta: Vector,
        state: Mapping[str, Any] | None = None,
        noise: Noise | None = None,
        /,
        **inputs: Any,
    ) -> dict[str, float]:
        """The loss, each named loss and each metric, in evaluation mode."""
        theta, arrays, state, noise = self._ready(
            "evaluate", theta, state, noise, inputs
        )
        with computing():
            figures = self.call("evaluate", theta, arrays, state, noise)
        return {name: float(figure) for name, figure in figures.items()}

    def predict(
        self,
        theta: Vector | None = None,
        state: Mapping[str, Any] | None = None,
        noise: Noise | None = None,
        /,
        **inputs: Any,
    ) -> dict[str, Array]:
        """The outputs by name. Only the inputs that they need are asked for."""
        if theta is None:
            theta = np.zeros(0, self.dtype)
        theta, arrays, state, noise = self._ready(
            "predict", theta, state, noise, inputs
        )
        with computing():
            outputs = self.call("predict", theta, arrays, state, noise)
        return {name: np.asarray(output) for name, output in outputs.items()}

    def call(
        self,
        function: str,
        theta: Vector,
        arrays: Iterable[Any],
        state: Mapping[str, Any] | None = None,
        noise: Noise | None = None,
    ) -> Any:
        """Call a function of the module with arrays in its order, unchecked."""
        leading: list[Any] = []
        if self.signature["functions"][function]["params"]:
            leading.append(self.views(theta))
        extras = self.extras(function, state, noise)
        given = tuple(arrays)
        if function == "forward":
            given += self.work(given, noise, theta.dtype)
        try:
            return self.module[function](*leading, *extras, *given)
        except IndexError as error:
            raise self.outside(error) from error

    def work(
        self, arrays: Sequence[Array], noise: Noise | None, dtype: Any
    ) -> tuple[Any, ...]:
        """New memory for one call of `forward`: its last arguments, none below -O2."""
        planned = self._buffers(dtype, {})
        if planned is None:
            return ()
        return planned.of((), lambda: self.all_sizes(arrays, noise))

    def outside(self, error: IndexError) -> DataError:
        """An index that the program computes has no range that data are checked by."""
        return DataError(
            f"{self.name} computes an index that lies outside of what it indexes",
            str(error),
        )

    def extras(
        self, function: str, state: Mapping[str, Any] | None, noise: Noise | None
    ) -> list[Any]:
        """State and noise as a function asks for them."""
        needs = self.signature["functions"][function]
        extras: list[Any] = []
        if needs.get("state"):
            extras.append(state)
        if needs.get("noise"):
            extras.append(noise)
        return extras

    def stepper(
        self,
        theta: Vector,
        nabla: Vector,
        state: State | None = None,
        instead: Callable[[Sequence[Array], Noise | None], Step | None] | None = None,
    ) -> Step:
        """A function of the inputs' arrays (and noise), unchecked, that fills ∇.

        θ, ∇ and the state are fixed: their views are made here, once, and a training step is
        a call of `forward`, one of `backward` and, where the module has no buffers, a copy
        into the views. A finite loss puts what is remembered from then on into `state`.

        `instead` is asked whenever the shapes change, of modules that have buffers: a step
        that it returns is taken for all batches of these shapes.
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
        needs = self.signature["functions"]["forward"]
        leading: tuple[Any, ...] = (self.views(theta),) if needs["params"] else ()
        remembered: State = {} if state is None else state
        if needs.get("state"):
            leading += (remembered,)
        random, states = bool(needs.get("noise")), bool(self.signature["states"])
        planned = self._buffers(nabla.dtype, views)
        places = (Places(views),) if takes_places(backward) else ()
        known: list[tuple[int, ...]] | None = None  # a program may have no inputs
        work: tuple[Any, ...] = ()
        other: Step | None = None

        def step(
            arrays: Sequence[Array], noise: Noise | None = None, d_loss: float = 1.0
        ) -> float:
            # At 20 µs a step every line here counts: most batches are of one size.
            nonlocal known, work, other
            if planned is not None:
                shapes = [array.shape for array in arrays]
                if shapes != known:
                    other = instead(arrays, noise) if instead is not None else None
                    if other is None:
                        work = planned.of(
                            tuple(shapes), lambda: self.all_sizes(arrays, noise)
                        )
                    known = shapes
                if other is not None:
                    return other(arrays, noise, d_loss)
            given = (*leading, noise, *arrays) if random else (*leading, *arrays)
            new: State = {}
            try:
                if states:
                    loss, saved, new = forward(*given, *work)
                else:
                    loss, saved = forward(*given, *work)
            except IndexError as error:
                raise self.outside(error) from error
            if planned is not None:
                backward(saved, d_loss, work[0])
            else:
                gradients = backward(saved, d_loss, *places)
                for path, view in trained:
                    gradient = gradients[path]
                    if gradient is not view:
                        view[...] = gradient
            if states and math.isfinite(loss):
                for path, value in new.items():
                    remembered[path] = np.asarray(value, remembered[path].dtype)
            return float(loss)

        return step

    def _buffers(self, dtype: Any, views: Mapping[str, Array]) -> Buffers | None:
        """The memory of training steps, where the module plans it."""
        if self.signature.get("work") is None:
            return None
        make = self.module["buffers"]
        return Buffers(make, self.signature, dtype, views)

    def all_sizes(self, arrays: Sequence[Array], noise: Noise | None) -> dict[str, int]:
        """The sizes that inputs, draws and parameters bind."""
        known = self.sizes_of("forward", arrays)
        for entry in self.draws("forward"):
            shape = np.shape((noise or {}).get(entry["path"], 0))
            for dim, size in zip(entry["shape"], shape, strict=False):
                names = symbols(dim)
                if len(names) == 1 and evaluate(dim, {names[0]: 1}) == 1:
                    known.setdefault(names[0], size)
        return known

    # --------------------------------------------------------------------- checked inputs

    def _ready(
        self,
        function: str,
        theta: Vector,
        state: Mapping[str, Any] | None,
        noise: Noise | None,
        inputs: dict[str, Any],
    ) -> tuple[Vector, list[Array], State, Noise]:
        # By keyword too, unless an input is called so.
        if state is None and "state" not in self.inputs:
            state = inputs.pop("state", None)
        if noise is None and "noise" not in self.inputs:
            noise = inputs.pop("noise", None)
        if function not in self.module:
            what = "output" if function == "predict" else "loss"
            raise ValueError(
                f"{self.name} has no {what}, so it has no function {function}"
            )
        theta = np.asarray(theta)
        if theta.dtype.kind not in "fc":
            raise ValueError(f"theta is {theta.dtype}; it must be float32 or float64")
        theta = np.ascontiguousarray(theta)
        arrays = self.arrays(function, inputs, theta.dtype)
        return (
            theta,
            arrays,
            self._state(function, state, theta.dtype),
            self._noise(function, noise, arrays, theta.dtype),
        )

    def _state(
        self, function: str, given: Mapping[str, Any] | None, dtype: Any
    ) -> State:
        """The state that a function is to be given, checked: of the run, if left out."""
        if not self.signature["functions"][function].get("state"):
            return {}
        if given is None:
            given = self.state or self.initial_state(self.seed, dtype)
        state = self.as_state(given, dtype)
        for entry in self.signature["states"]:
            if all(n in self.sizes for d in entry["shape"] for n in symbols(d)):
                shape = tuple(evaluate(dim, self.sizes) for dim in entry["shape"])
                check_shape(self.name, "state", entry, state[entry["path"]], shape)
        return state

    def _noise(
        self, function: str, given: Noise | None, arrays: Sequence[Any], dtype: Any
    ) -> Noise:
        """The draws that a function reads, checked: those of evaluation, if left out."""
        entries = self.draws(function)
        if not entries:
            return {}
        sizes = self.sizes_of(function, arrays)
        if given is None:
            return self.draw(function, sizes, self.seed, 0, dtype)
        noise = {}
        for entry in entries:
            path = entry["path"]
            if path not in given:
                raise ValueError(f"noise has no draw for random {path}")
            noise[path] = np.asarray(given[path])
            if all(n in sizes for d in entry["shape"] for n in symbols(d)):
                shape = tuple(evaluate(dim, sizes) for dim in entry["shape"])
                check_shape(self.name, "random", entry, noise[path], shape)
        return noise

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
            name: converted(self.name, self.inputs[name], inputs[name], dtype)
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
