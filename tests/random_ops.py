"""The arguments of each op in a random DAG: of a shape that it takes, inside of its domain.

An op without a method of its own takes one of the cases of its record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from random_values import DIMS, MARGIN, SIZES, D, N, Pool, Unfit
from reference import dim_value

from gradc.compiler import ops
from gradc.compiler.ir.dims import ONE, Dim, Shape
from gradc.compiler.ir.graph import topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ops import REGISTRY

LARGEST = 60.0
LOWEST = {
    "log": 0.05,
    "sqrt": 0.05,
    "log1p": -0.9,
    "lgamma": 0.2,
    "digamma": 0.2,
    "polygamma": 0.2,
}
"""What the argument of a function has to be above."""


class Grower(Pool):
    """Adds one op at a time."""

    def grow(self, op: str) -> Node:
        special = getattr(self, f"op_{op}", None)
        if special is None and REGISTRY[op].family != "elementwise":
            made = self.from_case(op)
        else:
            made = special() if special else self.elementwise(op)
        value = self.value(made)
        if value.dtype == float:
            if (
                not np.isfinite(value).all()
                or np.max(np.abs(value), initial=0) > LARGEST
            ):
                raise Unfit
            if value.size > 64:
                raise Unfit
        elif made.kind != "real":
            made = self.as_real(made)
        self.pool.append(made)
        self.unused[made] = None
        for n in topological([made]):
            if n is not made:
                self.unused.pop(n, None)
        return made

    def as_real(self, node: Node) -> Node:
        """Truth values and whole numbers go on as factors."""
        real = self.graph.apply("cast", node, kind="real")
        x = self.like_shape(real.shape)
        scaled = x * self.graph.apply("tanh", real)
        self.value(scaled)
        return scaled

    def elementwise(self, op: str) -> Node:
        graph = self.graph
        match op:
            case "power":
                x = self.above(0.05)
                return graph.apply(op, x, self.like(x))
            case "div":
                b = self.any_real(
                    lambda n: bool(np.min(np.abs(self.of(n)), initial=1) > 0.1)
                )
                return graph.apply(op, self.like(b), b)
            case "pow":
                e = self.pick([3, -2, 4, 1.5, -0.5])
                low = -np.inf if e in (3, 4) else 0.2
                x = self.above(low)
                return graph.apply("pow", x, exponent=e)
            case "abs" | "sign":
                x = self.any_real(self.off(0.0))
                return graph.apply(op, x)
            case "floor":
                x = self.any_real(self.off_whole)
                return graph.apply(op, x) * 0.1 + x
            case "maximum" | "minimum" | "lt" | "le" | "eq":
                a = self.any_real()
                b = self.like(a) if self.rng.random() < 0.7 else graph.const(0)
                if np.min(np.abs(self.value(a) - self.of(b)), initial=1) < MARGIN:
                    raise Unfit
                return graph.apply(op, a, b)
            case _ if op in LOWEST:
                x = self.above(LOWEST[op])
                attrs = {"order": self.pick([1, 2])} if op == "polygamma" else {}
                return graph.apply(op, x, **attrs)
            case "arcsin" | "arccos" | "tan":
                x = self.any_real(
                    lambda n: bool(np.max(np.abs(self.of(n)), initial=0) < 0.95)
                )
                return graph.apply(op, x)
            case "xlogy":
                y = self.above(0.05)
                return graph.apply(op, self.like(y), y)
            case "and" | "or":
                a = self.flag(self.shape())
                return graph.apply(op, a, self.flag(a.shape))
            case "not":
                return graph.apply(op, self.flag(self.shape()))
            case "cast":
                return self.as_real(self.flag(self.shape()))
            case "where":
                a = self.any_real()
                return graph.apply(op, self.flag(a.shape), a, self.like(a))
            case "add" | "sub" | "mul":
                a = self.any_real()
                other = self.like(a) if self.rng.random() < 0.8 else graph.const(1.5)
                return graph.apply(op, a, other)
            case "stop":
                x = self.any_real()
                return graph.apply("stop", x) * self.like(x)
            case _:
                return graph.apply(op, self.any_real())

    def from_case(self, op: str) -> Node:
        """An op that this file does not know: one of the cases of its record."""
        record = REGISTRY[op]
        case = self.pick(c for c in record.samples.cases if 0 not in sum(c.shapes, ()))
        ranges = case.args or record.samples.args
        args = []
        for k, shape in enumerate(case.shapes):
            r = ranges[min(k, len(ranges) - 1)]
            dims = tuple(Dim.of(d) for d in shape)
            if r.kind == "int":
                args.append(self.index(dims, int(r.high)))
            elif k == 0 and record.samples.matrices:
                args.append(self.regular(dims))
            else:
                args.append(self.like_shape(dims))
        return self.graph.apply(op, *args, **case.attrs)

    def regular(self, shape: Shape) -> Node:
        """A matrix that is diagonally dominant, and so definite."""
        x = self.graph.apply("tanh", self.like_shape(shape))
        rows = self.graph.apply("iota", shape=shape[-1:], axis=0, kind="int")
        eye = self.graph.apply("one_hot", rows, size=shape[-1])
        made = x + self.graph.broadcast(eye * 6, shape)
        self.value(made)
        return made

    def reduced(self, op: str) -> Node:
        x = self.ranked()
        y = self.graph.apply(op, x, axes=self.some_axes(x))
        if op == "max" and y is not x:
            gaps = np.sort(self.value(x).reshape(-1))
            if np.min(np.diff(gaps), initial=1) < MARGIN:
                raise Unfit
        if self.rng.random() < 0.5:
            return y
        shape = tuple(d for d in y.shape if d != ONE)
        return self.graph.apply("reshape", y, shape=shape)

    def op_sum(self) -> Node:
        return self.reduced("sum")

    def op_max(self) -> Node:
        return self.reduced("max")

    def op_logsumexp(self) -> Node:
        return self.reduced("logsumexp")

    def op_softmax(self) -> Node:
        x = self.ranked()
        return self.graph.apply("softmax", x, axes=self.some_axes(x))

    def flags(self, op: str) -> Node:
        c = self.flag(self.ranked().shape)
        return self.graph.apply(op, c, axes=self.some_axes(c))

    def op_any(self) -> Node:
        return self.flags("any")

    def op_all(self) -> Node:
        return self.flags("all")

    def op_argmax(self) -> Node:
        x = self.ranked()
        return self.graph.apply("argmax", self.apart(x), axis=self.axis(x))

    def op_argsort(self) -> Node:
        x = self.ranked()
        return self.graph.apply("argsort", self.apart(x), axis=self.axis(x))

    def op_cumsum(self) -> Node:
        x = self.ranked()
        back = bool(self.rng.integers(2))
        return self.graph.apply("cumsum", x, axis=self.axis(x), reverse=back)

    def op_broadcast(self) -> Node:
        x = self.any_real(lambda n: len(n.shape) <= 2)
        filled = tuple(self.pick(DIMS) if d == ONE else d for d in x.shape)
        lead = (self.pick(DIMS),) if len(x.shape) < 2 or self.rng.random() < 0.5 else ()
        return self.graph.broadcast(x, lead + filled)

    def op_reshape(self) -> Node:
        x = self.ranked()
        shape = list(x.shape)
        if self.rng.random() < 0.4 and len(shape) > 1:
            k = int(self.rng.integers(len(shape) - 1))
            shape[k : k + 2] = [shape[k] * shape[k + 1]]
        else:
            shape.insert(int(self.rng.integers(len(shape) + 1)), ONE)
        if len(shape) > 4:
            raise Unfit
        return self.graph.apply("reshape", x, shape=tuple(shape))

    def op_transpose(self) -> Node:
        x = self.ranked(2)
        perm = tuple(self.rng.permutation(len(x.shape)).tolist())
        return self.graph.apply("transpose", x, perm=perm)

    def bounds(self, x: Node) -> dict[str, Any]:
        starts, stops, steps = [], [], []
        for d in x.shape:
            n = dim_value(d, SIZES)
            kind = self.rng.random()
            if kind < 0.3 and n > 1:  # drop the first or the last
                first = bool(self.rng.integers(2))
                starts.append(Dim.of(1 if first else 0))
                stops.append(d if first else d - 1)
                steps.append(1)
            elif kind < 0.5:
                starts.append(d - 1)
                stops.append(Dim.of(-1))
                steps.append(-1)
            elif kind < 0.7 and d.integer == 4:
                starts.append(Dim.of(0))
                stops.append(d)
                steps.append(2)
            else:
                starts.append(Dim.of(0))
                stops.append(d)
                steps.append(1)
        return {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}

    def op_slice(self) -> Node:
        x = self.ranked()
        return self.graph.apply("slice", x, **self.bounds(x))

    def op_unslice(self) -> Node:
        x = self.ranked()
        axis = self.axis(x)
        before, after = (int(self.rng.integers(1, 3)) for _ in range(2))
        return ops.derived.pad(x, before, after, axis)

    def op_concat(self) -> Node:
        x = self.ranked()
        others = [self.like(x) for _ in range(int(self.rng.integers(1, 3)))]
        return self.graph.apply("concat", x, *others, axis=self.axis(x))

    # ---------------------------------------------------------------------- indexing
    def op_take(self) -> Node:
        x = self.ranked()
        axis = self.axis(x)
        i = self.index((self.pick(DIMS),), dim_value(x.shape[axis], SIZES))
        return self.graph.apply("take", x, i, axis=axis)

    def op_scatter_add(self) -> Node:
        g = self.ranked()
        axis = self.axis(g)
        i = self.index((g.shape[axis],), 4)
        return self.graph.apply("scatter_add", g, i, axis=axis, size=Dim.of(4))

    def op_pick(self) -> Node:
        x = self.ranked()
        i = self.index(x.shape[:-1], dim_value(x.shape[-1], SIZES))
        return self.graph.apply("pick", x, i)

    def op_put(self) -> Node:
        g = self.any_real(lambda n: len(n.shape) <= 2)
        return self.graph.apply("put", self.index(g.shape, 4), g, size=Dim.of(4))

    def op_one_hot(self) -> Node:
        shape = self.shape()[:2]
        return self.graph.apply("one_hot", self.index(shape, 4), size=Dim.of(4))

    def op_take_along(self) -> Node:
        x = self.ranked()
        axis = self.axis(x)
        i = self.index(x.shape, dim_value(x.shape[axis], SIZES))
        return self.graph.apply("take_along", x, i, axis=axis)

    def op_put_along(self) -> Node:
        g = self.ranked()
        i = self.index(g.shape, 4)
        return self.graph.apply("put_along", g, i, axis=self.axis(g), size=Dim.of(4))

    def op_iota(self) -> Node:
        return self.graph.apply("iota", shape=self.ranked().shape, axis=0, kind="int")

    def op_size(self) -> Node:
        x = self.any_real()
        return x / self.graph.size(self.pick([N, D, N * D]))

    # -------------------------------------------------------------------- contraction
    def op_einsum2(self) -> Node:
        a = self.ranked()
        letters = "ijkl"[: len(a.shape)]
        kind = self.rng.random()
        drop = letters[int(self.rng.integers(len(letters)))]
        size = a.shape[letters.index(drop)]
        if kind < 0.5:  # a product of matrices along one axis
            b = self.leaf((size, self.pick(DIMS)))
            spec = f"{letters},{drop}m->{letters.replace(drop, '')}m"
        elif kind < 0.75:  # with an axis in common
            b, rest = self.like(a), letters.replace(drop, "")
            spec = f"{letters},{letters}->{rest}"
        else:
            b = self.leaf((self.pick(DIMS),))
            spec = f"{letters},m->{letters}m" if len(letters) < 3 else ""
            if not spec:
                raise Unfit
        return self.graph.apply("einsum2", a, b, spec=spec)
