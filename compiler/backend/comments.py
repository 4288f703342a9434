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
from collections.abc import Callable, Iterable, Mapping

from ..ir.node import Node
from ..ir.notation import Printer
from ..ir.program import Equation, Joint
from .names import Names, mark
from .plan import Plan
from .pyast import WIDTH, fill_text, printable
from .statements import BlockText, visible_length

MOST_NODES = 400  # of one equation: beyond, the rules would fill a page
KINKS = {
    "abs": "sign(0) = 0",
    "max": "ties of the maximum share evenly",
}


class Commentary:
    """The comments of one module."""

    def __init__(
        self, plan: Plan, names: Names, bodies: Mapping[str, list[BlockText]]
    ) -> None:
        self.plan, self.names, self.bodies = plan, names, bodies
        self.before = plan.joint.before or plan.joint
        self.image = plan.joint.image
        self.forward = plan.functions.get("forward")
        self.backward = plan.functions.get("backward")
        self._rules: dict[int, list[str]] = {}
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
        self, function: str, block: BlockText, indent: int, spell: Callable[[str], str]
    ) -> list[str]:
        """The comment above one block."""
        equations = self.plan.program.equations
        if not 0 <= block.equation < len(equations):
            return []
        e = equations[block.equation]
        prefix = f"{e.repeat}: " if e.repeat and e.copy else ""
        lines = [self.equation(e, indent, prefix)]
        if function == "backward":
            lines += self.chain_rule(block.equation, indent, spell)
        return lines

    def chain_rule(
        self, equation: int, indent: int, spell: Callable[[str], str]
    ) -> list[str]:
        """The rules of one equation, filled to the width, broken between rules only."""
        rules = [r for r in map(_in_place, map(spell, self.rules(equation))) if r]
        rules = [f"{r}," for r in rules[:-1]] + rules[-1:]
        pad = " " * indent + "#   "
        return [pad + t for t in fill_text(rules, WIDTH - len(pad), "  ")]

    # ------------------------------------------------------------------ rules
    def _prepare(self, before: Joint) -> None:
        """Which node of the un-optimised program each variable is the adjoint of."""
        assert self.backward is not None
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
            if old.op.family != "leaf":
                self.cuts.setdefault(old.origin.equation, []).append(old)
        self.cut_nodes = {n for nodes in self.cuts.values() for n in nodes}

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
        for v in ordered:
            seed_name = self.adjoint_name(v, equation)
            if seed_name is None:
                continue
            stops = self._stops(v)
            found = self._sweep(v, stops, seed_name)
            if found is None:
                break
            seed, reached, passed = found
            for n in passed:
                if n.op.name in KINKS:
                    kinks.setdefault(KINKS[n.op.name])
            printer = Printer(self._printable(seed, seed_name, v, equation, starts))
            for x in sorted(reached, key=lambda n: (n.op.family != "leaf", n.serial)):
                left = self.adjoint_name(x, equation)
                if left is None or (reached[x] is seed and left == seed_name):
                    continue
                sign = "+=" if left in self.mentioned else "="
                right = printer.of(reached[x]).text
                if left in given:  # one rule an operand, where its last part is known
                    sign, part = given[left]
                    rules.remove(f"{left} {sign} {part}")
                    right = (
                        f"{part} - {right[1:]}"
                        if right[0] == "-"
                        else f"{part} + {right}"
                    )
                given[left] = (sign, right)
                rule = f"{left} {sign} {right}"
                rules.append(rule)
        short = []
        for rule in rules:
            left, _, rest = rule.partition(" ")
            sign = rest.partition(" ")[0]
            short.append(
                f"{left} {sign} …" if visible_length(rule) > WIDTH - 8 else rule
            )
        return short + [f"({k})" for k in kinks]

    def _stops(self, v: Node) -> Callable[[Node], bool]:
        """Does the chain rule end here? At named values and at the next variables."""
        bound, cuts = self.bound, self.cut_nodes

        def ends(n: Node) -> bool:
            if n is v:
                return False
            return n.op.family == "leaf" or n in bound or n in cuts

        return ends

    def _sweep(
        self, v: Node, ends: Callable[[Node], bool], seed_name: str
    ) -> tuple[Node, dict[Node, Node], list[Node]] | None:
        """The VJP rules on the nodes between `v` and where the rule ends."""
        graph = v.graph
        inside: set[Node] = set()
        stack = [v]
        while stack:
            n = stack.pop()
            if n in inside:
                continue
            inside.add(n)
            if len(inside) > MOST_NODES:
                return None
            if not ends(n):
                stack.extend(n.args)
        differentiable = self.before.adjoints
        active = {n for n in inside if ends(n) and n in differentiable}
        order = sorted(inside, key=lambda n: n.serial)
        for n in order:
            if not ends(n) and any(a in active for a in n.args):
                active.add(n)
        seed = graph.leaf("seed", seed_name, v.shape)
        deriving, graph.deriving = graph.deriving, True
        adjoints: dict[Node, Node] = {v: seed}
        passed: list[Node] = []
        for n in reversed(order):
            g = adjoints.get(n)
            if g is None or n not in active or ends(n) or n.op.vjp is None:
                continue
            if n.origin.equation >= 0:
                passed.append(n)
            for a, part in zip(
                n.args, n.op.vjp(g, n, *n.args, **n.attrs), strict=False
            ):
                if part is None or a not in active or part.op.name == "zero":
                    continue
                adjoints[a] = adjoints[a] + part if a in adjoints else part
        graph.deriving = deriving
        reached = {n: g for n, g in adjoints.items() if ends(n) and n is not v}
        return seed, reached, passed

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

    def _printable(
        self,
        seed: Node,
        seed_name: str,
        v: Node,
        equation: int,
        starts: Iterable[Node],
    ) -> Callable[[Node], str | None]:
        """Names for operands and lines; never an output's name for a part of this."""
        assert self.forward is not None
        assert self.backward is not None
        lines, at_hand = self.backward.lines, self.backward.at_hand
        theirs, joined = self.forward.bound, self.backward.joined
        own = self.operands

        def named(n: Node) -> str | None:
            if n is seed:
                return seed_name
            if n.op.family == "leaf" and n.op.name not in ("const", "size", "zero"):
                return self.names.of.get(n)
            now = self.image.get(n)
            if now is None or now not in self.names.of:
                return None
            if own.get(n, equation) < equation:
                return self.names.of[now]
            if (now not in lines and now not in at_hand) or now in joined:
                return None
            bound = theirs.get(now)
            if bound is not None and bound.equation != equation:
                return None
            return self.names.of[now]

        return named


def _in_place(rule: str) -> str:
    """In a loop one variable holds both sides: `d_h = d_h + …` adds, `d_h = d_h` goes."""
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
