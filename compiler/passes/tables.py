"""Work on the rows that a program takes from a small table, done on the table instead.

    E[text] + b  ->  (E + b)[text]            E[text] @ W  ->  (E @ W)[text]

A vocabulary of 65 is gathered 1024 times in a step: the sum and the product are taken of 65
rows. Their adjoints follow by themselves: what was gathered is added up by place once, and
the gradients of b, W and E are made of the table's rows.

It pays where the table has fewer rows than are taken of it. Sizes that only the data tell are
taken to be the batch of `train`, and `UNKNOWN` otherwise. Only what stays finite where its
operands are is moved: rows that nobody takes are computed as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ..ir.dims import Dim
from ..ir.node import Node
from ..ir.program import Program
from ..ops.contraction import letters
from .patterns import Rewriter, Rule, rule

UNKNOWN = 32
"""What a size counts as that neither the program nor its batch tells."""
DEEP = 16
"""A row's length from which on its product costs more than gathering another row."""
FINITE = ("add", "sub", "mul", "neg")


def batch_of(program: Program) -> dict[str, int]:
    """The sizes that `train` gives a batch."""
    given: dict[str | None, int] = dict(program.train.get("batch") or [])
    known = {name: rows for name, rows in given.items() if name is not None}
    total = program.training.total
    if None in given and total is not None and total.row_dim is not None:
        known.setdefault(total.row_dim, given[None])
    return known


def estimated(dim: Dim, known: Mapping[str, int]) -> float:
    """A size in numbers, as far as they are known."""
    return sum(
        float(factor) * prod(known.get(symbol, UNKNOWN) for symbol in symbols)
        for symbols, factor in dim.value.terms
    )


def gathered(rw: Rewriter, table: Node, index: Node) -> Node:
    """The rows of a table that was computed."""
    made = rw.make("take", table, index, axis=0)
    rw.graph.hint(table, "table")
    rw.graph.hint(made, "gathered")
    return made


def rules(known: Mapping[str, int]) -> tuple[Rule, ...]:
    """The rules where sizes by name are `known`: the batch."""

    def pays(n: Node) -> bool:
        """Does it take rows of a table, and at least twice as many as that has?"""
        if not (n.is_a("take") and n.attrs["axis"] == 0 and n.args[1].shape):
            return False
        table, index = n.args
        taken = prod(estimated(d, known) for d in index.shape)
        return n.kind == "real" and 2 * estimated(table.shape[0], known) <= taken

    @rule("transpose", safety="=")
    def turned_index(rw: Rewriter, n: Node) -> Node | None:
        """`E[i]` with the axes of i turned -> `E[i turned]`: whole numbers move, not rows."""
        x, perm = n.args[0], n.attrs["perm"]
        if not (x.is_a("take") and x.attrs["axis"] == 0 and rw.free(x)):
            return None
        table, index = x.args
        rank = len(index.shape)
        if perm[rank:] != tuple(range(rank, len(perm))):
            return None
        turned = rw.make("transpose", index, perm=perm[:rank])
        return rw.make("take", table, turned, axis=0)

    @rule(*FINITE, safety="=")
    def elementwise_on_table(rw: Rewriter, n: Node) -> Node | None:
        """`E[i] + b` -> `(E + b)[i]`, where b is alike for all that is taken."""
        taken = [a for a in n.args if pays(a)]
        if not taken or not all(rw.free(a) for a in taken):
            return None
        table, index = taken[0].args
        row = len(table.shape) - 1
        made = []
        for a in n.args:
            if pays(a):
                if a.args[1] is not index or a.args[0].shape != table.shape:
                    return None
                made.append(a.args[0])
                continue
            if not (a.is_a("broadcast") and len(a.args[0].shape) <= row):
                return None
            made.append(rw.broadcast(a.args[0], table.shape))
        return gathered(rw, rw.make(n.op.name, *made, **n.attrs), index)

    @rule("einsum2", safety="~")
    def product_on_table(rw: Rewriter, n: Node) -> Node | None:
        """`E[i] @ W` -> `(E @ W)[i]`."""
        sa, sb, so = letters(n.attrs["spec"])
        for k, (own, other) in enumerate(((sa, sb), (sb, sa))):
            x = n.args[k]
            if not pays(x):
                continue
            table, index = x.args
            rank = len(index.shape)
            places, row = own[:rank], own[rank:]
            depth = [d for c, d in zip(row, x.shape[rank:], strict=True) if c not in so]
            if prod(estimated(d, known) for d in depth) < DEEP:
                continue
            if set(places) & set(other) or set(so[:rank]) != set(places):
                continue
            letter = places[0]
            specs = [letter + row, other] if k == 0 else [other, letter + row]
            spec = f"{','.join(specs)}->{letter}{so[rank:]}"
            args = [table, n.args[1]] if k == 0 else [n.args[0], table]
            turned = tuple(places.index(c) for c in so[:rank])
            if turned != tuple(range(rank)):
                index = rw.make("transpose", index, perm=turned)
            return gathered(rw, rw.make("einsum2", *args, spec=spec), index)
        return None

    return (turned_index, elementwise_on_table, product_on_table)
