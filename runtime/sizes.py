"""Sizes: the polynomials of a signature, evaluated, solved for, and bound by data.

In: the `sizes`, `inputs` and `checks` of a signature and the shapes of arrays. Out: a number
for every symbolic size, or a `DataError` that cites the line of the `.net`.

A DIM of a signature is a number or a sum of monomials `[numerator, denominator, symbols]`:

    evaluate([[4, 1, ["width"]], [-1, 1, []]], {"width": 8})       # 4 width - 1 = 31
    solve([[1, 2, ["T"]]], 5, {})                                  # T / 2 = 5: {"T": 10}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from .errors import DataError

Monomial = Sequence[Any]  # [numerator, denominator, [symbol, ...]]
Dim = int | Sequence[Monomial]
Signature = Mapping[str, Any]


def symbols(dim: Dim) -> tuple[str, ...]:
    """The symbolic sizes in a DIM, sorted."""
    if isinstance(dim, int):
        return ()
    return tuple(sorted({name for _, _, names in dim for name in names}))


def value(dim: Dim, sizes: Mapping[str, int]) -> Fraction:
    """The exact value of a DIM. `KeyError` where a symbol has no size yet."""
    if isinstance(dim, int):
        return Fraction(dim)
    total = Fraction(0)
    for numerator, denominator, names in dim:
        term = Fraction(numerator, denominator)
        for name in names:
            term *= sizes[name]
        total += term
    return total


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The value of a DIM as a size: whole and not negative, otherwise a `DataError`."""
    exact = value(dim, sizes)
    if exact.denominator != 1 or exact < 0:
        given = ", ".join(f"{name} = {sizes[name]}" for name in symbols(dim))
        raise DataError(f"the size {show(dim)} is {exact} where {given}")
    return int(exact)


def show(dim: Dim) -> str:
    """A DIM as one writes it: `4 * width - 1`."""
    if isinstance(dim, int):
        return str(dim)
    text = ""
    for numerator, denominator, names in dim:
        factors = list(names)
        if abs(numerator) != 1 or not factors:
            factors.insert(0, str(abs(numerator)))
        term = " * ".join(factors) + (f" / {denominator}" if denominator != 1 else "")
        sign = "-" if numerator < 0 else "+"
        text += f" {sign} {term}" if text else ("-" if sign == "-" else "") + term
    return text or "0"


def show_shape(shape: Iterable[Dim]) -> str:
    """A shape as one writes it: `[N, 784]`."""
    return "[" + ", ".join(show(dim) for dim in shape) + "]"


def show_type(entry: Mapping[str, Any]) -> str:
    """An input's type as the program writes it: `int[N]`, `[N, D]`, `bool`."""
    kind = "" if entry["kind"] == "real" else entry["kind"]
    shape = show_shape(entry["shape"]) if entry["shape"] else ""
    return kind + shape or "real"


def solve(dim: Dim, size: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """The one unknown symbol of a DIM so that its value is `size`.

    Empty where nothing is unknown, or where the unknown does not occur linearly and alone:
    another input has to bind it. `DataError` where the solution is no size.
    """
    unknown = [name for name in symbols(dim) if name not in sizes]
    if len(unknown) != 1 or isinstance(dim, int):
        return {}
    (name,) = unknown
    if any(list(names).count(name) > 1 for _, _, names in dim):
        return {}
    constant = value([m for m in dim if name not in m[2]], sizes)
    slope = value(
        [
            (a, b, [n for n in names if n != name])
            for a, b, names in dim
            if name in names
        ],
        sizes,
    )
    if slope == 0:
        return {}
    found = (size - constant) / slope
    if found.denominator != 1 or found < 0:
        raise DataError(f"no size {name} makes {show(dim)} = {size}")
    return {name: int(found)}


def row_dims(signature: Signature) -> tuple[str, ...]:
    """The sizes that are rows of a table, in order of declaration."""
    return tuple(name for name, size in signature["sizes"].items() if size["row"])


def row_dim(signature: Signature, entry: Mapping[str, Any]) -> str | None:
    """The table that an input is a part of: its first size, where that is a row dim."""
    if not entry["shape"]:
        return None
    names = symbols(entry["shape"][0])
    if len(names) == 1 and signature["sizes"].get(names[0], {}).get("row"):
        return names[0]
    return None


def bind(
    signature: Signature,
    shapes: Mapping[str, tuple[int, ...]],
    known: Mapping[str, int] | None = None,
    title: str | None = None,
    checks: bool = True,
) -> dict[str, int]:
    """Every size that the arrays bind; `known` are bound already.

    `checks` is false where the rows are not those of a batch yet.

    Raises `DataError` with every input that does not fit, in the order of the program. A
    size that two inputs bind differently is the mistake of the later one.
    """
    sizes = dict(known or {})
    binder = {name: "the parameters" for name in sizes}
    wrong: list[str] = []
    waiting = [entry for entry in signature["inputs"] if entry["name"] in shapes]
    for entry in waiting:
        if len(shapes[entry["name"]]) != len(entry["shape"]):
            wrong.append(_line_of_shape(signature, entry, shapes[entry["name"]]))
    rest = [(entry, axis) for entry in waiting for axis in range(len(entry["shape"]))]
    if wrong:
        raise _unfit(signature, wrong, title)
    while rest:
        later: list[tuple[Any, int]] = []
        for entry, axis in rest:
            dim, size = entry["shape"][axis], shapes[entry["name"]][axis]
            if not any(name not in sizes for name in symbols(dim)):
                if value(dim, sizes) != size:
                    wrong.append(
                        _line_of_size(signature, entry, shapes, axis, sizes, binder)
                    )
                continue
            try:
                found = solve(dim, size, sizes)
            except DataError as error:
                line = _line_of_shape(signature, entry, shapes[entry["name"]])
                wrong.append(f"{line}: {error.message}")
                continue
            if not found:
                later.append((entry, axis))
            for name, number in found.items():
                sizes[name] = number
                binder[name] = entry["name"]
        if len(later) == len(rest):
            for entry, axis in later:
                dim = entry["shape"][axis]
                open_ = [name for name in symbols(dim) if name not in sizes]
                if len(open_) == 1:  # D of D * N, where N is 0
                    given = ", ".join(
                        f"{name} = {sizes[name]}"
                        for name in symbols(dim)
                        if name in sizes
                    )
                    line = _line_of_shape(signature, entry, shapes[entry["name"]])
                    wrong.append(f"{line}: with {given} it tells no size {open_[0]}")
            break
        rest = later
    if wrong:
        raise _unfit(signature, wrong, title)
    if checks:
        check(signature, sizes)
    return sizes


def _unfit(signature: Signature, wrong: list[str], title: str | None) -> DataError:
    return DataError(title or f"the data do not fit {signature['name']}", *wrong)


def _line_of_shape(
    signature: Signature, entry: Mapping[str, Any], shape: tuple[int, ...]
) -> str:
    return (
        f"{entry['name']}: {list(shape)}   but {signature['name']}:{entry['line']} says   "
        f"input {entry['name']}: {show_type(entry)}"
    )


def _line_of_size(
    signature: Signature,
    entry: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    axis: int,
    sizes: Mapping[str, int],
    binder: Mapping[str, str],
) -> str:
    line = _line_of_shape(signature, entry, shapes[entry["name"]])
    dim = entry["shape"][axis]
    known = ", ".join(
        f"{name} = {sizes[name]} (from {binder[name]})"
        for name in symbols(dim)
        if name in binder and binder[name] != entry["name"]
    )
    if not known:
        return line
    needed = f"axis {axis} of {entry['name']} needs {value(dim, sizes)}"
    if axis == 0 and row_dim(signature, entry) is not None:
        needed = f"{entry['name']} needs {value(dim, sizes)} rows"
    return f"{line}: {known}, so {needed}"


def check(signature: Signature, sizes: Mapping[str, int]) -> None:
    """Run the checks whose sizes are all known; the first that fails is a `DataError`."""
    for test in signature["checks"]:
        names = sorted({*symbols(test["left"]), *symbols(test["right"])})
        if all(name in sizes for name in names) and not holds(test, sizes):
            given = ", ".join(f"{name} = {sizes[name]}" for name in names)
            raise DataError(
                f"{signature['name']}:{test['line']}: {test['message']}",
                f"`{test['text']}` with {given} (from the data)",
            )


def holds(test: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    """One check of a signature: `divides` means that left / right is a whole number,
    `nonzero` that left is not 0."""
    left, right = value(test["left"], sizes), value(test["right"], sizes)
    match test["kind"]:
        case "divides":
            return right != 0 and (left / right).denominator == 1
        case "equal":
            return left == right
        case "at_least":
            return left >= right
        case "nonzero":
            return left != 0
    raise ValueError(f"unknown check {test['kind']!r}")


def limits(
    entry: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[int, int] | None:
    """The half-open range of an int input, where its use gives one and it is known.

    Of one that indexes several axes the range has all their sizes: the least one counts.
    """
    if entry["range"] is None:
        return None
    low, *highs = entry["range"]
    if any(name not in sizes for dim in (low, *highs) for name in symbols(dim)):
        return None
    return evaluate(low, sizes), min(evaluate(high, sizes) for high in highs)
