"""What stands above a block: the equation, its line, and in `backward` the chain rule.

In: a plan, the names, and the lines of every function. Out: comment lines. The rules are
rendered from the derivative before any pass ran: the same VJP rules are run once more, on
the nodes of one equation alone. They start at the equation's value, and at every node of
it whose adjoint is a variable of the code below, with a seed that carries that variable's
name, and end at the next such node or at the operands.

    # scores = h @ W2 + b2                                                    mlp.net:11
    #   d_W2 = h' d_scores,  d_b2 = sum over N of d_scores,  d_h = d_scores W2'
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..ir.node import Node
from ..ir.notation import Printer
from ..ir.program import Equation, Joint
from .bodies import is_projection
from .names import Names, mark
from .plan import Plan
from .pyast import WIDTH, fill_text, printable
from .statements import visible_length

PLACE = re.compile("\x00([^\x00]*)\x00")
MOST_NODES = 400  # of one equation: beyond, the rules would fill a page
KINKS = {
    "abs": "sign(0) = 0",
    "max": "ties of the maximum share evenly",
}
REMARKS = {
    "hoisted": "what needs no step before it stands ahead of the loop, for all steps at once",
    "maximum": "the maximum before {}, which never decrease{}: the same, on less data",
}
"""What `Graph.remark` says of an equation whose lines stand in another order."""


class Commentary:
    """The comments of one module."""

    def __init__(self, plan: Plan, names: Names) -> None:
        self.plan, self.names = plan, names
        self.before = plan.joint.before or plan.joint
        self.image = plan.joint.image
        self.forward = plan.functions.get("forward")
        self.backward = plan.functions.get("backward")
        self._rules: dict[int, list[str]] = {}
        self._formulas: dict[tuple[object, ...], list[tuple[int, str]]] = {}
        if self.backward is not None:
            self._prepare(self.before)

    # ------------------------------------------------------------------ equations
    def equation(self, e: Equation, indent: int, prefix: str = "") -> str:
        """`# h = relu(x @ W1 + b1)            mlp.net:10`"""
        left = " " * indent + "# " + printable(prefix + e.text)
        if not e.line:
            return left
        place = f"{printable(e.file or self.plan.program.name)}:{e.line}"
        room = WIDTH - indent - 4 - len(place)
        left = " " * indent + "# " + shortened(printable(prefix + e.text), room)
        gap = max(WIDTH - len(left) - len(place), 2)
        return left + " " * gap + place

    def block(
        self, function: str, equation: int, indent: int, spell: Callable[[str], str]
    ) -> list[str]:
        """The comment above one block, which is that of an equation."""
        equations = self.plan.program.equations
        if not 0 <= equation < len(equations):
            return []
        e = equations[equation]
        prefix = f"{e.repeat}: " if e.repeat and e.copy else ""
        lines = [self.equation(e, indent, prefix)]
        return lines + self.below(function, equation, indent, spell)

    def below(
        self, function: str, equation: int, indent: int, spell: Callable[[str], str]
    ) -> list[str]:
        """What stands under the equation: the chain rule, or why the lines differ from it."""
        if function == "backward":
            return self.chain_rule(equation, indent, spell)
        pad = " " * indent + "#   "
        lines: list[str] = []
        for text in self.remarks(equation):
            lines += fill_text(text.split(" "), WIDTH - len(pad))
        return [pad + t for t in lines]

    def remarks(self, equation: int) -> list[str]:
        """What of an equation is computed in another order than it says, and why."""
        found = self.plan.program.graph.remarks.get(equation, {})
        return [
            REMARKS[what].format(" and ".join(about[::-1]), "s" * (len(about) == 1))
            for what, about in found.items()
        ]

    def chain_rule(
        self, equation: int, indent: int, spell: Callable[[str], str]
    ) -> list[str]:
        """The rules of one equation, filled to the width, broken between rules only."""
        rules = [r for r in map(_in_place, map(spell, self.rules(equation))) if r]
        rules = [f"{r}," for r in rules[:-1]] + rules[-1:]
        pad = " " * indent + "#   "
        again = [f"{name}," for name in self._again(equation, spell)]
        if again:
            again = [*"again, as in forward:".split(), *again[:-1], again[-1][:-1]]
        lines = fill_text(again, WIDTH - len(pad))
        lines += fill_text(rules, WIDTH - len(pad), "  ")
        return [pad + t for t in lines]

    def _again(self, equation: int, spell: Callable[[str], str]) -> list[str]:
        """The names of what forward had and backward computes anew for this equation."""
        f = self.backward
        if f is None or not f.again:
            return []
        blocks = [b for b in f.blocks if b.equation == equation]
        nodes = [n for b in blocks for n in b.lines if n in f.again]
        found = [self.names.of[n] for n in nodes if n in self.names.of]
        return list(dict.fromkeys(map(spell, found)))

    # ------------------------------------------------------------------ rules
    def _prepare(self, before: Joint) -> None:
        """Which node of the un-optimised program each variable is the adjoint of."""
        assert self.backward is not None
        self.added = {(equation, node) for equation, node, _ in before.partials}
        self.targets: dict[int, list[Node]] = {}
        for b in before.program.training.bindings:
            if b.node in before.adjoints:
                self.targets.setdefault(b.equation, []).append(b.node)
        self.operands: dict[Node, int] = {}  # a named value -> its equation
        for b in before.program.training.bindings:
            self.operands.setdefault(b.node, b.equation)
        self.bound = {n for nodes in self.targets.values() for n in nodes}
        best: dict[Node, Node] = (
            {}
        )  # a line of backward -> the node it is the adjoint of
        for old, adjoint in before.adjoints.items():
            made = self.image.get(adjoint, adjoint)
            if made not in self.backward.lines:
                continue
            chosen = self.names.primal_of(made)
            now = self.image.get(old, old)
            known = best.get(made)
            if known is None or self._closer(old, now, chosen, known):
                best[made] = old
        self.cuts: dict[int, list[Node]] = {}
        for old in best.values():
            if old.op.family != "leaf" and not self._anonymous(old):
                self.cuts.setdefault(old.origin.equation, []).append(old)
        self.cut_nodes = {n for nodes in self.cuts.values() for n in nodes}

    def _anonymous(self, old: Node) -> bool:
        """Another shape of its argument that is nobody's value: a rule goes through it."""
        return old.op.result == "x" and old not in self.operands

    def _closer(self, old: Node, now: Node, chosen: Node | None, known: Node) -> bool:
        wanted = now is chosen
        known_wanted = self.image.get(known, known) is chosen
        if wanted != known_wanted:
            return wanted
        return old.serial > known.serial

    def rules(self, equation: int) -> list[str]:
        if not self._rules:  # in the order in which they are read: `=` before `+=`
            assert self.backward is not None
            self.mentioned: set[str] = set()
            for block in self.backward.blocks:
                self._rules[block.equation] = self._chain(block.equation)
                for rule in self._rules[block.equation]:
                    self.mentioned.add(rule.partition(" ")[0])
        return self._rules.get(equation, [])

    def _chain(self, equation: int) -> list[str]:
        starts = set(self.targets.get(equation, ())) | set(self.cuts.get(equation, ()))
        starts = {n for n in starts if n.op.family != "leaf"}
        ordered = sorted(starts, key=lambda n: -n.serial)
        rules: list[str] = []
        given: dict[str, tuple[str, str]] = {}  # adjoint -> its sign and right side
        kinks: dict[str, None] = {}
        looped = False
        for v in ordered:
            if is_projection(v):  # what the steps do is read off the code
                looped = True
                continue
            seed_name = self.adjoint_name(v, equation)
            if seed_name is None:
                continue
            order = self._between(v)
            if order is None:
                break
            for n in order:
                if n.op.name in KINKS and not self._ends(n, v):
                    kinks.setdefault(KINKS[n.op.name])
            for x, right in self._pulled_back(v, order, seed_name, equation):
                left = self.adjoint_name(x, equation)
                if left is None or left == right:
                    continue
                if x.op.family == "leaf" and (equation, x) not in self.added:
                    continue  # by a loss that is not over this parameter
                sign = "+=" if left in self.mentioned else "="
                if left in given:  # one rule an operand, where its last part is known
                    sign, part = given[left]
                    rules.remove(f"{left} {sign} {part}")
                    minus = right[0] == "-"
                    right = f"{part} - {right[1:]}" if minus else f"{part} + {right}"
                given[left] = (sign, right)
                rules.append(f"{left} {sign} {right}")
        short = []
        for rule in rules:
            if visible_length(rule) > WIDTH - 8:
                left, _, rest = rule.partition(" ")
                rule = f"{left} {rest.partition(' ')[0]} …"
            short.append(rule)
        if looped:
            short.append("then step by step, from the last to the first")
        return short + [f"({k})" for k in kinks]

    def _ends(self, n: Node, v: Node) -> bool:
        """Does the chain rule from `v` end here? At named values, the next variables."""
        return n is not v and (
            n.op.family == "leaf"
            or n in self.bound
            or n in self.cut_nodes
            or is_projection(n)
        )

    def _between(self, v: Node) -> list[Node] | None:
        """The nodes from `v` down to where its rule ends, in order; None: too many."""
        inside: set[Node] = set()
        stack = [v]
        while stack:
            n = stack.pop()
            if n in inside:
                continue
            inside.add(n)
            if len(inside) > MOST_NODES:
                return None
            if not self._ends(n, v):
                stack.extend(n.args)
        return sorted(inside, key=lambda n: n.serial)

    def _pulled_back(
        self, v: Node, order: list[Node], seed_name: str, equation: int
    ) -> list[tuple[Node, str]]:
        """What `v` adds to the adjoint of each operand, as text.

        Equations are often alike: the text is made once for a shape of formula, with
        places for the names.
        """
        index = {n: k for k, n in enumerate(order)}
        named = self._printable(equation)
        ends = [self._ends(n, v) for n in order]
        names = [
            named(n) or (self._fallback(n) if end else None)
            for n, end in zip(order, ends, strict=True)
        ]
        differentiable = self.before.adjoints
        key = tuple(
            [
                (
                    n.op.name,
                    n.shape,
                    names[k] is not None,
                    n in differentiable,
                    ends[k],
                    tuple([index.get(a) for a in n.args]),
                    _attributes(n),
                )
                for k, n in enumerate(order)
            ]
        )
        made = self._formulas.get(key)
        if made is None:
            made = self._formulas[key] = self._formula(v, order, names)

        def name(found: re.Match[str]) -> str:
            return seed_name if found[1] == "s" else str(names[int(found[1])])

        return [(order[k], PLACE.sub(name, text)) for k, text in made]

    def _formula(
        self, v: Node, order: list[Node], names: list[str | None]
    ) -> list[tuple[int, str]]:
        """The VJP rules on the nodes in order, printed with places for names."""
        graph = v.graph
        differentiable = self.before.adjoints
        active = {n for n in order if self._ends(n, v) and n in differentiable}
        for n in order:
            if not self._ends(n, v) and any(a in active for a in n.args):
                active.add(n)
        seed = graph.leaf("seed", "\x00s\x00", v.shape)
        deriving, graph.deriving = graph.deriving, True
        adjoints: dict[Node, Node] = {v: seed}
        for n in reversed(order):
            g = adjoints.get(n)
            if g is None or n not in active or self._ends(n, v) or n.op.vjp is None:
                continue
            parts = n.op.vjp(g, n, *n.args, **n.attrs)
            for a, part in zip(n.args, parts, strict=False):
                if part is None or a not in active or part.op.name == "zero":
                    continue
                adjoints[a] = adjoints[a] + part if a in adjoints else part
        graph.deriving = deriving
        index = {n: k for k, n in enumerate(order)}

        def place(n: Node) -> str | None:
            if n is seed:
                return "\x00s\x00"
            k = index.get(n)
            return None if k is None or names[k] is None else f"\x00{k}\x00"

        printer = Printer(place)
        reached = [
            n for n in order if n in adjoints and n is not v and self._ends(n, v)
        ]
        reached.sort(key=lambda n: (n.op.family != "leaf", n.serial))
        return [(index[n], printer.of(adjoints[n]).text) for n in reached]

    # ------------------------------------------------------------------ names
    def adjoint_name(self, n: Node, equation: int) -> str | None:
        """The variable that holds the adjoint of `n` in the code of this equation."""
        assert self.backward is not None
        adjoint = self.before.adjoints.get(n)
        if adjoint is None:
            return None
        made = self.image.get(adjoint, adjoint)
        if made.op.name == "seed":
            return "d_loss"
        if made in self.backward.lines and made in self.names.of:
            return self.names.of[made]
        base, copy = self.names.adjoint_base(self.image.get(n, n))
        return mark(base, copy)

    def _fallback(self, n: Node) -> str | None:
        """A name for where a rule ends, so that it ends there whatever happens."""
        if n.op.name in ("const", "size", "zero"):
            return None
        return self.names.of.get(self.image.get(n, n), "…")

    def _printable(self, equation: int) -> Callable[[Node], str | None]:
        """Names for operands and lines; never an output's name for a part of this."""
        assert self.forward is not None
        assert self.backward is not None
        lines, hand = self.backward.lines, self.backward.at_hand
        theirs, joined = self.forward.bound, self.backward.joined
        own, of = self.operands, self.names.of

        def named(n: Node) -> str | None:
            if n.op.family == "leaf" and n.op.name not in ("const", "size", "zero"):
                return of.get(n)
            now = self.image.get(n)
            if now is None or now not in of:
                return None
            if own.get(n, equation) < equation:
                return of[now]
            if (now not in lines and now not in hand) or now in joined:
                return None
            bound = theirs.get(now)
            if bound is not None and bound.equation != equation:
                return None
            return of[now]

        return named


def _attributes(n: Node) -> tuple[object, ...]:
    """What of a node's attributes its text and its rule can depend on."""
    if n.op.family == "leaf" and n.op.name not in ("const", "size"):
        return ()
    if not n.attrs:
        return ()
    return tuple(
        [(k, str(v) if isinstance(v, float | bool) else v) for k, v in n.attrs.items()]
    )


def _in_place(rule: str) -> str:
    """In a loop one variable holds both sides: `d_h = d_h + …` adds, `d_h = d_h` goes."""
    left, _, right = rule.partition(" = ")
    if not right.startswith(left):
        return rule
    found = re.match(r"(\w+) = (\w+)( [+-])?( .*)?$", rule)
    if found and found[1] == found[2]:
        return f"{found[1]}{found[3]}={found[4]}" if found[3] else ""
    return rule


def shortened(text: str, room: int) -> str:
    """The text in so many characters: inner arguments, then whole calls, become `…`."""
    for pattern, made in (
        (r", \w+ = (?:[^(),]|\([^()]*\))+(?=[,)])", ", …"),
        (r"\([^()…]{4,}\)(?=[^()]*\))", "(…)"),
        (r"(\w)\([^()…]{4,}\)", r"\1(…)"),
    ):
        while len(text) > room:
            shorter = re.sub(pattern, made, text, count=1)
            shorter = shorter.replace(", …, …", ", …")
            if shorter == text:
                break
            text = shorter
    return text if len(text) <= room else text[: max(room - 2, 20)].rstrip() + " …"
