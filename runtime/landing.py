"""Gradients of a readable module, written where they are to lie.

In: the tree of `backward` as it is executed; what one reads stays as it is. `d_W = x.T @ d_z`,
returned as the gradient of W, becomes `d_W = np.matmul(x.T, d_z, _places["W"])`, and so does a
product that is stored as `gradients[f"h[{i}].W"]`. Nothing is copied then, and BLAS writes a
product in the order in which its place lies.

    gradients = backward(saved, d_loss, Places(views))

What is returned may be another array all the same: a gradient that is no product has no place,
and two paths may have one gradient.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any

PLACES = "_places"  # no emitted name begins with a line


class Places(dict[str, Any]):
    """Arrays for gradients by path; a gradient without one gets new memory."""

    def __missing__(self, path: str) -> None:
        return None


def takes_places(backward: Callable[..., Any]) -> bool:
    """Does this `backward` write gradients where it is told to?"""
    code = getattr(backward, "__code__", None)
    return code is not None and PLACES in code.co_varnames


def land(backward: ast.FunctionDef) -> None:
    """Change it so that it takes, after its own arguments, `Places` for gradients."""
    landing = list(_landing(backward))
    for product, path in landing:
        np_matmul = ast.Attribute(ast.Name("np", ast.Load()), "matmul", ast.Load())
        place = ast.Subscript(ast.Name(PLACES, ast.Load()), path, ast.Load())
        value = product.value
        assert isinstance(value, ast.BinOp)
        call = ast.Call(np_matmul, [value.left, value.right, place], [])
        product.value = ast.copy_location(call, value)
    if landing:
        backward.args.args.append(ast.arg(PLACES))
        backward.args.defaults.append(ast.Name(PLACES, ast.Load()))
        ast.fix_missing_locations(backward)


def _landing(backward: ast.FunctionDef) -> Iterator[tuple[ast.Assign, ast.expr]]:
    """The products that are gradients, each with the path of its parameter."""
    nodes = list(ast.walk(backward))
    assigned = Counter(
        n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    )
    for n in nodes:
        if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name):
            assigned[n.target.id] -= 1  # `d_W += …` adds to what lies there
    returned = dict(_returned(backward))
    stack = [backward.body]
    while stack:
        body = stack.pop()
        for statement, following in zip_longest(body, body[1:]):
            match statement:
                case ast.For(body=inner):
                    stack.append(inner)
                case ast.Assign([target], ast.BinOp(op=ast.MatMult())):
                    path = _stored(target) or (
                        _stored(following.targets[0])
                        if isinstance(following, ast.Assign)
                        and _same(following.value, target)
                        else None
                    )
                    if path is None and body is backward.body:
                        match target:
                            case ast.Name(name) if assigned[name] == 1:
                                path = returned.get(name)
                    if path is not None:
                        yield statement, path


def landed(backward: ast.FunctionDef, paths: Iterable[str]) -> list[str]:
    """Of these parameters those whose gradients it writes in their places."""
    patterns = [re.compile(_pattern(path)) for _, path in _landing(backward)]
    return [path for path in paths if any(p.fullmatch(path) for p in patterns)]


def _pattern(path: ast.expr) -> str:
    """What matches the paths that an expression may be."""
    match path:
        case ast.Constant(str(text)):
            return re.escape(text)
        case ast.JoinedStr(parts):
            return "".join(map(_pattern, parts))
    return "[0-9]+"


def _stored(target: ast.expr) -> ast.expr | None:
    """The path of `gradients[path]`."""
    match target:
        case ast.Subscript(ast.Name("gradients"), path):
            return path
    return None


def _same(value: ast.expr, target: ast.expr) -> bool:
    match value, target:
        case ast.Name(read), ast.Name(written):
            return read == written
    return False


def _returned(backward: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The names that stand for gradients where `backward` ends, with their paths."""
    for statement in backward.body:
        match statement:
            case ast.Return(ast.Dict(keys, values)) | ast.AugAssign(
                ast.Name("gradients"), _, ast.Dict(keys, values)
            ):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(value, ast.Name) and key is not None:
                        yield value.id, key
