"""Frozen records that are cheap to make: for what a compilation makes tens of thousands of.

A frozen dataclass sets each field by `object.__setattr__`, since its own refuses: that takes
longer than all else. A `record` is the same dataclass with another `__init__`: for as long as
that runs, the object belongs to a twin of its class that has the same slots and refuses
nothing.

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
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(
    *, kw_only: bool = False, eq: bool = True
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(
    cls: type[T] | None = None, /, *, kw_only: bool = False, eq: bool = True
) -> type[T] | Callable[[type[T]], type[T]]:
    """A frozen dataclass with slots: `@record`, `@record(kw_only=True)`.

    It is compared by value, or with `eq=False` by identity. Fields have plain defaults or none.
    """

    def decorate(given: type[T]) -> type[T]:
        made = dataclass(frozen=True, slots=True, init=False, kw_only=kw_only, eq=eq)(
            given
        )
        type.__setattr__(made, "__init__", _init(made))
        return made

    return decorate if cls is None else decorate(cls)


def _init(cls: type[Any]) -> Callable[..., None]:
    """`__init__` of a record: its fields in order, those by keyword alone behind a `*`."""
    plain = {k: getattr(object, k) for k in ("__setattr__", "__delattr__")}
    twin = type(cls.__name__, cls.__bases__, {"__slots__": cls.__slots__, **plain})
    known: dict[str, Any] = {"become": object.__setattr__, "twin": twin, "cls": cls}
    formals: dict[bool, list[str]] = {False: [], True: []}
    for f in fields(cls):
        default = ""
        if f.default is not MISSING:
            known[f"default_{f.name}"] = f.default
            default = f" = default_{f.name}"
        formals[bool(f.kw_only)].append(f.name + default)
    if formals[True]:
        formals[True].insert(0, "*")
    head = ", ".join(["self", *formals[False], *formals[True]])
    body = [f"self.{f.name} = {f.name}" for f in fields(cls)]
    lines = ["become(self, '__class__', twin)", *body, "self.__class__ = cls"]
    source = f"def __init__({head}):\n" + "".join(f"    {line}\n" for line in lines)
    exec(source, known)
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made
