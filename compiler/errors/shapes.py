"""What is said of shapes, kinds, sizes, indices and axis patterns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic

Notes = list[tuple[str, str]]
Named = tuple[str, Shape]  # an operand's text and shape


def _shown(operand: Named) -> str:
    name, shape = operand
    if not shape:
        return f"{name} is a scalar"
    return f"{name} is {show(shape, described=True)}"


def _both(left: Named, right: Named) -> str:
    return f"{_shown(left)}; {_shown(right)}"


def _is_name(text: str) -> bool:
    return text.isidentifier()


def _is_postfix(text: str) -> bool:
    """Whether an index may stand right behind it: `x`, `dense(x, 1)`."""
    return text.isidentifier() or (text[:1].isalpha() and text.endswith((")", "]")))


# ---------------------------------------------------------------------- broadcasting
def broadcast(
    span: Span,
    left: Named,
    right: Named,
    homes: Mapping[str, int],
    inputs: Mapping[str, int],
) -> Diagnostic:
    """Two shapes do not meet (rules B1 to B3); `homes` and `inputs`: the lines of the
    sizes, and of the operands that are inputs."""
    large, small = (left, right) if len(left[1]) >= len(right[1]) else (right, left)
    return Diagnostic(
        "broadcast",
        span,
        "shapes do not line up",
        label=_both(left, right),
        notes=tuple(_broadcast_notes(large, small, homes, inputs)),
    )


def _broadcast_notes(
    large: Named, small: Named, homes: Mapping[str, int], inputs: Mapping[str, int]
) -> Notes:
    (big, a), (little, b) = large, small
    numpy = _numpy(a, b)
    notes: Notes = []
    if numpy is not None:
        notes.append(
            (
                "",
                f"NumPy would silently make this {numpy}; this language does not.",
            )
        )
    for first, second in _renamed(a, b):
        if first in homes and second in homes:
            notes.append(
                (
                    "",
                    f"`{first}` is from line {homes[first]}, `{second}` from line "
                    f"{homes[second]}; `{first}` and `{second}` are two different "
                    "dimensions",
                )
            )
    help_ = _broadcast_help(big, a, little, b)
    differing = [i for i in range(len(a)) if len(a) == len(b) and a[i] != b[i]]
    if not help_ and little in inputs and len(differing) == 1:
        i = differing[0]
        if a[i].symbols() and b[i].symbols():
            fitted = show((*b[:i], a[i], *b[i + 1 :]))
            help_ = f"did you mean `input {little}: {fitted}` on line {inputs[little]}?"
    rule = "the smaller shape must be the tail of the larger"
    if len(a) == len(b):
        rule = "sizes are equal, or one of them is a stretch axis"
    notes.append(("help", help_) if help_ else ("rule", rule))
    return notes


def _broadcast_help(big: str, a: Shape, little: str, b: Shape) -> str:
    def at(name: str, index: str) -> str:
        return f"`{name}[{index}]`" if _is_postfix(name) else f"`(…)[{index}]`"

    if len(a) == len(b) + 1 and a[-1].integer == 1 and a[:-1] == b:
        return f"drop the extra axis with {at(big, '..., 0' if len(a) > 2 else ':, 0')}"
    if len(a) == len(b) + 1 and a[:-1] == b:
        index = ", ".join(":" * len(b)) + ", *"
        return f"give it a stretch axis with {at(little, index)}"
    if len(a) == len(b):
        for name, x, y in ((big, a, b), (little, b, a)):
            if x and x[-1].integer == 1 and x[:-1] == y[:-1] and not x[-1].stretch:
                index = ", ".join(":" * (len(x) - 1))
                first, second = (f"{index}, 0", f"{index}, *") if index else ("0", "*")
                dropped = at(name, first)[:-1]
                return (
                    "an axis of size 1 does not stretch: drop it and add a stretch "
                    f"axis with {dropped}[{second}]`, or make it with `keep = true`"
                )
        if len(a) >= 2 and a[-1] == b[-2] and a[-2] == b[-1]:
            return f"transpose one side: `{little}'`" if _is_name(little) else ""
    return ""


def _renamed(a: Shape, b: Shape) -> Iterable[tuple[str, str]]:
    """Pairs of sizes of the data that stand against each other."""
    for p, q in zip(reversed(a), reversed(b), strict=False):
        if p != q and len(p.symbols()) == 1 and len(q.symbols()) == 1:
            yield p.symbols()[0], q.symbols()[0]


def _numpy(a: Shape, b: Shape) -> str | None:
    """The shape that NumPy would make of it, or None where it refuses, too."""
    out: list[Dim] = list(a[: len(a) - len(b)])
    for p, q in zip(a[len(a) - len(b) :], b, strict=True):
        if p == q or q.integer == 1:
            out.append(p)
        elif p.integer == 1:
            out.append(q)
        else:
            return None
    return show(out)


def ambiguous_broadcast(
    span: Span,
    symbol: str,
    left: Named,
    right: Named,
    small: str,
    small_rank: int,
    large_rank: int,
) -> Diagnostic:
    verbs = {
        "+": "added to",
        "-": "subtracted from",
        "*": "multiplied with",
        "/": "divided into",
    }
    verb = verbs.get(symbol, "matched with")
    where = "the rows or to the columns" if symbol == "+" else "the rows or the columns"
    if (small_rank, large_rank) != (1, 2):
        where = "the leading axes or the last ones"
    name = small if _is_name(small) else "(…)"
    colons = ", ".join(":" * small_rank)
    stretches = ", ".join("*" * (large_rank - small_rank))
    first = "same for every row" if large_rank == 2 else "along the last axes"
    second = "same for every column" if large_rank == 2 else "along the first axes"
    return Diagnostic(
        "ambiguous-broadcast",
        span,
        f"`{small}` could be {verb} {where}",
        label=_both(left, right),
        notes=(
            (
                "help",
                f"write `{name}[{stretches}, {colons}]` ({first}) or "
                f"`{name}[{colons}, {stretches}]` ({second})",
            ),
        ),
    )


def dim_conflict(
    span: Span,
    rule: str,
    first: Named,
    second: Named,
    axis: int,
    homes: Mapping[str, int],
) -> Diagnostic:
    """Shapes that must agree do not; `homes`: the lines of the inputs among them."""
    (x, a), (y, b) = first, second
    why, notes = "", []
    if len(a) == len(b):
        for i, (p, q) in enumerate(zip(a, b, strict=True)):
            if i != axis and p != q:
                why = f": `{p.described()}` is not `{q.described()}`"
                break
        if x in homes and y in homes:
            text = (
                f"{x}: {show(a)} is from line {homes[x]}, "
                f"{y}: {show(b)} from line {homes[y]}"
            )
            if p.symbols() and q.symbols():
                text += f"; `{p}` and `{q}` are two different dimensions"
                fitted = (*b[:i], p, *b[i + 1 :])
                notes.append(
                    (
                        "help",
                        f"did you mean `input {y}: {show(fitted)}` on line {homes[y]}?",
                    )
                )
            notes.insert(0, ("", text))
    else:
        why = f": {len(a)} axes and {len(b)}"
    if not notes:
        notes.append(("", f"{_shown(first)}"))
    return Diagnostic(
        "dim-conflict", span, f"{rule}{why}", label=_shown(second), notes=tuple(notes)
    )


# --------------------------------------------------------------------- matrix product
def matmul_shape(
    span: Span,
    left: Named,
    right: Named,
    inner_left: Dim,
    inner_right: Dim,
    transposed: Shape | None,
    other: Named | None,
) -> Diagnostic:
    x, y = left[1], right[1]
    rule = "`A @ B` multiplies [.., k] by [k, m]"
    if len(y) == 1:
        rule = "`A @ v` multiplies [.., k] by [k]"
    notes: Notes = [("rule", rule)]
    parts: list[str] = []
    if transposed is not None and _is_name(right[0]):
        parts.append(
            f"transpose with `{right[0]}'` to get {show(transposed, described=False)}"
        )
    if other is not None:
        name, shape = other
        parts.append(f"did you mean `{name}` {show(shape, described=True)}?")
    if len(x) == 2 and len(y) == 2 and not parts and x[-2] == y[-2]:
        parts.append(f"transpose the left side: `{left[0]}' @ {right[0]}`")
    if parts:
        notes.append(("help", ", or ".join(parts)))
    return Diagnostic(
        "matmul-shape",
        span,
        f"inner sizes differ: {inner_left.described()} and {inner_right.described()}",
        label=_both(left, right),
        notes=tuple(notes),
    )


def matmul_scalar(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "matmul-scalar",
        span,
        "`@` multiplies matrices and vectors, not scalars",
        label=f"{text} is a scalar",
        notes=(("help", "write `*` to multiply by a number"),),
    )


def matmul_leading(span: Span, left: Named, right: Named) -> Diagnostic:
    return Diagnostic(
        "matmul-leading",
        span,
        "the leading axes of a matrix product must be equal",
        label=_both(left, right),
        notes=(
            (
                "rule",
                "[.., n, k] @ [k, m], or [.., n, k] @ [.., k, m] with the same ..",
            ),
        ),
    )


def transpose_rank(span: Span, text: str, shape: str) -> Diagnostic:
    return Diagnostic(
        "transpose-rank",
        span,
        "a transpose needs two axes",
        label=f"{text} is {shape}",
        notes=(
            ("rule", "`x'` swaps the last two axes; a vector has no rows and columns"),
            ("help", "`x[:, *]` is a column, `x[*, :]` a row"),
        ),
    )


# ------------------------------------------------------------------------------ kinds
def bool_arithmetic(span: Span, symbol: str, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "bool-arithmetic",
        span,
        f"`{symbol}` does not compute with true and false",
        label=f"{text} is {kind}",
        notes=(
            ("rule", "a bool is compared, combined, chosen by and counted, no more"),
            ("help", "`where(c, 1, 0)` makes numbers; `sum(c)` and `mean(c)` count"),
        ),
    )


def bool_argument(span: Span, name: str, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "bool-argument",
        span,
        f"`{name}` takes numbers, not true and false",
        label=f"{text} is {kind}",
        notes=(("help", "`where(c, 1, 0)` makes numbers of them"),),
    )


def compare_kinds(
    span: Span, symbol: str, left: tuple[str, str], right: tuple[str, str]
) -> Diagnostic:
    kinds = (left[1].split("[")[0].split(" ")[0], right[1].split("[")[0].split(" ")[0])
    notes: Notes = [
        ("rule", "int is compared with int, real with real, bool with bool")
    ]
    if "bool" in kinds and kinds[0] == kinds[1]:
        notes = [("rule", "true and false are equal or not; neither is less")]
    elif "bool" not in kinds:
        notes.append(
            (
                "help",
                "a class is `argmax(…)`; near a whole number is `abs(a - b) < 0.5`",
            )
        )
    return Diagnostic(
        "compare-kinds",
        span,
        f"`{symbol}` cannot compare these",
        label=f"{left[0]} is {left[1]}; {right[0]} is {right[1]}",
        notes=tuple(notes),
    )


def logic_of_numbers(span: Span, symbol: str, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "logic-of-numbers",
        span,
        f"`{symbol}` combines true and false, not numbers",
        label=f"{text} is {kind}",
        notes=(("help", f"compare first, e.g. `{text} > 0`"),),
    )


def where_condition(span: Span, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "where-condition",
        span,
        "the first argument of `where` says true or false",
        label=f"{text} is {kind}",
        notes=(("help", f"compare it, e.g. `where({text} > 0, a, b)`"),),
    )


def where_kinds(
    span: Span, left: tuple[str, str], right: tuple[str, str]
) -> Diagnostic:
    return Diagnostic(
        "where-kinds",
        span,
        "`where` chooses between a bool and a number",
        label=f"{left[0]} is {left[1]}; {right[0]} is {right[1]}",
        notes=(("rule", "both choices are numbers, or both are true and false"),),
    )


def if_condition(span: Span, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "if-condition",
        span,
        f"`if` needs true or false, but `{text}` is {kind}",
        notes=(("help", f"compare it, e.g. `if {text} > 0 then … else …`"),),
    )


def if_on_data(span: Span, data: str, condition: str, yes: str, no: str) -> Diagnostic:
    what = f"`{data}` is data" if data else f"`{condition}` is known with the data only"
    choice = f"where({condition}, {yes}, {no})"
    if len(choice) > 60 or "\n" in choice:
        choice = "where(condition, a, b)"
    return Diagnostic(
        "if-on-data",
        span,
        f"`if` chooses at compile time, but {what}",
        notes=(("help", f"for element-by-element choice write `{choice}`"),),
    )


def not_a_value(span: Span, text: str, what: str) -> Diagnostic:
    notes: Notes = []
    if what in ("a function", "a fn", "a layer") and _is_name(text):
        notes.append(("help", f"apply it: `{text}(…)`"))
    elif what == "a string":
        notes.append(("rule", "strings are paths, axis patterns and option words only"))
    elif what.startswith("the "):
        notes.append(("help", "give each a name: `a, b = …`"))
    return Diagnostic(
        "not-a-value",
        span,
        "a value is needed here",
        label=f"this is {what}",
        notes=tuple(notes),
    )


def list_of_numbers(span: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "list-of-numbers",
        span,
        "a list is made of numbers",
        label="" if what == "a value" else f"{what} is in it",
        notes=(
            ("help", "tensors are put together by `stack(a, b)` and `concat(a, b)`"),
        ),
    )


# ------------------------------------------------------------------------------ sizes
def division_by_zero(span: Span, text: str) -> Diagnostic:
    return Diagnostic("division-by-zero", span, f"`{text}` is divided by 0")


def power_too_large(span: Span) -> Diagnostic:
    return Diagnostic(
        "overflow",
        span,
        "this number is too large to be computed",
        notes=(("rule", "numbers are finite: below 1.8e308"),),
    )


def size_not_whole(span: Span, text: str, number: int | float | bool) -> Diagnostic:
    shown = str(number).lower() if isinstance(number, bool) else f"{number:.12g}"
    same = shown == text
    return Diagnostic(
        "size-not-whole",
        span,
        f"{shown} is no size" if same else f"`{text}` is {shown}, which is no size",
        notes=(("rule", "sizes are whole numbers"),),
    )


def size_from_data(span: Span, text: str, what: str) -> Diagnostic:
    return Diagnostic(
        "size-from-data",
        span,
        f"`{text}` is computed, so it is no size",
        label=f"it is {what}",
        notes=(
            (
                "rule",
                "sizes are made of numbers, constants and the sizes of inputs by + - * /",
            ),
        ),
    )


def negative_size(span: Span, text: str, number: int) -> Diagnostic:
    shown = f"`{text}` is {number}" if text != str(number) else f"it is {number}"
    return Diagnostic("negative-size", span, f"a size cannot be negative: {shown}")


def not_dividing(
    span: Span,
    whole: tuple[str, Dim],
    part: tuple[str, Dim],
    overrides: Mapping[str, str],
) -> Diagnostic:
    """`whole` and `part`: what the place calls the sizes ("c", "h"), and the sizes."""
    size, parts = whole[1], part[1]
    number, count = size.integer, parts.integer
    notes: Notes = []
    shown = []
    for local, d in (whole, part):
        names = [local] * bool(local) + [str(d)] * (d.written != d.value)
        if names:
            shown.append(" = ".join((*names, str(d.value))))
    label = ", ".join(shown)
    text = f"cannot split {size.value} into {parts.value} equal parts"
    if number is not None and count is not None and number > 0:
        fitting = [k for k in range(2, 65) if number % k == 0 and k != number]
        below = sum(1 for k in fitting if k < count)
        near = fitting[max(0, below - 1) :][:4]
        divisible = (
            f"{number} is divisible by {', '.join(map(str, near))}" if near else ""
        )
        given = next(
            (
                n
                for n in (*parts.written.symbols(), *size.written.symbols())
                if n in overrides
            ),
            None,
        )
        if given is not None:
            head = f"`--set {given}={overrides[given]}` was given on the command line"
            notes.append(("help", f"{head}; {divisible}" if divisible else head))
        elif divisible:
            notes.append(("help", divisible))
    return Diagnostic("not-dividing", span, text, label=label, notes=tuple(notes))


def reshape_size(span: Span, shape: Shape, total: Dim, wanted: Dim) -> Diagnostic:
    return Diagnostic(
        "reshape-size",
        span,
        "a reshape keeps the number of elements",
        label=f"{show(shape, described=True)} has {total}, this asks for {wanted}",
    )


def two_open_sizes(span: Span) -> Diagnostic:
    return Diagnostic(
        "two-open-sizes", span, "only one size of a reshape may be left open by -1"
    )


def open_input(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "open-input",
        span,
        f"`{text}` cannot stand in the shape of an input",
        notes=(
            ("rule", "an input has as many axes as are written, each with a size"),
            ("help", "a new name leaves a size to the data: `input x: [N, D]`"),
        ),
    )


def size_untold(span: Span, name: str, sizes: Sequence[str]) -> Diagnostic:
    """`sizes` are the axes in which the size stands."""
    axes = ", ".join(f"`{size}`" for size in sizes)
    return Diagnostic(
        "size-untold",
        span,
        f"the data cannot tell `{name}` from {axes}",
        notes=(
            (
                "rule",
                "an axis tells a size that stands in it once, beside sizes that others tell",
            ),
            ("help", f"give it an axis of its own, or fix it: `const {name} = 4`"),
        ),
    )


def open_type(span: Span) -> Diagnostic:
    return Diagnostic(
        "open-type", span, "a number cannot fill a shape that is open", notes=()
    )


def type_kind(span: Span, name: str, declared: str, kind: str, text: str) -> Diagnostic:
    shape = text[text.index("[") :] if "[" in text else ""
    help_ = f"write `{name}: {'' if kind == 'real' and shape else kind}{shape}`"
    return Diagnostic(
        "type-kind",
        span,
        f"`{name}` is {kind}, not {declared}",
        notes=(("help", help_),),
    )


def type_shape(span: Span, name: str, declared: str, shape: Shape) -> Diagnostic:
    shown = show(shape, described=True) if shape else "a scalar"
    return Diagnostic(
        "type-shape",
        span,
        f"`{name}` is {shown}, not {declared}",
        notes=(("rule", "a type on an equation is a checked comment"),),
    )


# --------------------------------------------------------------------------- indexing
def two_rests(span: Span) -> Diagnostic:
    return Diagnostic("two-rests", span, "only one `...` may stand in an index")


def too_many_indices(span: Span, text: str, shape: str, count: int) -> Diagnostic:
    return Diagnostic(
        "too-many-indices",
        span,
        f"`{text}` has fewer than {count} axes",
        label=f"{text} is {shape}",
    )


def two_gathers(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "two-gathers",
        span,
        "only one axis can be indexed by a tensor at a time",
        notes=(
            ("rule", "with two it is unclear whether they go together or form a grid"),
            (
                "help",
                f"`pick({text}, i)` takes one entry of each row; "
                f"`{text}[i][:, j]` gathers twice",
            ),
        ),
    )


def gather_stretch(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "gather-stretch", span, f"a stretch axis of `{text}` has no elements to gather"
    )


def slice_stretch(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "slice-stretch", span, f"a stretch axis of `{text}` has no part to slice"
    )


def index_kind(span: Span, text: str, shape: str, kind: str) -> Diagnostic:
    help_ = "whole numbers are declared `int`: `input i: int[N]`"
    if kind == "bool":
        help_ = "to choose by true and false write `where(c, a, b)`"
    return Diagnostic(
        "index-kind",
        span,
        "an index is a whole number or an int tensor",
        label=f"{text} is {shape}",
        notes=(("help", help_),),
    )


def slice_bound(span: Span, text: str, shape: str, known: bool) -> Diagnostic:
    return Diagnostic(
        "slice-bound",
        span,
        "a slice is bounded by whole numbers and sizes",
        label=f"{text} is {shape}" if not known else f"{text} is not whole",
        notes=(("rule", "shapes never depend on the values of data"),),
    )


def index_range(
    span: Span, text: str, shape: Shape, size: Dim, element: bool
) -> Diagnostic:
    last = ""
    if element and size.integer:
        last = f"; its elements are 0 to {size.integer - 1}"
    return Diagnostic(
        "index-range",
        span,
        f"this lies outside the axis of size {size.described()}{last}",
        label=f"{text} is {show(shape, described=True)}",
        notes=(("rule", "the first element is 0, -1 is the last; nothing is clipped"),),
    )


def backward_slice(span: Span, text: str, start: str, stop: str) -> Diagnostic:
    return Diagnostic(
        "backward-slice",
        span,
        f"this slice of `{text}` ends ({stop}) before it begins ({start})",
        notes=(("help", "backward in order is `flip(x, axis = …)`"),),
    )


def pick_shape(span: Span, x: Named, index: Named) -> Diagnostic:
    return Diagnostic(
        "pick-shape",
        span,
        "`pick(x, i)` takes one entry of each row of x",
        label=_both(x, index),
        notes=(("rule", "i has the shape of x without its last axis"),),
    )


# ------------------------------------------------------------- axes, patterns, options
def needs_axis(span: Span, name: str, what: str) -> Diagnostic:
    return Diagnostic("needs-axis", span, f"`{name}` needs an axis, but this is {what}")


def axis_range(span: Span, name: str, axis: int, text: str, shape: Shape) -> Diagnostic:
    return Diagnostic(
        "axis-range",
        span,
        f"there is no axis {axis} for `{name}`",
        label=f"{text} is {show(shape, described=True)}",
        notes=(("rule", "axes count from 0, and from -1 backwards"),),
    )


def axis_twice(span: Span, name: str, axis: int) -> Diagnostic:
    return Diagnostic("axis-twice", span, f"axis {axis} is given to `{name}` twice")


def one_axis(span: Span, name: str) -> Diagnostic:
    return Diagnostic("one-axis", span, f"`{name}` works along one axis")


def wants_text(span: Span, function: str, name: str, what: str) -> Diagnostic:
    help_ = f'write it in quotes: `{name} = "…"`'
    if function == "einsum":
        help_ = 'the pattern stands first: `einsum("n i, i o -> n o", x, W)`'
    elif name == "pattern" and what == "a value":
        help_ = f"axes are given by keyword: `{function}(x, axis = -1)`"
    return Diagnostic(
        "wants-text",
        span,
        f"`{name}` of `{function}` is a string",
        label=f"this is {what}",
        notes=(("help", help_),),
    )


def wants_flag(span: Span, function: str, name: str) -> Diagnostic:
    return Diagnostic(
        "wants-flag", span, f"`{name}` of `{function}` is `true` or `false`"
    )


def wants_whole(span: Span, function: str, name: str) -> Diagnostic:
    return Diagnostic(
        "wants-whole",
        span,
        f"`{name}` of `{function}` is a whole number known at compile time",
    )


def max_of_two_with_axis(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "max-of-two",
        span,
        f"`{name}` either compares two values or reduces one along an axis",
        notes=(("help", f"`{name}(a, b)` or `{name}(x, axis = -1)`"),),
    )


def prod_of_data(span: Span, text: str, size: Dim) -> Diagnostic:
    return Diagnostic(
        "prod-of-data",
        span,
        f"`prod` multiplies along axes of a known size, not along {size}",
        label=f"the size of {text} comes from the data",
        notes=(("help", "for positive numbers `exp(sum(log(x)))`"),),
    )


def empty_axis(span: Span, name: str, text: str, shape: Shape) -> Diagnostic:
    return Diagnostic(
        "empty-axis",
        span,
        f"`{name}` of no elements has no value",
        label=f"{text} is {show(shape, described=True)}",
    )


def pattern_and_axis(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "pattern-and-axis",
        span,
        f"`{name}` takes a pattern or `axis` and `keep`, not both",
    )


def argmax_pattern(span: Span) -> Diagnostic:
    return Diagnostic(
        "argmax-pattern", span, "`argmax` takes an axis: `argmax(x, axis = -1)`"
    )


def bad_pattern(span: Span, text: str, why: str) -> Diagnostic:
    return Diagnostic(
        "bad-pattern",
        span,
        f'the pattern "{text}" makes no sense: {why}',
        notes=(
            ("help", 'a pattern reads like "n t (h d) -> n h t d" or "... c -> c"'),
        ),
    )


def pattern_rank(span: Span, pattern: str, text: str, shape: Shape) -> Diagnostic:
    shown = show(shape, described=True) if shape else "a scalar"
    return Diagnostic(
        "pattern-rank",
        span,
        f'the pattern "{pattern}" does not name the axes of `{text}`',
        label=f"{text} is {shown}",
        notes=(("help", "`...` stands for any axes that are not named"),),
    )


def pattern_one(span: Span, pattern: str, text: str, shape: Shape) -> Diagnostic:
    return Diagnostic(
        "pattern-one",
        span,
        "a `1` in a pattern drops an axis of size 1, which this one is not",
        label=f"{text} is {show(shape, described=True)}",
    )


def unknown_letter(span: Span, name: str, letters: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "unknown-letter",
        span,
        f"`{name}` is no axis of the pattern",
        notes=(("", f"its axes: {' '.join(letters)}"),),
    )


def letter_size(span: Span, name: str, given: Dim, size: Dim) -> Diagnostic:
    return Diagnostic(
        "letter-size",
        span,
        f"`{name}` is {size.described()}, not {given.described()}",
    )


def open_letters(span: Span, group: Sequence[str], names: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "open-letters",
        span,
        f"how is `({' '.join(group)})` to be split?",
        notes=(
            (
                "help",
                f"give all sizes but one, e.g. `{names[0]} = 4`",
            ),
        ),
    )


def concat_stretch(span: Span) -> Diagnostic:
    return Diagnostic(
        "concat-stretch", span, "a stretch axis has no size to be joined along"
    )


def split_count(span: Span, count: int) -> Diagnostic:
    return Diagnostic(
        "split-count", span, f"cannot split into {count} parts: 1 to 1000 are possible"
    )


def einsum_operands(span: Span, pattern: str, named: int, given: int) -> Diagnostic:
    return Diagnostic(
        "einsum-operands",
        span,
        f'the pattern "{pattern}" names the axes of {named}, but {given} '
        f"{'is' if given == 1 else 'are'} given",
    )


def einsum_size(span: Span, name: str, first: Dim, second: Dim) -> Diagnostic:
    return Diagnostic(
        "einsum-size",
        span,
        f"axis `{name}` is {first.described()} and {second.described()}",
    )


def fill_draws_int(span: Span, law: str) -> Diagnostic:
    """A param or state is real, and cannot be filled with whole numbers."""
    return Diagnostic(
        "fill-draws-int",
        span,
        f"`{law}` draws an int; a param or state is real",
        notes=(("help", "whole numbers are drawn by `random k: int[N] = …`"),),
    )
