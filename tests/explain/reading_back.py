"""Reads the printed mathematics back, and says what it is at given numbers.

It knows the notation from its documentation alone: the operators of the language, functions
by name, `f'(x)` for a slope. What is no function of NumPy is looked up among the ops and
evaluated by the reference interpreter.

    value("(d_z2 @ W2') * sigmoid'(z1)", {"d_z2": …, "W2": …, "z1": …})
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import reference
import scipy.special

from gradc.compiler.ir.graph import Graph
from gradc.compiler.ops import REGISTRY

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?)|(?P<name>[^\W\d]\w*)"
    r"|(?P<string>\"[^\"]*\")|(?P<sign>\.\.\.|==|<=|>=|[-+*/@^()\[\],:'<>=]))"
)
STEP = 1e-30


class Env(dict[str, Any]):
    """Values by name; what is missing is asked for."""

    def __init__(
        self, known: Mapping[str, Any], more: Callable[[str], Any] | None = None
    ) -> None:
        super().__init__(known)
        self.more = more

    def __missing__(self, name: str) -> Any:
        if name in ("inf", "nan"):
            return float(name)
        if name in ("true", "false"):
            return name == "true"
        if self.more is None:
            raise KeyError(name)
        self[name] = made = self.more(name)
        return made


def value(text: str, env: Mapping[str, Any]) -> Any:
    """What a formula is where its names have these values."""
    with np.errstate(all="ignore"):
        return Parser(text, env).whole()


class Parser:
    """Recursive descent over the operators of the language, loosest first."""

    def __init__(self, text: str, env: Mapping[str, Any]) -> None:
        self.env = env
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = TOKEN.match(text, at)
            assert found, f"cannot read {text[at:]!r}"
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind]))
            at = found.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        text = self.tokens[self.at][1]
        assert not wanted or text == wanted, f"{text} where {wanted} should be"
        self.at += 1
        return text

    def whole(self) -> Any:
        made = self.expression()
        assert self.at == len(self.tokens), f"left over: {self.tokens[self.at:]}"
        return made

    def expression(self) -> Any:
        a = self.conjunction()
        while self.peek() == "or":
            self.take()
            a = np.logical_or(a, self.conjunction())
        return a

    def conjunction(self) -> Any:
        a = self.negation()
        while self.peek() == "and":
            self.take()
            a = np.logical_and(a, self.negation())
        return a

    def negation(self) -> Any:
        if self.peek() == "not":
            self.take()
            return np.logical_not(self.negation())
        return self.comparison()

    def comparison(self) -> Any:
        a = self.sum()
        run = {"<": np.less, "<=": np.less_equal, ">": np.greater}
        run |= {">=": np.greater_equal, "==": np.equal}
        if self.peek() in run:
            return run[self.take()](np.real(a), np.real(self.sum()))
        return a

    def sum(self) -> Any:
        a = self.product()
        while self.peek() in ("+", "-"):
            sign = self.take()
            b = self.product()
            a = a + b if sign == "+" else a - b
        return a

    def product(self) -> Any:
        a = self.signed()
        while self.peek() in ("*", "/", "@"):
            match self.take():
                case "*":
                    a = a * self.signed()
                case "/":
                    a = np.divide(a, self.signed())
                case _:
                    a = np.matmul(a, self.signed())
        return a

    def signed(self) -> Any:
        if self.peek() == "-":
            self.take()
            return -self.signed()
        return self.power()

    def power(self) -> Any:
        a = self.postfix()
        if self.peek() == "^":
            self.take()
            b = self.signed()  # right to left
            return np.power(np.asarray(a, np.result_type(a, float)), b)
        return a

    def postfix(self) -> Any:
        kind, text = self.tokens[self.at]
        if kind == "name" and self.follows("'", "("):
            return self.slope()
        if kind == "name" and self.follows("("):
            a = self.call()
        elif kind == "name":
            a = self.env[self.take()]
        elif kind == "number":
            self.take()
            a = int(text) if text.isdigit() else float(text)
        else:
            self.take("(")
            a = self.expression()
            self.take(")")
        while self.peek() in ("'", "["):
            if self.take() == "'":
                a = np.swapaxes(a, -1, -2)
            else:
                a = self.index(a)
        return a

    def follows(self, *texts: str) -> bool:
        after = [t for _, t in self.tokens[self.at + 1 : self.at + 1 + len(texts)]]
        return after == list(texts)

    def slope(self) -> Any:
        name = self.take()
        self.take("'")
        self.take("(")
        x = self.expression()
        self.take(")")
        moved = function(name)(np.asarray(x) + 1j * STEP)
        return np.imag(moved) / STEP

    def index(self, a: Any) -> Any:
        parts: list[Any] = []
        while self.peek() != "]":
            if self.peek() == "*":
                self.take()
                parts.append(None)
            elif self.peek() == ":":
                parts.append(self.slice(None))
            else:
                first = self.expression()
                if self.peek() == ":":
                    parts.append(self.slice(first))
                else:
                    parts.append(first)
            if self.peek() == ",":
                self.take()
        self.take("]")
        whole = [int(p) if isinstance(p, float) else p for p in parts]
        return a[tuple(whole)]

    def slice(self, first: Any) -> slice:
        def number(x: Any) -> int | None:
            return None if x is None else int(x)

        self.take(":")
        last = step = None
        if self.peek() not in (",", "]", ":"):
            last = self.expression()
        if self.peek() == ":":
            self.take()
            step = self.expression()
        return slice(number(first), number(last), number(step))

    def call(self) -> Any:
        name = self.take()
        self.take("(")
        args: list[Any] = []
        options: dict[str, Any] = {}
        while self.peek() != ")":
            if self.follows("="):
                key = self.take()
                self.take("=")
                options[key] = self.option()
            elif name in ("last", "each", "total") and args:
                args.append(self.take())  # a name inside of the loop
            else:
                args.append(self.expression())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return function(name)(*args, **options)

    def option(self) -> Any:
        kind, text = self.tokens[self.at]
        if kind == "string":
            self.take()
            return text[1:-1]
        if text == "[":
            self.take()
            items = []
            while self.peek() != "]":
                items.append(self.option())
                if self.peek() == ",":
                    self.take()
            self.take("]")
            return tuple(items)
        made = self.expression()
        whole = not isinstance(made, bool) and float(made).is_integer()
        return int(made) if whole else made


# ------------------------------------------------------------------------- functions
def function(name: str) -> Callable[..., Any]:
    """A function by the name that it has in formulas."""
    if name in NAMED:
        return NAMED[name]
    if name in reference.ELEMENTWISE:
        return reference.ELEMENTWISE[name]
    return registered(name)


def registered(name: str) -> Callable[..., Any]:
    """An op, as the reference interpreter has it."""
    assert name in REGISTRY, f"no function {name}"

    def run(*args: Any, **attrs: Any) -> Any:
        graph = Graph()
        kinds = {"f": "real", "c": "real", "i": "int", "b": "bool"}
        arrays = [np.asarray(a) for a in args]
        leaves = [
            graph.leaf("input", f"a{k}", a.shape, kinds[a.dtype.kind])
            for k, a in enumerate(arrays)
        ]
        node = graph.apply(name, *leaves, **attrs)
        return reference.evaluate([node], dict(zip(leaves, arrays, strict=True)))[0]

    return run


def over(run: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(x: Any, *more: Any, axis: Any = None, keep: bool = False) -> Any:
        if more:
            return {"max": np.maximum, "min": np.minimum}[run.__name__[-3:]](x, *more)
        return run(x, axis=axis, keepdims=keep)

    return reduced


def softmax(x: Any, axis: Any = -1) -> Any:
    return scipy.special.softmax(x, axis=axis)


def put(index: Any, g: Any, size: int) -> Any:
    return np.eye(size)[index] * np.asarray(g)[..., None]


def argmax(x: Any, axis: int, keep: bool = False) -> Any:
    return np.argmax(x, axis=axis, keepdims=keep)


def logsumexp(x: Any, axis: Any = None, keep: bool = False) -> Any:
    return scipy.special.logsumexp(x, axis=axis, keepdims=keep)


def relu(x: Any) -> Any:
    return np.where(np.real(x) > 0, x, 0)


def cast(x: Any, kind: str) -> Any:
    return np.asarray(x).astype({"real": float, "int": np.intp, "bool": bool}[kind])


def of_ones(name: str) -> Callable[..., Any]:
    """Steps that are not said are 1."""

    def run(x: Any, sizes: Any, **options: Any) -> Any:
        ones = (1,) * len(sizes)
        given = {"strides": ones, "dilations": ones} | options
        return registered(name)(x, sizes=sizes, **given)

    return run


NAMED: dict[str, Callable[..., Any]] = {
    "relu": relu,
    "where": np.where,
    "sum": over(np.sum),
    "mean": over(np.mean),
    "max": over(np.max),
    "min": over(np.min),
    "any": over(np.any),
    "all": over(np.all),
    "logsumexp": logsumexp,
    "softmax": softmax,
    "argmax": argmax,
    "broadcast": lambda x, shape: np.broadcast_to(x, shape),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "transpose": lambda x, perm: np.transpose(x, perm),
    "einsum": lambda a, b, spec: np.einsum(spec, a, b, optimize=True),
    "concat": lambda *xs, axis: np.concatenate(xs, axis=axis),
    "one_hot": lambda i, size: np.eye(size)[i],
    "put": put,
    "iota": lambda steps: np.arange(steps),
    "last": lambda loop, name: loop[0][name],
    "each": lambda loop, name: np.array(loop[1][name]),
    "total": lambda loop, name: np.sum(loop[1][name], axis=0),
    "cast": cast,
    "pad": lambda x, before, behind: np.pad(x, [*zip(before, behind, strict=True)]),
    "windows": of_ones("windows"),
    "fold": of_ones("fold"),
}
