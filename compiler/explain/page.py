"""What is shown of a derivation: statements in sections, as text, LaTeX or Markdown.

In: sections of statements, `left = formula = formula`. Out: a page in one of three formats.
The formats differ in their signs alone; what a page says is decided by who makes it.

    render(sections, "text")
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .columns import columns
from .formula import Formula, names_in
from .latex import latex, latex_name, latex_text
from .printing import Naming, naming_of
from .text import text

Format = Literal["text", "latex", "md"]
WIDTH = 100


@dataclass(frozen=True)
class Statement:
    """`left = one = two`: a name, the formulas that it is equal to, a remark, its value."""

    left: str
    formulas: tuple[Formula, ...]
    note: str = ""
    value: str = ""
    depth: int = 0
    sign: str = "="


@dataclass(frozen=True)
class Prose:
    """A line of words."""

    words: str
    depth: int = 0


@dataclass(frozen=True)
class Code:
    """Lines of source, as they stand."""

    lines: tuple[str, ...]
    language: str = ""


Row = Statement | Prose | Code


@dataclass(frozen=True)
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
    head = f"{pad}{row.left} {row.sign} {shown[0]}" if shown else f"{pad}{row.left}"
    lines = [head]
    if len(shown) > 1:
        joined = head + f" = {shown[1]}"
        under = " " * (len(pad) + len(row.left)) + f" = {shown[1]}"
        lines = [joined] if len(joined) + len(row.note) < WIDTH - 2 else [head, under]
    if row.note:
        lines[-1] = f"{lines[-1]:<{WIDTH - 2 - len(row.note)}}  {row.note}"
    if value:
        gap = " " * (len(pad) + len(row.left))
        lines += [
            f"{gap} = {line}" if i == 0 else f"{gap}   {line}"
            for i, line in enumerate(value.split("\n"))
        ]
    return lines


# ----------------------------------------------------------------------------- LaTeX
def _as_latex(section: Section, naming: Naming) -> str:
    lines = [rf"\paragraph{{{_mathematical(section.title)}}}"] if section.title else []
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
        made += rf" && \text{{{latex_text(row.note)}}}"
    return made


def _value(value: str) -> str:
    """A number, or the words for an array."""
    try:
        float(value)
    except ValueError:
        return rf"\text{{{latex_text(value)}}}"
    head, _, power = value.partition("e")
    return rf"{head} \cdot 10^{{{int(power)}}}" if power else value


def _mathematical(words: str) -> str:
    """Words with the few signs of mathematics that titles have."""
    table = {"∂": r"$\partial$", "δ": r"$\delta$", "∇": r"$\nabla$", "·": r"$\cdot$"}
    table |= {"→": r"$\to$", "←": r"$\leftarrow$", "×": r"$\times$", "…": r"\dots{}"}
    return "".join(table.get(c, c) for c in latex_text(words))


# -------------------------------------------------------------------------- Markdown
def _as_markdown(section: Section, naming: Naming) -> str:
    parts = [f"## {section.title}"] if section.title else []
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
