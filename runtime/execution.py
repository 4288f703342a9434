"""An emitted module, executed: few builtins, NumPy and nothing else in reach.

In: the text of a module, or its tree that a guard has admitted. Out: what it defines, by name.

    module = execute(source, "<gradc xor.net>")
    loss, saved = module["forward"](params, x, y)

Steps of networks that are small last as long as their calls take to begin, so two things
are done for them that no reader of the text needs to see: NumPy's functions are found without
its `__getattr__` (30 ns a call), and results have their place by position (35 ns a call). And
the memory that a module asks for begins with a cache line. Gradients of a readable module are
written where they are to lie (`landing.py`).
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from .buffers import empty
from .landing import PLACES, Places, land

BY_KEYWORD = frozenset({"maximum", "minimum"})
"""Ufuncs that NumPy means to give a third operand: `out` by position is deprecated."""


BUFFER = 2048
"""Numbers of a buffer that NumPy fills for a strided, spread or cast operand: a quarter of its
default, with which two operands take 128 KiB of whole numbers in a step that is to allocate
less than 64. Rows as long as a buffer are worked on where they lie: `m + b` of rows of 2,048
takes half the time, shorter ones what they took."""


@contextmanager
def computing() -> Iterator[None]:
    """As emitted functions are called: what is not finite is looked for, not warned of."""
    with np.errstate(all="ignore"):
        before = np.setbufsize(BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)


def execute(
    source: str, filename: str, tree: ast.Module | None = None
) -> dict[str, Any]:
    """What a module defines. `tree`, where given, is executed, and changed; `source` is what
    tracebacks and debuggers show."""
    # With no time of change the text stays in the cache.
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    tree = tree or ast.parse(source, filename)
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            _place(function.body)
            if function.name == "backward" and len(function.args.args) == 2:
                land(function)
    space: dict[str, Any] = {
        "__builtins__": _BUILTINS,
        "__name__": "gradc_module",
        PLACES: Places(),
    }
    exec(compile(tree, filename, "exec"), space)
    return space


def function_of(source: str, name: str) -> ast.FunctionDef:
    """A function of a module's text as `execute` executes it, with its lines as they are."""
    start = source.index(f"\ndef {name}(") + 1
    stop = source.find("\n\n\ndef ", start)
    tree = ast.parse(source[start : stop if stop >= 0 else len(source)])
    ast.increment_lineno(tree, source.count("\n", 0, start))
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    _place(function.body)
    return function


def _place(body: Sequence[ast.stmt]) -> None:
    """`np.add(a, b, out=c)` becomes `np.add(a, b, c)`, as statements of a function."""
    stack = list(body)
    while stack:
        match stack.pop():
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id="np"), attr=name),
                    args=args,
                    keywords=[ast.keyword(arg="out", value=out)],
                ) as call
            ) if len(args) == _operands(name):
                call.args.append(out)
                call.keywords.clear()
            case ast.For(body=inner) | ast.With(body=inner):
                stack.extend(inner)


def _operands(name: str) -> int:
    """After how many operands a function takes the place of its result; 0: by name alone."""
    function = getattr(np, name, None)
    if isinstance(function, np.ufunc):
        return 0 if name in BY_KEYWORD or function.nout > 1 else function.nin
    return 2 if function is np.dot else 0


def _plain(module: ModuleType) -> ModuleType:
    """The public names of a module in one without `__getattr__`, of which Python's
    interpreter remembers where they are."""
    plain = ModuleType(module.__name__, module.__doc__)
    names = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    vars(plain).update(names, empty=empty)
    return plain


_NUMPY = _plain(np)


def _import(
    name: str,
    globals: Any = None,
    locals: Any = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """All that `import` can reach in an emitted module.

    NumPy's own C code imports parts of NumPy on the way, through the builtins of its caller:
    they are loaded already.
    """
    if name == "numpy" and not fromlist:
        return _NUMPY
    if name != "numpy" and not (name.startswith("numpy.") and name in sys.modules):
        raise ImportError(f"an emitted module imports numpy, not {name!r}")
    return __import__(name, globals, locals, fromlist or (), level)


_BUILTINS = {
    "abs": abs,
    "enumerate": enumerate,
    "float": float,
    "len": len,
    "list": list,
    "max": max,
    "range": range,
    "reversed": reversed,
    "zip": zip,
    "__import__": _import,
}
