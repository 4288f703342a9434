"""Axis patterns: `"n t (h d) -> n h t d"`, `"... c -> c"`, `"ij, jk -> ik"`.

A pattern is a string with names for axes; what stands on its left describes the argument, on
its right the result. Parsed at compile time, never emitted.

    >>> left, right = parse("n t (h d) -> n h t d")
    >>> left
    (('n',), ('t',), ('h', 'd'))
"""

from __future__ import annotations

import re

Group = tuple[str, ...]  # ("n",), ("h", "d"), ("1",), ("...",)

_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-zα-ωΑ-Ω][A-Za-z0-9_α-ωΑ-Ω]*|1|[()])")
REST: Group = ("...",)


class BadPattern(Exception):
    """What is wrong with a pattern, as the message says it."""


def parse(text: str) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Both sides of a pattern with one `->`."""
    left, arrow, right = text.partition("->")
    if not arrow:
        raise BadPattern("it has no `->`")
    return side(left), side(right)


def side(text: str) -> tuple[Group, ...]:
    """The axes of one side; axes in parentheses are one axis that is split or merged."""
    groups: list[Group] = []
    inner: list[str] | None = None
    seen: set[str] = set()
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadPattern(f"`{text[at:].strip()[:1]}` has no meaning in it")
        at = found.end()
        token = found.group(1)
        if token == "(":
            if inner is not None:
                raise BadPattern("parentheses do not nest in it")
            inner = []
        elif token == ")":
            if inner is None:
                raise BadPattern("a `)` has no `(` in it")
            groups.append(tuple(inner) or ("1",))
            inner = None
        else:
            if token != "1" and token in seen:
                raise BadPattern(f"`{token}` stands twice on one side")
            seen.add(token)
            if inner is None:
                groups.append((token,))
            elif token == "...":
                raise BadPattern("`...` cannot stand in parentheses")
            elif token != "1":
                inner.append(token)
    if inner is not None:
        raise BadPattern("a `(` is never closed in it")
    return tuple(groups)


def einsum(text: str) -> tuple[list[list[str]], list[str]]:
    """The letters of each operand and of the result: `"ij, jk -> ik"`.

    A side without blanks inside is read letter by letter; with blanks, name by name.
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise BadPattern("it has no `->`")
    operands = [_letters(part) for part in left.split(",")]
    return operands, _letters(right)


def _letters(text: str) -> list[str]:
    words = text.split()
    if len(words) == 1 and words[0].isalpha():
        words = list(words[0])
    for word in words:
        if not re.fullmatch(r"[A-Za-zα-ωΑ-Ω][A-Za-z0-9_]*", word):
            raise BadPattern(f"`{word}` is no name of an axis")
    return words
