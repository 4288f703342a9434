"""The lines of a loop over the copies of a `repeat`.

# repeat 6: h = h + dense(norm(h), 64)                                     gpt.net:20
layers = []
for i in range(6):
    W, b = params[f"h[{i}].dense.W"], params[f"h[{i}].dense.b"]
    …
    layers.append((y, W))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.program import Equation
from .comments import Commentary
from .names import base_of
from .pyast import WIDTH, listing, remarked, unpacking
from .rolled import RESULTS, TOKEN, Loop, Unit, counting, pattern
from .sources import Source
from .statements import Statement

PAD = " " * 8


def loop_lines(
    loop: Loop,
    name: str,
    equations: Sequence[Equation],
    comments: Commentary,
    params: Mapping[str, Source],
    spelling: Mapping[str, str],
) -> list[str]:
    """The lines of one loop of the function `name`."""
    unit = loop.units[0]
    backward = name == "backward"

    def spell(text: str) -> str:
        return TOKEN.sub(lambda m: loop.spelt(unit, m[0], spelling), text)

    def below(e: Equation, indent: int) -> list[str]:
        return comments.below(name, e.index, indent, spell)

    single = len(unit.blocks) == 1
    e = equations[unit.blocks[0].equation]
    begin = [f"    {text}" for text in loop.head]
    if loop.list_name and not backward:
        begin.append(f"    {loop.list_name} = []")
    lines = [] if loop.common else begin
    if single:
        lines += [comments.equation(e, 4, f"{e.repeat}: "), *below(e, 4)]
    else:
        lines.append(f"    # {e.repeat}")
    if loop.common:
        lines += [remarked(f"    {spell(s.text)}", s.comment) for s in loop.common]
        lines += begin
    lines.append(f"    for i in {counting(loop.low, loop.high, backward)}:")
    entering = _taken(loop) if backward else _entering(loop, params)
    lines += entering
    body = len(lines)
    store, alike = _Store(loop, RESULTS.get(name, "")), _one_shape(loop)
    k = 0
    for block in unit.blocks:
        if not single:
            e = equations[block.equation]
            lines += [""] if entering or len(lines) > body else []
            lines += [comments.equation(e, 8), *below(e, 8)]
        for s in block.statements:
            if k == loop.append_at and not backward:
                lines += _appended(loop)
            lines += store.lines(s, spell(s.text), alike[k])
            k += 1
    if k == loop.append_at and not backward:
        lines += _appended(loop)
    return lines + store.rest() + [f"    {text}" for text in loop.tail]


def _taken(loop: Loop) -> list[str]:
    """`h, y, W = layers[i]`"""
    if not loop.saves:
        return []
    at = "i" if loop.low == 0 else f"i - {loop.low}"
    left = [loop.variable(b, d) for b, d in loop.saves]
    one = f"{PAD}{', '.join(left)} = {loop.list_name}[{at}]"
    if len(one) <= WIDTH:
        return [one]
    return listing("(", left, f") = {loop.list_name}[{at}]", 8)


def _entering(loop: Loop, params: Mapping[str, Source]) -> list[str]:
    """`W, b = params[f"h[{i}].W"], params[f"h[{i}].b"]`, and what the copy before left."""
    unit = loop.units[0]
    rows = []
    for value in unit.own(params):
        source = params[value]
        path = pattern(source.path, unit.index)
        rows.append((base_of(value), f'{source.table}[f"{path}"]'))
    old = [f"{PAD}{old} = {base}" for base, old in loop.before.items()]
    return unpacking(rows, 8) + old


def _appended(loop: Loop) -> list[str]:
    """`layers.append((h, y, W))`"""
    names = [loop.variable(b, d) for b, d in loop.saves]
    if not names:
        return []
    if len(names) == 1:
        return [f"{PAD}{loop.list_name}.append({names[0]})"]
    one = f"{PAD}{loop.list_name}.append(({', '.join(names)}))"
    if len(one) <= WIDTH:
        return [one]
    inside = listing("(", names, ")", 12)
    return [f"{PAD}{loop.list_name}.append(", *inside, f"{PAD})"]


class _Store:
    """Puts a copy's results into their dict: where they are made, or at the end."""

    def __init__(self, loop: Loop, table: str) -> None:
        self.unit, self.table = loop.units[0], table
        self.left = dict(loop.stored)

    def lines(self, s: Statement, text: str, shape: bool) -> list[str]:
        """A statement, as it stands or as `gradients[f"h[{i}].W"] = …`."""
        base = base_of(s.target)
        line, key = PAD + text, self.left.get(base)
        if key is None or not _alone(self.unit, s):
            return [remarked(line, s.comment) if shape else line]
        del self.left[base]
        entry = f'{PAD}{self.table}[f"{key}"]'
        if text.startswith(f"{base} = ") and len(entry + text) - len(base) <= WIDTH:
            line = entry + text[len(base) :]
            return [remarked(line, s.comment) if shape else line]
        return [remarked(line, s.comment) if shape else line, f"{entry} = {base}"]

    def rest(self) -> list[str]:
        """The results that have not been put there yet."""
        return [f'{PAD}{self.table}[f"{k}"] = {base}' for base, k in self.left.items()]


def _alone(unit: Unit, s: Statement) -> bool:
    """Is the target of `s` written once in the copy, and read nowhere in it?"""
    for t in unit.statements:
        if t is not s and (t.target == s.target or s.target in TOKEN.findall(t.text)):
            return False
    return True


def _one_shape(loop: Loop) -> list[bool]:
    """Has what a statement makes the same shape in all copies?"""
    shapes: list[set[str]] = [set() for _ in loop.units[0].statements]
    for unit in loop.units:
        for found, s in zip(shapes, unit.statements, strict=True):
            found |= {s.comment} if s.comment else set()
    return [len(found) <= 1 for found in shapes]
