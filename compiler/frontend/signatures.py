"""The functions that the compiler itself knows: their names and parameters.

Shared by `resolve.py` (does the name exist?), lowering (which argument is which?) and the
messages about calls. What a function means is not said here: lowering maps names to ops.
The optimisers and schedules of `train { }` are here too, for the same reason: they are calls.

    >>> PRIMITIVES["softmax"].text
    'softmax(x, axis = -1)'
    >>> [parameter.name for parameter in PRIMITIVES["where"].parameters]
    ['condition', 'a', 'b']
"""

from __future__ import annotations

from typing import Literal

from gradc.records import record

Form = Literal["positional", "keyword", "many", "sizes"]


@record
class Parameter:
    """One parameter of a primitive.

    `default` is .net text ("-1", "false", '"same"'), None for a required argument and ""
    for one that may be missing and then means nothing. `form`: "positional" may also be
    given by keyword; "keyword" must be; "many" takes any number, at least one; "sizes"
    stands for any keywords, the letters of a pattern (`h = heads`).
    """

    name: str
    default: str | None = None
    form: Form = "positional"

    @property
    def text(self) -> str:
        """The parameter as a signature shows it."""
        if self.form == "many":
            return f"{self.name}, …"
        if self.form == "sizes":
            return "letter = size, …"
        if self.default is None:
            return self.name
        return f"{self.name} = {self.default or '…'}"


@record
class Primitive:
    """A function that the compiler knows: name, parameters, and what kind of thing it is.

    `group` "fill" marks the ways to fill a `param`, `state` or `random`, which stand
    nowhere else; "special" the three that need a name or a path, not a value.
    """

    name: str
    parameters: tuple[Parameter, ...]
    group: str

    @property
    def text(self) -> str:
        """The signature as the messages show it: `split(x, n, axis = -1)`."""
        shown = ", ".join(parameter.text for parameter in self.parameters)
        return f"{self.name}({shown})"

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name."""
        for parameter in self.parameters:
            if parameter.name == name and parameter.form not in ("many", "sizes"):
                return parameter
        return None


def _p(name: str, default: str | None = None) -> Parameter:
    return Parameter(name, default)


def _k(name: str, default: str | None = "") -> Parameter:
    return Parameter(name, default, "keyword")


_X = _p("x")
_PATTERN = _p("pattern", "")
ONE_ARGUMENT = (
    "exp expm1 log log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh sigmoid "
    "softplus erf normal_cdf lgamma digamma trigamma"
)
"""The functions of a real number: each is an op of its name (trigamma, of polygamma)."""

_KEEP_INT = "abs sign floor"
_REDUCTIONS = "sum mean prod any all"  # without an axis: of everything


def _table() -> dict[str, Primitive]:
    table: dict[str, Primitive] = {}

    def add(group: str, name: str, *parameters: Parameter) -> None:
        table[name] = Primitive(name, parameters, group)

    for name in (*ONE_ARGUMENT.split(), *_KEEP_INT.split()):
        add("elementwise", name, _X)
    add("elementwise", "where", _p("condition"), _p("a"), _p("b"))
    for name in ("max", "min"):
        # max(a, b) is elementwise, max(x, axis = -1) and max(x, "… -> …") reduce: axes are
        # keyword-only and a pattern is a string, so that the two cannot be confused.
        add("reduction", name, _p("x"), _p("y", ""), _k("axis"), _k("keep", "false"))
    for name in _REDUCTIONS.split():
        add("reduction", name, _X, _PATTERN, _k("axis"), _k("keep", "false"))
    for name in ("logsumexp", "argmax"):
        add("reduction", name, _X, _PATTERN, _k("axis", "-1"), _k("keep", "false"))
    for name in ("softmax", "cumsum", "sort"):
        add("reduction", name, _X, _k("axis", "-1"))
    images = (_X, _p("K"), _p("stride", "1"), _p("pad", '"same"'))
    apart = (_k("dilation", "1"), _k("groups", "1"))
    add("window", "conv2d", *images, *apart)
    add("window", "conv_transpose2d", *images, *apart)
    add(
        "window",
        "pool2d",
        _X,
        _p("k"),
        _p("stride", ""),
        _p("pad", '"valid"'),
        _p("kind", '"max"'),
    )
    many = Parameter("x", None, "many")
    add("contraction", "einsum", _p("pattern"), many)
    add("matrices", "solve", _p("A"), _p("b"))
    add("matrices", "cholesky", _p("A"))
    add("matrices", "logdet", _p("A"))
    add("layout", "rearrange", _X, _p("pattern"), Parameter("sizes", "", "sizes"))
    add("layout", "reshape", _X, _p("shape"))
    add("layout", "concat", many, _k("axis", "-1"))
    add("layout", "stack", many, _k("axis", "-1"))
    add("layout", "split", _X, _p("n"), _k("axis", "-1"))
    add("layout", "flip", _X, _k("axis", "-1"))
    add("layout", "pad", _X, _p("before"), _p("after"), _k("axis", "-1"))
    add("indexing", "one_hot", _p("i"), _p("n"))
    add("indexing", "pick", _X, _p("i"))
    add("indexing", "causal_mask", _p("n"))
    add("special", "grad", _p("y"), _X)
    add("special", "stop", _X)
    add("special", "params", _p("path"))
    add("fill", "normal", _p("mean", "0"), _p("deviation", "1"))
    add("fill", "uniform", _p("low", "0"), _p("high", "1"))
    for name in ("he", "glorot", "orthogonal"):
        add("fill", name)
    add("fill", "bernoulli", _p("p"))
    add("fill", "categorical", _p("p"))
    return table


PRIMITIVES: dict[str, Primitive] = _table()
"""All primitives by name."""

ALIASES: dict[str, str] = {"σ": "sigmoid"}
"""Other spellings of primitives."""

PREDEFINED: tuple[str, ...] = ("training", "pi", "π", "inf")
"""The values that need no definition."""


def primitive(name: str) -> Primitive | None:
    """Return the primitive of a name or of another spelling of it."""
    return PRIMITIVES.get(ALIASES.get(name, name))


# ------------------------------------------------------------------------- optimisers


Default = float | bool | str | tuple[int, ...]


@record
class Optimizer:
    """An optimiser of `train { optimizer = … }`, or a schedule: its arguments, all with
    defaults.

    A default of type bool takes `true` or `false`, one of type int a whole number, one of type
    str a string, a tuple a list of whole numbers that grow; `ranges` are half-open [low, high)
    or, with high None, from low on.
    """

    name: str
    args: tuple[tuple[str, Default], ...]

    @property
    def text(self) -> str:
        """The signature as the messages show it."""
        shown = []
        for name, default in self.args:
            match default:
                case bool():
                    value = str(default).lower()
                case str():
                    value = f'"{default}"'
                case tuple():
                    value = str(list(default))
                case _:
                    value = f"{default:g}"
            shown.append(f"{name} = {value}")
        return f"{self.name}({', '.join(shown)})"


RANGES: dict[str, tuple[float, float | None]] = {
    "lr": (0.0, None),
    "momentum": (0.0, 1.0),
    "decay": (0.0, None),
    "beta1": (0.0, 1.0),
    "beta2": (0.0, 1.0),
    "eps": (0.0, None),
    "alpha": (0.0, 1.0),
    "history": (1.0, 1001.0),
    "tolerance": (0.0, 1.0),
    "warmup": (0.0, None),
    "min": (0.0, None),
    "steps": (0.0, None),
    "every": (1.0, None),
    "factor": (0.0, None),
    "rise": (0.0, 1.0),
    "div": (1.0, None),
    "final_div": (1.0, None),
    "patience": (0.0, None),
    "threshold": (0.0, 1.0),
    "cooldown": (0.0, None),
}
"""The values that an optimiser's argument may have: from the first to before the second."""

_DECAY: tuple[tuple[str, Default], ...] = (("decay", 0.0), ("on", "*"))
_ADAM: tuple[tuple[str, Default], ...] = (
    ("lr", 1e-3),
    ("beta1", 0.9),
    ("beta2", 0.999),
    ("eps", 1e-8),
)

OPTIMIZERS: dict[str, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer(
            "sgd",
            (("lr", 0.01), ("momentum", 0.0), ("nesterov", False), *_DECAY),
        ),
        Optimizer("momentum", (("lr", 0.01), ("momentum", 0.9), *_DECAY)),
        Optimizer("nesterov", (("lr", 0.01), ("momentum", 0.9), *_DECAY)),
        Optimizer("adam", (*_ADAM, *_DECAY)),
        Optimizer("adamw", (*_ADAM, ("decay", 0.01), ("on", "*"))),
        Optimizer(
            "adagrad",
            (("lr", 0.01), ("eps", 1e-10), ("inside", False), *_DECAY),
        ),
        Optimizer(
            "rmsprop",
            (
                ("lr", 0.01),
                ("alpha", 0.99),
                ("eps", 1e-8),
                ("inside", False),
                ("momentum", 0.0),
                *_DECAY,
            ),
        ),
        Optimizer("lbfgs", (("history", 10), ("tolerance", 1e-15))),
    )
}
"""All optimisers by name."""

SCHEDULES: dict[str, Optimizer] = {
    schedule.name: schedule
    for schedule in (
        Optimizer("constant", (("warmup", 0),)),
        Optimizer("cosine", (("warmup", 0), ("min", 0.0), ("steps", 0))),
        Optimizer("linear", (("warmup", 0), ("min", 0.0), ("steps", 0))),
        Optimizer("step", (("warmup", 0), ("every", 1000), ("factor", 0.1))),
        Optimizer("multistep", (("warmup", 0), ("at", ()), ("factor", 0.1))),
        Optimizer("exponential", (("warmup", 0), ("factor", 0.999))),
        Optimizer(
            "one_cycle",
            (("rise", 0.3), ("div", 25.0), ("final_div", 1e4), ("steps", 0)),
        ),
        Optimizer(
            "plateau",
            (
                ("warmup", 0),
                ("factor", 0.1),
                ("patience", 10),
                ("threshold", 1e-4),
                ("cooldown", 0),
                ("min", 0.0),
            ),
        ),
    )
}
"""All schedules of the learning rate by name."""
