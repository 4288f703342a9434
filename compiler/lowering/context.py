"""What lowering carries along: the graph, what was found so far, where it stands.

One `Lowering` is one run through a program in one mode (training or evaluation); both runs
share a `Shared`, so that equal nodes, parameters and checks are the same. A `Frame` is the
block that is being lowered: its scope, the path under which its parameters stand, and how
its text was reached from the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING

from gradc.records import record

from ..errors import calls as calls_prose
from ..errors import program as program_prose
from ..errors.form import Diagnostic, InternalError, Reporter
from ..frontend import ast
from ..frontend.scan import Limits
from ..ir.dims import Dim, Shape
from ..ir.graph import Graph
from ..ir.node import Node, Origin
from ..ir.program import Binding, Check, Constant, Equation, Input, Param, Root
from ..source import Source, Span
from .scopes import Scope
from .sizes import as_size, luck, whole_check
from .values import Builtin, Function, Mistake, Thing, Unknown, Value

if TYPE_CHECKING:
    from .loops import Loop


@record
class Made:
    """A parameter that exists, with what messages and later checks need."""

    param: Param
    span: Span  # where it is declared
    call: Span  # the user's text that made it
    owner: tuple[int, ...]  # the calls and the declaration that made it, by id


@record(frozen=False)
class Shared:
    """What the two modes of a program have in common."""

    graph: Graph
    reporter: Reporter
    limits: Limits = field(default_factory=Limits)
    root: object = None  # the module of the program's own file
    std_sources: frozenset[Source] = frozenset()
    inputs: dict[str, Input] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    params: dict[str, Made] = field(default_factory=dict)
    states: dict[str, Made] = field(default_factory=dict)
    equations: dict[tuple[int, tuple[int, ...]], Equation] = field(default_factory=dict)
    checks: dict[tuple[object, ...], Check] = field(default_factory=dict)
    sizes: dict[str, Span] = field(default_factory=dict)  # where a dim was introduced
    input_shapes: dict[str, Span] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    lucky: dict[tuple[object, ...], Diagnostic] = field(default_factory=dict)
    functions: dict[tuple[int, str], Function | Builtin | None] = field(
        default_factory=dict
    )
    scopes: dict[int, Scope] = field(default_factory=dict)  # of libraries, by id
    groups: dict[int, int] = field(default_factory=dict)  # repeats of the program
    bodies: dict[int, dict[int, int]] = field(default_factory=dict)
    calls: int = 0  # inlined so far


@record(frozen=False)
class Frame:
    """A block on its way through lowering."""

    scope: Scope
    path: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()  # like path, but a fn's calls are told apart
    instances: tuple[str, ...] = ()
    instance: int = 0  # number of the innermost layer, 0 if it has none
    numbers: dict[int, int] = field(default_factory=dict)  # call's id -> number
    counted: dict[str, int] = field(default_factory=dict)  # name -> copies so far
    indices: dict[str, tuple[int, ...]] = field(default_factory=dict)  # in a repeat
    copy: tuple[int, ...] = ()  # in the repeats around what is defined here
    around: tuple[int, ...] = ()  # in all repeats around, those of the calls too
    defined: str = ""  # what the equation at hand defines
    behind_return: bool = False
    function: Function | None = None
    chain: tuple[int, ...] = ()  # layer calls (by id) since the fn that owns us
    entered: str = ""  # the function of the standard library that was called
    call: Span | None = None  # the user's call that led into the standard library
    via: Span | None = None  # the call of the program's own block that led here
    depth: int = 0
    top: bool = True  # the program's own block, or a repeat in it
    group: int = -1  # number of the outermost repeat around
    repeat: str = ""  # its text: "repeat 3"

    def component(self) -> tuple[str, ...]:
        """The path's part for the defined name: `h`, `h[3]`, nothing after return."""
        if not self.defined or self.behind_return:
            return ()
        return (indexed(self.defined, self.indices.get(self.defined, ())),)

    def plain_component(self) -> tuple[str, ...]:
        """The same without the index of a copy."""
        return (self.defined,) if self.defined and not self.behind_return else ()


def indexed(name: str, indices: tuple[int, ...]) -> str:
    """`h[3]`."""
    return name + "".join(f"[{i}]" for i in indices)


@record(frozen=False)
class Lowering:
    """One run through the program in one mode."""

    shared: Shared
    training: bool
    frame: Frame
    evaluate: Callable[[Lowering, ast.Expr], Thing]  # expressions.expression
    block: Callable[[Lowering, Sequence[ast.Statement]], Thing | None]  # lower's
    asked_training: bool = False  # whether the mode made a difference
    copies: int = 1  # product of the repeats around
    equation: int = -1
    bindings: list[Binding] = field(default_factory=list)
    losses: list[Root] = field(default_factory=list)
    metrics: list[Root] = field(default_factory=list)
    outputs: list[Root] = field(default_factory=list)
    overs: list[ast.Name] = field(default_factory=list)
    loss_spans: dict[str, Span] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)  # around, outermost first
    events: dict[str, int] = field(default_factory=dict)  # random paths met so far
    updates: dict[str, Node] = field(default_factory=dict)  # state path -> new value

    @property
    def graph(self) -> Graph:
        return self.shared.graph

    @property
    def scope(self) -> Scope:
        return self.frame.scope

    # ------------------------------------------------------------------- diagnostics
    def report(self, diagnostic: Diagnostic) -> None:
        """Report, at the user's call if the place is in the standard library."""
        self.shared.reporter.report(self.relocated(diagnostic))

    def relocated(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic at the user's call, with the line of std as a note."""
        frame, span = self.frame, diagnostic.span
        if frame.call is None or span is None or not self.in_std(span):
            return self._with_call(diagnostic)
        name = frame.entered
        line = span.source.line_text(span.line).partition("#")[0].strip()
        if line.startswith(("fn ", "layer ")) and ") = " in line:
            line = line.partition(") = ")[2]
        note = ("", f"in std `{name}`: {line}")
        return replace(diagnostic, span=frame.call, notes=(note, *diagnostic.notes))

    def _with_call(self, diagnostic: Diagnostic) -> Diagnostic:
        """With a note that says which call of a function led to a mistake in its text."""
        function, via, span = self.frame.function, self.frame.via, diagnostic.span
        if function is None or via is None or span is None:
            return diagnostic
        body = function.decl.span
        if span.source is not body.source or not body.start <= span.start < body.end:
            return diagnostic
        name = (
            f"`{via.text}`"
            if via.text == function.name
            else f"`{function.name}` by `{via.text}`"
        )
        note = ("", f"reached by the call of {name} on line {via.line}")
        return replace(diagnostic, notes=(*diagnostic.notes, note))

    def in_std(self, span: Span | None) -> bool:
        return span is not None and span.source in self.shared.std_sources

    @property
    def user_call(self) -> Span | None:
        """The call in the program's own text through which the text at hand is reached."""
        return self.frame.call or self.frame.via

    @contextmanager
    def inside(self, frame: Frame) -> Iterator[None]:
        """Lower in another block."""
        saved, self.frame = self.frame, frame
        try:
            yield
        finally:
            self.frame = saved

    def group_number(self, repeat: ast.Repeat) -> int:
        """The number of a repeat of the program's own block, and of its equations."""
        groups = self.shared.groups
        if id(repeat) not in groups:
            groups[id(repeat)] = len(groups)
            numbers: dict[int, int] = {}
            stack: list[ast.Statement] = list(reversed(repeat.body))
            while stack:
                statement = stack.pop()
                numbers[id(statement)] = len(numbers)
                if isinstance(statement, ast.Repeat | ast.For):
                    stack.extend(reversed(statement.body))
            self.shared.bodies[groups[id(repeat)]] = numbers
        return groups[id(repeat)]

    def body_number(self, statement: ast.Statement) -> int:
        """The place of a statement in the text of the repeat around it."""
        return self.shared.bodies[self.frame.group].get(id(statement), 0)

    # -------------------------------------------------------------- sizes and checks
    def size_of(self, dim: ast.Dim, scope: Scope) -> Dim | None:
        """The size that a shape's part stands for; None if it is erroneous."""
        if not isinstance(dim, ast.Expr):
            raise InternalError("lower", "an open shape where a size is needed")
        thing: Thing | None = None
        if isinstance(dim, ast.Name):
            thing = scope.find_size(dim.text)
        if thing is None:
            frame = self.frame
            if frame.scope is not scope:
                frame = replace(frame, scope=scope)
            with self.inside(frame):
                thing = self.evaluate(self, dim)
        if isinstance(thing, Unknown):
            return None
        if not isinstance(thing, Value):
            raise Mistake(calls_prose.not_a_number(dim.span, dim.span.text))
        size = as_size(thing, dim.span, dim.span.text)
        return self.whole(size, dim.span, dim.span.text)

    def shape_of(self, type_: ast.Type, scope: Scope) -> Shape | None:
        """The shape of a declaration; None if it is erroneous."""
        shape: list[Dim] = []
        for dim in type_.shape:
            match dim:
                case ast.Pack(name=None) | ast.Stretch():
                    raise Mistake(program_prose.open_shape(dim.span, dim.span.text))
                case ast.Pack(name=ast.Name(text=name)):
                    shape += self.pack(dim, name)
                case _:
                    size = self.size_of(dim, scope)
                    if size is None:
                        return None
                    shape.append(size)
        return tuple(shape)

    def pack(self, dim: ast.Pack, name: str) -> Shape:
        """The axes that `...S` of an argument stands for."""
        found = self.scope.find_size("..." + name)
        if not isinstance(found, tuple):
            raise Mistake(program_prose.open_shape(dim.span, dim.span.text))
        return found

    def is_constant(self, scope: Scope, name: str) -> bool:
        """Whether a name in a formal's shape is a constant: others it introduces."""
        where = scope.where(name)
        if where is not None:
            return where.roles.get(name) == "const"
        module = scope.home()
        if module is None or module.constant(name) is None:
            return False
        return module.program is None or name in module.uses or not self.is_root(module)

    def is_root(self, module: object) -> bool:
        return module is self.shared.root

    def require(self, check: Check | None) -> None:
        """Add a condition that only the data can decide."""
        if check is not None:
            key = (check.kind, check.left, check.right, check.line)
            self.shared.checks.setdefault(key, check)

    def whole(self, dim: Dim, span: Span, text: str) -> Dim:
        """A size, checked at load time if fractions of a size of the data are in it."""
        if not dim.whole:
            self.require(whole_check(dim, self.place(span), text))
        return dim

    def place(self, span: Span) -> Span:
        """The span, or that of the user's call if it is in the standard library."""
        if self.frame.call is not None and self.in_std(span):
            return self.frame.call
        return span

    def same(self, a: Dim, b: Dim, span: Span, text: str = "") -> None:
        """Note that two equal sizes had to be equal: is that luck?"""
        if a.written is not b.written and luck(a, b):
            place = self.place(span)
            if place is not span or not text or "\n" in text or len(text) > 40:
                text = place.text
            key = (place.source.name, place.line, *sorted((str(a), str(b))))
            said = program_prose.same_by_luck(place, text, a, b)
            self.shared.lucky.setdefault(key, said)

    def sized(self, shape: Shape, span: Span, text: str) -> Shape:
        """A new shape, if it is within the limits."""
        limits = self.shared.limits
        if len(shape) > limits.axes:
            raise Mistake(
                program_prose.too_many_axes(span, text, len(shape), limits.axes)
            )
        count = 1
        for d in shape:
            count *= max(1, d.integer or 1)
        if count > limits.elements:
            raise Mistake(
                program_prose.too_many_elements(span, text, shape, limits.elements)
            )
        return shape

    # ------------------------------------------------------------------------ origin
    def origin(self, span: Span) -> Origin:
        frame = self.frame
        return Origin(self.equation, span, frame.instances, frame.around)

    def hint(self, node: Node, name: str) -> None:
        """Propose a name of a function's own text for a value."""
        self.graph.hint(node, name, self.frame.instance)
