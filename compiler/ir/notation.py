"""A DAG as text mathematics: what comments show.

In: a node, and which nodes may be printed by name. Out: one line, `(softmax(U) -
one_hot(label)) d_loss / N`.

Sums and products are read off as polynomials before they are printed, so the text does not
depend on how a rule happened to build them: signs come out in front, numbers and scalars
are gathered, equal terms are added, a common scalar is taken out of a sum. Broadcasting,
reshapes and kept axes are invisible; scalar factors are juxtaposed, ``*`` is elementwise,
``'`` transposes. What a single op looks like is the record's `text`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from .dims import ONE
from .node import Node

Named = Callable[[Node], "str | None"]
CHOICE, SUM, PRODUCT, POWER, ATOM = range(5)
INVISIBLE = frozenset({"broadcast", "reshape", "cast", "number"})
HOLE = re.compile(r"\{(\w+)\}")
NAMED = r"[\w\x00]+"  # a name, or the place of one
TWICE = re.compile(rf"\(({NAMED})'\)'")
LONGEST = 400


class Text(NamedTuple):
    """Text and how tightly it binds."""

    text: str
    binds: int = ATOM
    rank: int = 1  # constants stand before other scalars
    turned: str = ""  # of a difference: the same with its sign changed, b - a

    def within(self, least: int) -> str:
        return self.text if self.binds >= least else f"({self.text})"


Texts = tuple[Text, ...]
Number = float | Fraction


class Term(NamedTuple):
    """A product: number, scalars and tensors, over scalars and tensors."""

    number: Number = 1
    scalars: Texts = ()
    tensors: Texts = ()
    under: Texts = ()  # scalars
    over: Texts = ()  # tensors divided by

    def times(self, other: Term) -> Term:
        return Term(
            self.number * other.number,
            self.scalars + other.scalars,
            self.tensors + other.tensors,
            self.under + other.under,
            self.over + other.over,
        )

    def inverse(self) -> Term:
        n = self.number
        if n == 0:  # that is what the author wrote
            zero = Text(str(n))
            return Term(1, self.under, self.over, (zero, *self.scalars), self.tensors)
        turned = Fraction(1, n) if isinstance(n, int) else 1 / n
        return Term(turned, self.under, self.over, self.scalars, self.tensors)

    def key(self) -> tuple[tuple[str, ...], ...]:
        return tuple([tuple(sorted([t.text for t in part])) for part in self[1:]])


def text(node: Node, named: Named) -> str:
    """The mathematics of `node`. `named` gives the nodes that are printed by name."""
    return Printer(named).of(node).text


class Printer:
    """Prints nodes; what is printed once is remembered."""

    def __init__(self, named: Named) -> None:
        self.named = named
        self._known: dict[Node, list[Term]] = {}
        self.top: Node | None = None

    def of(self, node: Node) -> Text:
        self.top = node
        return self.sum(self.terms(node))

    # ------------------------------------------------------------------ reading
    def terms(self, n: Node) -> list[Term]:
        """The node as a sum of products."""
        known = self._known.get(n)
        if known is None:
            known = self._known[n] = self._terms(n)
        return known

    def _terms(self, n: Node) -> list[Term]:
        name = None if n is self.top else self.named(n)
        if name is not None:
            return [self.factor(n, Text(name))]
        match n.op.name:
            case "const":
                return [self._number(n)]
            case "zero":
                return []
            case "add":
                return self.gathered(self.terms(n.args[0]) + self.terms(n.args[1]))
            case "sub":
                minus = [_negated(t) for t in self.terms(n.args[1])]
                return self.gathered(self.terms(n.args[0]) + minus)
            case "neg":
                return [_negated(t) for t in self.terms(n.args[0])]
            case "mul":
                if n.args[0] is n.args[1]:
                    return [self.factor(n, self._squared(n.args[0]))]
                return [self.single(n.args[0]).times(self.single(n.args[1]))]
            case "div":
                return [self.single(n.args[0]).times(self.single(n.args[1]).inverse())]
            case "put":
                return self._put(n)
            case "sum":
                return self._sum(n)
            case "transpose":
                x, moved = _untransposed(n)
                if not moved:
                    return self.terms(x)
                if self.named(x) is None and x.op.name == "einsum2":
                    return [self.factor(n, _swapped(self._record(x)))]
            case name if name in INVISIBLE:
                return self.terms(n.args[0])
        return [self.factor(n, self._record(n))]

    def factor(self, n: Node, shown: Text) -> Term:
        scalar = all(d == ONE for d in n.shape)
        return Term(scalars=(shown,)) if scalar else Term(tensors=(shown,))

    def single(self, n: Node) -> Term:
        """The node as one product: a sum of several terms becomes a factor."""
        terms = self.terms(n)
        if len(terms) == 1:
            return terms[0]
        if not terms:
            return Term(0)
        common, rest = self.common(terms)
        return common.times(self.factor(n, self.sum(rest)))

    def _number(self, n: Node) -> Term:
        value = n.attrs["value"]
        named = n.attrs.get("name")
        if named:
            return Term(scalars=(Text(str(named), rank=0),))
        if isinstance(value, int):
            return Term(int(value))
        if value != value or value in (float("inf"), float("-inf")):
            return Term(scalars=(Text(str(value), ATOM if value > 0 else SUM),))
        return Term(float(value))

    def _squared(self, x: Node) -> Text:
        return Text(self.of_part(x, ATOM) + "^2", POWER)

    def of_part(self, n: Node, least: int) -> str:
        return self.sum(self.terms(n)).within(least)

    def _put(self, n: Node) -> list[Term]:
        """`one_hot(label)` times what is put there."""
        index, g = n.args
        hot = Text(f"one_hot({self.of_part(index, CHOICE)})")
        return [t.times(Term(tensors=(hot,))) for t in self.terms(g)]

    def _sum(self, n: Node) -> list[Term]:
        """Scalars come out; `sum over N of …`."""
        x = n.args[0]
        axes: Sequence[int] = n.attrs["axes"]
        wide = [i for i, d in enumerate(x.shape) if d != ONE]
        out = []
        inner = self.single(x)
        scalar = Term(inner.number, scalars=inner.scalars, under=inner.under)
        body = self.sum([Term(1, tensors=inner.tensors, over=inner.over)])
        if all(i in axes for i in wide):
            shown = Text(f"sum({body.text})")
        else:
            over = ", ".join(str(x.shape[i]) for i in axes if i in wide)
            shown = Text(f"sum over {over} of {body.within(PRODUCT)}", SUM)
        out.append(scalar.times(self.factor(n, shown)))
        return out

    def _record(self, n: Node) -> Text:
        """The record's own text, its holes filled."""
        source = n.op.text
        if n.op.family == "leaf" or source is None:
            if n.op.name == "size":
                return Text(str(n.attrs["dim"]), _dim_binds(str(n.attrs["dim"])))
            shown = n.attrs.get("name", n.op.name)
            if n.args:
                inside = ", ".join(self.of_part(a, CHOICE) for a in n.args)
                shown = f"{n.op.name}({inside})"
            return Text(str(shown))
        made = source(n) if callable(source) else source
        if isinstance(made, tuple):
            made = made[0]
        made = _last_axis(n, made)
        names = list(n.op.args)
        if n.op.variadic:
            last = names.pop()
            names += [f"{last}{i}" for i in range(len(n.args) - len(names))]
        args = dict(zip(names, n.args, strict=False))
        call = made.endswith((")", "]", "|", ">")) and not made.startswith("{")

        def hole(found: re.Match[str]) -> str:
            a = args.get(found[1])
            if a is None:
                return found[1]
            before, after = made[: found.start()], made[found.end() :]
            inside = before.endswith(("(", "|", "[", "<", ", ")) and after.startswith(
                (")", "|", "]", ">", ",")
            )
            if inside:
                return self.of_part(a, CHOICE)
            if after.startswith(("'", "^", "[")):
                return self.of_part(a, ATOM)
            if n.op.name in ("where", "masked"):
                return self.of_part(a, SUM if before else PRODUCT)
            return self.of_part(a, min(n.op.precedence + 1, ATOM))

        shown = TWICE.sub(r"\1", HOLE.sub(hole, made))
        return Text(shown, ATOM if call else n.op.precedence)

    # ------------------------------------------------------------------ sums
    def gathered(self, terms: Sequence[Term]) -> list[Term]:
        """Equal products are added, those that cancel go."""
        table: dict[tuple[tuple[str, ...], ...], Term] = {}
        for t in terms:
            key = t.key()
            if key in table:
                table[key] = _replaced(table[key], table[key].number + t.number)
            else:
                table[key] = t
        return [t for t in table.values() if t.number != 0]

    def common(self, terms: Sequence[Term]) -> tuple[Term, list[Term]]:
        """The scalars (and the number, up to sign) that all terms have, and the rest."""
        number: Number = 1
        scalars, firsts = _shared([t.scalars for t in terms])
        under, seconds = _shared([t.under for t in terms])
        rest = [
            Term(t.number, first, t.tensors, second, t.over)
            for t, first, second in zip(terms, firsts, seconds, strict=True)
        ]
        size = _size(terms[0].number)
        if size != 1 and all(_size(t.number) == size for t in terms):
            number *= size
            rest = [_replaced(t, 1 if t.number > 0 else -1) for t in rest]
        # `-(a - b)` is `b - a`: a positive term goes first
        rest.sort(key=lambda t: t.number < 0)
        if rest[0].number < 0:
            number = -number
            rest = [_negated(t) for t in rest]
        return Term(number, scalars, under=under), rest

    def sum(self, terms: Sequence[Term]) -> Text:
        """Terms as text; a common scalar stands outside of the brackets."""
        if not terms:
            return Text("0")
        if len(terms) == 1:
            return product(terms[0])
        common, rest = self.common(terms)
        out = ""
        for i, t in enumerate(rest):
            negative = t.number < 0
            shown = product(_negated(t) if negative else t)
            part = shown.within(PRODUCT)
            out += (
                ("-" if negative else "") + part
                if i == 0
                else ((" - " if negative else " + ") + part)
            )
        turned = ""
        if len(rest) == 2 and rest[0].number > 0 > rest[1].number:
            a, b = (
                product(_replaced(t, _size(t.number))).within(PRODUCT) for t in rest
            )
            turned = f"{b} - {a}"
        inner = Text(out, SUM, turned=turned)
        if common.number == 1 and not common.scalars and not common.under:
            return inner
        wide = any(t.tensors or t.over for t in rest)
        factor = Term(tensors=(inner,)) if wide else Term(scalars=(inner,))
        return product(common.times(factor))


def _untransposed(n: Node) -> tuple[Node, bool]:
    """What is transposed, through what a reader does not see, and whether it still is.

    Axes that are moved otherwise (heads beside positions) are as invisible as a reshape.
    """
    moved = False
    while n.op.name == "transpose":
        perm = n.attrs["perm"]
        rank = len(perm)
        turns = rank > 1 and perm == (*range(rank - 2), rank - 1, rank - 2)
        moved, n = moved ^ turns, n.args[0]
    return n, moved


def _swapped(product: Text) -> Text:
    """`(A B)'` is `B' A'`; as it is where the factors cannot be told apart."""
    found = re.fullmatch(rf"({NAMED})('?) ({NAMED})('?)", product.text)
    if found is None:
        return Text(f"({product.text})'", POWER)
    a, ta, b, tb = found.groups()
    return Text(f"{b}{_turn(tb)} {a}{_turn(ta)}", product.binds)


def _turn(quote: str) -> str:
    return "" if quote else "'"


def product(t: Term) -> Text:
    """`2 lambda d_loss W`, `(p - y) d_loss / N`, `d_a * a * (1 - a)`."""
    t = _turned(t)
    negative = t.number < 0
    number = _size(t.number)
    under = [x.within(POWER) for x in t.under]
    if number == 1:
        numbers = []
    elif not isinstance(number, float):
        top, bottom = number.numerator, number.denominator
        numbers = [] if top == 1 else [str(top)]
        if bottom != 1:
            under.insert(0, str(bottom))
    else:
        numbers = [f"{number:g}"]
    scalars = [x.within(POWER) for x in sorted(t.scalars, key=lambda x: x.rank)]
    tensors = [x.within(PRODUCT if len(t.tensors) == 1 else POWER) for x in t.tensors]
    matrix = len(t.tensors) == 1 and t.tensors[0].binds == PRODUCT
    composite = bool(t.tensors) and t.tensors[0].binds <= SUM
    if len(t.tensors) > 1:
        tensors = [x.within(POWER) for x in t.tensors]
    elementwise = " * ".join(tensors)
    if composite and len(t.tensors) == 1:
        pieces = [*numbers, elementwise, *scalars]
    elif matrix and not numbers and not scalars:
        pieces = [elementwise]
    else:
        pieces = [*numbers, *scalars, *([elementwise] if elementwise else [])]
    shown = " ".join(p for p in pieces if p) or "1"
    for x in t.over:
        shown += f" / {x.within(POWER)}"
    if under:
        below = " ".join(under)
        shown += f" / ({below})" if len(under) > 1 else f" / {below}"
    lone = len(pieces) == 1 and not t.over and not under
    binds = PRODUCT
    if lone and not negative:
        only = (t.tensors or t.scalars or [Text(shown)])[0]
        binds = only.binds if len(t.tensors) + len(t.scalars) <= 1 else PRODUCT
        if binds < PRODUCT and shown.startswith("("):
            binds = ATOM
    if lone and len(t.tensors) == 1 and not negative and t.tensors[0].binds < PRODUCT:
        return t.tensors[0]
    return Text(("-" if negative else "") + shown, SUM if negative else binds)


def _turned(t: Term) -> Term:
    """-(a - b) c is (b - a) c."""
    tensors, scalars = list(t.tensors), list(t.scalars)
    for part in (tensors, scalars):
        for i, x in enumerate(part):
            if x.turned and t.number < 0:
                part[i] = Text(x.turned, x.binds, x.rank, x.text)
                return Term(-t.number, tuple(scalars), tuple(tensors), t.under, t.over)
    return t


def _size(number: Number) -> Number:
    return -number if number < 0 else number


def _negated(t: Term) -> Term:
    return _replaced(t, -t.number)


def _replaced(t: Term, number: Number) -> Term:
    return Term(number, t.scalars, t.tensors, t.under, t.over)


def _shared(rows: list[Texts]) -> tuple[Texts, list[Texts]]:
    """What stands in every row, and the rows without it."""
    first = min(rows, key=len)
    if not first:
        return (), rows
    shared: Texts = ()
    for s in rows[0]:
        if all(any(x.text == s.text for x in row) for row in rows):
            shared += (s,)
            rows = [_without(row, s.text) for row in rows]
    return shared, rows


def _without(row: Texts, text: str) -> Texts:
    i = next(i for i, x in enumerate(row) if x.text == text)
    return (*row[:i], *row[i + 1 :])


def _last_axis(n: Node, made: str) -> str:
    """`softmax(x)` works on the last axis unless it says otherwise."""
    if n.args and n.op.name in ("softmax", "logsumexp", "argmax", "argsort", "cumsum"):
        last = len(n.args[0].shape) - 1
        if n.attrs.get("axes", (n.attrs.get("axis"),)) == (last,):
            return re.sub(r", axis = \d+", "", made)
    return made


def _dim_binds(shown: str) -> int:
    if " + " in shown or " - " in shown:
        return SUM
    return PRODUCT if " " in shown else ATOM
