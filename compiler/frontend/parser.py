"""Tokens to AST, and every syntax error to a diagnostic.

In comes a `Source`, out comes an `ast.Program`, or a `CompileError` with up to ten
diagnostics. The LALR tables are those that lark makes of `net.lark` (`tables.py`); they are
fed the tokens of `scan.py` one by one and call `build.py`. At an error `diagnose.py` finds out
which mistake it is; then the broken statement is taken off the parser's stack and parsing
goes on with the next one, so that one mistake hides no other.

    >>> program = parse(Source.from_text("a.net", "h = relu(x @ W)"))
    >>> program.statements[0].targets[0].name.text
    'h'
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..errors import syntax
from ..errors.form import Reporter
from ..source import Source, Span
from . import ast
from .build import Build, Refused
from .scan import STATEMENT_WORDS, UNFINISHED, Limits, Scan, Word, scan_source
from .tables import tables

__all__ = ["Limits", "parse", "parse_scan"]


class Items(list[Any]):
    """The statements, settings or operands that a rule like `(stmt ";"?)*` has collected."""

    rule: str


# The rules whose lists hold whole statements or settings, by lark's names for them.
_LISTS = ("__start", "__block", "__train")


def parse(
    source: Source, limits: Limits | None = None, reporter: Reporter | None = None
) -> ast.Program:
    """Return the AST of a text; raise `CompileError` if it has syntax errors."""
    limits = limits or Limits()
    reporter = reporter or Reporter()
    with _uncollected():
        scan = scan_source(source, limits, reporter)
        return parse_scan(scan, reporter)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: a tree holds none, and looking for some takes half
    of the time that a long program needs."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def parse_scan(scan: Scan, reporter: Reporter) -> ast.Program:
    """Return the AST of a text that is scanned already."""
    statements = _Run(scan, reporter).parse()
    if not reporter.has_errors:
        _check_separators(statements, scan.source, reporter)
    reporter.errors.sort(key=lambda error: error.span.start if error.span else -1)
    reporter.raise_if_errors()
    docs, head = _docs(scan)
    if docs:
        statements = _with_docs(statements, docs)
    span = Span(scan.source, 0, len(scan.source.text))
    return ast.Program(scan.source, statements, head, span=span)


_BUILD: dict[str, Callable[[list[Any]], Any]] = {
    name: getattr(Build(), name) for name in dir(Build) if not name.startswith("_")
}


def _flat(children: list[Any], inline: tuple[int, ...]) -> list[Any]:
    """The children of a rule, with what its lists hold in place of the lists."""
    if inline == (0,) and isinstance(children[0], Items):
        # A list that grows: in place, so that long programs take no squares.
        children[0].extend(children[1:])
        return children[0]
    flat: list[Any] = []
    for i, child in enumerate(children):
        if i in inline:
            flat.extend(child)
        else:
            flat.append(child)
    return flat


def _collect(rule: str, children: list[Any]) -> Items:
    items = children if isinstance(children, Items) else Items(children)
    items.rule = rule
    return items


class _Failed(Exception):
    """The parser cannot take a token."""


class _Run:
    """One run of the parser over one text."""

    def __init__(self, scan: Scan, reporter: Reporter) -> None:
        self.scan = scan
        self.reporter = reporter
        self.tables = tables()
        self.states = [0]
        self.values: list[Any] = []

    def parse(self) -> tuple[ast.Statement, ...]:
        i = 0
        while True:
            try:
                i = self._feed(i)
            except (_Failed, Refused) as error:
                i = self._recover(self._at, error)
                if i > len(self.scan.tokens):
                    return ()
            else:
                return tuple(self.values[-1])

    def _feed(self, i: int) -> int:
        """Take the tokens from i on, to the end; `_at` says where it failed."""
        actions, last = self.tables.actions, self.tables.last
        states, values = self.states, self.values
        tokens = self.scan.tokens
        count = len(tokens)
        kind = tokens[i].type if i < count else "$END"
        while True:
            action = actions[states[-1]].get(kind)
            if isinstance(action, int):
                states.append(action)
                values.append(tokens[i])
                i += 1
                kind = tokens[i].type if i < count else "$END"
                continue
            self._at = i
            if action is None:
                raise _Failed
            rule, size, inline, single, callback = action
            if size == 1 and single:
                states[-1] = actions[states[-2]][rule]  # type: ignore[assignment]
                continue
            children = values[-size:] if size else []
            if inline:
                children = _flat(children, inline)
            # Called before the stack is cut, which a refusal must find whole.
            value = _BUILD[callback](children) if callback else _collect(rule, children)
            if size:
                del values[-size:]
                del states[-size:]
            values.append(value)
            states.append(actions[states[-1]][rule])  # type: ignore[arg-type]
            if i >= count and states[-1] == last:
                return i

    def _recover(self, i: int, error: Exception) -> int:
        """Report the error at token i, drop its statement, return where to go on."""
        tokens = self.scan.tokens
        expected = frozenset(
            symbol
            for symbol in self.tables.actions[self.states[-1]]
            if symbol.isupper()
        )
        bottom = _statement_bottom(self.values)
        held = tuple(self.values[bottom:])
        start = _index_of(tokens, held[0], i) if held else i
        begin = start
        del self.values[bottom:]
        del self.states[bottom + 1 :]
        if i >= len(tokens):
            follow, behind = i + 1, len(self.scan.source.text) + 1
        else:
            follow = self._next_statement(start, i)
            behind = (
                tokens[follow].span.start
                if follow < len(tokens)
                else len(self.scan.source.text) + 1
            )
        while start > 0 and start < len(tokens) and not self.scan.starts_line(start):
            if tokens[start - 1].type in ("SEMICOLON", "LBRACE"):
                break
            start -= 1  # what was reported earlier on the line explains this, too
        first = tokens[start].span.start if start < len(tokens) else behind
        if isinstance(error, Refused):
            self.reporter.report(error.diagnostic)
        elif i >= len(tokens) and self.scan.spoiled:
            pass  # a bracket that is never closed, say
        elif not self.scan.is_spoiled(first, behind):
            from .diagnose import Failure, diagnose  # nobody needs it for a right text

            failure = Failure(self.scan, begin, i, expected, held)
            self.reporter.report(diagnose(failure))
        return follow

    def _next_statement(self, start: int, error: int) -> int:
        """The index of the token that begins the next statement of the same block."""
        scan = self.scan
        tokens = scan.tokens
        block = scan.opener[start] if start < len(tokens) else -1
        while block >= 0 and tokens[block].type != "LBRACE":
            block = scan.opener[block]
        i = error
        while i > start + 1 and not scan.starts_line(i):
            i -= 1
        i = max(i, start + 1)
        while i < len(tokens):
            inside = scan.opener[i]
            if block >= 0 and i == scan.closed.get(block):
                return i
            if inside == block:
                previous = tokens[i - 1].type
                fresh = scan.starts_line(i) or previous == "SEMICOLON"
                if fresh and _looks_like_statement(tokens, i) and i > start:
                    return i
            elif (
                inside in scan.closed
                and tokens[inside].type == "LBRACE"
                and inside > start
            ):
                i = scan.closed[inside]
                continue
            i += 1
        return len(tokens)


def _statement_bottom(stack: list[Any]) -> int:
    """The height of the parser's stack below the statement that it was reading."""
    for height in range(len(stack), 0, -1):
        match stack[height - 1]:
            case Items(rule=rule) if rule.startswith(_LISTS):
                return height
            case Word(type="LBRACE" | "SEMICOLON"):
                return height
            case ast.Statement() | ast.Setting():
                return height
    return 0


def _index_of(tokens: list[Word], item: Any, error: int) -> int:
    """The index of the token with which a token or node on the stack begins."""
    start = item.span.start
    low, high = 0, min(error, len(tokens) - 1)
    while low < high:
        middle = (low + high) // 2
        if tokens[middle].span.start < start:
            low = middle + 1
        else:
            high = middle
    return low


def _looks_like_statement(tokens: list[Word], i: int) -> bool:
    kind = tokens[i].type
    if kind in STATEMENT_WORDS:
        return True
    if kind != "NAME" or i == 0:
        return False
    return tokens[i - 1].type not in UNFINISHED


# -------------------------------------------------------------------- after the parse


def _blocks(statement: ast.Statement) -> Iterable[ast.Statement]:
    match statement:
        case ast.Function(short=False) | ast.Repeat() | ast.For():
            return statement.body
        case _:
            return ()


def _check_separators(
    statements: tuple[ast.Statement, ...], source: Source, reporter: Reporter
) -> None:
    """Two statements on one line need `;`: the grammar does not see lines."""
    pending: list[tuple[ast.Node, ...]] = [statements]
    text = source.text
    while pending:
        nodes = pending.pop()
        setting = bool(nodes) and isinstance(nodes[0], ast.Setting)
        for before, node in pairwise(nodes):
            start = before.span.end
            between = text[start : node.span.start]
            if "\n" not in between and ";" not in between:
                reporter.report(
                    syntax.missing_separator(before.span, node.span, setting)
                )
        for node in nodes:
            if isinstance(node, ast.Train):
                pending.append(node.settings)
            elif isinstance(node, ast.Statement):
                body = tuple(_blocks(node))
                if body:
                    pending.append(body)


def _docs(scan: Scan) -> tuple[dict[int, str], str]:
    """The doc comments, by the offset of what they stand above, and the file's own.

    The file's is the comment that it begins with, if that is a `#` comment or has an
    empty line behind it.
    """
    docs: dict[int, str] = {}
    head: list[str] = []
    block: list[str] = []
    last_line = -1
    index = -1
    for comment in scan.comments:
        if not comment.own_line:
            continue
        text = comment.text
        if comment.index == 0 and not text.startswith("##"):
            if (not head and comment.line == 1) or (
                head and comment.line == last_line + 1
            ):
                head.append(text[1:].strip())
                last_line = comment.line
            continue
        if not text.startswith("##"):
            block = []
            continue
        if comment.line != last_line + 1 or comment.index != index:
            block = []
        block.append(text.lstrip("#").strip())
        last_line, index = comment.line, comment.index
        if index < len(scan.tokens):
            token = scan.tokens[index]
            if token.line == comment.line + 1:
                docs[token.span.start] = "\n".join(block)
    return docs, "\n".join(head).strip()


def _with_docs(
    statements: tuple[ast.Statement, ...], docs: dict[int, str]
) -> tuple[ast.Statement, ...]:
    """The statements with what is documented above them; blocks nest at most 64 deep."""
    result = []
    for statement in statements:
        doc = docs.get(statement.span.start, "")
        body = tuple(_blocks(statement))
        if body:
            inner = _with_docs(body, docs)
            if doc or inner != body:
                statement = replace(statement, body=inner, doc=doc)  # type: ignore[call-arg]
        elif doc:
            statement = replace(statement, doc=doc)
        result.append(statement)
    return tuple(result)
