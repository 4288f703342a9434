"""Lines that are too long, broken as black breaks them.

In: the text of a module in the emitter's own layout, which is black's but for its long lines.
Out: the same with lines of more than WIDTH characters broken. black itself takes longer than
a whole compilation, and nothing here loads it: its rules for the little Python that we emit
are below, under its own words.

A line is split at its last brackets (*right hand*: head, body, tail), or at those that would
be around the right side of an assignment if anybody had written them (*invisible* ones: they
become real where nothing better is found); a line that stands in brackets is split at its
loosest operators or commas. What comes out is split again, until it fits or cannot be split.

    >>> print(broken("a = f(" + ", ".join(f"argument_{i}" for i in range(9)) + ")"))
    a = f(
        argument_0,
        argument_1,
    …
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from .leaves import COMMA, DOT, Leaf, at_top, delimiters, read
from .pyast import WIDTH

WHOLE = ("#", '"""')
"""How lines begin that are left alone: comments, docstrings."""


class CannotSplit(Exception):
    """A way to split a line that does not serve."""


class Line:
    """Leaves at an indentation; `inside` brackets that stand on the lines around it."""

    __slots__ = ("depth", "explode", "indent", "inside", "leaves", "marks")

    def __init__(
        self, leaves: list[Leaf], indent: str, inside: bool, marked: bool
    ) -> None:
        self.leaves, self.indent, self.inside = leaves, indent, inside
        self.depth = len(indent)
        self.explode = False  # all its commas are to be line ends
        self.marks = delimiters(leaves) if marked else {}

    def text(self, hugging: bool = True) -> str:
        parts = [self.indent, self.leaves[0].text]
        for leaf in self.leaves[1:]:
            parts += ["" if hugging and leaf.hugged else leaf.prefix, leaf.text]
        return "".join(parts)

    def fits(self, width: int = WIDTH, hugging: bool = False) -> bool:
        return not self.leaves or len(self.text(hugging)) <= width


Split = tuple[Line, Line, Line, Leaf, Leaf]  # head, body, tail; the pair of brackets


def broken(text: str) -> str:
    """The module with its long lines broken."""
    lines = text.split("\n")
    if not any(len(line) > WIDTH and not _whole(line) for line in lines):
        return text
    out: list[str] = []
    starred = 'f"' in text  # commas may stand behind starred arguments, black infers
    quoted = False
    for k, line in enumerate(lines):
        if quoted or _whole(line):
            quoted ^= line.count('"""') == 1
            out.append(line)
            continue
        if len(line) <= WIDTH:
            out.append(line)
        else:
            out += laid_out(line, _within(lines, k), starred)
    return "\n".join(out)


def laid_out(text: str, inside: bool = False, starred: bool = False) -> list[str]:
    """One line in black's layout: itself where it fits or cannot be split."""
    if len(text) <= WIDTH:
        return [text]
    try:
        leaves = read(text.strip(), inside)
    except ValueError:
        return [text]
    indent = text[: len(text) - len(text.lstrip())]
    line = Line(leaves, indent, inside, True)
    return [t.text() for t in _Splitter(starred).transform(line)]


def _whole(line: str) -> bool:
    return line.lstrip().startswith(WHOLE)


def _within(lines: list[str], k: int) -> bool:
    """Does a line stand in brackets? The nearest line that is indented less opens them."""
    indent = _indent(lines[k])
    above = ""
    while k and not (above and _indent(above) < indent):
        k -= 1
        above = lines[k]
    return above.endswith(("(", "[", "{"))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# ------------------------------------------------------------------------------ splitting
class _Splitter:
    """The ways to split a line."""

    def __init__(self, starred: bool) -> None:
        self.starred = starred  # may a comma stand behind `*xs`?

    def transform(self, line: Line, forced: bool = False) -> list[Line]:
        """The lines that a line becomes. `forced`: its invisible brackets are taken."""
        if not line.explode and line.fits(hugging=True):
            return [line]
        ways: list[Callable[[Line, bool], list[Line]]] = [self.right_hand]
        if line.leaves[0].text == "def":
            ways = [self.left_hand]
        elif line.inside:
            ways = [self.delimited, self.right_hand]
        for way in ways:
            try:
                return self._run(line, way, forced)
            except CannotSplit:
                continue
        return [line]

    def _run(
        self, line: Line, way: Callable[[Line, bool], list[Line]], forced: bool
    ) -> list[Line]:
        before = line.text(hugging=False)
        optional = [
            leaf
            for leaf, within in zip(line.leaves, at_top(line.leaves), strict=True)
            if within is not None and leaf.kind in ("open", "close") and not leaf.text
        ]
        hidden = any(x.kind == "open" and not x.text for x in line.leaves)
        copy = _copied(line) if hidden else None
        result: list[Line] = []
        for made in way(line, forced):
            if made.text(hugging=False) == before:
                raise CannotSplit
            result += self.transform(made, forced)
        if (
            forced
            or way != self.right_hand
            or copy is None
            or any(leaf.text for leaf in optional)
            or result[0].fits()
        ):
            return result
        second = self._run(copy, way, True)
        return second if all(made.fits() for made in second) else result

    def left_hand(self, line: Line, forced: bool) -> list[Line]:
        """The head of a function, at its first brackets."""
        first = next(
            (k for k, leaf in enumerate(line.leaves) if leaf.text == "("), None
        )
        last = next(
            (
                k
                for k, leaf in enumerate(line.leaves)
                if first is not None and leaf.opening is line.leaves[first]
            ),
            None,
        )
        if first is None or last is None or last == first + 1:
            raise CannotSplit
        inner = line.leaves[first + 1 : last]
        if not any(leaf.text == "," for leaf in inner):
            inner = [*inner, Leaf(",", "sign")]
        head, tail = line.leaves[: first + 1], line.leaves[last:]
        return [*_parts(line, head, inner, tail, line.leaves[first])]

    def right_hand(self, line: Line, forced: bool) -> list[Line]:
        """At the last brackets that leave a first line that fits."""
        starts: dict[Leaf, int] = {}
        length = line.depth
        for leaf in line.leaves:
            starts[leaf] = length
            length += leaf.width
        first: list[Line] | None = None
        for omitted in _omitted(line):
            if omitted:
                closing = next(
                    (
                        x
                        for x in reversed(line.leaves)
                        if x.kind == "close" and x not in omitted
                    ),
                    None,
                )
                target = closing.opening if closing else None
                if target and target.text and starts.get(target, 0) > WIDTH:
                    continue
            lines = self._optional(_last_pair(line, omitted), line, omitted, forced)
            if first is None and not omitted:
                first = lines
            if lines[0].fits():
                return lines
        assert first is not None  # the first omission is of nothing
        return first

    def _optional(
        self, split: Split, line: Line, omitted: Collection[Leaf], forced: bool
    ) -> list[Line]:
        """Without the invisible brackets where that reads better, else with them."""
        head, body, tail, opening, closing = split
        if not forced and not opening.text and not closing.text and _needless(body):
            try:
                more = {closing, *omitted}
                without = _last_pair(line, more)
                if not _better(without, split):
                    raise CannotSplit
                return self._optional(without, line, more, forced)
            except CannotSplit:
                chained = sum(x.text == "=" for x in line.leaves) > 1
                if not chained and not _splits(body) and not body.fits():
                    raise
        if not opening.text:
            opening.text = "("
        if not closing.text:
            closing.text = ")"
        return [made for made in (head, body, tail) if made.leaves]

    def delimited(self, line: Line, forced: bool) -> list[Line]:
        """At every delimiter of the highest priority."""
        last = line.leaves[-1]
        marks = {k: v for k, v in line.marks.items() if k is not last}
        if not marks:
            raise CannotSplit
        priority = max(marks.values())
        if priority == DOT and sum(v == DOT for v in line.marks.values()) == 1:
            raise CannotSplit
        made: list[Line] = []
        current: list[Leaf] = []
        starred = any(x and x.unary and x.text[0] == "*" for x in at_top(line.leaves))
        for leaf in line.leaves:
            current.append(leaf)
            if line.marks.get(leaf) == priority:
                made.append(self._piece(current, line))
                current = []
        if current:
            if (
                priority == COMMA
                and current[-1].text != ","
                and (self.starred or not starred)
            ):
                current.append(Leaf(",", "sign"))
            made.append(self._piece(current, line))
        return made

    def _piece(self, leaves: list[Leaf], line: Line) -> Line:
        leaves[0].prefix = ""
        return Line(leaves, line.indent, True, True)


def _copied(line: Line) -> Line:
    """The same line of other leaves."""
    twins: dict[Leaf, Leaf] = {}
    for leaf in line.leaves:
        twin = twins[leaf] = Leaf(leaf.text, leaf.kind, leaf.prefix)
        twin.trailer, twin.unary, twin.hugged = leaf.trailer, leaf.unary, leaf.hugged
        if leaf.opening is not None:
            twin.opening = twins.get(leaf.opening)
    made = Line([*twins.values()], line.indent, line.inside, False)
    made.marks = {twins[k]: v for k, v in line.marks.items()}
    made.explode = line.explode
    return made


def _omitted(line: Line) -> Iterator[set[Leaf]]:
    """Closing brackets that are not to be split at: more and more of the last ones."""
    omitted: set[Leaf] = set()
    yield omitted
    length = line.depth
    opening: Leaf | None = None
    closing: Leaf | None = None
    inner: set[Leaf] = set()
    for k in range(len(line.leaves) - 1, -1, -1):
        leaf = line.leaves[k]
        length += leaf.width
        if length > WIDTH:
            return
        if opening is not None:
            if leaf is opening:
                opening = None
            elif leaf.kind == "close":
                inner.add(leaf)
        elif leaf.kind == "close":
            if k and line.leaves[k - 1].kind == "open":
                inner.add(leaf)
                continue
            if closing is not None:
                omitted = {*omitted, closing, *inner}
                inner = set()
                yield omitted
            if leaf.text:
                opening, closing = leaf.opening, leaf


def _last_pair(line: Line, omitted: Collection[Leaf]) -> Split:
    """The line split at its last pair of brackets but for empty and omitted ones."""
    leaves = line.leaves
    last = len(leaves)
    while True:
        last -= 1
        if last < 0:
            raise CannotSplit
        closing = leaves[last]
        if closing.kind != "close" or closing in omitted or closing.opening is None:
            continue
        opening = closing.opening
        if leaves[last - 1] is not opening:
            break
    first = next((k for k in range(last) if leaves[k] is opening), None)
    if first is None:
        raise CannotSplit
    parts = _parts(
        line, leaves[: first + 1], leaves[first + 1 : last], leaves[last:], opening
    )
    return (*parts, opening, closing)


def _parts(
    line: Line, head: list[Leaf], body: list[Leaf], tail: list[Leaf], opening: Leaf
) -> tuple[Line, Line, Line]:
    inner = Line(body, line.indent + "    ", True, True)
    last = inner.leaves[-1]
    marks = [v for k, v in inner.marks.items() if k is not last or last.text != ","]
    if marks and max(marks) == COMMA:
        inner.explode = last.text == "," or not (opening.trailer or _of_def(line))
    return (
        Line(head, line.indent, False, False),
        inner,
        Line(tail, line.indent, False, False),
    )


def _of_def(line: Line) -> bool:
    return line.leaves[0].text == "def"


def _needless(body: Line) -> bool:
    """Does what invisible brackets hold read as well without them?"""
    if not body.marks:
        return True
    priority = max(body.marks.values())
    if sum(v == priority for v in body.marks.values()) > 1:
        return False
    if priority == DOT:
        return True
    first, second = body.leaves[0], body.leaves[1]
    if first.kind == "open" and second.kind != "close" and _opens(body, first):
        return True
    last, before = body.leaves[-1], body.leaves[-2]
    index = last.text == "]" and (last.opening is None or last.opening.trailer)
    if last.kind == "close" and not index:
        return before.kind != "open" and _closes(body, last)
    return False


def _opens(line: Line, first: Leaf) -> bool:
    """Does what stands behind the first bracket's pair fit on a line?"""
    remainder, length = False, line.depth
    for leaf in line.leaves:
        if leaf.kind == "close" and leaf.opening is first:
            remainder = True
        if remainder:
            length += leaf.width
            if length > WIDTH:
                return False
            if leaf.kind == "open":
                remainder = False
    return True


def _closes(line: Line, last: Leaf) -> bool:
    """Does what stands before the last bracket's pair fit, or can it be split?"""
    seen, length = False, line.depth
    for leaf in line.leaves:
        length += leaf.width
        if leaf is last.opening:
            if seen or length <= WIDTH:
                return True
        elif leaf.kind == "open":
            seen = True
    return False


def _better(without: Split, split: Split) -> bool:
    """Is the split that has no invisible brackets preferred to the one that has them?"""
    head = split[0]
    if not (len(head.leaves) >= 2 and head.leaves[-2].text == "="):
        return True
    if not any(x.kind in ("open", "close") for x in head.leaves[:-1]):
        return True
    if not head.fits(WIDTH - 1):
        return True
    other = without[0]
    signs = sum(x.text == "=" for x in head.leaves)
    if signs > 1 and signs > sum(x.text == "=" for x in other.leaves):
        return False
    for leaf in reversed(other.leaves):
        if leaf.text == "=":
            break
        if leaf.kind == "close":
            return True
    return any(x.text == "=" for x in other.leaves) and other.fits()


def _splits(line: Line) -> bool:
    """Whether a line may be split at all."""
    leaves = line.leaves
    if len(leaves) < 2:
        return False
    if leaves[0].kind != "string" or leaves[1].text != ".":
        return True
    calls = dots = 0
    behind = leaves[-1]
    for leaf in leaves[-2::-1]:
        if leaf.kind == "open":
            if behind.kind != "close":
                return False
            calls += 1
        elif leaf.text == ".":
            dots += 1
        elif leaf.kind == "name":
            if not (behind.text == "." or behind.kind == "open"):
                return False
        elif leaf.kind != "close":
            return False
        if dots > 1 and calls > 1:
            return False
    return True
