"""`gradc fmt`: a program in the one form, every comment kept.

In comes a `Source` that parses, out comes text. It is laid out from the tokens, so that no
meaning can be lost: lines stay lines, blanks between tokens follow from their kinds, blocks are
indented by two. What people align stays aligned: where types, `=` or comments stood
under each other on neighbouring lines, they do again.

    >>> format_source(Source.from_text("a.net", "h=relu( x@W )+ b   # hidden"))
    'h = relu(x @ W) + b  # hidden\\n'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from gradc.records import record

from ..errors.form import Reporter
from ..source import Source
from .parser import parse_scan
from .printer import print_node
from .scan import KEYWORDS, Comment, Limits, Scan, Word, scan_source

__all__ = ["format_source", "print_node"]

_ENDS = frozenset(
    "NAME NUMBER STRING RPAR RSQB TRANSPOSE TRUE FALSE REAL INT BOOL REST".split()
)
_TIGHT_BEFORE = frozenset(("COMMA", "SEMICOLON", "RPAR", "RSQB", "TRANSPOSE", "POW"))
_TIGHT_BEHIND = frozenset(("LPAR", "LSQB", "POW"))


@record(frozen=False)
class Line:
    """One line of the text: its tokens, their text laid out, and what may be aligned."""

    number: int
    tokens: list[int] = field(default_factory=list)
    comment: Comment | None = None
    indent: int = 0
    text: str = ""
    anchors: dict[str, int] = field(default_factory=dict)
    """Where in `text` the type and the `=` begin, if that is a place to align."""
    columns: dict[str, int] = field(default_factory=dict)
    """The columns at which they, and the comment, stood before."""


def format_source(source: Source, limits: Limits | None = None) -> str:
    """Return the text in the one form; raise `CompileError` if it does not parse."""
    reporter = Reporter()
    scan = scan_source(source, limits or Limits(), reporter)
    parse_scan(scan, reporter)
    lines = _lines(scan)
    for line in lines:
        _lay_out(scan, line)
    _align(lines, "type")
    _align(lines, "equal")
    _indent(scan, lines)
    _place_comments(lines)
    return _join(lines)


def _lines(scan: Scan) -> list[Line]:
    """The lines that have something on them; `;` at their ends is dropped."""
    lines: dict[int, Line] = {}
    tokens = scan.tokens
    commented = {comment.line for comment in scan.comments}
    for i, token in enumerate(tokens):
        number = token.line
        if token.type == "LBRACE" and scan.starts_line(i) and i > 0:
            above = tokens[i - 1].line
            if not commented & set(range(above, number)):
                number = above  # a block begins where its statement does
        if token.type == "SEMICOLON":
            last = i + 1 == len(tokens) or tokens[i + 1].line != token.line
            if last or tokens[i + 1].type == "RBRACE":
                continue
        lines.setdefault(number, Line(number)).tokens.append(i)
    for comment in scan.comments:
        lines.setdefault(comment.line, Line(comment.line)).comment = comment
    return [lines[number] for number in sorted(lines)]


# ------------------------------------------------------------------------ inside a line


def _lay_out(scan: Scan, line: Line) -> None:
    tokens = scan.tokens
    parts: list[str] = []
    length = 0
    block = _block(scan, line.tokens[0]) if line.tokens else -1
    whole = line.tokens and _begins_statement(scan, line.tokens[0])
    previous = -1
    for i in line.tokens:
        token = tokens[i]
        gap = 0 if previous < 0 else _gap(scan, previous, i)
        length += gap
        if whole and scan.opener[i] == block:
            kind = ""
            if token.type == "EQUAL" and "equal" not in line.anchors:
                kind = "equal"
            elif previous >= 0 and tokens[previous].type == "COLON":
                kind = "type"
            elif token.type in ("SEMICOLON", "LBRACE"):
                whole = False
                line.anchors.clear()
            if kind:
                line.anchors[kind] = length
                line.columns[kind] = token.span.col
        parts.append(" " * gap + token.text)
        length += len(token.text)
        previous = i
    line.text = "".join(parts)
    if line.comment is not None:
        line.columns["comment"] = scan.source.position(line.comment.start)[1]


def _gap(scan: Scan, left: int, right: int) -> int:
    """The blanks between two neighbours on a line: none or one."""
    tokens = scan.tokens
    before, after = tokens[left], tokens[right]
    if after.type in _TIGHT_BEFORE or before.type in _TIGHT_BEHIND:
        return 0
    if before.type == "ADD" and _is_sign(tokens, left):
        return 0
    if after.type == "COLON":
        return int(before.type == "COMMA")
    if before.type == "COLON":
        return 0 if _inside(scan, left) == "LSQB" else 1
    if before.type == "REST":
        return 0 if after.type == "NAME" else 1
    if after.type == "LPAR":
        return 0 if before.type in ("NAME", "RPAR", "RSQB") else 1
    if after.type == "LSQB":
        return 0 if before.type in _ENDS else 1
    return 1


def _inside(scan: Scan, i: int) -> str:
    opener = scan.opener[i]
    return scan.tokens[opener].type if opener >= 0 else ""


def _is_sign(tokens: list[Word], i: int) -> bool:
    """Whether a `+` or `-` has no left operand."""
    if i == 0:
        return True
    before = tokens[i - 1].type
    return before not in _ENDS


def _block(scan: Scan, i: int) -> int:
    """The brace around a token, -1 at top level."""
    opener = scan.opener[i]
    while opener >= 0 and scan.tokens[opener].type != "LBRACE":
        opener = scan.opener[opener]
    return opener


def _begins_statement(scan: Scan, i: int) -> bool:
    """Whether the first token of a line begins a statement (or setting)."""
    tokens = scan.tokens
    if scan.opener[i] != _block(scan, i):
        return False
    if i == 0:
        return True
    token, before = tokens[i], tokens[i - 1]
    if before.type in ("LBRACE", "RBRACE", "SEMICOLON"):
        return token.type != "RBRACE"
    if token.type != "NAME" and (
        token.text not in KEYWORDS
        or token.type in ("AND", "OR", "THEN", "ELSE", "FROM")
    ):
        return False
    return before.type in _ENDS


# -------------------------------------------------------------------------- across lines


def _align(lines: list[Line], kind: str) -> None:
    """Put what stood under each other under each other again."""

    def pad(line: Line, column: int) -> None:
        at = line.anchors[kind]
        blanks = " " * (column - at)
        line.text = line.text[:at] + blanks + line.text[at:]
        for other, position in line.anchors.items():
            if position >= at:
                line.anchors[other] = position + len(blanks)

    def align(run: list[Line]) -> None:
        column = max(line.anchors[kind] for line in run)
        for line in run:
            pad(line, column)

    _runs(lines, kind, lambda line: kind in line.anchors, align)


def _runs(
    lines: list[Line],
    kind: str,
    has: Callable[[Line], bool],
    act: Callable[[list[Line]], None],
) -> None:
    """Call `act` on each run of neighbouring lines whose `kind` stood in one column."""
    run: list[Line] = []
    for line in lines:
        fits = has(line)
        if run and not (
            fits
            and line.number == run[-1].number + 1
            and line.columns[kind] == run[-1].columns[kind]
        ):
            act(run)
            run = []
        if fits:
            run.append(line)
    if run:
        act(run)


def _indent(scan: Scan, lines: list[Line]) -> None:
    """Two blanks for each block; what continues a statement stands further in.

    A line that begins with `|>` stands under the first `|>` of its statement.
    """
    tokens = scan.tokens
    depths = _depths(scan)
    pipe = -1
    for line in lines:
        if not line.tokens:
            assert line.comment is not None
            i = line.comment.index
            if i < len(tokens):
                line.indent = 2 * (depths[i][0] + (tokens[i].type == "RBRACE"))
                if not _begins_statement(scan, i) and tokens[i].type != "RBRACE":
                    line.indent += 2
            continue
        first = line.tokens[0]
        blocks, brackets = depths[first]
        line.indent = 2 * blocks
        if _begins_statement(scan, first):
            pipe = -1
        elif tokens[first].type == "PIPE" and pipe >= 0 and not brackets:
            line.indent = pipe
        elif tokens[first].type in ("RPAR", "RSQB"):
            line.indent += 2 * (brackets - 1)
        elif tokens[first].type != "RBRACE":
            line.indent += 2 * max(1, brackets)
        if pipe < 0:
            pipe = _first_pipe(scan, line, depths)


def _first_pipe(scan: Scan, line: Line, depths: list[tuple[int, int]]) -> int:
    """The column of the first `|>` outside brackets on a laid out line, or -1."""
    if not any(scan.tokens[i].type == "PIPE" for i in line.tokens):
        return -1
    at = 0
    for i in line.tokens:
        at = line.text.index(scan.tokens[i].text, at)
        if scan.tokens[i].type == "PIPE" and not depths[i][1]:
            return line.indent + at
        at += len(scan.tokens[i].text)
    return -1


def _depths(scan: Scan) -> list[tuple[int, int]]:
    """For each token the blocks around it, and the brackets open in its statement."""
    depths: list[tuple[int, int]] = []
    inner: list[tuple[int, int]] = []
    blocks, brackets = 0, 0
    for token in scan.tokens:
        if token.type in ("RPAR", "RSQB"):
            depths.append((blocks, brackets))
            brackets -= 1
            continue
        if token.type == "RBRACE":
            blocks, brackets = inner.pop()
        depths.append((blocks, brackets))
        if token.type in ("LPAR", "LSQB"):
            brackets += 1
        elif token.type == "LBRACE":
            inner.append((blocks, brackets))
            blocks, brackets = blocks + 1, 0
    return depths


def _place_comments(lines: list[Line]) -> None:
    """A comment behind code keeps its column while the code leaves room for it."""

    def place(run: list[Line]) -> None:
        least = max(line.indent + len(line.text) for line in run) + 2
        column = max(least, run[0].columns["comment"] - 1)
        for line in run:
            assert line.comment is not None
            line.text = line.text.ljust(column - line.indent) + _tidy(line.comment)

    _runs(
        lines,
        "comment",
        lambda line: line.comment is not None and bool(line.tokens),
        place,
    )
    for line in lines:
        if line.comment is not None and not line.tokens:
            line.text = _tidy(line.comment)


def _tidy(comment: Comment) -> str:
    text = comment.text.rstrip()
    marks = len(text) - len(text.lstrip("#"))
    rest = text[marks:]
    return text[:marks] + " " + rest if rest[:1].isalnum() else text


def _join(lines: list[Line]) -> str:
    """The text; of several empty lines one is kept, of those at a block's edges none."""
    shown: list[str] = []
    before: Line | None = None
    for line in lines:
        if before is not None and line.number > before.number + 1:
            opens = before.comment is None and before.text.endswith("{")
            closes = line.text.startswith("}")
            if not opens and not closes:
                shown.append("")
        shown.append((" " * line.indent + line.text).rstrip())
        before = line
    return "\n".join(shown) + "\n" if shown else ""
