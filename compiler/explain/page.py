"""What is shown of a derivation: statements in sections, as text, LaTeX or Markdown.

In: sections of statements, `left = formula = formula`. Out: a page in one of three formats.
The formats differ in their signs alone; what a page says is decided by who makes it.

    render(sections, "text")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

from gradc.records import record

from .columns import columns
from .formula import Formula, names_in
from .latex import latex, latex_name, latex_text
from .printing import Naming, naming_of
from .text import text

Format = Literal["text", "latex", "md"]
WIDTH = 100


@record
class Statement:
    """`left = one = two`: a name, the formulas that it is equal to, a remark, its value."""

    left: str
    formulas: tuple[Formula, ...]
    note: str = ""
    value: str = ""
    depth: int = 0
    sign: str = "="


@record
class Prose:
    """A line of words."""

    words: str
    depth: int = 0


@record
class Code:
    """Lines of source, as they stand."""

    lines: tuple[str, ...]
    language: str = ""


Row = Statement | Prose | Code


@record
class Section:
    """A heading and what stands under it."""

    title: str
    rows: tuple[Row, ...]


def in_columns(sections: Iterable[Section]) -> list[Section]:
    """The form of the books: every matrix stands for its transpose.

    Shapes and values that stand beside the formulas are turned by who puts them there.
    """

    def turned(row: Row) -> Row:
        if not isinstance(row, Statement):
            return row
        formulas = tuple(columns(f) for f in row.formulas)
        return Statement(row.left, formulas, row.note, row.value, row.depth, row.sign)

    return [Section(s.title, tuple(turned(r) for r in s.rows)) for s in sections]


def render(
    sections: Sequence[Section],
    form: Format,
    adjoints: Collection[str] = (),
    layers: bool = False,
) -> str:
    """The page. `layers`: z1 is the z of layer 1, with a superscript in LaTeX."""
    naming = naming_on(sections, adjoints, layers)
    match form:
        case "text":
            parts = [_as_text(s) for s in sections]
        case "md":
            parts = [_as_markdown(s, naming) for s in sections]
        case "latex":
            parts = [_as_latex(s, naming) for s in sections]
    return "\n\n".join(parts) + "\n"


def naming_on(
    sections: Iterable[Section], adjoints: Collection[str], layers: bool = False
) -> Naming:
    """How the names that a page speaks of are told apart."""
    rows = [r for s in sections for r in s.rows if isinstance(r, Statement)]
    names = [r.left for r in rows]
    names += [n for r in rows for f in r.formulas for n in names_in(f)]
    return naming_of(names, adjoints, layers)


# ------------------------------------------------------------------------------ JSON
def document(
    name: str,
    sections: Sequence[Section],
    adjoints: Collection[str] = (),
    layers: bool = False,
) -> dict[str, Any]:
    """The page as data: every formula as text and as LaTeX."""
    naming = naming_on(sections, adjoints, layers)

    def row(at: Row) -> dict[str, Any]:
        match at:
            case Prose():
                return {"words": at.words, "depth": at.depth}
            case Code():
                return {"code": list(at.lines), "language": at.language}
        return {
            "name": at.left,
            "sign": at.sign,
            "text": [text(f) for f in at.formulas],
            "latex": [latex(f, naming) for f in at.formulas],
            "note": at.note,
            "value": at.value,
            "depth": at.depth,
        }

    return {
        "version": 1,
        "name": name,
        "sections": [
            {"title": s.title, "rows": [row(r) for r in s.rows]} for s in sections
        ],
    }


# ------------------------------------------------------------------------------ text
def _as_text(section: Section) -> str:
    lines = [section.title] if section.title else []
    for row in section.rows:
        lines += _row_text(row)
    return "\n".join(lines)


def _row_text(row: Row) -> list[str]:
    match row:
        case Prose():
            return ["  " * (row.depth + 1) + row.words]
        case Code():
            return [f"  {line}".rstrip() for line in row.lines]
    pad = "  " * (row.depth + 1)
    shown = [text(f) for f in row.formulas]
    if not shown and row.value and "\n" not in row.value:
        shown, value = [row.value], ""
    else:
        value = "" if shown and row.value == shown[-1] else row.value
    under = " " * (len(pad) + len(row.left))
    room = WIDTH - 2
    lines = [f"{pad}{row.left}"]
    for k, one in enumerate(shown):
        added = f" {row.sign if k == 0 else '='} {one}"
        fits = len(lines[-1] + added) + len(row.note) <= room - 2
        if k and not fits:
            lines.append(under)
        lines[-1] += added
    indent = len(under) + len(row.sign) + 2
    lines = [part for line in lines for part in _wrapped(line, indent, room)]
    if row.note and len(lines[-1]) + len(row.note) > room:
        lines.append("")
    if row.note:
        lines[-1] = f"{lines[-1]:<{room - len(row.note)}}  {row.note}"
    if value:
        lines += [
            f"{under} = {line}" if i == 0 else f"{under}   {line}"
            for i, line in enumerate(value.split("\n"))
        ]
    return lines


CUTS = {"+": 0, "-": 0, "*": 1, "/": 1, "@": 1}
"""Signs before which a line may be cut: rather at a sum than in a product."""


def _wrapped(line: str, indent: int, room: int) -> list[str]:
    """A line in pieces that have room, cut where the fewest brackets are open."""
    pieces = []
    while len(line) > room:
        depth, best = 0, (99, 0, 0)
        for i, c in enumerate(line[: room + 1]):
            depth += (c in "([") - (c in ")]")
            if c != " " or i <= max(indent, room // 3):
                continue
            sign = line[i + 1] if line[i + 2 : i + 3] == " " else ""
            if sign in CUTS or line[i - 1] == ",":
                best = min(best, (depth, CUTS.get(sign, 0), -i))
        at = -best[2]
        if not at:
            break
        pieces.append(line[:at])
        line = " " * indent + line[at + 1 :]
    return [*pieces, line]


# ----------------------------------------------------------------------------- LaTeX
def _as_latex(section: Section, naming: Naming) -> str:
    lines = (
        [rf"\paragraph{{{_titled(section.title, naming, _mathematical)}}}"]
        if section.title
        else []
    )
    open_ = False
    for row in section.rows:
        if isinstance(row, Statement):
            if not open_:
                lines.append(r"\begin{align*}")
            else:
                lines[-1] += r" \\"
            open_ = True
            lines.append("  " + _statement(row, naming))
            continue
        if open_:
            lines.append(r"\end{align*}")
            open_ = False
        if isinstance(row, Prose):
            lines.append(f"{_mathematical(row.words)}\\\\")
        else:
            lines += [r"\begin{verbatim}", *row.lines, r"\end{verbatim}"]
    if open_:
        lines.append(r"\end{align*}")
    return "\n".join(lines)


def _statement(row: Statement, naming: Naming) -> str:
    left = latex_name(row.left, naming)
    shown = [latex(f, naming) for f in row.formulas]
    sign = {"=": "&=", "<-": r"&\leftarrow"}.get(row.sign, f"&{row.sign}")
    made = f"{left} {sign} " + " = ".join(shown)
    if row.value and "\n" not in row.value:
        made += rf" = {_value(row.value)}"
    if row.note:
        notes = (rf"\text{{{latex_text(part)}}}" for part in row.note.split("  "))
        made += " && " + r" \quad ".join(notes)
    return made


def _value(value: str) -> str:
    """A number, or the words for an array."""
    try:
        float(value)
    except ValueError:
        return rf"\text{{{latex_text(value)}}}"
    head, _, power = value.partition("e")
    return rf"{head} \cdot 10^{{{int(power)}}}" if power else value


def _titled(words: str, naming: Naming, plain: Callable[[str], str]) -> str:
    """Words with the names of adjoints in them, `d_v`, as formulas have them."""
    said, at = [], 0
    for found in re.finditer(r"\bd_\w+|∇_a", words):
        name = found[0]
        own = Naming({name}, naming.layers)
        formula = r"\nabla_{a}" if name == "∇_a" else latex_name(name, own)
        said += [plain(words[at : found.start()]), f"${formula}$"]
        at = found.end()
    return "".join([*said, plain(words[at:])])


def _mathematical(words: str) -> str:
    """Words with the few signs of mathematics that titles have."""
    table = {"∂": r"$\partial$", "δ": r"$\delta$", "∇": r"$\nabla$", "·": r"$\cdot$"}
    table |= {"→": r"$\to$", "←": r"$\leftarrow$", "×": r"$\times$", "…": r"\dots{}"}
    return "".join(table.get(c, c) for c in latex_text(words))


# -------------------------------------------------------------------------- Markdown
def _as_markdown(section: Section, naming: Naming) -> str:
    title = _titled(section.title, naming, str)
    parts = [f"## {title}"] if section.title else []
    block: list[str] = []

    def close() -> None:
        if block:
            inside = " \\\\\n".join(block)
            parts.append(f"$$\n\\begin{{aligned}}\n{inside}\n\\end{{aligned}}\n$$")
            block.clear()

    for row in section.rows:
        if isinstance(row, Statement):
            block.append(_statement(row, naming))
            continue
        close()
        if isinstance(row, Prose):
            parts.append(row.words)
        else:
            parts.append("\n".join([f"```{row.language}", *row.lines, "```"]))
    close()
    return "\n\n".join(parts)
