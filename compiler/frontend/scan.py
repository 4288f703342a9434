"""Text to tokens: the first thing that is done to a program.

In comes a `Source`, out come tokens, comments and diagnostics. The tokens are those of
the terminals of `net.lark`; a scanner of our own reads them because it can say more than
"no terminal matches": which letter looks like which, which bracket is never closed, how
powers are written. It never gives up, unless a limit is passed: a bad word is reported and
handed on as the best guess, so that the parser can look for further mistakes.

Words are always words of the language here (`state` is never a name), brackets are
matched, and the nesting limit is checked, before the parser starts.

    >>> scan = scan_source(Source.from_text("a.net", "h = 2 * x'  # twice"), Limits(), Reporter())
    >>> [token.type for token in scan.tokens]
    ['NAME', 'EQUAL', 'NUMBER', 'STAR', 'NAME', 'TRANSPOSE']
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left
from dataclasses import field

from gradc.records import record

from ..errors import text as text_prose
from ..errors.form import Reporter
from ..source import Source, Span


@record
class Limits:
    """What a text may ask for; each may be raised on the command line."""

    file_bytes: int = 1 << 20
    total_bytes: int = 4 << 20
    includes: int = 64
    include_depth: int = 16
    nesting: int = 64
    name_length: int = 64
    number_length: int = 64
    nodes: int = 200_000  # of the DAG, once repeats are unrolled
    copies: int = 10_000  # of a repeat, and of those inside it together
    calls: int = 64  # inside calls
    axes: int = 8
    elements: int = 1 << 31  # of one tensor
    seconds: int = 10  # of computing: kept by the command line


KEYWORDS: dict[str, str] = {
    word: word.upper()
    for word in (
        "use from const input param state random fn layer loss metric over output "
        "update repeat in for return train real int bool if then else or and not "
        "true false"
    ).split()
}
"""The reserved words and the names of their terminals."""

STATEMENT_WORDS = frozenset(
    "USE CONST INPUT PARAM STATE RANDOM FN LAYER LOSS METRIC OUTPUT UPDATE REPEAT FOR "
    "RETURN TRAIN".split()
)
"""The terminals of the words that begin a statement and occur nowhere else."""

_PUNCTUATION: dict[str, str] = {
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
    ",": "COMMA",
    ":": "COLON",
    ";": "SEMICOLON",
    "=": "EQUAL",
    "|>": "PIPE",
    "'": "TRANSPOSE",
    ".T": "TRANSPOSE",
    "...": "REST",
    "^": "POW",
    "**": "POW",
    "+": "ADD",
    "-": "ADD",
    "*": "STAR",
    "/": "MUL",
    "@": "MUL",
    "·": "MUL",
    "⊙": "MUL",
    "∘": "MUL",
    "==": "CMP",
    "!=": "CMP",
    "<=": "CMP",
    ">=": "CMP",
    "<": "CMP",
    ">": "CMP",
}

_CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSING = frozenset(_CLOSERS.values())

_TOKEN = re.compile(
    r"(?P<BLANK>[ \t\n]+)"
    r"|(?P<COMMENT>\#[^\n]*)"
    r"|(?P<WORD>[^\W\d]\w*)"
    r"|(?P<NUMBER>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r'|(?P<STRING>"[^"\\\n]*")'
    r"|(?P<PUNCTUATION>\|>|==|!=|<=|>=|\*\*|\.\.\.|\.T(?!\w)|[()\[\]{},:;='^+\-*@·⊙∘<>]|/(?![/*]))"
)
_LETTERS = "A-Za-zα-ξπρσ-ωΓΔΘΛΞΠΣΦΨΩ"
_NAME = re.compile(f"[{_LETTERS}](?:[{_LETTERS}0-9_]*[{_LETTERS}0-9])?")
_BAD_LETTER = re.compile(f"[^{_LETTERS}0-9_]")

# Characters that no text may contain, not even in a comment: they change what an editor
# shows (bidirectional overrides, invisible ones) or where a line ends.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)

# What people type for something that the language has: shown as help, and read as such.
_MEANT: dict[str, str] = {
    "×": "*",
    "⋅": "·",
    "∙": "·",
    "•": "·",
    "−": "-",
    "–": "-",
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "&&": "and",
    "||": "or",
    "∧": "and",
    "∨": "or",
    "!": "not",
    "¬": "not",
    "&": "and",
    "|": "or",
    "~": "not",
    ":=": "=",
    "≔": "=",
    "<-": "=",
    "←": "=",
    "ᵀ": "'",
    "⊤": "'",
    "’": "'",
    "′": "'",
    "…": "...",
    "▷": "|>",
    "“": '"',
    "”": '"',
}
_UNKNOWN = re.compile(r"&&|\|\||//|/\*|\.[^\W\d]\w*|[^\w\s]", re.DOTALL)

# Tokens behind which a line cannot end.
UNFINISHED = frozenset(
    "EQUAL ADD MUL STAR POW CMP PIPE COMMA COLON NOT AND OR IF THEN ELSE IN OVER FROM LPAR "
    "LSQB USE CONST INPUT PARAM STATE RANDOM FN LAYER UPDATE REPEAT FOR RETURN".split()
)
OPERAND_ENDS = frozenset(
    "NAME NUMBER STRING RPAR RSQB TRANSPOSE TRUE FALSE RBRACE".split()
)


@record(frozen=False)
class Word:
    """A token: the name of its terminal, its text, its line and its place."""

    type: str
    text: str
    line: int
    span: Span

    @classmethod
    def at(cls, kind: str, text: str, start: int, line: int, source: Source) -> Word:
        """Return the token of a text that begins at an offset, on a line."""
        return cls(kind, text, line, Span(source, start, start + len(text)))

    def __str__(self) -> str:
        return self.text


@record(frozen=False)
class Comment:
    """A comment: the text from `#` on, its place, and how many tokens stand before it."""

    text: str
    start: int
    line: int
    index: int
    own_line: bool


@record(frozen=False)
class Scan:
    """What scanning a source gives.

    `opener[i]` is the index of the innermost bracket open at token i (-1: none), `closed`
    maps an opening bracket to what closes it; `spoiled` are the offsets, in order, of what
    was reported here: a syntax error in the same statement would only be a follow-up.
    """

    source: Source
    tokens: list[Word] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    spoiled: list[int] = field(default_factory=list)
    opener: list[int] = field(default_factory=list)
    closed: dict[int, int] = field(default_factory=dict)

    def starts_line(self, index: int) -> bool:
        """Whether a token is the first of its line."""
        tokens = self.tokens
        return index == 0 or tokens[index].line != tokens[index - 1].line

    def is_spoiled(self, start: int, end: int) -> bool:
        """Whether something between two offsets was reported while scanning."""
        at = bisect_left(self.spoiled, start)
        return at < len(self.spoiled) and self.spoiled[at] < end


def scan_source(source: Source, limits: Limits, reporter: Reporter) -> Scan:
    """Return the tokens and comments of a text; report what is no token."""
    text = source.text
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > limits.file_bytes:
        reporter.fatal(text_prose.file_too_large(source.name, size, limits.file_bytes))
    for match in _FORBIDDEN.finditer(text):
        reporter.report(
            text_prose.forbidden_character(source.span(match.start(), match.end()))
        )
        if reporter.is_full:
            break
    reporter.raise_if_errors()
    scan = Scan(source)
    _read_tokens(scan, limits, reporter)
    _match_brackets(scan, limits, reporter)
    scan.spoiled.sort()
    return scan


# ----------------------------------------------------------------------------- tokens


def _read_tokens(scan: Scan, limits: Limits, reporter: Reporter) -> None:
    source = scan.source
    text = source.text
    tokens = scan.tokens
    at = 0
    line = 1
    length = len(text)
    match_at = _TOKEN.match
    while at < length:
        match = match_at(text, at)
        if match is None:
            at = _read_unknown(scan, at, line, reporter)
            continue
        kind = match.lastgroup
        value = match.group()
        end = at + len(value)
        if kind == "BLANK":
            line += value.count("\n")
            at = end
            continue
        if kind == "COMMENT":
            own = not tokens or tokens[-1].line != line
            scan.comments.append(Comment(value, at, line, len(tokens), own))
            at = end
            continue
        if kind == "WORD":
            kind = KEYWORDS.get(value)
            if kind is None:
                kind = "NAME"
                if len(value) > limits.name_length or not _NAME.fullmatch(value):
                    _check_name(scan, value, at, limits, reporter)
        elif kind == "NUMBER":
            end = _check_number(scan, match, limits, reporter)
            value = text[at:end]
        elif kind == "PUNCTUATION":
            kind = _PUNCTUATION[value]
        assert kind is not None
        tokens.append(Word(kind, value, line, Span(source, at, end)))
        at = end


def _check_name(
    scan: Scan, word: str, at: int, limits: Limits, reporter: Reporter
) -> None:
    span = scan.source.span(at, at + len(word))
    bad = _BAD_LETTER.search(word)
    if bad is not None:
        char = bad.group()
        place = at + bad.start()
        reporter.report(
            text_prose.foreign_letter(
                scan.source.span(place, place + 1), word, char, _plain(word)
            )
        )
    elif len(word) > limits.name_length:
        reporter.report(text_prose.name_too_long(span, limits.name_length))
    else:
        reporter.report(text_prose.underscore_at_end(span, word.strip("_")))
    scan.spoiled.append(at)


def _plain(word: str) -> str:
    """The word in letters of the language, as far as Unicode knows; "" if it does not."""
    if "²" in word or "³" in word:
        return ""
    folded = unicodedata.normalize("NFKD", word.replace("µ", "μ"))
    folded = "".join(char for char in folded if not unicodedata.combining(char))
    return folded if _NAME.fullmatch(folded) else ""


def _check_number(
    scan: Scan, match: re.Match[str], limits: Limits, reporter: Reporter
) -> int:
    """Report a bad number; return where what was meant as one ends."""
    text = scan.source.text
    start, end = match.span()
    behind = _BEHIND_NUMBER.match(text, end)
    if behind is not None:
        end = behind.end()
        reporter.report(text_prose.bad_number(scan.source.span(start, end)))
        scan.spoiled.append(start)
        return end
    if end - start > limits.number_length:
        reporter.report(
            text_prose.number_too_long(
                scan.source.span(start, end), limits.number_length
            )
        )
        scan.spoiled.append(start)
    elif not math.isfinite(float(match.group())):
        reporter.report(text_prose.number_too_large(scan.source.span(start, end)))
        scan.spoiled.append(start)
    return end


# Behind a number: a second point, digits in groups, a base, an exponent without digits.
_BEHIND_NUMBER = re.compile(
    r"(?:\.[0-9][\w.]*|_[\w.]*|[xXbBoO][0-9][0-9a-fA-F_]*|[eE][+-]?(?!\w)|[jJlLfF](?!\w))"
)


def _read_unknown(scan: Scan, at: int, line: int, reporter: Reporter) -> int:
    """Report what is no token, read what it may mean; return where to go on."""
    text = scan.source.text
    tokens = scan.tokens
    if text[at] == '"':
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        close = text.find('"', at + 1, end)
        if close >= 0:  # a backslash kept it from being a string
            end = close + 1
            reporter.report(text_prose.string_escape(scan.source.span(at, end)))
        else:
            reporter.report(
                text_prose.unterminated_string(scan.source.span(at, at + 1))
            )
        scan.spoiled.append(at)
        tokens.append(Word.at("STRING", text[at:end], at, line, scan.source))
        return end
    match = _UNKNOWN.match(text, at)
    char = match.group() if match is not None else text[at]
    end = at + len(char)
    span = scan.source.span(at, end)
    scan.spoiled.append(at)
    if char.startswith(".") and len(char) > 1:
        reporter.report(text_prose.dotted_name(span, char[1:]))
        return end
    meant = _MEANT.get(char, "")
    reporter.report(text_prose.unknown_character(span, meant))
    kind = KEYWORDS.get(meant) or _PUNCTUATION.get(meant)
    if kind is not None:
        tokens.append(Word(kind, meant, line, span))
    return end


# --------------------------------------------------------------------------- brackets


def _match_brackets(scan: Scan, limits: Limits, reporter: Reporter) -> None:
    tokens = scan.tokens
    opener = scan.opener = [-1] * len(tokens)
    stack: list[int] = []
    stray: list[int] = []

    def unclosed(index: int) -> None:
        start = tokens[index].span.start
        if any(start <= place for place in scan.spoiled):
            scan.spoiled.append(start)  # a string that does not end, say, took the `)`
            return
        reporter.report(text_prose.unclosed_bracket(tokens[index].span))
        scan.spoiled.append(tokens[index].span.start)

    for i, token in enumerate(tokens):
        kind = token.type
        if stack and tokens[stack[-1]].type != "LBRACE" and _begins_statement(scan, i):
            unclosed(stack[-1])
            while stack and tokens[stack[-1]].type != "LBRACE":
                stack.pop()
        opener[i] = stack[-1] if stack else -1
        if kind in _CLOSERS:
            if len(stack) >= limits.nesting:
                reporter.fatal(text_prose.nested_too_deeply(token.span, limits.nesting))
            stack.append(i)
        elif kind in CLOSING:
            if kind == "RBRACE" and any(tokens[k].type == "LBRACE" for k in stack):
                if tokens[stack[-1]].type != "LBRACE":
                    unclosed(stack[-1])
                while tokens[stack[-1]].type != "LBRACE":
                    stack.pop()
            if not stack:
                reporter.report(text_prose.stray_bracket(token.span))
                scan.spoiled.append(token.span.start)
                stray.append(i)
                continue
            first = stack[-1]
            if _CLOSERS[tokens[first].type] != kind:
                reporter.report(
                    text_prose.bracket_mismatch(token.span, tokens[first].span)
                )
                scan.spoiled.append(token.span.start)
                if kind == "RBRACE" or tokens[first].type == "LBRACE":
                    stray.append(i)
                    continue
            scan.closed[first] = i
            stack.pop()
            opener[i] = stack[-1] if stack else -1
    if stack:
        unclosed(stack[-1])
    if stray:
        _drop(scan, stray)


def _begins_statement(scan: Scan, i: int) -> bool:
    """Whether a token inside parentheses can only be the first of the next statement."""
    tokens = scan.tokens
    if not scan.starts_line(i):
        return False
    kind = tokens[i].type
    if kind in STATEMENT_WORDS:
        return True
    return (
        kind == "NAME"
        and i + 1 < len(tokens)
        and tokens[i + 1].type == "EQUAL"
        and tokens[i - 1].type in OPERAND_ENDS
    )


def _drop(scan: Scan, indices: list[int]) -> None:
    """Take tokens out that would only confuse the parser; renumber what refers to them."""
    gone = set(indices)
    moved: dict[int, int] = {}
    for i in range(len(scan.tokens)):
        if i not in gone:
            moved[i] = len(moved)
    scan.tokens = [token for i, token in enumerate(scan.tokens) if i not in gone]
    scan.opener = [
        moved.get(first, -1) for i, first in enumerate(scan.opener) if i not in gone
    ]
    scan.closed = {
        moved[a]: moved[b] for a, b in scan.closed.items() if a in moved and b in moved
    }
