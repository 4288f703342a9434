"""The op record and the registry: everything that the compiler knows of one primitive.

An op is declared once, as one ``Op``, in ``compiler/ops``. Every stage reads the field
that concerns it: lowering and reverse mode ``infer`` and ``simplify``, autodiff ``vjp``
and ``jvp``, the emitter the templates, the tests ``samples`` and ``note``. Adding an op
touches one place.

Templates are Python (or text) with holes named after the arguments, ``np.tanh({x})``;
they are parsed once and filled as trees, so precedence is never pasted together. A
template that depends on attributes or shapes is a function ``node -> template``. Sizes
are never written into a template as text (a dim may be called ``lambda``): they are holes.

    {x}             the argument x (of a variadic op: all of them, comma-separated)
    {axis}          the attribute: a number, a Dim, or a tuple of those
    {starts[0]}     one entry of an attribute that is a tuple
    {shape}         the shape of the result, as a tuple; {shape[0]} one size of it
    {x.shape}       the shape of an argument; {x.shape[-1]} one size of it

A Dim fills its hole as an expression of sizes, ``N`` or ``4 * width``. The emitter itself
writes leaves (input, param, const, size, zero), ``broadcast`` where it has to appear, and
``reshape`` of a reduction that drops the reduced axes (``x.sum(axis=0)``: the reduction's
template with ``keepdims=True`` taken out).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from gradc.records import record

from .dims import Shape

if TYPE_CHECKING:
    from .graph import Graph
    from .node import Node

Kind = Literal["real", "int", "bool"]
Attrs = Mapping[str, Any]
Template = "str | Callable[[Node], str]"

Infer = Callable[[tuple["Node", ...], Attrs], tuple[Shape, Kind]]
Simplify = Callable[["Graph", tuple["Node", ...], Attrs], "Node | None"]
Vjp = Callable[..., "tuple[Node | None, ...]"]
Jvp = Callable[..., "Node | None"]


@record(eq=False)
class Op:
    """One primitive.

    ``vjp(g, out, *args, **attrs)`` returns a cotangent node per argument (None where
    there is no dependence), built from other ops; ``jvp(tangents, out, *args, **attrs)``
    the tangent of the output, ``tangents`` holding a node or None per argument.
    """

    name: str
    args: tuple[str, ...]
    family: Literal["leaf", "elementwise", "linear", "special", "discrete", "tuple"]
    infer: Infer
    vjp: Vjp | None = None
    jvp: Jvp | None = None
    simplify: tuple[Simplify, ...] = ()
    variadic: bool = False  # the last argument may stand any number of times

    # -- how it is written
    numpy: Any = None  # Template: an expression
    choices: tuple[tuple[Callable[[Node], bool], Any], ...] = ()  # (when, Template)
    numpy_complex: Any = None  # Template, where numpy's is not analytic (abs, sign, …)
    # Template for single numbers, Python's own; default: numpy's, made one of them. Python
    # raises where NumPy gives infinity (x / 0, x ** 1000): such forms may not stand here.
    number: Any = None
    # Template, or several statements, with {out}: the form of -O2. {t} is room for as
    # much again, {room} for a few blocks (then {x} and {out} are contiguous), {0.5} a
    # number as an array. `inplace`: it may write over an argument.
    numpy_out: Any = None
    numpy_out_absolute: Any = None  # faster, with an error relative to 1, not to itself
    update: Any = None  # Template of a statement that modifies its first argument
    prelude: str = ""  # a function that the module needs (erf), emitted once
    prelude_out: str = ""  # and those that the form of -O2 needs
    text: Any = None  # Template: the mathematics, as comments show it
    latex: Any = None
    precedence: int = 4  # of `text`: 0 where, 1 sum, 2 product, 3 power, 4 atom
    result: str = ""  # the name of a value that has no other: e, total, z
    weight: int = 1  # operations in a line of code; a view weighs 0
    view: bool = False  # shares its argument's storage, costs nothing
    call: bool = False  # written as a call: never encloses a product of matrices
    cost: Callable[[Node], Any] | None = None  # elements computed; default: size of out

    # -- facts for tests and documentation
    inplace: bool | None = (
        None  # numpy_out may write over an argument; None: if one line
    )
    monotone: bool = False  # of one argument, with which it never decreases
    samples: Any = None  # the domain: how tests draw arguments and attributes
    note: str = ""  # the convention at kinks and edges, printed in the op reference

    @property
    def writes(self) -> bool:
        """Has it a form that writes where it is told?"""
        return self.numpy_out is not None or self.numpy_out_absolute is not None

    def __repr__(self) -> str:
        return f"Op({self.name})"


@record(frozen=False)
class Registry:
    """The ops by name, in order of declaration."""

    ops: dict[str, Op] = field(default_factory=dict)

    def add(self, op: Op) -> Op:
        if op.name in self.ops:
            raise ValueError(f"op {op.name!r} is declared twice")
        self.ops[op.name] = op
        return op

    def __getitem__(self, name: str) -> Op:
        return self.ops[name]

    def __contains__(self, name: str) -> bool:
        return name in self.ops


REGISTRY = Registry()
