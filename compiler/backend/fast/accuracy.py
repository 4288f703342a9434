"""Where a sigmoid or an erf has to be right relative to itself, and where to 1 is enough.

`1 / (1 + exp(-x))` keeps its digits far below 0, where it is e^x; `tanh(x / 2) / 2 + 1 / 2`
takes half as long and is off by half a unit of the last digit of 1 wherever it is. So with erf
near 0. The *relative* error of a value matters if somebody divides by it, takes a logarithm or
a root of it, compares it, or if it is the loss; so does that of what is divided by a value
that may be as small. Such a demand goes up through products, layout, sums and maxima of values
that may be small themselves; it ends where a value is added to what is not small, in a product
of matrices, in an exponential.

In: what a module computes in training. Out: those of them of which accuracy is demanded.

    h = tanh(z) * sigmoid(v);  y = h @ W          none
    p = sigmoid(u) / (sigmoid(u) + sigmoid(v))    both
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...ir.graph import topological
from ...ir.node import Node
from ..bodies import is_loop, is_projection

TWO_FORMS = frozenset({"sigmoid", "sigmoid_of_minus", "sigmoid_of_twice", "erf"})
"""What has a form with an absolute error (`numpy_out_absolute`)."""
SMALL = 1e-3
"""A constant below may be as small as what is added to it."""

PASSING = frozenset(
    """mul neg broadcast reshape transpose slice unslice concat take scatter_add pick put
    take_along put_along sum cumsum half_lower windows fold sum_over mean_over max max_over
    masked put_on scatter_on slice_on maximum minimum abs stop drawn cast
    tanh sin tan sinh arctan arcsin expm1 log1p erf""".split()
)
"""As accurate as their arguments, relative to themselves."""

VANISHING = TWO_FORMS | {"exp", "softplus", "softplus_of_minus", "softmax"}
"""Far below 0 of their arguments they are as small as an exponential."""

BLUNT = frozenset(
    """sigmoid sigmoid_of_minus sigmoid_of_twice softplus softplus_of_minus softmax
    logsumexp exp cos cosh arccos normal_cdf einsum2 conv_transpose one_hot""".split()
)
"""An absolute error of their arguments is all that they notice."""

VIEWS = frozenset("broadcast reshape slice windows".split())
MAXIMA = frozenset({"max", "maximum"})
OF_SLICES = 64
"""Values that a maximum over a window is made of, at most."""


def accurate(values: Iterable[Node], demanded: Iterable[Node]) -> set[Node]:
    """Of what has two forms below `values`, that whose relative error matters.

    `demanded`: the values whose own relative error does.
    """
    found: set[Node] = set()
    order = topological(list(values))
    if any(n.op.name in TWO_FORMS or is_loop(n) for n in order):
        _Level(found, set(demanded)).run(order)
    return found


def _reached(n: Node) -> bool:
    """`x == max(x)`: where values are as near as their errors, any may be the largest."""
    if n.op.name != "eq":
        return False
    return any(_maximum_of(a, b) for a, b in (n.args, n.args[::-1]))


def _maximum_of(most: Node, x: Node) -> bool:
    """Is one made of the other by maxima, and of nothing else?"""
    while x.op.name in VIEWS:
        x = x.args[0]
    stack, made = [most], 0
    for _ in range(OF_SLICES):
        if not stack:
            break
        m = stack.pop()
        if m is x:
            continue
        if m.op.name not in VIEWS and m.op.name not in MAXIMA:
            return False
        made += m.op.name in MAXIMA
        stack.extend(m.args)
    return made > 0 and not stack


class _Level:
    """The program, or a step of a loop: demands, from its results to what it reads."""

    def __init__(self, found: set[Node], demanded: set[Node]) -> None:
        self.found, self.demanded = found, demanded
        self.small: set[Node] = set()
        self.large: set[Node] = set()  # a quotient by what may be small

    def run(self, order: Sequence[Node]) -> None:
        for n in order:
            if self._may_be_small(n):
                self.small.add(n)
            elif self._may_be_large(n):
                self.large.add(n)
        read: dict[Node, list[Node]] = {}
        for n in reversed(order):
            if n.op.name in TWO_FORMS and n in self.demanded:
                self.found.add(n)
            if is_projection(n):
                read.setdefault(n.args[0], []).append(n)
            elif is_loop(n):
                self._loop(n, read.get(n, []))
            else:
                self.demanded.update(self._asked(n))

    def _may_be_small(self, n: Node) -> bool:
        """Is it made of these alone, as far as its size goes?"""
        name = n.op.name
        if name in VANISHING or name in ("formal", "zero") or is_projection(n):
            return True
        if name == "const":
            return bool(abs(n.attrs["value"]) < SMALL)
        if name in ("mul", "masked"):
            return any(a in self.small for a in n.args)
        if name == "pow":
            return n.args[0] in self.small and n.attrs["exponent"] > 0
        if name in ("div", "sqrt"):
            return n.args[0] in self.small
        if name in PASSING or name in ("add", "sub"):
            reals = [a for a in n.args if a.kind == "real"]
            return bool(reals) and all(a in self.small for a in reals)
        return name == "where" and any(a in self.small for a in n.args[1:])

    def _may_be_large(self, n: Node) -> bool:
        """Is it a power, below 0, of what may be small, or a product with such a one?"""
        name = n.op.name
        if name == "div":
            return n.args[1] in self.small
        if name == "pow":
            return n.args[0] in self.small and n.attrs["exponent"] < 0
        return name in ("mul", "broadcast", "reshape", "masked") and any(
            a in self.large for a in n.args
        )

    def _asked(self, n: Node) -> Iterable[Node]:
        """The arguments whose relative error matters."""
        name, wanted = n.op.name, n in self.demanded
        if name == "mul" and any(a in self.large for a in n.args):
            return n.args
        if name in PASSING:
            return n.args if wanted else ()
        if name in ("add", "sub"):
            return n.args if wanted and n in self.small else ()
        if name == "where":
            return n.args[1:] if wanted else ()
        if name == "div":
            return n.args if wanted or n.args[1] in self.small else n.args[1:]
        if name == "pow":
            exponent = n.attrs["exponent"]
            whole = isinstance(exponent, int) and exponent > 0
            return n.args if wanted or not whole else ()
        return () if name in BLUNT or _reached(n) else n.args

    def _loop(self, loop: Node, read: Sequence[Node]) -> None:
        """A carry that is demanded is demanded of the step before."""
        body, carries = loop.attrs["body"], loop.attrs["carries"]
        inside: set[Node] = set()
        for p in read:
            if p in self.demanded:
                last = p.op.name == "last"
                inside.add(body[p.attrs["index"]] if last else p.attrs["value"])
        values = [p.attrs["value"] for p in read if p.op.name != "last"]
        order = topological([*body, *values])
        formals = [n for n in order if n.op.name == "formal"]
        while True:
            level = _Level(self.found, set(inside))
            level.run(order)
            asked = [f for f in formals if f in level.demanded]
            entering = {
                body[f.attrs["index"]] for f in asked if f.attrs["role"] == "carry"
            }
            if entering <= inside:
                break
            inside |= entering
        for f in asked:
            place = f.attrs["index"]
            if f.attrs["role"] != "carry":
                place += carries
            if f.attrs["role"] == "capture":
                place += loop.attrs["sequences"]
            self.demanded.add(loop.args[place])
