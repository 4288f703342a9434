"""Which mistake is a syntax error? The parser says only which token it could not take.

In comes a `Failure`: the tokens, where the broken statement begins, which token failed,
what was expected and what is on the parser's stack of that statement. Out comes one
diagnostic. Each case below is a mistake that people make; the order matters, the special
before the general, and the last one is "unexpected token".

**Unfinished lines.** Line ends mean nothing to the parser, so `z = x +` is noticed at the
`=` of the next line. Statements never begin mid-line, so when the failing token's line
begins a statement of its own, what is wrong is the line before.
"""

from __future__ import annotations

from typing import Any

from gradc.records import record

from ..errors import syntax
from ..errors.form import Diagnostic, did_you_mean
from ..source import Span
from . import ast
from .scan import (
    KEYWORDS,
    OPERAND_ENDS,
    STATEMENT_WORDS,
    UNFINISHED,
    Scan,
    Word,
)
from .signatures import primitive

_OPERAND_BEGINS = frozenset("NAME NUMBER STRING LPAR TRUE FALSE".split())
_KINDS = frozenset(("REAL", "INT", "BOOL"))
_LEAVES = frozenset(("PARAM", "STATE", "RANDOM"))

# Terminals in the words of the messages; a set of them is told in this order.
_WORDS: dict[str, str] = {
    "NAME": "a name",
    "NUMBER": "an expression",
    "STRING": "a string",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "LPAR": "`(`",
    "LBRACE": "`{`",
    "COMMA": "`,`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "FROM": "`from`",
    "IN": "`in`",
    "THEN": "`then`",
    "ELSE": "`else`",
    "OVER": "`over`",
}

# Words of other languages at the start of a statement, and what is written here.
_FOREIGN: dict[str, str] = {
    "import": 'functions of another file come with `use name from "file.net"`',
    "def": "a function is `fn name(x) = …`",
    "func": "a function is `fn name(x) = …`",
    "function": "a function is `fn name(x) = …`",
    "lambda": "a function is `fn name(x) = …`",
    "class": "a recipe with parameters of its own is `layer name(x) { … }`",
    "module": "a recipe with parameters of its own is `layer name(x) { … }`",
    "let": "an equation is written without a word before it: `name = …`",
    "var": "an equation is written without a word before it: `name = …`",
    "while": "there is no `while`: `for t in T { … }` and `repeat n { … }` are the loops",
    "print": "a value is shown by `output name`",
    "data": "data stand in `train { data = … }`",
    "parameter": "a parameter is `param name: [n, m] = he()`",
}


@record
class Failure:
    """A syntax error as the parser sees it."""

    scan: Scan
    start: int
    """Index of the first token of the broken statement."""
    index: int
    """Index of the token that failed; the number of tokens at the end of the file."""
    expected: frozenset[str]
    stack: tuple[Any, ...]
    """What the parser holds of the statement: tokens and nodes."""

    @property
    def tokens(self) -> list[Word]:
        return self.scan.tokens

    @property
    def at_end(self) -> bool:
        """Whether it is the end of the file that failed."""
        return self.index >= len(self.tokens)

    @property
    def token(self) -> Word:
        return self.tokens[self.index]

    @property
    def previous(self) -> Word | None:
        return self.tokens[self.index - 1] if self.index > 0 else None

    @property
    def head(self) -> str:
        """The terminal of the statement's first token."""
        return self.tokens[self.start].type if self.start < len(self.tokens) else ""

    @property
    def following(self) -> Word | None:
        after = self.index + 1
        return self.tokens[after] if after < len(self.tokens) else None

    def holds(self, *kinds: str) -> bool:
        """Whether a token of such a kind is on the stack, not yet part of a node."""
        return any(isinstance(item, Word) and item.type in kinds for item in self.stack)

    def opener(self) -> str:
        """The kind of the innermost bracket open at the failure, within the statement."""
        if self.at_end:
            return ""
        first = self.scan.opener[self.index]
        return self.tokens[first].type if first >= self.start else ""


def diagnose(failure: Failure) -> Diagnostic:
    """Return what to say of a syntax error."""
    for case in (
        _unfinished,
        _mid_line,
        _missing_value,
        _choice_place,
        _reserved,
        _statement_beginning,
        _in_type,
        _in_leaf,
        _equals,
        _comparison,
        _choice,
        _operators,
        _operands,
        _punctuation,
    ):
        found = case(failure)
        if found is not None:
            return found
    return _unexpected(failure)


def _line_start(failure: Failure) -> int:
    """The index of the first token of the failing token's line."""
    i = min(failure.index, len(failure.tokens) - 1)
    while i > 0 and not failure.scan.starts_line(i):
        i -= 1
    return i


def _unfinished(failure: Failure) -> Diagnostic | None:
    tokens = failure.tokens
    if failure.at_end:
        last = tokens[-1]
        if last.type in UNFINISHED or last.type in (
            "LOSS",
            "METRIC",
            "OUTPUT",
            "TRAIN",
        ):
            return syntax.unfinished_line(last.span, at_end=True)
        return None
    first = _line_start(failure)
    if first <= failure.start or first == 0:
        return None
    before = tokens[first - 1]
    if before.type not in UNFINISHED and before.type not in (
        "LOSS",
        "METRIC",
        "OUTPUT",
        "TRAIN",
    ):
        return None
    token = tokens[first]
    begins = token.type in STATEMENT_WORDS or token.type == "RBRACE"
    if token.type == "NAME" and failure.index > first:
        begins = begins or failure.token.type in ("EQUAL", "COLON")
    if token.type == "NAME" and before.type in STATEMENT_WORDS:
        begins = True
    return syntax.unfinished_line(before.span) if begins else None


def _mid_line(failure: Failure) -> Diagnostic | None:
    """`z = 2 x + b`: `x + b` is parsed as a statement, and that is no statement."""
    start = failure.start
    if start == 0 or start >= len(failure.tokens) or failure.scan.starts_line(start):
        return None
    before, first = failure.tokens[start - 1], failure.tokens[start]
    if before.type in ("SEMICOLON", "LBRACE"):
        return None
    if before.type in OPERAND_ENDS and first.type in _OPERAND_BEGINS:
        return _missing_operator(before, first)
    return None


def _missing_operator(before: Word, after: Word) -> Diagnostic:
    known = before.type == "NAME" and primitive(str(before)) is not None
    return syntax.missing_operator(
        after.span, _quote(before), _quote(after), call=known and after.type == "NAME"
    )


def _quote(token: Word) -> str:
    text = str(token)
    return text if len(text) <= 24 else text[:23] + "…"


def _missing_value(failure: Failure) -> Diagnostic | None:
    """A statement that ends where its `=` or its block should stand."""
    last = failure.previous
    fresh = failure.at_end or failure.scan.starts_line(failure.index)
    if not fresh and failure.token.type not in ("SEMICOLON", "RBRACE"):
        return None
    if last is None or failure.index <= failure.start:
        return None
    if failure.opener() in ("LPAR", "LSQB"):
        return None
    head, expected = failure.head, failure.expected
    end = _behind(last)
    if "EQUAL" in expected:
        if head in _LEAVES:
            return syntax.leaf_without_value(end, head.lower())
        if head in ("CONST", "LOSS", "METRIC", "UPDATE"):
            return syntax.statement_without_value(end, head.lower())
        if head in ("FN", "LAYER"):
            return syntax.function_without_body(end, head.lower())
    if head in ("REPEAT", "FOR") and "LBRACE" in expected:
        return syntax.loop_without_block(end, head.lower())
    return None


def _behind(token: Word) -> Span:
    """The place just behind a token."""
    return Span(token.span.source, token.span.end, token.span.end)


def _reserved(failure: Failure) -> Diagnostic | None:
    """A word of the language where only a name can stand."""
    if failure.at_end or str(failure.token) not in KEYWORDS:
        return None
    token = failure.token
    if _at_statement(failure):
        return None
    if "NAME" in failure.expected and "NUMBER" not in failure.expected:
        following = failure.following
        if failure.index == failure.start and not (
            following is not None and following.type in ("EQUAL", "COMMA", "COLON")
        ):
            return None
        return syntax.reserved_word(token.span, str(token))
    following = failure.following
    if (
        "NAME" in failure.expected
        and token.type not in ("IF", "THEN", "ELSE", "FOR", "NOT", "AND", "OR")
        and failure.index > failure.start
        and not failure.scan.starts_line(failure.index)
    ):
        return syntax.reserved_word(token.span, str(token))
    return None


def _at_statement(failure: Failure) -> bool:
    """Whether what failed stands where a statement begins."""
    if failure.index == failure.start:
        return True
    before = failure.previous
    return (
        before is not None
        and failure.scan.starts_line(failure.index)
        and failure.token.type not in STATEMENT_WORDS | {"NAME"}
        and before.type in OPERAND_ENDS
        and failure.opener() not in ("LPAR", "LSQB")
    )


def _statement_beginning(failure: Failure) -> Diagnostic | None:
    """What cannot begin a statement, or begins none that there is."""
    if failure.at_end:
        if failure.start == len(failure.tokens) - 1 and failure.head == "NAME":
            return syntax.not_a_statement(failure.tokens[-1].span)
        return None
    token, first = failure.token, failure.tokens[failure.start]
    before = failure.previous
    if (
        before is not None
        and before.type in STATEMENT_WORDS
        and failure.index == failure.start + 1
        and token.type in ("EQUAL", "COLON", "COMMA")
        and before.type != "TRAIN"
    ):
        return syntax.reserved_word(before.span, str(before))
    if _at_statement(failure):
        if str(token) in KEYWORDS:
            following = failure.following
            if following is not None and following.type in ("EQUAL", "COLON"):
                return syntax.reserved_word(token.span, str(token))
            return syntax.misplaced_word(token.span, str(token))
        if token.type == "SEMICOLON":
            return syntax.needless_semicolon(token.span)
        if token.type in ("NUMBER", "STRING", "LPAR", "LSQB"):
            return syntax.not_a_statement(token.span)
        return syntax.cannot_begin(token.span, str(token))
    if first.type != "NAME" or failure.index > failure.start + 1:
        return None
    # One name was read: what stands behind it?
    following = failure.following
    if token.type == "CMP" and str(token) == "==":
        return syntax.comparison_for_equation(token.span)
    if (
        token.type in ("ADD", "MUL", "STAR", "POW")
        and following is not None
        and following.type == "EQUAL"
        and following.span.start == token.span.end
    ):
        return syntax.augmented_assignment(
            token.span.to(following.span), str(first), str(token)
        )
    if token.type == "NAME" and not failure.scan.starts_line(failure.index):
        return _unknown_word(first)
    if token.type in ("STRING", "NUMBER") and str(first) in _FOREIGN:
        return _unknown_word(first)
    if token.type in ("LPAR", "PIPE", "ADD", "MUL", "STAR", "POW", "CMP", "TRANSPOSE"):
        if str(first) in _FOREIGN:
            return _unknown_word(first)
        return syntax.not_a_statement(first.span)
    if failure.scan.starts_line(failure.index) or token.type in ("SEMICOLON", "RBRACE"):
        return syntax.not_a_statement(first.span)
    return None


def _unknown_word(word: Word) -> Diagnostic:
    text = str(word)
    words = [kind.lower() for kind in sorted(STATEMENT_WORDS)]
    meant = did_you_mean(text, words) or ""
    return syntax.unknown_statement(word.span, text, meant, _FOREIGN.get(text, ""))


def _in_type(failure: Failure) -> Diagnostic | None:
    if failure.at_end:
        return None
    token = failure.token
    if failure.expected >= _KINDS and "NUMBER" not in failure.expected:
        if token.type in ("NAME", "NUMBER"):
            return syntax.unknown_type(token.span, str(token))
        if token.type == "LPAR":
            return syntax.shape_in_parentheses(token.span)
    if (
        token.type == "LSQB"
        and failure.previous is not None
        and failure.previous.type == "NAME"
        and "COLON" in failure.expected
        and failure.head in ("INPUT", "PARAM", "STATE", "RANDOM", "OUTPUT", "LOSS")
    ):
        return syntax.missing_colon(token.span, str(failure.previous))
    return None


def _in_leaf(failure: Failure) -> Diagnostic | None:
    """What is special about the statements that begin with a word."""
    if failure.at_end:
        return None
    token, head = failure.token, failure.head
    if head == "INPUT" and token.type == "EQUAL":
        return syntax.input_with_value(token.span)
    if head == "CONST" and token.type == "COLON":
        return syntax.const_with_type(token.span)
    if head == "CONST" and token.type == "COMMA" and failure.index == failure.start + 2:
        return syntax.several_consts(token.span)
    if head == "USE":
        if token.type == "STRING" and failure.index == failure.start + 1:
            return syntax.use_without_names(token.span)
        if "FROM" in failure.expected or "STRING" in failure.expected:
            return syntax.use_form(token.span)
    if head == "FOR" and "IN" in failure.expected:
        return syntax.for_without_in(token.span)
    if head == "TRAIN" and token.type == "EQUAL":
        return syntax.train_form(token.span)
    if head in ("FN", "LAYER"):
        if "LPAR" in failure.expected and failure.index == failure.start + 2:
            return syntax.function_without_parentheses(
                token.span, head.lower(), str(failure.previous)
            )
        if token.type == "COLON" and "LBRACE" in failure.expected:
            return syntax.function_without_body(token.span, head.lower())
    return None


def _equals(failure: Failure) -> Diagnostic | None:
    if failure.at_end or failure.token.type != "EQUAL":
        return None
    before = failure.previous
    if before is not None and before.type == "EQUAL":
        return syntax.missing_value(failure.token.span, "=", "=")
    if failure.opener() in ("LPAR", "LSQB") or failure.holds("IF"):
        return syntax.equation_for_comparison(failure.token.span)
    if failure.holds("EQUAL"):
        if failure.previous is not None and failure.previous.type == "NAME":
            return syntax.chained_equation(failure.token.span, str(failure.previous))
        return syntax.equation_for_comparison(failure.token.span)
    return None


def _comparison(failure: Failure) -> Diagnostic | None:
    if failure.at_end or failure.token.type != "CMP":
        return None
    # The comparison before is on the stack: `sum CMP sum` waits to become one.
    for item in reversed(failure.stack):
        if isinstance(item, Word) and item.type == "CMP":
            return syntax.chained_comparison(failure.token.span)
        if isinstance(item, Word) and item.type not in ("NAME",):
            break
    if failure.previous is not None and failure.previous.type in OPERAND_ENDS:
        return None
    return None


def _choice_place(failure: Failure) -> Diagnostic | None:
    """`if` in the middle of an expression."""
    before = failure.previous
    if failure.at_end or failure.token.type != "IF" or before is None:
        return None
    if failure.scan.starts_line(failure.index) or failure.index == failure.start:
        return None
    if before.type in OPERAND_ENDS:
        return syntax.if_behind_value(failure.token.span)
    if "NUMBER" in failure.expected:
        return syntax.if_needs_parentheses(failure.token.span)
    return None


def _choice(failure: Failure) -> Diagnostic | None:
    """`if` without `then` or `else`."""
    waiting = ""
    for item in failure.stack:
        if isinstance(item, Word) and item.type in ("IF", "THEN", "ELSE"):
            waiting = item.type
    if waiting in ("IF", "THEN"):
        word = next(
            item
            for item in reversed(failure.stack)
            if isinstance(item, Word) and item.type == waiting
        )
        missing = "then" if waiting == "IF" else "else"
        ahead = failure.tokens[failure.index : failure.index + 40]
        line = failure.tokens[failure.index - 1].line
        if missing.upper() in failure.expected and not any(
            token.type == missing.upper() and token.line == line for token in ahead
        ):
            return syntax.incomplete_choice(word.span, missing)
    return None


def _operators(failure: Failure) -> Diagnostic | None:
    """Operators and signs that stand where a value should."""
    if failure.at_end or failure.previous is None:
        return None
    token, before = failure.token, failure.previous
    if before.type == "PIPE":
        return syntax.pipe_into_no_function(token.span, str(token))
    if token.type == "TRANSPOSE" and before.type not in OPERAND_ENDS:
        return syntax.single_quotes(token.span)
    operators = ("MUL", "STAR", "POW", "CMP", "PIPE", "AND", "OR")
    if token.type in operators and before.type in UNFINISHED - {"NOT"}:
        if before.type in (*operators, "ADD"):
            return syntax.two_operators(token.span, str(before), str(token))
        return syntax.operator_without_left(token.span, str(token))
    if token.type == "NOT" and before.type in (*operators, "ADD"):
        return syntax.not_needs_parentheses(token.span)
    return None


def _operands(failure: Failure) -> Diagnostic | None:
    """Two values side by side."""
    if failure.at_end or failure.previous is None:
        return None
    token, before = failure.token, failure.previous
    if (
        before.type in OPERAND_ENDS
        and token.type in _OPERAND_BEGINS
        and failure.stack
        and (
            isinstance(failure.stack[-1], ast.Expr)
            or failure.opener() in ("LPAR", "LSQB")
            or failure.holds("EQUAL")
        )
    ):
        return _missing_operator(before, token)
    return None


def _punctuation(failure: Failure) -> Diagnostic | None:
    if failure.at_end or failure.previous is None:
        return None
    token, before = failure.token, failure.previous
    if token.type == "LBRACE":
        return syntax.braces_in_expression(token.span)
    if token.type == "COLON" and failure.opener() == "LSQB":
        return syntax.slice_step(token.span)
    if token.type == "SEMICOLON" and failure.opener() in ("LPAR", "LSQB"):
        return syntax.semicolon_in_brackets(token.span)
    if token.type in ("COMMA", "RPAR", "RSQB") and before.type in (
        "COMMA",
        "LPAR",
        "LSQB",
        "ADD",
        "MUL",
        "STAR",
        "POW",
        "CMP",
        "AND",
        "OR",
        "NOT",
        "EQUAL",
    ):
        return syntax.missing_value(token.span, str(before), str(token))
    return None


def _unexpected(failure: Failure) -> Diagnostic:
    words = []
    expected = failure.expected
    if "NUMBER" in expected:
        # Wherever a number may stand, any expression may: say that alone.
        expected = expected - {"NAME", "STRING", "LPAR", "LSQB"}
    for kind, text in _WORDS.items():
        if kind in expected and text not in words:
            words.append(text)
    before = str(failure.previous) if failure.previous is not None else ""
    if failure.at_end:
        return syntax.unexpected_end(_behind(failure.tokens[-1]), words)
    return syntax.unexpected(failure.token.span, str(failure.token), before, words)
