"""The tokens of a line of Python, and where a line of them may end, as black sees it.

In: one statement of the little Python that we emit, or an entry of a listing. Out: its
leaves, with the brackets that black thinks of around the right side of an assignment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

TOKEN = re.compile(
    r"""( *)(?:(?P<string>f?"(?:[^"\\]|\\.)*")|(?P<number>\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<name>[^\W\d]\w*)|(?P<open>[(\[{])|(?P<close>[)\]}])"""
    r"""|(?P<sign>\*\*=?|//=?|<=|>=|==|!=|\.\.\.|[-+*/@%&|^]=?|[<>=~:,.]))"""
)
WORDS = frozenset("return in not and or if else for is lambda".split())
PARENTHESISED = frozenset("return in if elif while".split())
"""The words behind which black thinks of a pair of brackets, as behind `=`, `+=` …"""

COMMA, TERNARY, LOGIC, COMPARISON, DOT = 18, 16, 14, 10, 1
ARITHMETIC = {
    "|": 9, "^": 8, "&": 7, "+": 5, "-": 5, "*": 4, "/": 4, "//": 4, "%": 4, "@": 4, "**": 2,
}  # fmt: skip
COMPARED = frozenset("< > <= >= == !=".split())
ASSIGNED = frozenset("= += -= *= /= @= **= //= %= &= |= ^=".split())


class Leaf:
    """A token and the blanks before it. An invisible bracket has no text."""

    __slots__ = ("hugged", "kind", "opening", "prefix", "text", "trailer", "unary")

    def __init__(self, text: str, kind: str, prefix: str = "") -> None:
        self.text, self.kind, self.prefix = text, kind, prefix
        self.opening: Leaf | None = None  # of a closing bracket, the other one
        self.trailer = False  # an opening bracket of a call or an index
        self.unary = False  # a sign of one operand; a `*` before an argument
        self.hugged = False  # no blank in the text around `**`

    @property
    def width(self) -> int:
        return len(self.prefix) + len(self.text)


def read(text: str, inside: bool) -> list[Leaf]:
    """The leaves of a line, with the invisible brackets of a statement."""
    leaves: list[Leaf] = []
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError(text)
        at = found.end()
        kind = found.lastgroup or ""
        leaves.append(Leaf(found[kind], kind, found[1]))
    stack: list[Leaf] = []
    for k, leaf in enumerate(leaves):
        before = leaves[k - 1] if k else None
        value = before is not None and (
            before.kind in ("close", "number", "string")
            or (before.kind == "name" and before.text not in WORDS)
            or before.text == "..."
        )
        if leaf.kind == "open":
            leaf.trailer = value
            stack.append(leaf)
        elif leaf.kind == "close" and stack:
            leaf.opening = stack.pop()
        elif leaf.text in ("-", "+", "~", "*", "**") and not value:
            leaf.unary = True
        if leaf.text == "**" and not leaf.unary and not leaf.prefix:
            leaf.hugged = leaves[k + 1].hugged = True
            leaf.prefix = leaves[k + 1].prefix = " "
    return leaves if inside else _wrapped(leaves)


def _wrapped(leaves: list[Leaf]) -> list[Leaf]:
    """With invisible brackets where black has them."""
    out: list[Leaf] = []
    depth = 0
    ends = len(leaves)
    if leaves and leaves[-1].text == ":":  # of a block
        ends -= 1
    signs = [
        k for k, leaf in enumerate(at_top(leaves)) if leaf and leaf.text in ASSIGNED
    ]
    starts: dict[int, int] = {}  # the first leaf within -> the leaf behind
    if signs:
        first = signs[0]
        if any(leaf and leaf.text == "," for leaf in at_top(leaves)[:first]):
            starts[0] = first
        for k, sign in enumerate(signs):
            starts[sign + 1] = signs[k + 1] if k + 1 < len(signs) else ends
    elif leaves and leaves[0].text == "for":
        at = next((k for k, leaf in enumerate(leaves) if leaf.text == "in"), 0)
        if at:
            starts[1], starts[at + 1] = at, ends
    elif leaves and leaves[0].text in PARENTHESISED:
        starts[1] = ends
    stops: dict[int, list[Leaf]] = {}
    for k, leaf in enumerate(leaves):
        for opening in stops.pop(k, []):
            out.append(_closing(opening))
            depth -= 1
        if k in starts and not _atom(leaves[k : starts[k]]):
            opening = Leaf("", "open", leaf.prefix)
            leaf.prefix = ""
            out.append(opening)
            stops.setdefault(starts[k], []).append(opening)
            depth += 1
        out.append(leaf)
    for rest in stops.values():
        out += [_closing(opening) for opening in rest]
    return out


def _closing(opening: Leaf) -> Leaf:
    made = Leaf("", "close")
    made.opening = opening
    return made


def at_top(leaves: Sequence[Leaf]) -> list[Leaf | None]:
    """The leaves outside of all brackets; None in place of the others."""
    found: list[Leaf | None] = []
    depth = 0
    for leaf in leaves:
        depth -= leaf.kind == "close"
        found.append(leaf if depth == 0 else None)
        depth += leaf.kind == "open"
    return found


def _atom(leaves: Sequence[Leaf]) -> bool:
    """Are they one pair of round brackets already, around a tuple?"""
    return leaves[0].text == "(" and leaves[-1].opening is leaves[0]


def delimiters(leaves: Sequence[Leaf]) -> dict[Leaf, int]:
    """Where a line may end, outside of brackets: behind these leaves, at a priority."""
    found: dict[Leaf, int] = {}
    depth = 0
    loops: list[int] = []
    previous: Leaf | None = None
    open_: list[Leaf] = []
    for leaf in leaves:
        if leaf.kind == "close" and depth == 0 and not open_:
            continue
        if loops and loops[-1] == depth and leaf.text == "in":
            depth -= 1
            loops.pop()
        if leaf.kind == "close":
            depth -= 1
            if open_:
                open_.pop()
        if depth == 0:
            priority = _before(leaf, previous)
            if priority and previous is not None:
                found[previous] = priority
            elif leaf.text == ",":
                found[leaf] = COMMA
        if leaf.kind == "open":
            open_.append(leaf)
            depth += 1
        previous = leaf
        if leaf.text == "for" and leaf.kind == "name":
            depth += 1
            loops.append(depth)
    return found


def _before(leaf: Leaf, previous: Leaf | None) -> int:
    """How good it is to begin a line with a leaf."""
    if leaf.unary:
        return 0
    if leaf.text == ".":
        return DOT if previous is None or previous.kind == "close" else 0
    if leaf.text in ARITHMETIC:
        return ARITHMETIC[leaf.text]
    if leaf.text in COMPARED or leaf.text == "is":
        return COMPARISON
    if leaf.text in ("if", "else") and previous is not None:
        return TERNARY
    return LOGIC if leaf.text in ("and", "or") else 0
