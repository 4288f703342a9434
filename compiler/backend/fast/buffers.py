"""`buffers` of a planned module: the function that makes the memory of a step.

In: the variables that `forward` and `backward` read. Out: the text of the function, whose
docstring prints the plan, and what the signature says of it.

    def buffers(N, dtype, gradients=None):
        slot_1 = np.empty(N * 128, dtype)
        h = slot_1.reshape(N, 128)
        return {"forward": (h,), "backward": (), "gradients": gradients}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ...ir.dims import Dim, Poly, size
from ...ir.op import Kind
from ..memory import Storage, largest
from ..pyast import WIDTH, docstring, fill_text, listing
from .values import Instruction
from .variables import Variables

DTYPE = {"real": "dtype", "int": "np.intp", "bool": "np.bool_"}
KINDS: tuple[Kind, ...] = ("real", "int", "bool")


class Buffers:
    """The function, and the entry of the signature. `entries`: what `work` has, by function."""

    def __init__(self, held: Variables, entries: Mapping[str, Sequence[str]]) -> None:
        self.held, self.entries = held, entries

    def text(self) -> list[str]:
        """The lines of the function."""
        arguments = [self.held.names.symbols.get(s, s) for s in self._all_sizes]
        head = [*arguments, "dtype", "gradients=None"]
        lines = listing("def buffers(", head, "):", 0, call=True)
        lines += docstring(self._described(), 4)
        paths = {p.path: p.node.shape for p in self.held.plan.program.params}
        paths |= {i.name: i.node.shape for i in self.held.plan.program.inputs}
        made = []
        for path in self.held.unit.gradients:
            turned = path in self.held.plan.turned
            shape = self._shape(paths[path][::-1] if turned else paths[path])
            made.append(f'"{path}": np.empty({shape}, dtype)' + ".T" * turned)
        lines += listing("gradients = gradients or {", made, "}", 4)
        for k, slot in enumerate(self.held.layout.slots):
            made_ = f"np.empty({self.held.rooms[k]}, {DTYPE[slot.kind]})"
            lines.append(f"    {self.held.slots[k]} = {made_}")
        lines += self._definitions()
        items = {k: self.entries[k] for k in ("forward", "backward")}
        lines.append("    return {")
        for key, names in items.items():
            lines += listing(f'"{key}": (', names, "),", 8, lone=True)
        lines += ['        "gradients": gradients,', "    }"]
        return lines

    def _definitions(self) -> list[str]:
        """A variable a line. What lies in one place in one shape is one array, which NumPy sees:
        where two overlap it asks how (.25 µs a call), but not where they are the same.
        """
        lines: list[str] = []
        first: dict[str, str] = {}
        for variable, text in self.held.defined.items():
            left, right = self.held.final(variable), self.held.final(text)
            known = first.setdefault(right, left)
            if known != left and not right.startswith("np."):  # memory of its own
                right = known
            if left != right:
                lines.append(f"    {left} = {right}")
        return lines

    def _shape(self, shape: Sequence[Dim]) -> str:
        text = self.held.sizes_text(shape) if shape else ""
        return f"({text},)" if len(shape) == 1 else f"({text})"

    @cached_property
    def _all_sizes(self) -> list[str]:
        """The sizes that `buffers` takes. Asked for once its text is known."""
        texts = [*self.held.defined.values()]
        texts += [self.held.size_text(s.size).text for s in self.held.layout.slots]
        texts += [n for items in self.entries.values() for n in items]
        texts += [
            self.held.sizes_text(v.shape) for v in self.held.unit.gradients.values()
        ]
        everything = " ; ".join(texts)
        return [
            s
            for s in self.held.symbols
            if re.search(
                rf"(?<![\w.]){re.escape(self.held.names.symbols.get(s, s))}(?!\w)",
                everything,
            )
        ]

    def _described(self) -> list[str]:
        """The plan, slot by slot."""
        lines = ["Return the memory of a step: a plan in which values share it.", ""]
        named = self._tenants()
        for k, slot in enumerate(self.held.layout.slots):
            tenants: dict[str, None] = {}
            for s in slot.tenants:
                tenants.setdefault(self.held.final(named.get(s, "")))
            tenants.pop("", None)
            kind = {"real": "", "int": ", whole numbers", "bool": ", truth values"}
            count = self.held.size_text(slot.size).text
            text = f"{self.held.slots[k]} ({count}{kind[slot.kind]}): "
            shown = list(tenants)
            if len(shown) > 12:
                shown = [*shown[:11], f"… {len(shown) - 11} more"]
            words = (text + ", ".join(shown) + ".").split(" ")
            first, *rest = fill_text(words, WIDTH - 6)
            lines += [first, *(f"  {t}" for t in rest)]
        entry = self.entry()
        numbers = self._amount(entry["reals"])
        constants = self._amount(entry["constants"])
        text = f"In all {numbers} numbers, and {constants} of constants."
        lines += ["", *fill_text(text.split(" "), WIDTH - 4)]
        return lines

    def _tenants(self) -> dict[Storage, str]:
        """The first name of what lies in a storage."""
        found: dict[Storage, str] = {}
        for v in self.held.unit.table.values:
            if v.root.storage is not None and v.root.name:
                found.setdefault(v.root.storage, v.root.name)
        return found

    def _amount(self, dim: Any) -> str:
        terms = {tuple(m[2]): m[0] for m in dim} if isinstance(dim, list) else None
        if terms is None:
            return f"{dim:,}"
        poly = Poly(terms)
        return str(poly)

    def entry(self) -> dict[str, Any]:
        """What the signature says of the buffers: sizes to call them with, elements, and
        `headers`, the array objects: a loop's views are one for each step."""
        constants = dict.fromkeys(KINDS, Poly({}))
        for root in self.held.unit.table.constants.values():
            if root.name in self.held.defined and not root.zeros:
                held = constants[root.kind]
                constants[root.kind] = held + size(root.shape).value
        for d, text in self.held.zeros:
            if text:
                constants["real"] = constants["real"] + d.value
        temporary = largest(
            size(s) for s in self._temporaries(self.held.unit.instructions)
        )

        def json(poly: Poly) -> Any:
            return Dim(poly, poly).json()

        spare, headers = Poly({}), Poly({})
        for d in temporary:
            spare = spare + d.value
        for d in self.held.headers:
            headers = headers + d.value
        return {
            "sizes": self._all_sizes,
            "rows": bool(self.held.plan.rows),
            "gradients": {
                path: [d.json() for d in v.shape]
                for path, v in self.held.unit.gradients.items()
            },
            "reals": json(self.held.layout.total("real")),
            "integers": json(self.held.layout.total("int") + constants["int"]),
            "truths": json(self.held.layout.total("bool") + constants["bool"]),
            "constants": json(constants["real"]),
            "temporary": json(spare),
            "headers": json(headers),
        }

    def _temporaries(self, instructions: Sequence[Instruction]) -> list[Any]:
        found = []
        for i in instructions:
            if i.temporary is not None:
                found.append(i.temporary)
            found += self._temporaries(i.body)
        return found
