"""Records that are quick to declare and quick to make: for the compiler and the runtime.

The command declares two hundred of them before it begins, and a compilation makes tens of
thousands. A frozen dataclass has six methods, each of them compiled from a text of its
own, and its `__init__` sets each field by `object.__setattr__`, since its own refuses. A
`record` is a dataclass too (`fields`, `replace`, `asdict` and `match` take it for one), but
its `__init__`, `__eq__` and `__hash__` are compiled when they are first called, and the other
methods are the same for all. While `__init__` runs, the object belongs to a twin of its
class that has the same slots and refuses nothing.

    >>> @record
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1)
    Point(x=1, y=0)
    >>> Point(1).x = 2
    Traceback (most recent call last):
    dataclasses.FrozenInstanceError: cannot assign to field 'x'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(
    *, frozen: bool = True, kw_only: bool = False, eq: bool = True
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(
    cls: type[T] | None = None,
    /,
    *,
    frozen: bool = True,
    kw_only: bool = False,
    eq: bool = True,
) -> type[T] | Callable[[type[T]], type[T]]:
    """A dataclass with slots, and frozen unless it says otherwise: `@record(frozen=False)`.

    It is compared by value, or with `eq=False` by identity. What has attributes beside its
    fields, a cached property say, needs a `__dict__` and stays a dataclass.
    """

    def decorate(given: type[T]) -> type[T]:
        made = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(
            given
        )
        methods: dict[str, Any] = {"__repr__": _repr}
        for name in ("__init__", "__eq__", "__hash__") if eq else ("__init__",):
            methods[name] = _unwritten(made, name)
        if frozen:
            methods |= _FROZEN
        elif eq:
            methods["__hash__"] = None
        for name, method in methods.items():
            if name not in given.__dict__:
                setattr(made, name, method)
        return made

    return decorate if cls is None else decorate(cls)


def _unwritten(cls: type[Any], name: str) -> Callable[..., Any]:
    """What stands in a method's place until somebody calls it."""

    def method(self: Any, *args: Any, **named: Any) -> Any:
        written = _written(cls, name)
        setattr(cls, name, written)
        return written(self, *args, **named)

    return method


def _written(cls: type[Any], name: str) -> Callable[..., Any]:
    """A method of a record that has to be quick, compiled from a text of its own."""
    known: dict[str, Any] = {"cls": cls}
    match name:
        case "__init__":
            head, body = _init(cls, known)
        case "__eq__":
            mine, its = _values(cls, "self"), _values(cls, "other")
            head = "self, other"
            body = [
                "if other.__class__ is self.__class__:",
                f"    return self is other or {mine} == {its}",
                "return NotImplemented",
            ]
        case _:
            head, body = "self", [f"return hash({_values(cls, 'self')})"]
    exec(f"def {name}({head}):\n" + "".join(f"    {line}\n" for line in body), known)
    made: Callable[..., Any] = known[name]
    made.__qualname__ = f"{cls.__qualname__}.{name}"
    return made


def _values(cls: type[Any], of: str) -> str:
    """The tuple of all that is compared: `(self.x, self.y,)`."""
    return "(" + "".join(f"{of}.{f.name}, " for f in fields(cls) if f.compare) + ")"


def _init(cls: type[Any], known: dict[str, Any]) -> tuple[str, list[str]]:
    """`__init__`: fields in order, those by keyword alone behind a `*`; then its lines."""
    known["MISSING"] = MISSING
    formals: dict[bool, list[str]] = {False: ["self"], True: ["*"]}
    body = []
    for f in fields(cls):
        if not f.init:
            continue
        name, default, value = f.name, "", f.name
        if f.default is not MISSING:
            known[f"default_{name}"] = f.default
            default = f" = default_{name}"
        elif f.default_factory is not MISSING:
            known[f"make_{name}"] = f.default_factory
            default = " = MISSING"
            value = f"make_{name}() if {name} is MISSING else {name}"
        formals[f.kw_only is True].append(name + default)
        body.append(f"self.{name} = {value}")
    setter: object = cls.__setattr__
    if setter is _refuse_to_assign:
        plain = {k: getattr(object, k) for k in ("__setattr__", "__delattr__")}
        twin = type(cls.__name__, cls.__bases__, {"__slots__": cls.__slots__, **plain})
        known |= {"become": object.__setattr__, "twin": twin}
        body = ["become(self, '__class__', twin)", *body, "self.__class__ = cls"]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    named = formals[True] if len(formals[True]) > 1 else []
    return ", ".join([*formals[False], *named]), body


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_assign(self: object, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _set_state(self: object, state: tuple[None, dict[str, Any]]) -> None:
    """What `copy` and `pickle` put into an object that has no values yet."""
    for name, value in state[1].items():
        object.__setattr__(self, name, value)


_FROZEN = {
    "__setattr__": _refuse_to_assign,
    "__delattr__": _refuse_to_delete,
    "__setstate__": _set_state,
}
