"""The lines of a block with runs: a loop for each, and where its values stand.

product, z = {}, {}
for i in reversed(range(8)):
    W = params[f"u.h[{i}].dense.W"]
    product[i] = z[i + 1] * (1 - h[i + 1] ** 2)  # (P, 20)
    z[i] = product[i] @ W.T
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .families import Cell, Families, Family, Hole, Part, is_leaf
from .names import base_of
from .pyast import WIDTH, remarked, unpacking
from .rolled import RESULTS, TOKEN, counted, counting, pattern
from .runs import Item, Run, statements_of

LEAST_MARGIN = 8  # of a rule: its indentation, and what stands before it
SIDES = re.compile(r"(?<==) ")
POWER = re.compile(
    r"(?<=\])\*\*(?=\S)|(?<=\S)\*\*(?=\w+\[)"
)  # black: around a name alone


class RunLines:
    """The lines of one function."""

    def __init__(self, families: Families, part: Part) -> None:
        self.families, self.part = families, part
        self.paths = {cell: path for path, cell in part.results}
        self.table = RESULTS.get(part.name, "")
        self.dicts: set[Family] = set()  # that are there already
        self.copy_of = _copies([*part.items])

    # ------------------------------------------------------------------ spelling
    def spelt(self, cell: str) -> str:
        """What a value is called outside of loops."""
        place = self.families.place(cell)
        if place.key is None:
            return place.name
        if isinstance(place.key, int):
            return f"{place.name}[{place.key}]"
        return f'{self.table}["{self.paths[cell]}"]'

    def _inside(self, run: Run, hole: Hole) -> str:
        """What the value of a hole is called in a run's loop."""
        if len(set(hole.cells)) == 1:
            return self.spelt(hole.cells[0])
        family, first = hole.family, run.copies[0]
        if family is None:
            return self.families.leaf_names[hole.cells]
        if family.kind == "dict":
            return f"{family.name}[{counted(hole.shift + family.offset)}]"
        if family.kind == "result":
            return f'{self.table}[f"{pattern(self.paths[hole.cells[0]], first)}"]'
        return family.name

    def rules(self, items: Sequence[Item]) -> Callable[[str], str]:
        """Spells the chain rule of a block: of all copies once, `d_z[i] = …`."""
        said: set[str] = set()
        copy_of = {**self.copy_of, **_copies(items)}

        def spell(rule: str) -> str:
            left = TOKEN.match(rule)
            run, n = copy_of.get(left[0] if left else "", (None, 0))
            text = TOKEN.sub(lambda m: self._in_rule(m[0], run, n), rule)
            if len(text) > WIDTH - LEAST_MARGIN:
                text = f"{SIDES.split(text, maxsplit=1)[0]} …"
            if text in said:
                return ""
            said.add(text)
            return text

        return spell

    def _in_rule(self, cell: str, run: Run | None, n: int) -> str:
        families = self.families
        if cell not in families.cells:
            return cell
        family, at = families.of.get(cell, (None, 0))
        if run is not None:
            for other, number, given in families.entering(run):
                family, at = (other, number) if given == cell else (family, at)
        if family is None:
            marked = cell in families.sources and run is not None
            return base_of(cell) if marked else families.place(cell).name
        if family.kind != "dict":
            return family.name
        number = at + family.offset
        return f"{family.name}[{number if run is None else counted(number - n)}]"

    # ------------------------------------------------------------------ lines
    def begun(self, items: Sequence[Item]) -> list[str]:
        """`h, z = {}, {}`: the dicts that a block is the first to put something into."""
        made = [s.target for item in items for s in statements_of(item)]
        places = [self.families.of.get(cell, (None, 0))[0] for cell in made]
        found = [f for f in dict.fromkeys(places) if f is not None and f.kind == "dict"]
        names = [f.name for f in found if f not in self.dicts]
        self.dicts.update(found)
        return unpacking([(name, "{}") for name in names], 4)

    def lines(self, item: Item) -> list[str]:
        """The lines of a statement or a run, at the indentation of the function."""
        if isinstance(item, Run):
            return self._loop(item)
        text = TOKEN.sub(self._named, item.text)
        return [remarked(f"    {POWER.sub(' ** ', text)}", item.comment)]

    def _named(self, found: re.Match[str]) -> str:
        known = found[0] in self.families.cells
        return self.spelt(found[0]) if known else found[0]

    def _loop(self, run: Run) -> list[str]:
        families = self.families
        lines = []
        for family, at, cell in families.entering(run):
            index = "" if family.kind == "variable" else f"[{at + family.offset}]"
            lines.append(f"    {family.name}{index} = {self.spelt(cell)}")
        span = counting(min(run.copies), max(run.copies), run.step < 0)
        lines.append(f"    for i in {span}:")
        lines += unpacking(self._leaves(run), 8)
        for k, (s, holes) in enumerate(
            zip(run.segments[0], families.holes[run], strict=True)
        ):
            text = self._filled(s.text, [self._inside(run, hole) for hole in holes])
            shapes = {segment[k].comment for segment in run.segments} - {""}
            shape = shapes.pop() if len(shapes) == 1 else ""
            lines.append(remarked(f"        {POWER.sub(' ** ', text)}", shape))
        return lines

    def _filled(self, text: str, names: Sequence[str]) -> str:
        """A line with these names in its holes, in order."""
        left = iter(names)
        cells = self.families.cells
        return TOKEN.sub(lambda m: next(left) if m[0] in cells else m[0], text)

    def _leaves(self, run: Run) -> list[tuple[str, str]]:
        """`W` and `params[f"u.h[{i}].dense.W"]`: the leaves of each copy."""
        families, at = self.families, run.copies[0]
        holes = [h for line in families.holes[run] for h in line if is_leaf(h)]
        first = {
            families.leaf_names[h.cells]: families.sources[h.cells[0]] for h in holes
        }
        rows = sorted(first.items(), key=lambda row: row[1].rank)
        return [(name, f'{s.table}[f"{pattern(s.path, at)}"]') for name, s in rows]


def _copies(items: Sequence[Item]) -> dict[Cell, tuple[Run, int]]:
    """What copies make: the first run that makes it, and the copy's number."""
    found: dict[Cell, tuple[Run, int]] = {}
    for run in (item for item in items if isinstance(item, Run)):
        for n, segment in zip(run.copies, run.segments, strict=True):
            for s in segment:
                found.setdefault(s.target, (run, n))
    return found
