"""A node as a Python expression: templates filled as trees.

In: a node of a scheduled function. Out: its text, how far it is broadcast already, and what
NumPy will make of its type.

Broadcasting nodes are not written where NumPy's own broadcasting does the same, so every
value carries its *actual* shape; whoever needs the full one (`sum`, `@`, a line) gets
`np.broadcast_to`. Python numbers are *weak*: they take the type of the arrays they meet. What
would come out as float64 whatever the arrays are (`np.where(c, 0.5, 1)`, an int array times
a number) is cast to the type of an array at hand: float32 stays float32.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ..ir.dims import ONE, Dim, Shape
from ..ir.node import Node
from ..ops.slices import index_text
from .plan import Function
from .pyast import Expr, comma, item, method, name, number, template
from .sizes import dim_expr
from .views import Views

REAL, WEAK, BOOL, INT, DOUBLE = "real", "weak", "bool", "int", "double"


class Value(NamedTuple):
    expr: Expr
    shape: Shape  # as NumPy sees it: may be smaller than the node's
    dtype: str


class Scope:
    """What a module's functions share: names of sizes and constants, preludes."""

    def __init__(
        self, constants: Mapping[str, Any], symbols: Mapping[str, str]
    ) -> None:
        self.constants = constants
        self.symbols = symbols
        self.used_constants: set[str] = set()
        self.preludes: dict[str, str] = {}


class Expressions:
    """The expressions of one function."""

    def __init__(
        self,
        scope: Scope,
        views: Views,
        f: Function | None,
        name_of: Callable[[Node], str],
        like: Callable[[], str],
        complex: bool = False,
        keep_dtype: bool = True,
    ) -> None:
        self.scope, self.views, self.f = scope, views, f
        self.name_of = name_of
        self.like = like
        self.complex = complex
        self.keep_dtype = keep_dtype
        self.dtypes: dict[Node, str] = {}  # of the lines so far
        self.symbols_used: set[str] = set()
        self.lines = f.lines if f else set()
        self.at_hand = f.at_hand if f else frozenset()
        self.results = {n for _, n in f.results} if f else set()

    # ------------------------------------------------------------------ sizes
    def spell(self, symbol: str) -> str:
        """The name of a size or constant, noted as used."""
        if symbol in self.scope.constants:
            self.scope.used_constants.add(symbol)
        else:
            self.symbols_used.add(symbol)
        return self.scope.symbols.get(symbol, symbol)

    def dim(self, d: Dim) -> Expr:
        return dim_expr(d, self.spell)

    def shape(self, shape: Shape) -> Expr:
        return comma([self.dim(d) for d in shape])

    # ------------------------------------------------------------------ values
    def value(self, n: Node, top: bool = False) -> Value:
        """`n` as it stands inside a line; `top`: as the right side of its own line."""
        op = n.op.name
        if not top and (n in self.lines or n in self.at_hand or op in NAMED):
            dtype = self.dtypes.get(n)
            if dtype is None:
                dtype = WEAK if op == "seed" else n.kind
            return Value(name(self.name_of(n)), n.shape, dtype)
        if op not in APART:
            return self._template(n)
        match op:
            case "const":
                return Value(self._const(n), (), WEAK)
            case "size":
                return Value(self.dim(n.attrs["dim"]), (), WEAK)
            case "zero":
                return Value(number(0.0 if top and not n.shape else 0), (), WEAK)
            case "broadcast":
                return self.value(n.args[0])
            case "cast" if n.args[0].kind != "real" and n not in self.views.cast:
                return self.value(n.args[0])
            case "stop" | "drawn" if not self.complex:
                return self.value(n.args[0])
            case "reshape":
                if n in self.views.folded:
                    return self._folded(n)
                return self._reshape(n)
        return self._template(n)

    def full(self, n: Node, top: bool = False) -> Value:
        """`n` in its whole shape, whatever NumPy would broadcast."""
        return self.stretch(self.value(n, top), n.shape, kind=n.kind)

    def stretch(
        self, v: Value, shape: Shape, alike: str = "", kind: str = "real"
    ) -> Value:
        if v.shape == shape:
            return v
        if v.dtype == WEAK and kind != "real":
            text = f"np.full({self.shape(shape).text}, {v.expr.text})"
            return Value(Expr(text), shape, kind)
        if v.dtype == WEAK:
            if alike:
                text = f"np.full_like({alike}, {v.expr.text})"
            elif v.expr.text == "0":
                text = f"np.zeros({self.shape(shape).text}, {self.real()})"
            else:
                text = (
                    f"np.full({self.shape(shape).text}, {v.expr.text}, {self.real()})"
                )
            return Value(Expr(text), shape, REAL)
        text = f"np.broadcast_to({v.expr.text}, {self.shape(shape).text})"
        return Value(Expr(text), shape, v.dtype)

    def _const(self, n: Node) -> Expr:
        named = n.attrs.get("name")
        if named == "pi":
            return Expr("np.pi")
        if named and named in self.scope.constants:
            return name(self.spell(named))
        return number(n.attrs["value"])

    def _reshape(self, n: Node) -> Value:
        """`x[:, None]`, `x[:, 0]`, `x.reshape(N, 3)`."""
        x = n.args[0]
        slices = x.op.name == "slice" and x not in self.lines and x not in self.at_hand
        if slices and (axes := _ones_dropped(x.shape, n.shape)):
            return self._entry(x, n, axes)
        v = self.value(x)
        if v.shape == () and all(d == ONE for d in n.shape):
            return Value(v.expr, (), v.dtype)
        if v.shape == () and v.dtype == WEAK:
            return (
                v
                if all(d == ONE for d in n.shape)
                else self.stretch(v, n.shape, kind=n.kind)
            )
        v = self.stretch(v, x.shape, kind=x.kind)
        index = _ones_inserted(x.shape, n.shape)
        if index is None and (axes := _ones_dropped(x.shape, n.shape)):
            index = ", ".join("0" if i in axes else ":" for i in range(axes[-1] + 1))
        if index is not None:
            return Value(item(v.expr, index), n.shape, v.dtype)
        inside = ", ".join(self.dim(d).text for d in n.shape) or "()"
        return Value(method(v.expr, f"reshape({inside})"), n.shape, v.dtype)

    def _entry(self, x: Node, n: Node, axes: tuple[int, ...]) -> Value:
        """`x[:, 1]`: a slice of one element, and its axis taken out."""
        whole = x.args[0]
        v = self.stretch(self.value(whole), whole.shape, kind=whole.kind)
        inside, given = index_text(whole.shape, x.attrs, axes)
        holes = {key: self._attribute(hole) for key, hole in given.items()}
        expr = template(f"{{x}}[{inside}]").fill({"x": v.expr, **holes})
        return Value(expr, n.shape, v.dtype)

    def _folded(self, n: Node) -> Value:
        return self._template(n.args[0], drop=n)

    def _template(self, n: Node, drop: Node | None = None) -> Value:
        """The record's template. `drop`: the reshape that takes the kept axes out."""
        text, given = self.chosen(n, drop is not None)
        made = template(text)
        elementwise = n.op.family == "elementwise" or n.op.name in _LIKE_ELEMENTWISE
        args = [self.value(a) for a in n.args]
        if not elementwise:
            args = [
                self.stretch(v, a.shape, kind=a.kind)
                for v, a in zip(args, n.args, strict=True)
            ]
        args, dtype = self._dtypes(n, args, made.calls)
        holes = self._holes(n, args, made.reads, given)
        expr = made.fill(holes)
        shape = n.shape
        if drop is not None:
            shape = drop.shape
        elif elementwise:
            shape = _common([v.shape for v in args])
        if dtype == DOUBLE:
            target = drop or n
            root = target in self.results and not target.shape
            if self.keep_dtype and not (root and self.f and self.f.name != "forward"):
                if n.op.call and n.op.name == "sqrt" and args[0].dtype == WEAK:
                    expr = template("{x} ** 0.5").fill({"x": args[0].expr})
                    dtype = WEAK
                else:
                    expr, _, dtype = self.cast(Value(expr, shape, dtype))
        if n.op.prelude and called(n.op.prelude) in text:
            known = self.scope.preludes
            if n.op.prelude not in known.values():
                known[n.op.name] = n.op.prelude
        return Value(expr, shape, dtype)

    def chosen(self, n: Node, drop: bool = False) -> tuple[str, dict[str, Any]]:
        """The template's text and the holes that it brings along."""
        source = n.op.numpy
        real = any(a.kind == "real" for a in n.args)  # whole numbers stay whole
        if self.complex and n.op.numpy_complex is not None and real:
            source = n.op.numpy_complex
        elif n.op.choices:
            source = next((t for when, t in n.op.choices if when(n)), source)
        if source.__class__ is str and not drop:
            return source, {}
        text, given = _call(source, n, drop)
        keeps = drop and not (callable(source) and _takes_keep(source))
        if keeps and "keepdims=True" in text:
            text = text.replace(", keepdims=True", "").replace("keepdims=True", "")
            if not n.args[0].shape or all(
                i in _axes(n) for i in range(len(n.args[0].shape))
            ):
                text = re.sub(r"axis=(\([^)]*\)|\{\w+\}|-?\d+)(, )?", "", text)
        return text, given

    def update(self, n: Node, target: str, value_arg: int = 1) -> str:
        """The statement that turns the value named `target` into `n`, in place."""
        text, given = _call(n.op.update, n, False)
        made = template(text)
        args: list[Value] = []
        for i, a in enumerate(n.args):
            if i == 1 - value_arg:
                args.append(Value(name(target), a.shape, REAL))
            elif (
                n.op.family == "elementwise"
                or n.op.name in _LIKE_ELEMENTWISE
                or n.op.name == "put_on"
                or not a.shape
            ):
                args.append(self.value(a))
            else:
                args.append(self._loose(n, a))
        if value_arg == 0:
            args = args[::-1]
        args, _ = self._dtypes(n, args, False)
        self.dtypes[n] = REAL if n.kind == "real" else n.kind
        return made.fill(self._holes(n, args, made.reads, given)).text

    def _loose(self, n: Node, a: Node) -> Value:
        """An argument of a statement: a scalar may stay one, an array is in full."""
        v = self.value(a)
        return v if not v.shape else self.stretch(v, a.shape, kind=a.kind)

    def _holes(
        self,
        n: Node,
        args: list[Value],
        reads: Mapping[str, int],
        given: Mapping[str, Any],
    ) -> dict[str, Expr]:
        names: Sequence[str] = n.op.args
        if n.op.variadic:
            *first, last = names
            names = [*first, *(f"{last}{i}" for i in range(len(args) - len(first)))]
        holes = {k: v.expr for k, v in zip(names, args, strict=False)}
        for key in reads:
            if key in holes:
                continue
            if key in given:
                holes[key] = self._attribute(given[key])
            elif key == "dtype":
                holes[key] = Expr(self.real())
            else:
                holes[key] = self._described(n, key, args)
        return holes

    def _described(self, n: Node, key: str, args: list[Value]) -> Expr:
        """`{shape[0]}`, `{x.shape}`, `{axis}`, `{starts[1]}`."""
        found = re.fullmatch(r"(?:(\w+)\.)?(\w+)(?:\[(-?\d+)\])?", key)
        if not found:
            raise ValueError(f"no hole {key!r} in a template of {n.op.name}")
        owner, attr, at = found.groups()
        if n.op.variadic and attr == n.op.args[-1]:
            rest = args[len(n.op.args) - 1 :]
            return Expr(", ".join(v.expr.text for v in rest), 0)
        if attr == "shape":
            value: Any = n.args[n.op.args.index(owner)].shape if owner else n.shape
        else:
            value = n.attrs[attr]
        return self._attribute(value if at is None else value[int(at)])

    def _attribute(self, value: Any) -> Expr:
        if isinstance(value, Expr):
            return value
        if isinstance(value, Dim):
            return self.dim(value)
        if isinstance(value, tuple):
            return comma([self._attribute(v) for v in value])
        return number(value)

    # ------------------------------------------------------------------ types
    def _dtypes(
        self, n: Node, args: list[Value], called: bool
    ) -> tuple[list[Value], str]:
        """What NumPy makes of the result; int arrays among real ones are cast first."""
        if n.kind != "real":
            return args, n.kind
        dtypes = [v.dtype for v in args]
        mixed = INT in dtypes or DOUBLE in dtypes
        if REAL in dtypes and not mixed and n.op.name != "number":
            return args, REAL
        reals = [d for d, a in zip(dtypes, n.args, strict=True) if a.kind == "real"]
        if n.op.name == "number":
            return args, WEAK
        if REAL in reals:
            if self.keep_dtype and mixed:  # DOUBLE: an output that a line reads
                args = [
                    self.cast(v) if v.dtype in (INT, DOUBLE) and a.kind == "real" else v
                    for v, a in zip(args, n.args, strict=True)
                ]
            return args, REAL
        if all(d == WEAK for d in reals) and (reals or not called):
            return args, (
                DOUBLE if called and reals and n.op.call else self._weak(n, args)
            )
        if BOOL in reals and self.keep_dtype and _arithmetic(n):
            # NumPy's + of truth values is `or`, and its tanh is float16
            args = [
                self.cast(v) if v.dtype == BOOL and a.kind == "real" else v
                for v, a in zip(args, n.args, strict=True)
            ]
            return args, REAL
        return args, DOUBLE if reals or n.op.name == "mean_over" else REAL

    def real(self) -> str:
        """The type of real values, that of an array at hand: float32 stays float32."""
        like = self.like()
        return f"{like}.dtype" if like else "np.float64"

    def cast(self, v: Value) -> Value:
        """A value of the type of real values; float64 where nothing at hand has one."""
        if not self.like():
            return v
        return Value(method(v.expr, f"astype({self.real()})"), v.shape, REAL)

    def _weak(self, n: Node, args: list[Value]) -> str:
        """Arithmetic of Python numbers is one; a choice by an array is an array."""
        arrays = any(v.shape for v in args) or any(a.kind != "real" for a in n.args)
        return DOUBLE if arrays else WEAK


def _arithmetic(n: Node) -> bool:
    """Does NumPy compute something else where the arguments are truth values?"""
    if n.op.name in ("add", "sub", "neg", "einsum2"):
        return True
    return n.op.call and n.op.family == "elementwise"


NAMED = frozenset({"input", "param", "state", "noise", "seed"})
APART = frozenset(
    {"const", "size", "zero", "broadcast", "cast", "stop", "drawn", "reshape"}
)  # what `Expressions.value` writes without a template, or not always by one
_LIKE_ELEMENTWISE = frozenset({"masked", "finite"})


def _axes(n: Node) -> tuple[int, ...]:
    axes = n.attrs.get("axes")
    return tuple(axes) if axes is not None else (n.attrs["axis"],)


def called(prelude: str) -> str:
    """How a prelude's function is called: `erf(`."""
    return prelude.removeprefix("def ").partition("(")[0] + "("


def _call(source: Any, n: Node, drop: bool) -> tuple[str, dict[str, Any]]:
    """A template may be text, a function of the node, and bring holes along."""
    if source is None:
        raise ValueError(f"{n.op.name} has no template")
    if callable(source):
        made = source(n, keep=False) if drop and _takes_keep(source) else source(n)
    else:
        made = source
    if isinstance(made, tuple):
        return made[0], dict(made[1])
    return made, {}


@cache
def _takes_keep(function: Any) -> bool:
    return "keep" in inspect.signature(function).parameters


def _common(shapes: list[Shape]) -> Shape:
    """What NumPy broadcasts to."""
    if all(s is shapes[0] for s in shapes):
        return shapes[0] if shapes else ()
    longest = max(shapes, key=len)
    out = list(longest)
    for shape in shapes:
        if shape is longest:
            continue
        for i, d in enumerate(reversed(shape), 1):
            if out[-i] is not d and out[-i] == ONE:
                out[-i] = d
    return tuple(out)


def _ones_inserted(old: Shape, new: Shape) -> str | None:
    """`:, None` where `new` is `old` with axes of size 1 put in."""
    if not old or len(new) <= len(old):
        return None
    parts: list[str] = []
    k = 0
    extra = len(new) - len(old)
    for d in new:
        if k < len(old) and d == old[k] and not (d == ONE and extra):
            parts.append(":")
            k += 1
        elif d == ONE and extra:
            parts.append("None")
            extra -= 1
        else:
            return None
    if k != len(old):
        return None
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def _ones_dropped(old: Shape, new: Shape) -> tuple[int, ...] | None:
    """The axes of size 1 that `new` lacks, where it is `old` otherwise."""
    if len(new) >= len(old):
        return None
    axes: list[int] = []
    k = 0
    drop = len(old) - len(new)
    for i, d in enumerate(old):
        if d == ONE and drop:
            axes.append(i)
            drop -= 1
        elif k < len(new) and d == new[k]:
            k += 1
        else:
            return None
    return tuple(axes) if k == len(new) and not drop else None
