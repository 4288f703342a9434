"""What lets no gradient through: a change of kind, `stop`, a draw whose law depends on values.

stop(x)    x, held fixed
"""

from __future__ import annotations

from typing import Any

from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import Attrs
from . import zeros
from .bounds import is_constant
from .classes import Text, elementwise
from .samples import REAL, TRUTH, Samples


def _cast_infer(args: tuple[Node, ...], attrs: Attrs) -> Any:
    return args[0].shape, attrs["kind"]


def _cast_text(node: Node) -> Text:
    match node.attrs["kind"]:
        case "real":
            return "{x}.astype({dtype})"
        case "bool":
            return "{x} != 0"
        case _:
            return "{x} * 1"


elementwise(
    "cast",
    "x",
    infer=_cast_infer,
    simplify=(zeros.cast,),
    numpy=_cast_text,
    number=lambda node: "float({x})" if node.kind == "real" else _cast_text(node),
    text="{x}",
    latex="{x}",
    result="x",
    call=True,
    samples=Samples((TRUTH,), attrs=({"kind": "real"}, {"kind": "int"})),
    note="No gradient: one of the two sides is whole numbers or truth values.",
)


def _stop_again(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
    return args[0] if args[0].op.name == "stop" or is_constant(args[0]) else None


elementwise(
    "stop",
    "x",
    infer=lambda args, attrs: (args[0].shape, args[0].kind),
    simplify=(_stop_again,),
    numpy="{x}",
    numpy_complex="np.real({x})",
    text="stop({x})",
    latex=r"\operatorname{{stop}}\left({x}\right)",
    result="x",
    weight=0,
    view=True,
    samples=Samples((REAL,)),
    note="x, held fixed: no gradient flows through it.",
)

elementwise(
    "drawn",
    "x",
    infer=lambda args, attrs: (args[0].shape, args[0].kind),
    numpy="{x}",
    numpy_complex="np.real({x})",
    text="{x}",
    latex="{x}",
    result="x",
    weight=0,
    view=True,
    samples=Samples((REAL,), attrs=({"name": "sample", "line": 1},)),
    note="A random draw whose law depends on values: it has no gradient by them.",
)
