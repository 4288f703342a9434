"""What a call of a primitive was given: bound arguments, asked for by name and kind.

In: the arguments as they were bound. Out: values, numbers, sizes, axes, text; a mistake where
one is of another kind, and `Silent` where one is unknown, since that was reported before.

    x = a.value("x").value
    axes = a.axes(x.shape, (-1,))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gradc.records import record

from ..errors import axes as axes_prose
from ..errors import kinds as kinds_prose
from ..ir.dims import ONE, Dim, Shape
from ..ir.node import Node
from ..source import Span
from .calls import Passed
from .context import Lowering
from .operators import Given, as_kind
from .sizes import as_size
from .values import (
    Items,
    Mistake,
    Text,
    Thing,
    Unknown,
    Value,
    value_of,
    what,
)


class Silent(Exception):
    """An argument is unknown: an error was reported, the result is unknown too."""


@record
class Args:
    """The bound arguments of one call of a primitive."""

    lo: Lowering
    name: str
    bound: Mapping[str, Passed | list[Passed]]
    span: Span  # of the function's name
    call: Span  # of the whole call

    def has(self, name: str) -> bool:
        return name in self.bound

    def passed(self, name: str) -> Passed:
        argument = self.bound[name]
        assert isinstance(argument, Passed)
        return argument

    def thing(self, name: str) -> Thing:
        thing = self.passed(name).thing
        if isinstance(thing, Unknown):
            raise Silent
        return thing

    def value(self, name: str) -> Given:
        """A tensor or scalar."""
        return self.as_value(self.passed(name), name)

    def as_value(self, argument: Passed, name: str) -> Given:
        thing = argument.thing
        if isinstance(thing, Unknown):
            raise Silent
        if isinstance(thing, Items):
            thing = tensor_of(self.lo, thing, argument.span)
        if not isinstance(thing, Value):
            raise Mistake(
                kinds_prose.not_a_value(argument.span, argument.span.text, what(thing))
            )
        return Given(thing, argument.span)

    def many(self, name: str) -> list[Given]:
        arguments = self.bound[name]
        assert isinstance(arguments, list)
        return [self.as_value(a, name) for a in arguments]

    def real(self, name: str) -> tuple[Node, Shape]:
        """A tensor of numbers, as real."""
        given = self.value(name)
        if given.value.kind == "bool":
            raise Mistake(
                kinds_prose.bool_argument(
                    given.span, self.name, given.text(), given.value.text()
                )
            )
        return as_kind(self.lo, given.value, "real"), given.value.shape

    def text(self, name: str) -> str | None:
        if name not in self.bound:
            return None
        thing = self.thing(name)
        if not isinstance(thing, Text):
            raise Mistake(
                axes_prose.wants_text(
                    self.passed(name).span, self.name, name, what(thing)
                )
            )
        return thing.value

    def flag(self, name: str) -> bool:
        if name not in self.bound:
            return False
        thing = self.thing(name)
        if isinstance(thing, Value) and isinstance(thing.number, bool):
            return thing.number
        raise Mistake(axes_prose.wants_flag(self.passed(name).span, self.name, name))

    def integer(self, thing: Thing, span: Span, name: str) -> int:
        if isinstance(thing, Value) and thing.dim is not None:
            number = thing.dim.integer
            if number is not None:
                return number
        if isinstance(thing, Unknown):
            raise Silent
        raise Mistake(axes_prose.wants_whole(span, self.name, name))

    def size(self, name: str) -> Dim:
        """A size: whole, known at compile time or bound by the data."""
        given = self.value(name)
        text = given.text("this")
        dim = as_size(given.value, given.span, text)
        return self.lo.whole(dim, given.span, text)

    def axes(self, shape: Shape, default: tuple[int, ...]) -> tuple[int, ...]:
        """The axes of `axis = …`, sorted and counted from the front."""
        if not self.has("axis"):
            if not shape and default:
                raise Mistake(
                    axes_prose.needs_axis(self.value_span(), self.name, "a scalar")
                )
            return tuple(sorted(d % len(shape) for d in default)) if shape else ()
        thing, span = self.thing("axis"), self.passed("axis").span
        things = thing.items if isinstance(thing, Items) else (thing,)
        found: list[int] = []
        for one in things:
            axis = self.integer(one, span, "axis")
            if not -len(shape) <= axis < len(shape):
                raise Mistake(
                    axes_prose.axis_range(
                        span, self.name, axis, self.first_text(), shape
                    )
                )
            axis %= len(shape)
            if axis in found:
                raise Mistake(axes_prose.axis_twice(span, self.name, axis))
            found.append(axis)
        return tuple(sorted(found))

    def axis(self, shape: Shape) -> int:
        """The one axis, the last by default."""
        axes = self.axes(shape, (-1,))
        if len(axes) != 1:
            raise Mistake(axes_prose.one_axis(self.passed("axis").span, self.name))
        return axes[0]

    def value_span(self) -> Span:
        for argument in self.bound.values():
            if isinstance(argument, Passed):
                return argument.span
            return argument[0].span
        return self.span

    def first_text(self) -> str:
        text = self.value_span().text
        return text if len(text) <= 32 and "\n" not in text else "this"


def tensor_of(lo: Lowering, items: Items, span: Span) -> Value:
    """`[1, 2, 3]` where a tensor is wanted: a vector of scalars."""
    nodes: list[Node] = []
    for thing in items.items:
        if isinstance(thing, Unknown):
            raise Silent
        if not isinstance(thing, Value) or thing.shape or thing.kind == "bool":
            raise Mistake(kinds_prose.list_of_numbers(span, what(thing)))
        node = as_kind(lo, thing, "real")
        nodes.append(lo.graph.apply("reshape", node, shape=(ONE,)))
    size = Dim.of(len(nodes))
    if len(nodes) == 1:
        return value_of(nodes[0], (size,))
    return value_of(lo.graph.apply("concat", *nodes, axis=0), (size,))


Function = Callable[[Lowering, Args], Thing]
