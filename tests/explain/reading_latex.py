r"""Reads the printed LaTeX back, and says what it is at given numbers.

It knows the notation alone: \odot multiplies entry by entry, \, and \cdot multiply numbers, or
matrices where both sides are some; \sum_{N} sums over the axis of that size; a condition in
square brackets is Iverson's; b \, \mathbf{1}^{\top} repeats a column. Names are looked up as
they are printed.

    value(r"\delta_{z} \, W^{\top}", {r"\delta_{z}": …, "W": …})
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import reading_back

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*)"
    r"|(?P<command>\\(?:left|right)\s*[\[\](){}|.]|\\[a-zA-Z]+|\\[,\\_])"
    r"|(?P<name>[^\W\d_])|(?P<sign>[-+=<>&^_{}()\[\]:,*/']))"
)
FUNCTIONS = {r"\sigma": "sigmoid"} | {
    rf"\{name}": name
    for name in "sin cos tan sinh cosh tanh log max min arctan arcsin arccos".split()
}
COMPARED = {
    "<": np.less,
    r"\le": np.less_equal,
    ">": np.greater,
    r"\ge": np.greater_equal,
    "=": np.equal,
}


class Iverson(NamedTuple):
    """`[condition]`: what it multiplies stays where it holds, and is 0 elsewhere."""

    condition: Any


class Repeated(NamedTuple):
    """1ᵀ: what stands before it is a column, as often as needed."""


def value(text: str, env: Any) -> Any:
    """What a formula is where the names, as they are printed, have these values.

    `env.names` is the table from printed names to those of the program, which loops use.
    """
    with np.errstate(all="ignore"):
        return Reader(text, env).whole()


class Reader:
    """Recursive descent over the signs, loosest first."""

    def __init__(self, text: str, env: Any) -> None:
        self.env = env
        self.tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            found = TOKEN.match(text, at)
            assert found, f"cannot read {text[at:]!r}"
            token = found[0].strip()
            if token == r"\text":  # words, as they stand
                end = text.index("}", found.end())
                token = text[found.start() : end + 1].strip()
                at = end + 1
            else:
                at = found.end()
            self.tokens.append(token)
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        text = self.tokens[self.at]
        assert not wanted or text == wanted, f"{text} where {wanted} should be"
        self.at += 1
        return text

    def whole(self) -> Any:
        made = self.either()
        assert self.at == len(self.tokens), f"left over: {self.tokens[self.at:]}"
        return made

    # ------------------------------------------------------------------------- signs
    def either(self) -> Any:
        a = self.both()
        while self.peek() == r"\lor":
            self.take()
            a = np.logical_or(a, self.both())
        return a

    def both(self) -> Any:
        a = self.negation()
        while self.peek() == r"\land":
            self.take()
            a = np.logical_and(a, self.negation())
        return a

    def negation(self) -> Any:
        if self.peek() == r"\lnot":
            self.take()
            return np.logical_not(self.negation())
        a = self.total()
        if self.peek() in COMPARED:
            return COMPARED[self.take()](np.real(a), np.real(self.total()))
        return a

    def total(self) -> Any:
        a = -self.product() if self.sign("-") else self.product()
        while self.peek() in ("+", "-"):
            minus = self.take() == "-"
            b = self.product()
            a = a - b if minus else a + b
        return a

    def sign(self, wanted: str) -> bool:
        if self.peek() != wanted:
            return False
        self.take()
        return True

    def product(self) -> Any:
        a = self.powered()
        while self.peek() in (r"\odot", r"\cdot", r"\,", "/"):
            sign = self.take()
            b = self.factor()
            if sign == "/":  # of sizes
                a = a / b
            elif isinstance(b, Iverson):
                a = np.where(b.condition, a, 0)
            elif isinstance(b, Repeated):
                a = np.asarray(a)[:, None]
            elif sign == r"\,":
                a = a @ b if np.ndim(a) and np.ndim(b) else a * b
            else:
                a = a * b
        return a

    def factor(self) -> Any:
        if self.peek() == r"\left[":
            self.take()
            condition = self.either()
            self.take(r"\right]")
            return Iverson(condition)
        if self.peek() == r"\mathbf":
            for token in (r"\mathbf", "{", "1", "}", "^", "{", r"\top", "}"):
                self.take(token)
            return Repeated()
        return self.powered()

    def powered(self) -> Any:
        a = self.atom()
        while self.peek() in ("^", r"\left["):
            if self.take() == r"\left[":
                a = self.indexed(a)
            elif self.peek(1) == r"\top":
                self.group_of(r"\top")
                a = np.swapaxes(a, -1, -2)
            else:
                self.take("{")
                b = self.either()
                self.take("}")
                a = np.power(np.asarray(a, np.result_type(a, float)), b)
        return a

    def group_of(self, *tokens: str) -> None:
        for token in ("{", *tokens, "}"):
            self.take(token)

    def braced(self) -> Any:
        self.take("{")
        made = self.either()
        self.take("}")
        return made

    # ------------------------------------------------------------------------- atoms
    def atom(self) -> Any:
        token = self.peek()
        if token[0].isdigit():
            self.take()
            return int(token) if token.isdigit() else float(token)
        match token:
            case r"\left(":
                self.take()
                made = self.either()
                self.take(r"\right)")
                return made
            case r"\left|":
                self.take()
                made = np.abs(self.either())
                self.take(r"\right|")
                return made
            case r"\frac":
                self.take()
                above = self.braced()
                return np.divide(above, self.braced())
            case r"\sqrt":
                self.take()
                made = self.braced()
                return np.sqrt(np.asarray(made, np.result_type(made, float)))
            case r"\sum":
                return self.summed()
            case r"\infty":
                self.take()
                return float("inf")
            case r"\begin":
                return self.cases()
        if token == r"\operatorname" or token in FUNCTIONS:
            called = self.function()
            if called is not None:
                return called
        return self.named()

    def function(self) -> Any:
        """A function and its arguments; None where it is a name, as σ may be."""
        start = self.at
        token = self.take()
        if token == r"\operatorname":
            name = self.letters()
        else:
            name = FUNCTIONS[token]
        slope = self.sign("'")
        if self.peek() != r"\left(":
            self.at = start
            return None
        self.take()
        args: list[Any] = []
        options: dict[str, Any] = {}
        while not self.sign(r"\right)"):
            if self.peek() == r"\mathrm" and self.option_here():
                self.take()
                key = self.letters()
                self.take("=")
                options[key] = self.option()
            elif name in ("last", "each", "total") and args:
                args.append(self.env.names[self.printed()])  # one inside of the loop
            else:
                args.append(self.either())
            if self.sign(","):
                self.take(r"\,")
        run = reading_back.function(name)
        if slope:
            (x,) = args
            moved = run(np.asarray(x) + 1j * reading_back.STEP)
            return np.imag(moved) / reading_back.STEP
        return run(*args, **options)

    def option_here(self) -> bool:
        k = 1
        while self.peek(k) != "}":
            k += 1
        return self.peek(k + 1) == "="

    def letters(self) -> str:
        """The word in braces; `\\_` is an underscore."""
        self.take("{")
        word = ""
        while not self.sign("}"):
            word += self.take().lstrip("\\")
        return word

    def option(self) -> Any:
        if self.peek().startswith(r"\text"):
            return re.sub(r"\\(.)", r"\1", self.take()[len(r"\text{") : -1])
        if self.sign(r"\left["):
            items = []
            while not self.sign(r"\right]"):
                items.append(self.option())
                if self.sign(","):
                    self.take(r"\,")
            return tuple(items)
        made = self.either()
        whole = not isinstance(made, bool) and float(made).is_integer()
        return int(made) if whole else made

    def summed(self) -> Any:
        self.take()
        self.take("_")
        self.take("{")
        sizes = []
        while not self.sign("}"):
            sizes.append(int(self.total()))
            if self.sign(","):
                self.take(r"\,")
        x = np.asarray(self.product())
        axes = tuple(i for i, n in enumerate(x.shape) if n in sizes)
        assert sorted(x.shape[i] for i in axes) == sorted(sizes), (x.shape, sizes)
        return x.sum(axis=axes)

    def cases(self) -> Any:
        self.take()
        self.group_of(*"cases")
        first = self.either()
        self.take("&")
        condition = self.either()
        self.take("\\\\")
        second = self.either()
        self.take("&")
        self.take(r"\text{otherwise}")
        self.take(r"\end")
        self.group_of(*"cases")
        return np.where(condition, first, second)

    def indexed(self, a: Any) -> Any:
        parts: list[Any] = []
        while not self.sign(r"\right]"):
            bounds: list[Any] = [None]
            while self.peek() not in (",", r"\right]"):
                if self.sign(":"):
                    bounds.append(None)
                elif not self.sign("*"):  # an axis that is added
                    bounds[-1] = self.either()
            if len(bounds) == 1:
                (only,) = bounds
                parts.append(int(only) if isinstance(only, float) else only)
            else:
                parts.append(slice(*(b if b is None else int(b) for b in bounds)))
            if self.sign(","):
                self.take(r"\,")
        return np.asarray(a)[tuple(parts)]

    # ------------------------------------------------------------------------- names
    def printed(self) -> str:
        """A letter, a command or an upright word, with what stands below and above it."""
        name = self.take()
        if name in (r"\mathrm", r"\operatorname"):
            name += self.printed_group()
        if self.peek() == "_":
            name += self.take() + self.printed_group()
        if self.peek() == "^" and self.peek(2) == "(":  # a layer, not an exponent
            name += self.take() + self.printed_group()
        return name

    def named(self) -> Any:
        name = self.printed()
        if name == r"\mathrm{e}":
            return np.e
        if name in (r"\mathrm{true}", r"\mathrm{false}"):
            return name == r"\mathrm{true}"
        if name == r"\mathrm{nan}":
            return float("nan")
        return self.env[name]

    def printed_group(self) -> str:
        """A group in braces as it stands."""
        shown, depth = "", 0
        while True:
            token = self.take()
            shown += token
            depth += (token == "{") - (token == "}")
            if not depth:
                return shown
