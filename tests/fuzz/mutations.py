"""Mutations of programs: what a slip of the hand, a bad merge or an attacker makes of one.

text = mutate(random.Random(7), "input x: [N]\\noutput y = x", words)
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

TOKEN = re.compile(
    r"\s+|#[^\n]*|\"[^\"\n]*\"|[A-Za-zα-ωΑ-Ω_][A-Za-z0-9_α-ωΑ-Ω]*|\d+\.?\d*(?:[eE][+-]?\d+)?"
    r"|\|>|==|!=|<=|>=|\*\*|\.\.\.|.",
    re.S,
)
STRANGE = "\0\r\t\x0b\x1b\u202e\u2028\ufeffſ𝐱é\U0001f600'\"{}[]()=:;,|>^@*#"


def tokens(text: str) -> list[str]:
    """The text cut into tokens: joined, they are the text again."""
    return TOKEN.findall(text)


def mutate(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """One to four random changes of `text`; `words` are tokens of other programs."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        text = rng.choice(CHANGES)(rng, text, words)
    return text


def _characters(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """Delete, double, replace or insert one character."""
    if not text:
        return rng.choice(STRANGE)
    i = rng.randrange(len(text))
    new = rng.choice(["", text[i] * 2, rng.choice(STRANGE), rng.choice(text)])
    return text[:i] + new + text[i + 1 :]


def _bits(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """Flip a bit of the UTF-8 bytes."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if not data:
        return text
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data.decode("utf-8", "replace")


def _tokens(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """Delete, double, swap or replace one token."""
    parts = tokens(text)
    places = [i for i, part in enumerate(parts) if not part.isspace()]
    if not places:
        return text
    i, j = rng.choice(places), rng.choice(places)
    match rng.randrange(4):
        case 0:
            parts[i] = ""
        case 1:
            parts[i] = parts[i] + " " + parts[i]
        case 2:
            parts[i], parts[j] = parts[j], parts[i]
        case _:
            parts[i] = rng.choice(words)
    return "".join(parts)


def _likewise(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """Replace a token by one of the same sort: a number by a number, a name by a name of
    the program, an operator by an operator: what is most likely to compile still."""
    parts = tokens(text)
    places = [i for i, p in enumerate(parts) if _sort(p)]
    if not places:
        return text
    i = rng.choice(places)
    same = sorted({p for p in parts if _sort(p) == _sort(parts[i])})
    if _sort(parts[i]) == "number":
        same += ["0", "1", "2", "3", "10", "0.5", "1e-3"]
    elif _sort(parts[i]) == "operator":
        same += ["+", "-", "*", "/", "@"]
    elif rng.random() < 0.3:
        same += ["relu", "tanh", "sigmoid", "exp", "softplus", "gelu", "sqrt", "abs"]
    parts[i] = rng.choice(same)
    return "".join(parts)


def _sort(part: str) -> str:
    if part[0].isdigit():
        return "number"
    if part[0].isalpha():
        return "name"
    return "operator" if part in "+-*/@^" else ""


def _lines(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """Delete, double or swap a line; or cut the text short."""
    lines = text.split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[i]
        case 1:
            lines.insert(i, lines[i])
        case 2:
            lines[i], lines[j] = lines[j], lines[i]
        case _:
            lines = lines[: i + 1]
    return "\n".join(lines)


CHANGES = (_characters, _bits, _tokens, _likewise, _likewise, _likewise, _lines)
