"""Copies of a `repeat` inside of one block: statements that come again with other values.

A `repeat` in a `fn` or `layer` is part of the equation that calls it, and so are its copies:
one after another in `forward`, and once more for each derivative that is taken of them. In:
the statements of a block. Out: the same, each stretch of alike copies as one `Run`.

    z = h @ W⟦0⟧;  y = tanh(z);  z_2 = y @ W⟦1⟧;  y_2 = tanh(z_2);  …      a run of copies 0, 1, …

Copies are told from lines that look alike by accident by where their nodes come from: from a
copy to the next the number of the copy (`Origin.copy`) is one more, or one less. What their
values are called is a matter of `families.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradc.records import record

from .rolled import TOKEN, reads
from .statements import Statement

LEAST = 3  # copies: two are as long as a loop
NEXT = 4  # lines of the same form in which a copy may begin again

Key = tuple[str, bool]


@record(frozen=False, eq=False)
class Run:
    """Alike copies, in the order in which they are computed."""

    copies: list[int]  # their numbers: one more, or one less, each time
    segments: list[list[Statement]]  # the statements of each

    @property
    def step(self) -> int:
        return self.copies[1] - self.copies[0]


Item = Statement | Run


def runs_of(
    statements: Sequence[Statement], outer: int, cells: Collection[str]
) -> list[Item]:
    """The statements with runs in them; in another order where that is shorter.

    `outer`: how many repeats are around the block itself; `cells`: all names of values.
    """
    if not any(_numbers(s, outer) for s in statements):
        return list(statements)
    if any(_inside_of_a_loop(s) for s in statements):
        return list(statements)
    written = _Alike(statements, outer, cells).items()
    needed = _Alike(_as_needed(statements, cells), outer, cells).items()
    return min(written, needed, key=_length)


def statements_of(item: Item) -> list[Statement]:
    """All statements of an item, in order."""
    if isinstance(item, Statement):
        return [item]
    return [s for segment in item.segments for s in segment]


def _length(items: Sequence[Item]) -> int:
    """In lines: a loop has a head, and a line for the leaves of the copy."""
    return sum(1 if isinstance(x, Statement) else 2 + len(x.segments[0]) for x in items)


def _numbers(s: Statement, outer: int) -> tuple[int, ...]:
    """The copy that a statement belongs to, of repeats inside of the block; else none."""
    copy = s.node.origin.copy if s.node is not None else ()
    return copy if len(copy) > outer else ()


def _inside_of_a_loop(s: Statement) -> bool:
    """Is it a line of a run-time loop?"""
    return s.node is None or s.text.startswith((" ", "for "))


def _as_needed(
    statements: Sequence[Statement], cells: Collection[str]
) -> list[Statement]:
    """Each statement just before the first that needs it: so a copy's stand together."""
    needs: list[list[int]] = []
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    for k, s in enumerate(statements):
        found = [t for t in TOKEN.findall(reads(s)) if t in cells]
        before = [writer[t] for t in found if t in writer]
        # what it changes in place was made, and read for the last time, before
        before += [writer[s.target]] if s.target in writer else []
        before += [r for r in readers.get(s.target, ()) if r != k]
        needs.append(list(dict.fromkeys(before)))
        for t in found:
            readers.setdefault(t, []).append(k)
        writer[s.target], readers[s.target] = k, []
    inner = {r for row in needs for r in row}
    order: list[Statement] = []
    done: set[int] = set()
    for start in range(len(statements)):
        stack = [(start, False)] if start not in inner else []
        while stack:
            k, finished = stack.pop()
            if finished:
                order.append(statements[k])
            elif k not in done:
                done.add(k)
                stack.append((k, True))
                stack += [(r, False) for r in reversed(needs[k]) if r not in done]
    return order


class _Alike:
    """The search for runs in one order of a block's statements."""

    def __init__(
        self, order: Sequence[Statement], outer: int, cells: Collection[str]
    ) -> None:
        self.order = order
        self.copies = [_numbers(s, outer) for s in order]
        self.keys: list[Key] = [
            (TOKEN.sub(lambda m: "⟦⟧" if m[0] in cells else m[0], s.text), s.update)
            for s in order
        ]
        self.places: dict[Key, list[int]] = {}
        self.rank: list[int] = []  # of a statement among those of its key
        for k, key in enumerate(self.keys):
            places = self.places.setdefault(key, [])
            self.rank.append(len(places))
            places.append(k)
        self.ends: dict[tuple[int, int], int] = {}  # period, step -> where it ends

    def items(self) -> list[Item]:
        out: list[Item] = []
        k = 0
        while k < len(self.order):
            found = self._at(k)
            if found is None:
                out.append(self.order[k])
                k += 1
                continue
            start, period, times = found
            out += self.order[k:start]
            firsts = [start + n * period for n in range(times)]
            segments = [[*self.order[at : at + period]] for at in firsts]
            out.append(Run(self._copy_numbers(firsts, period), segments))
            k = start + times * period
        return out

    def _at(self, k: int) -> tuple[int, int, int] | None:
        """The best run that begins at `k` or in the copy there: start, period, copies."""
        best: tuple[tuple[int, int, int], int, int, int] | None = None
        following = self.places[self.keys[k]][self.rank[k] + 1 :][:NEXT]
        for period in (at - k for at in following):
            step = self._step(k, period)
            if step not in (1, -1):
                continue
            length = self._end(k, period, step) - k + period
            for turn in range(min(period, length - LEAST * period + 1)):
                times = (length - turn) // period
                numbers = self._numbers(k + turn, period)
                alike = max(map(numbers.count, numbers))  # most of them are of one copy
                score = (times * period + alike, -period, -turn)
                if best is None or score > best[0]:
                    best = score, k + turn, period, times
        return best[1:] if best else None

    def _step(self, k: int, period: int) -> int:
        """From a copy to the next one: the difference of their numbers; 0 for no copies."""
        here, there = self.copies[k], self.copies[k + period]
        if not here or not there or here[:-1] != there[:-1]:
            return 0
        return there[-1] - here[-1]

    def _end(self, k: int, period: int, step: int) -> int:
        """Up to where each statement is like that a period later."""
        end = self.ends.get((period, step), k)
        if end > k:
            return end
        end = k
        while (
            end + period < len(self.order)
            and self.keys[end] == self.keys[end + period]
            and self._step(end, period) == step
        ):
            end += 1
        self.ends[period, step] = end
        return end

    def _numbers(self, start: int, period: int) -> list[int]:
        return [c[-1] for c in self.copies[start : start + period]]

    def _copy_numbers(self, firsts: Sequence[int], period: int) -> list[int]:
        """The number of each copy: that of most of its statements."""
        inside = self._numbers(firsts[0], period)
        low = max(sorted(set(inside)), key=inside.count)
        step = self._step(firsts[0], period)
        return [low + step * n for n in range(len(firsts))]
