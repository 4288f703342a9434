"""The proof that rows are independent, and that a number is a mean or a sum over them.

In: nodes and a row dim (``N``). Out, for each: does row i of it depend on row i of the
data alone? Is it, with no rows left, a sum of such rows, times which power of N? Reverse
mode needs the first for `grad(y, x)` on a batch, the runtime the second to add up a loss
or metric batch by batch.

A node is in one of four states, which go along the arguments:

    Free       no data of the rows in it; a monomial in N at most (`power`)
    Rows       axis `axis` has the rows, each times N^power
    Sum        a sum over the rows, times N^power: power -1 is a mean
    Mixed      anything else; `by` is the operation that mixes

    row_structure(mean_square_error, "N").rows     # "mean"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from gradc.records import record

from ..ir.dims import Dim, Poly, Shape, as_shape, size
from ..ir.graph import topological
from ..ir.node import Node
from ..ir.program import Rows as Verdict

Power = int | None  # None: depends on N, but not as a power of it


@record
class Structure:
    """How a node depends on the rows of the data."""

    state: Literal["free", "rows", "sum", "mixed"]
    axis: int = -1
    power: Power = 0
    by: Node | None = None  # of a sum: what summed; of a mix: what mixed

    @property
    def rows(self) -> Verdict | None:
        """The verdict on a loss or metric: may batches be added up, and how?"""
        match self.state, self.power:
            case "free", 0:
                return "free"
            case "sum", 0:
                return "sum"
            case "sum", -1:
                return "mean"
            case _:
                return None


FREE = Structure("free")


def row_structure(
    node: Node, row_dim: str | Dim, source: Node | None = None
) -> Structure:
    """The structure of one node. See `row_structures`."""
    return row_structures([node], row_dim, source)[node]


def row_structures(
    nodes: Iterable[Node], row_dim: str | Dim, source: Node | None = None
) -> dict[Node, Structure]:
    """The structure of nodes (and of all below them) with respect to `row_dim`.

    Without a `source` the rows are those of the inputs and noises whose first axis is the
    row dim. With one, only that node's first axis counts, everything else is held fixed:
    this is the question of `grad(y, x)`.
    """
    proof = _Proof(Dim.symbol(row_dim) if isinstance(row_dim, str) else row_dim, source)
    for node in topological(nodes, stop=() if source is None else (source,)):
        proof.found[node] = proof.of(node)
    return proof.found


# ------------------------------------------------------------------------- the proof
class _Proof:
    """One walk, arguments first. Each family of ops has one method."""

    def __init__(self, row: Dim, source: Node | None) -> None:
        self.row = row
        self.source = source
        self.found: dict[Node, Structure] = {}
        self.carries: dict[Node, list[Structure]] = {}  # of each loop, at every step
        self.rules: dict[str, Callable[[Node], Structure]] = {
            "sum": self.sum,
            "broadcast": self.broadcast,
            "reshape": self.reshape,
            "transpose": self.transpose,
            "slice": self.slice,
            "unslice": self.slice,
            "concat": self.concat,
            "take": self.take,
            "scatter_add": self.scatter_add,
            "pick": self.pick,
            "put": self.put,
            "one_hot": self.one_hot,
            "take_along": self.along,
            "put_along": self.along,
            "einsum2": self.einsum2,
            "windows": self.windows,
            "fold": self.windows,
            "loop": self.loop,
            "last": self.last,
            "each": self.each,
            "total": self.total,
        }
        for name in ("max", "softmax", "logsumexp", "any", "all"):
            self.rules[name] = self.within_rows
        for name in ("argmax", "argsort", "cumsum"):
            self.rules[name] = self.within_rows
        for name in ("solve", "inv", "logdet", "cholesky", "half_lower"):
            self.rules[name] = self.matrices

    def of(self, node: Node) -> Structure:
        if node is self.source:
            return Structure("rows", 0)
        if not node.args:
            return self.leaf(node)
        states = self.states(node)
        mixed = next((s for s in states if s.state == "mixed"), None)
        if mixed is not None:
            return mixed
        if node.op.name in self.rules:
            return self.rules[node.op.name](node)
        if node.op.family == "elementwise":
            return self.elementwise(node, states)
        if all(s.state == "free" for s in states):
            return Structure("free", power=None)
        return self.mix(node)

    def states(self, node: Node) -> list[Structure]:
        return [self.found[a] for a in node.args]

    def mix(self, node: Node, *states: Structure) -> Structure:
        """The operation to blame: the sum over rows whose result goes back into them."""
        summed = next((s.by for s in states if s.state == "sum" and s.by), None)
        return Structure("mixed", by=summed or node)

    # --------------------------------------------------------------------- leaves
    def leaf(self, node: Node) -> Structure:
        if self.source is not None:
            return FREE
        if node.op.name == "size":
            return Structure("free", power=self.power_of(node.attrs["dim"]))
        if node.op.name in ("input", "noise") and self.mentions(node.shape):
            axes = [i for i, d in enumerate(node.shape) if self.mentions((d,))]
            first = axes == [0] or (len(axes) == 1 and node.op.name == "noise")
            if first and node.shape[axes[0]] == self.row:
                return Structure("rows", axes[0])
            return self.mix(node)
        if node.op.name in ("iota", "param", "state") and self.mentions(node.shape):
            return self.mix(node)  # what stands in row i depends on i
        return FREE

    def mentions(self, shape: Shape) -> bool:
        symbols = set(self.row.symbols())
        return any(symbols & set(d.symbols()) for d in shape)

    def power_of(self, dim: Dim) -> Power:
        """k, if `dim` is N^k times what is free of N."""
        powers = set()
        for monomial, _ in dim.value.terms:
            powers.add(sum(1 for s in monomial if s in self.row.symbols()))
        return powers.pop() if len(powers) == 1 else (None if powers else 0)

    # ---------------------------------------------------------------- elementwise
    def elementwise(self, node: Node, states: list[Structure]) -> Structure:
        kinds = {s.state for s in states}
        axes = {s.axis for s in states if s.state == "rows"}
        if len(axes) > 1 or {"rows", "sum"} <= kinds:
            return self.mix(node, *states)
        power = self.power(node, states)
        if "rows" in kinds:
            return Structure("rows", axes.pop(), power)
        if "sum" not in kinds:
            return Structure("free", power=power)
        return self.linear_in_sums(node, states, power)

    def power(self, node: Node, states: list[Structure]) -> Power:
        """The power of N in front; other functions need that there is none."""
        powers = [s.power for s in states]
        match node.op.name, powers:
            case "mul", [int(p), int(q)]:
                return p + q
            case "div", [int(p), int(q)]:
                return p - q
            case "neg" | "stop" | "cast", [p]:
                return p
            case "add" | "sub" | "maximum" | "minimum", [p, q]:
                return p if p == q or _is_zero(node.args[1]) else None
            case "where", [0, p, q]:
                if _is_zero(node.args[1]):
                    return q
                return p if p == q or _is_zero(node.args[2]) else None
            case _:
                return 0 if all(p == 0 for p in powers) else None

    def linear_in_sums(
        self, node: Node, states: list[Structure], power: Power
    ) -> Structure:
        """Sums stay sums under what is linear; a mean plus a constant is a mean."""
        by = next(s.by for s in states if s.state == "sum")
        summed = [s.state == "sum" for s in states]
        match node.op.name:
            case "mul" if summed.count(True) == 1:
                return Structure("sum", power=power, by=by)
            case "div" if not summed[1]:
                return Structure("sum", power=power, by=by)
            case "neg" | "stop":
                return Structure("sum", power=power, by=by)
            case "cast" if node.kind == "real":
                return Structure("sum", power=power, by=by)
            case "add" | "sub":
                if all(summed):
                    return Structure("sum", power=power, by=by)
                one, other = states if summed[0] else states[::-1]
                if one.power == -1 and other.power == 0:
                    return Structure("sum", power=-1, by=by)
            case "where" if not summed[0]:
                if all(
                    s or _is_zero(a)
                    for s, a in zip(summed[1:], node.args[1:], strict=True)
                ):
                    return Structure("sum", power=power, by=by)
        return self.mix(node, *states)

    # ----------------------------------------------------------------- reductions
    def sum(self, node: Node) -> Structure:
        s, axes = self.states(node)[0], node.attrs["axes"]
        if s.state == "rows" and s.axis in axes:
            return Structure("sum", power=s.power, by=node)
        if s.state == "free" and self.source is None:
            more = self.power_of(size([node.args[0].shape[a] for a in axes]))
            power = None if s.power is None or more is None else s.power + more
            return Structure("free", power=power)
        return s

    def within_rows(self, node: Node) -> Structure:
        """A function of the rows one by one, unless it runs along their axis."""
        (s,) = self.states(node)
        attrs = node.attrs
        axes = attrs["axes"] if "axes" in attrs else (attrs["axis"],)
        linear = node.op.name == "cumsum"
        if s.state == "rows":
            if s.axis in axes:
                return self.mix(node)
            return s if linear or s.power == 0 else Structure("rows", s.axis, None)
        if s.state == "sum":
            return s if linear else self.mix(node, s)
        along = self.source is None and self.mentions(
            tuple(node.args[0].shape[a] for a in axes)
        )
        if along and node.op.name != "max":
            return Structure("free", power=None)
        return s if linear or s.power == 0 else Structure("free", power=None)

    def matrices(self, node: Node) -> Structure:
        """Matrix by matrix: rows along a leading axis, or as columns of a right side."""
        states = self.states(node)
        rank = len(node.args[0].shape)
        plain = all(s.power == 0 for s in states)
        if any(s.state == "sum" for s in states):
            return self.mix(node, *states)
        axes = {s.axis for s in states if s.state == "rows"}
        if not axes:
            along = self.source is None and self.mentions(node.args[0].shape[-2:])
            return Structure("free", power=0 if plain and not along else None)
        axis = axes.pop()
        columns = axis == rank - 1 and states[0].state == "free" and len(states) == 2
        if axes or (axis >= rank - 2 and not columns):
            return self.mix(node)
        return Structure("rows", axis, 0 if plain else None)

    # --------------------------------------------------------------------- layout
    def broadcast(self, node: Node) -> Structure:
        (s,) = self.states(node)
        if s.state != "rows":
            return s
        axis = s.axis + len(node.shape) - len(node.args[0].shape)
        return Structure("rows", axis, s.power)

    def reshape(self, node: Node) -> Structure:
        """The rows stay rows if what is before them stays, and they stay outermost."""
        (s,) = self.states(node)
        if s.state != "rows":
            return s
        before = node.args[0].shape
        lead = size(before[: s.axis])
        row = self.row if self.source is None else before[s.axis]
        for axis in range(len(node.shape)):
            if size(node.shape[:axis]) == lead:
                d = node.shape[axis]
                if d == before[s.axis] or _multiple(d, row):
                    return Structure("rows", axis, s.power)
        return self.mix(node)

    def transpose(self, node: Node) -> Structure:
        (s,) = self.states(node)
        if s.state != "rows":
            return s
        return Structure("rows", node.attrs["perm"].index(s.axis), s.power)

    def slice(self, node: Node) -> Structure:
        (s,) = self.states(node)
        if s.state != "rows":
            return self.uniform(node, s)
        starts, stops = as_shape(node.attrs["starts"]), as_shape(node.attrs["stops"])
        i = s.axis
        whole = (
            starts[i] == Dim.of(0)
            and stops[i] == node.args[0].shape[i] == node.shape[i]
            and node.attrs["steps"][i] == 1
        )
        return s if whole else self.mix(node)

    def windows(self, node: Node) -> Structure:
        """Windows over other axes, and their sum, leave the rows where they are."""
        (s,) = self.states(node)
        axes = node.attrs["axes"]
        if s.state == "rows":
            inside = s.axis >= len(node.args[0].shape) - len(axes)
            if s.axis in axes or (inside and node.op.name == "fold"):
                return self.mix(node)
        elif s.state == "free" and self.source is None:
            image = node.shape if node.op.name == "fold" else node.args[0].shape
            if self.mentions(tuple(image[i] for i in axes)):
                return self.mix(node)
        return s

    def uniform(self, node: Node, s: Structure) -> Structure:
        """A free value is the same in every row; what sets some rows is not."""
        if s.state == "free" and self.source is None and node.op.name == "unslice":
            both = zip(node.shape, node.args[0].shape, strict=True)
            if self.mentions(tuple(new for new, old in both if new != old)):
                return self.mix(node)
        return s

    def concat(self, node: Node) -> Structure:
        states = self.states(node)
        kinds, axis = {s.state for s in states}, node.attrs["axis"]
        if kinds == {"free"}:
            if self.source is None and self.mentions((node.shape[axis],)):
                return self.mix(node)
            powers = {s.power for s in states}
            return Structure("free", power=powers.pop() if len(powers) == 1 else None)
        if kinds <= {"rows", "free"}:
            axes = {s.axis for s in states if s.state == "rows"}
            if len(axes) == 1 and axis not in axes:
                powers = {s.power for s in states}
                power = powers.pop() if len(powers) == 1 else None
                return Structure("rows", axes.pop(), power)
        if kinds == {"sum"}:
            powers = {s.power for s in states}
            if len(powers) == 1:
                return Structure("sum", power=powers.pop(), by=states[0].by)
        return self.mix(node, *states)

    # ------------------------------------------------------------------- indexing
    def take(self, node: Node) -> Structure:
        x, i = self.states(node)
        axis = node.attrs["axis"]
        if i.state == "free":
            if x.state == "rows":
                if x.axis == axis:
                    return self.mix(node)
                more = len(node.args[1].shape) - 1 if x.axis > axis else 0
                return Structure("rows", x.axis + more, x.power)
            return x
        if x.state == "free" and i.state == "rows":
            return Structure("rows", axis + i.axis, x.power)
        return self.mix(node, x, i)

    def scatter_add(self, node: Node) -> Structure:
        g, i = self.states(node)
        axis, rank = node.attrs["axis"], len(node.args[1].shape)
        if self.source is None and self.mentions((node.shape[axis],)):
            return self.mix(node)
        if g.state == "rows" and axis <= g.axis < axis + rank:
            if i.state == "free" or (i.state == "rows" and i.axis == g.axis - axis):
                return Structure("sum", power=g.power, by=node)
            return self.mix(node)
        if i.state == "rows" and g.state == "free":
            return Structure("sum", power=g.power, by=node)
        if i.state != "free":
            return self.mix(node, g, i)
        if g.state == "rows" and g.axis >= axis + rank:
            return Structure("rows", g.axis - rank + 1, g.power)
        return g

    def _paired(self, node: Node, last: int) -> Structure:
        """Entry by entry: rows must meet rows, and not lie on the axis at hand."""
        states = self.states(node)
        kinds = {s.state for s in states}
        axes = {s.axis for s in states if s.state == "rows"}
        value = states[1 if node.op.name == "put" else 0]
        power = value.power
        if kinds == {"free"}:
            return Structure("free", power=power)
        if kinds <= {"free", "rows"} and len(axes) == 1 and last not in axes:
            return Structure("rows", axes.pop(), power)
        if kinds == {"sum", "free"} and value.state == "sum":
            return value
        return self.mix(node, *states)

    def pick(self, node: Node) -> Structure:
        return self._paired(node, len(node.args[0].shape) - 1)

    def put(self, node: Node) -> Structure:
        return self._paired(node, len(node.shape) - 1)

    def along(self, node: Node) -> Structure:
        return self._paired(node, node.attrs["axis"])

    def one_hot(self, node: Node) -> Structure:
        (s,) = self.states(node)
        return self.mix(node, s) if s.state == "sum" else s

    # ---------------------------------------------------------------- contraction
    def einsum2(self, node: Node) -> Structure:
        inputs, out = node.attrs["spec"].split("->")
        specs = inputs.split(",")
        states = self.states(node)
        kinds = [s.state for s in states]
        letters = {
            spec[s.axis]
            for spec, s in zip(specs, states, strict=True)
            if s.state == "rows"
        }
        powers = [s.power for s in states]
        power: Power = None
        if powers[0] is not None and powers[1] is not None:
            power = powers[0] + powers[1]
        if kinds == ["free", "free"]:
            inner = [c for c in specs[0] if c not in out]
            shape = tuple(node.args[0].shape[specs[0].index(c)] for c in inner)
            more = self.power_of(size(shape)) if self.source is None else 0
            return Structure(
                "free", power=None if power is None or more is None else power + more
            )
        if "sum" in kinds:
            other = states[1 - kinds.index("sum")]
            if other.state == "free":
                by = states[kinds.index("sum")].by
                return Structure("sum", power=power, by=by)
            return self.mix(node, *states)
        if len(letters) != 1:
            return self.mix(node)
        letter = letters.pop()
        if letter in out:
            return Structure("rows", out.index(letter), power)
        return Structure("sum", power=power, by=node)

    # ----------------------------------------------------------------------- loops
    def loop(self, node: Node) -> Structure:
        """What each carry is, whatever the step: the states go round to a fixed point."""
        carries = [self.found[a] for a in node.args[: node.attrs["carries"]]]
        while True:
            body = self.steps(node, carries)
            after = [body[n] for n in node.attrs["body"]]
            met = [_either(a, b) for a, b in zip(carries, after, strict=True)]
            if met == carries:
                break
            carries = met
        self.carries[node] = carries
        return FREE

    def steps(self, node: Node, carries: list[Structure]) -> _Found:
        """The states of a step's values, where the carries have these."""
        return _Found(self, node, carries)

    def at_step(self, loop: Node, s: Structure) -> Structure:
        """A sequence at one step: its first axis is gone."""
        if s.state != "rows":
            return s
        if s.axis == 0:
            return self.mix(loop)
        return replace(s, axis=s.axis - 1)

    def last(self, node: Node) -> Structure:
        return self.carries[node.args[0]][int(node.attrs["index"])]

    def each(self, node: Node) -> Structure:
        """The steps are one more axis, in front."""
        s = self.total(node)
        return replace(s, axis=s.axis + 1) if s.state == "rows" else s

    def total(self, node: Node) -> Structure:
        loop = node.args[0]
        if self.source is None and self.mentions((loop.attrs["steps"],)):
            return self.mix(node)
        return self.steps(loop, self.carries[loop])[node.attrs["value"]]


class _Found(dict[Node, Structure]):
    """The states of a step's values, found when they are asked for."""

    def __init__(self, proof: _Proof, loop: Node, carries: list[Structure]) -> None:
        super().__init__()
        self.proof = _Proof(proof.row, proof.source)
        n, m = loop.attrs["carries"], loop.attrs["sequences"]
        outer = [proof.found[a] for a in loop.args]
        self.of = {
            "carry": carries,
            "slice": [proof.at_step(loop, s) for s in outer[n : n + m]],
            "capture": outer[n + m :],
        }

    def __missing__(self, value: Node) -> Structure:
        found = self.proof.found
        for n in topological([value]):
            if n.op.name == "formal":
                found[n] = self.of[n.attrs["role"]][n.attrs["index"]]
            elif n not in found:
                found[n] = self.proof.of(n)
        return found[value]


def _either(a: Structure, b: Structure) -> Structure:
    """What a value is that is one or the other: before a loop, and after a step."""
    if a == b or a.state == "mixed":
        return a
    if b.state == "mixed":
        return b
    if (a.state, a.axis, a.power) == (b.state, b.axis, b.power):
        return a
    if {a.state, b.state} == {"rows", "free"} and a.power == b.power:
        return a if a.state == "rows" else b
    return Structure("mixed", by=a.by or b.by)


def _is_zero(node: Node) -> bool:
    return node.op.name == "zero"


def _multiple(dim: Dim, row: Dim) -> bool:
    """Is `dim` the row dim times something, as in N * T?"""
    share = dim.value.divided(row.value)
    return isinstance(share, Poly) and bool(dim.symbols())
