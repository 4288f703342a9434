"""Contraction: one bilinear op for every product of matrices.

`einsum2(a, b; spec)`: matmul is "ij,jk->ik", a batched one "hij,hjk->hik", an outer product
"i,j->ij". No letter stands twice in an operand, and none is private to one operand and
absent from the output (sum it first): so both adjoints are einsum2 again.

How it is written follows from the letters: `a @ b`, `a.T @ b`, a product with new axes,
`np.tensordot`, and a product of matrices over moved axes where nothing else fits.

    >>> str(matmul(g, x, W)), "ij,jk->ik"     # doctest: +SKIP
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..ir.dims import Dim, Shape
from ..ir.dims import size as count
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Kind, Op
from . import zeros
from .classes import Hole, InferError, Text
from .samples import REAL, Case, Samples

LETTERS = "ijklmnopqrstuvwxyzabcdefgh"
MOST_ROWS = 2
"""Axes of rows up to which `@` is as fast as one product: it goes over them in a loop."""
Args = tuple[Node, ...]


def letters(spec: str) -> tuple[str, str, str]:
    """``"ij,jk->ik"`` in three parts."""
    left, out = spec.split("->")
    a, b = left.split(",")
    return a, b, out


def canonical(spec: str) -> str:
    """The same contraction with letters in order of appearance."""
    names: dict[str, str] = {}
    for c in spec:
        if c.isalpha() and c not in names:
            names[c] = LETTERS[len(names)]
    return "".join(names.get(c, c) for c in spec)


def _infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    a, b = args
    sa, sb, so = _checked(attrs["spec"])
    for node, spec in ((a, sa), (b, sb)):
        if node.kind != "real" or len(spec) != len(node.shape):
            raise InferError(f"einsum2: {attrs['spec']} of {node}")
    sizes = dict(zip(sa, a.shape, strict=True))
    for c, d in zip(sb, b.shape, strict=True):
        known = sizes.setdefault(c, d)
        if known is not d and known != d:
            raise InferError(f"einsum2: {c} is {known} and {d}")
    return tuple([sizes[c] for c in so]), "real"


@cache
def _checked(spec: str) -> tuple[str, str, str]:
    """The three parts of a contraction, if it is one."""
    sa, sb, so = letters(spec)
    for part in (sa, sb):
        if len(set(part)) != len(part):
            raise InferError(f"einsum2: a letter twice in {part}")
    if len(set(so)) != len(so) or not set(so) <= set(sa) | set(sb):
        raise InferError(f"einsum2: output of {spec}")
    if (set(sa) ^ set(sb)) - set(so):
        raise InferError(f"einsum2: a private letter is summed in {spec}")
    return sa, sb, so


def _vjp(g: Node, out: Node, a: Node, b: Node, spec: str) -> tuple[Node, Node]:
    sa, sb, so = letters(spec)
    return (
        g.graph.apply("einsum2", g, b, spec=f"{so},{sb}->{sa}"),
        g.graph.apply("einsum2", a, g, spec=f"{sa},{so}->{sb}"),
    )


def _jvp(
    tangents: tuple[Node | None, ...], out: Node, a: Node, b: Node, spec: str
) -> Node | None:
    s, t = tangents
    left = None if s is None else out.graph.apply("einsum2", s, b, spec=spec)
    right = None if t is None else out.graph.apply("einsum2", a, t, spec=spec)
    if left is None or right is None:
        return left or right
    return left + right


def _rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    spec = attrs["spec"]
    sa, sb, so = letters(spec)
    if sa == sb == so:
        return a * b
    for x, s, other, p in ((a, sa, b, sb), (b, sb, a, sa)):
        if not s:  # a scalar: nothing is contracted
            turned = graph.apply("transpose", other, perm=tuple(map(p.index, so)))
            return turned * x
    named = canonical(spec)
    if named != spec:
        return graph.apply("einsum2", a, b, spec=named)
    return None


# ------------------------------------------------------------------- how it is written
def _turned(spec: str, wanted: str, hole: str) -> str | None:
    """The operand with its last two axes as wanted: itself, or turned."""
    if spec == wanted:
        return hole
    if len(spec) == 2 and spec[::-1] == wanted:
        return f"{hole}.T"
    if spec[:-2] == wanted[:-2] and spec[-2:] == wanted[-2:][::-1]:
        return f"{hole}.swapaxes(-1, -2)"
    return None


def _matmul(
    sa: str, sb: str, so: str, a: str, b: str, batch: str, inner: str
) -> str | None:
    """``a @ b`` where the letters allow it: batch axes first, the contracted one inside."""
    if len(inner) != 1:
        return None
    left = "".join(c for c in so if c in sa and c not in sb)
    right = "".join(c for c in so if c in sb and c not in sa)
    if so != batch + left + right or len(right) > 1:
        return None
    if len(left) > 1 and (batch or len(left) > MOST_ROWS):
        return None
    if batch and not (left and right):
        return None
    if len(left) > 1:
        first = a if sa == left + inner else None
    else:
        first = _turned(sa, batch + left + inner, a)
    second = _turned(sb, batch + inner + right, b)
    return f"{first} @ {second}" if first and second else None


def _axes_index(spec: str, out: str) -> str:
    """The index that spreads an operand over the output's axes: ``:, None``."""
    parts = [":" if c in spec else "None" for c in out]
    while parts and parts[-1] == ":":
        parts.pop()
    while parts and parts[0] == "None":  # NumPy adds leading axes itself
        parts.pop(0)
    return ", ".join(parts)


def template(node: Node) -> Text:
    """The product as a person writes it."""
    spec: str = node.attrs["spec"]
    sa, sb, so = letters(spec)
    inner = "".join(c for c in sa if c in sb and c not in so)
    batch = "".join(c for c in so if c in sa and c in sb)
    a, b = "{a}", "{b}"
    if not inner:
        if not batch and len(sa) == len(sb) == 1:
            return "np.outer({a}, {b})" if so == sa + sb else "np.outer({b}, {a})"
        x, y = _in_order(a, sa, so), _in_order(b, sb, so)
        i, j = _axes_index(sa, so), _axes_index(sb, so)
        return f"{x}[{i}] * {y}[{j}]".replace("[]", "")
    for first, second, x, y in ((sa, sb, a, b), (sb, sa, b, a)):
        text = _matmul(first, second, so, x, y, batch, inner)
        if text:
            return text
    if len(sa) == 1 == len(sb):
        return "{a} @ {b}"
    if sa == sb and so == batch and not (set(sa) - set(inner) - set(batch)):
        axes = tuple(sa.index(c) for c in inner)
        where = "" if not so else f"axis={axes[0] if len(axes) == 1 else axes}"
        return f"({a} * {b}).sum({where})"
    if len(inner) > 1 and not batch:
        for first, second, x, y in ((sa, sb, a, b), (sb, sa, b, a)):
            whole = _all_rows(node, first, second, so, x, y, inner)
            if whole:
                return whole
    if inner and not batch:
        for first, second, x, y in ((sa, sb, a, b), (sb, sa, b, a)):
            rest = "".join(c for c in first + second if c not in inner)
            if rest == so:
                p = [first.index(c) for c in inner]
                q = [second.index(c) for c in inner]
                if len(inner) == 1 and first[-1] == inner == second[0]:
                    return f"np.tensordot({x}, {y}, axes=1)"
                return f"np.tensordot({x}, {y}, axes=({p}, {q}))"
    for first, second, x, y in ((sa, sb, a, b), (sb, sa, b, a)):
        text = None if batch else _rows_first(first, second, so, x, y, inner)
        if text:
            return text
    return _batched(node, sa, sb, so, batch, inner)


def _moved(text: str, spec: str, wanted: str) -> str:
    """An operand with its axes in another order."""
    if spec == wanted:
        return text
    if len(spec) == 2:
        return f"{text}.T"
    perm = [spec.index(c) for c in wanted]
    return f"{text}.transpose({', '.join(map(str, perm))})"


def _in_order(text: str, spec: str, out: str) -> str:
    """An operand with its axes in the order in which they stand in the output."""
    return _moved(text, spec, "".join(c for c in out if c in spec))


def _rows_first(sa: str, sb: str, so: str, a: str, b: str, inner: str) -> str | None:
    """Many rows times a vector or a matrix: ``(x @ w).T``, ``x.transpose(1, 0, 2) @ W``."""
    if len(inner) != 1 or len(sb) > 2:
        return None
    rows = "".join(c for c in so if c in sa)
    columns = "".join(c for c in so if c in sb)
    if so != rows + columns:
        return None
    if not columns and len(rows) == 2 and sa == rows[::-1] + inner:
        return f"({a} @ {b}).T"
    first = _moved(a, sa, rows + inner)
    second = b if sb == inner + columns else f"{b}.T"
    return f"{first} @ {second}"


def _all_rows(
    node: Node, sa: str, sb: str, so: str, a: str, b: str, inner: str
) -> Text | None:
    """A sum over several leading axes, of all rows at once: no axis is moved in memory,
    ``h.reshape(-1, n).T @ d.reshape(-1, m)``."""
    k = len(inner)
    left, right = sa[k:], sb[k:]
    if so != left + right or len(left) != 1 or len(right) > 1:
        return None
    if set(sa[:k]) != set(inner) or set(sb[:k]) != set(inner):
        return None
    second = _moved(b, sb, sa[:k] + right)
    holes: dict[str, Hole] = {"n": node.shape[0]}
    if right:
        holes["m"] = node.shape[1]
    last = ", {m}" if right else ""
    return f"{a}.reshape(-1, {{n}}).T @ {second}.reshape(-1{last})", holes


def _batched(
    node: Node, sa: str, sb: str, so: str, batch: str, inner: str
) -> tuple[str, dict[str, Hole]]:
    """A product of matrices for every index of the batch: axes moved into the order
    batch, rows, columns; several that belong together become one."""
    sizes = dict(zip(sa, node.args[0].shape, strict=True))
    sizes |= dict(zip(sb, node.args[1].shape, strict=True))
    rows = "".join(c for c in so if c in sa and c not in batch)
    columns = "".join(c for c in so if c in sb and c not in batch)
    holes: dict[str, Hole] = {}

    def shaped(text: str, *groups: str) -> str:
        """Every group of letters as one axis."""
        if all(len(group) == 1 for group in groups):
            return text
        parts = []
        for group in groups:
            name = f"n_{group}"
            if len(group) != 1 and "-1" not in parts and group:
                parts.append("-1")
            else:
                holes[name] = count([sizes[c] for c in group])
                parts.append(f"{{{name}}}")
        return f"{text}.reshape({', '.join(parts)})"

    a = shaped(_moved("{a}", sa, batch + rows + inner), *batch, rows, inner)
    b = shaped(_moved("{b}", sb, batch + inner + columns), *batch, inner, columns)
    text = f"{a} @ {b}"
    if len(rows) != 1 or len(columns) != 1:
        text = _shaped_back(f"({text})", batch + rows + columns, sizes, holes)
    if so != batch + rows + columns:
        whole = text if text.startswith("(") else f"({text})"
        text = _moved(whole, batch + rows + columns, so)
    return text, holes


def _shaped_back(
    text: str, spec: str, sizes: dict[str, Dim], holes: dict[str, Hole]
) -> str:
    """One axis for every letter again."""
    for c in spec:
        holes[f"m_{c}"] = sizes[c]
    return f"{text}.reshape({', '.join(f'{{m_{c}}}' for c in spec)})"


def is_matmul(node: Node) -> bool:
    """Is it written with `@`, or as another call that is a product of matrices?"""
    sa, sb, so = letters(node.attrs["spec"])
    return any(c in sb and c not in so for c in sa)


def _math(node: Node) -> str:
    """The mathematics: ``X' d``; an outer product is ``a b'``."""
    sa, sb, so = letters(node.attrs["spec"])
    inner = [c for c in sa if c in sb and c not in so]
    if len(sa) <= 2 and len(sb) <= 2 and len(inner) == 1 and len(so) == 2:
        c = inner[0]
        first, x, p = ("{a}", sa, sb) if so[0] in sa else ("{b}", sb, sa)
        second = "{b}" if first == "{a}" else "{a}"
        left = first if x.index(c) == len(x) - 1 else f"{first}'"
        right = second if p.index(c) == 0 else f"{second}'"
        return f"{left} {right}"
    if not inner and len(so) == 2 and len(sa) == len(sb) == 1:
        return "{a} {b}'" if so[0] == sa else "{b} {a}'"
    if len(so) == 1 and len(inner) == 1 and {len(sa), len(sb)} == {1, 2}:
        m, v = ("{a}", "{b}") if len(sa) == 2 else ("{b}", "{a}")
        s = sa if len(sa) == 2 else sb
        return f"{m} {v}" if s[1] == inner[0] else f"{m}' {v}"
    if not so:
        return "<{a}, {b}>"
    if not inner:
        return "{a} * {b}"
    if (
        len(inner) == 1
    ):  # `'` is of the last two axes; what both have stands before them
        both = [c for c in so if c in sa and c in sb]
        ka, kb = ("".join(c for c in s if c not in both) for s in (sa, sb))
        own = next((c for c in so if c not in both), "")
        turned = bool(own) and own in sb
        first, x, second, p = (
            ("{b}", kb, "{a}", ka) if turned else ("{a}", ka, "{b}", kb)
        )
        left = first if len(x) == 1 or x[-1] == inner[0] else f"{first}'"
        right = second if len(p) == 1 or p[0] == inner[0] else f"{second}'"
        return f"{left} {right}"
    ahead = [sorted(s[: len(inner)]) == sorted(inner) for s in (sa, sb)]
    if len(sa) > len(inner) and all(ahead):
        return "{a}' {b}"
    return "{a} {b}"


def _cost(node: Node) -> Any:
    """Multiplications and additions: twice the product of all letters' sizes."""
    sa, sb, _ = letters(node.attrs["spec"])
    sizes = dict(zip(sa, node.args[0].shape, strict=True))
    sizes |= dict(zip(sb, node.args[1].shape, strict=True))
    return (*sizes.values(), Dim.of(2))


def _case(spec: str, a: tuple[int, ...], b: tuple[int, ...]) -> Case:
    return Case((a, b), {"spec": spec})


REGISTRY.add(
    Op(
        name="einsum2",
        args=("a", "b"),
        family="linear",
        infer=_infer,
        vjp=_vjp,
        jvp=_jvp,
        simplify=(*zeros.vanishing("einsum2", (0, 1)), _rule),
        numpy=template,
        text=_math,
        latex=lambda node: _math(node).replace("'", r"^{{\top}}"),
        precedence=2,
        result="z",
        cost=_cost,
        samples=Samples(
            (REAL, REAL),
            (
                _case("ij,jk->ik", (2, 3), (3, 4)),
                _case("ij,jk->ik", (1, 3), (3, 1)),
                _case("ij,jk->ik", (0, 3), (3, 2)),
                _case("ij,kj->ik", (2, 3), (4, 3)),
                _case("ij,ik->jk", (2, 3), (2, 4)),
                _case("ij,jk->ki", (2, 3), (3, 4)),
                _case("ij,j->i", (2, 3), (3,)),
                _case("i,ij->j", (3,), (3, 2)),
                _case("i,i->", (3,), (3,)),
                _case("i,i->", (1,), (1,)),
                _case("i,j->ij", (2,), (3,)),
                _case("ij,ij->", (2, 3), (2, 3)),
                _case("ij,ij->i", (2, 3), (2, 3)),
                _case("ijk,kl->ijl", (2, 1, 3), (3, 2)),
                _case("ijk,ijl->kl", (2, 1, 3), (2, 1, 4)),
                _case("ijk,ikl->ijl", (2, 3, 4), (2, 4, 2)),
                _case("ijk,ilk->ijl", (2, 3, 4), (2, 2, 4)),
                _case("ij,ijk->ik", (2, 3), (2, 3, 4)),
                _case("ij,ijk->ijk", (2, 3), (2, 3, 2)),
                _case("ij,ik->ijk", (2, 3), (2, 2)),
                _case("ijkl,ijml->ijkm", (2, 2, 3, 2), (2, 2, 1, 2)),
                _case("ijkl,imkl->ikjm", (2, 3, 2, 2), (2, 4, 2, 2)),
                _case("ijkl,iljm->ijkm", (2, 2, 3, 4), (2, 4, 2, 3)),
                _case("ijkl,ikm->imjl", (2, 3, 2, 4), (2, 2, 3)),
                _case("ijk,ijk->i", (2, 3, 2), (2, 3, 2)),
                _case("ijkl,ikl->ji", (2, 3, 2, 4), (2, 2, 4)),
                _case("tni,tnmj->tmij", (2, 3, 2), (2, 3, 2, 4)),
                _case("ijk,kl->jil", (2, 3, 4), (4, 2)),
                _case("ijk,lk->jil", (2, 3, 4), (2, 4)),
                _case("ijk,k->ji", (2, 3, 4), (4,)),
                _case("ij,k->jik", (2, 3), (4,)),
                _case("ij,jkl->lki", (2, 3), (3, 2, 4)),
                _case("kij,k->ji", (4, 2, 3), (4,)),
            ),
        ),
    )
)


# ----------------------------------------------------------------------- constructors
def matmul(graph: Graph, a: Node, b: Node) -> Node:
    """``a @ b`` of the language: vectors, matrices, and leading axes.

    `[…, n, k] @ [k, m]`, `[…, k] @ [k]`, `[k] @ [k, m]`; of two operands with three or
    more axes the leading ones are equal. The caller has checked the sizes.
    """
    m, n = len(a.shape), len(b.shape)
    if n > 2 and m > 2:
        lead = LETTERS[3 : 3 + m - 2]
        spec = f"{lead}ij,{lead}jk->{lead}ik"
    elif n > 2:  # [k] @ […, k, m], or a matrix before a batch
        lead = LETTERS[3 : 3 + n - 2]
        spec = f"j,{lead}jk->{lead}k" if m == 1 else f"ij,{lead}jk->{lead}ik"
    else:
        lead = LETTERS[3 : 3 + m - 1]
        spec = f"{lead}j,j{'k' * (n - 1)}->{lead}{'k' * (n - 1)}"
    return graph.apply("einsum2", a, b, spec=canonical(spec))


def dot(graph: Graph, a: Node, b: Node) -> Node:
    """The scalar product of two arrays of one shape."""
    s = LETTERS[: len(a.shape)]
    return graph.apply("einsum2", a, b, spec=f"{s},{s}->")


def einsum(graph: Graph, spec: str, *args: Node) -> Node:
    """A contraction of any number of operands, from left to right.

    Letters that stand in one operand alone and not in the output are summed first; a
    letter twice in an operand is not supported here.
    """
    left, out = spec.split("->")
    specs = left.split(",")
    operands = list(zip(specs, args, strict=True))
    s, x = operands[0]
    for k in range(len(operands)):
        needed = set(out).union(*(t for t, _ in operands[k + 1 :]))
        if k:
            t, y = operands[k]
            s, x = _pair(graph, s, x, t, y, needed, out)
        else:
            s, x = _sum_private(graph, s, x, needed)
    return graph.apply("transpose", x, perm=tuple(map(s.index, out)))


def _sum_private(graph: Graph, s: str, x: Node, needed: set[str]) -> tuple[str, Node]:
    """Sum over the axes of x that nobody needs any more."""
    axes = tuple(i for i, c in enumerate(s) if c not in needed)
    if axes:
        x = graph.apply("sum", x, axes=axes)
        shape = tuple(d for i, d in enumerate(x.shape) if i not in axes)
        x = graph.apply("reshape", x, shape=shape)
    return "".join(c for c in s if c in needed), x


def _pair(
    graph: Graph, s: str, x: Node, t: str, y: Node, needed: set[str], out: str
) -> tuple[str, Node]:
    s, x = _sum_private(graph, s, x, needed | set(t))
    t, y = _sum_private(graph, t, y, needed | set(s))
    kept = [c for c in dict.fromkeys(s + t) if c in needed]
    if set(kept) == set(out):
        kept = list(out)
    result = "".join(kept)
    return result, graph.apply("einsum2", x, y, spec=f"{s},{t}->{result}")
