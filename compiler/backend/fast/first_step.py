"""The first step of a loop, apart from the others.

In: a loop whose steps are written. Out: the line of the first step that stands before the loop,
which then goes over the others; or nothing, and the loop is as it was.

Where all carries start as zeros, the first step has no products with them, and often no more
than a line is left of it. It then stands before the loop. A product at the end of a step that
only the next step reads begins that one instead, and the last step has none:

    np.multiply(d_h_first, slope_first, out=d_first)
    for d_before, d_h_t, slope_t, d in zip(…):
        np.dot(d_before, Wh_turned, out=d_carry)
        np.add(d_h_t, d_carry, out=d_carry)
        np.multiply(d_carry, slope_t, out=d)
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ...ir.dims import ONE
from .values import TOKEN, Instruction, Root

if TYPE_CHECKING:
    from .loops import Entry, Loop

CALL = re.compile(r"np\.(\w+)\((.*), out=(v⟦,\d+⟧)\)")
"""A call of one line, its arguments and its result."""


def apart(loop: Loop) -> list[str]:
    """The line of the first step that is to stand before the loop; the loop is changed so
    that it goes over the other steps. Nothing, where more is left of it than a line."""
    entries = {e.root: e for e in loop.entries if e.root is not None}
    plain = len(loop.zeros) == len(loop.carried) and loop.counter is None
    plain &= not any(p.op.name == "total" for p in loop.body.projections)
    if not plain or loop.ends or any(not root.shape for root in entries):
        return []
    tail = _tail(loop, entries)
    instructions = loop.step.instructions
    line = _without_zeros(loop, instructions[:-1] if tail else instructions, tail)
    read = loop.table.read_in(line)
    firsts: dict[Root, str] = {}
    part = "[-1:]" if loop.reverse else "[:1]"
    for v in read:
        e = entries.get(v.root)
        if e is None or e.array is None:
            continue
        if v.how or len(v.shape) != len(read[-1].shape):
            return []
        shape = (ONE, *v.shape)
        firsts[v.root] = loop.table.view(e.array, f"{{}}{part}", shape).token
    if not firsts:
        return []
    for e in entries.values():
        assert e.array is not None and e.root is not None
        e.over = loop.over(e.array, e.root.shape, "[1:]")
    if tail is not None:
        _begin_with(loop, tail, entries)
    return [_renamed(loop, line, firsts)]


def _tail(loop: Loop, entries: dict[Root, Entry]) -> Instruction | None:
    """The product at the end of a step, if it makes a carry that the next step alone reads,
    out of what this step has collected."""
    last = loop.step.instructions[-1] if loop.step.instructions else None
    if last is None or last.out is None or len(last.lines) != 1:
        return None
    made = [k for k, v in loop.carried.items() if v.root is last.out.root]
    read_after = {
        p.attrs["index"] for p in loop.body.projections if p.op.name == "last"
    }
    call = CALL.fullmatch(last.lines[0])
    if not made or read_after & set(made) or call is None or call[1] != "dot":
        return None
    temporary = [
        v
        for v in loop.table.read_in(call[2])
        if v.root not in entries and v.root.function == "step"
    ]
    return None if temporary or last.out.how or last.scratch else last


def _without_zeros(
    loop: Loop, instructions: list[Instruction], tail: Instruction | None
) -> str:
    """A step whose carries are zeros, less products and sums with them: the one line by
    which it computes, place by place, what it collects. Empty where that takes more, or
    no product is left out by it."""
    zeros = {v.root for v in loop.carried.values()}
    same: dict[Root, str] = {}  # a value that is another one, as yet
    lines: list[str] = []
    products = int(tail is not None)
    for i in instructions:
        call = CALL.fullmatch(i.lines[0]) if len(i.lines) == 1 else None
        if call is None or i.out is None or i.out.how or i.body or i.scratch:
            return ""
        name, arguments, _ = call.groups()
        args = [_renamed(loop, a, same) for a in arguments.split(", ")]
        if len(args) > 2:
            return ""
        zero = [any(v.root in zeros for v in loop.table.read_in(a)) for a in args]
        root = i.out.root
        zeros.discard(root)
        same.pop(root, None)
        elementwise = i.node is not None and i.node.op.family == "elementwise"
        if name in ("dot", "multiply") and any(zero):
            zeros.add(root)
            products += name == "dot"
        elif name == "add" and any(zero) and not all(zero):
            same[root] = args[zero.index(False)]
        elif any(zero) or not elementwise or not root.entry or i.base is not None:
            return ""
        else:
            lines.append(f"np.{name}({', '.join(args)}, out={i.out.token})")
    collected = [root for _, root in loop.collected]
    collected += [v.root for v in loop.step.destination.values() if v.root.entry]
    whole = not any(root in zeros or root in same for root in collected)
    return lines[0] if whole and products and len(lines) == 1 else ""


def _begin_with(loop: Loop, tail: Instruction, entries: dict[Root, Entry]) -> None:
    """Let a step begin with what ended the one before."""
    instructions = loop.step.instructions
    before: dict[Root, str] = {}
    for v in loop.table.read_in(tail.lines[0]):
        e = entries.get(v.root)
        if e is None or e.array is None or v.root in before:
            continue
        name = loop.variable(f"{e.name.partition('⟦')[0]}_before")
        root = replace(v.root, local=name)
        over = loop.over(e.array, v.root.shape, "[:-1]")
        loop.entries.insert(0, replace(e, name=name, over=over, root=root))
        before[v.root] = loop.table.value(root, v.root.shape, v.root.kind).token
    tail.lines = [_renamed(loop, tail.lines[0], before)]
    instructions.remove(tail)
    instructions.insert(0, tail)
    assert tail.out is not None
    carry = tail.out.root
    (k,) = (k for k, v in loop.carried.items() if v.root is carry)
    loop.outer.instructions.remove(loop.zeros[k])
    loop.touched = [v for v in loop.touched if v.root is not carry]  # a step's own


def _renamed(loop: Loop, text: str, names: dict[Root, str]) -> str:
    """The text with other tokens for some values."""

    def other(found: re.Match[str]) -> str:
        v = loop.table.values[int(found[1])]
        return names.get(v.root, found[0]) if not v.how else found[0]

    return TOKEN.sub(other, text)
