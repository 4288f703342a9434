"""The LALR tables of `net.lark`: made by lark, kept beside it as `net.json`.

To make them takes lark a third of a second, more than a whole compilation may; to read them
takes a few milliseconds. The file names the digest of the grammar that it was made from:
where the grammar was edited since, the tables are made anew, in memory, and a test fails
until the file is written again:

    python -m gradc.compiler.frontend.tables

States are numbered in the order in which they are met from the first one, symbols in
alphabetical order, so that the same grammar gives the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gradc.records import record

HERE = Path(__file__).parent
GRAMMAR = HERE / "net.lark"
TABLES = HERE / "net.json"


class Reduction(NamedTuple):
    """What to do when a rule is complete.

    Take `size` values off the stack; put the values of lists among them (`inline`) in
    their place; hand them to the method `callback` of `Build`, or if that is None make a
    list of them; with `single` a lone value stands for itself. Then go on as `rule`.
    """

    rule: str
    size: int
    inline: tuple[int, ...]
    single: bool
    callback: str | None


@record
class Tables:
    """For each state, by terminal or rule: the state to go to, or a reduction."""

    actions: list[dict[str, int | Reduction]]
    last: int
    """The state in which the text is complete; the first is 0."""


@cache
def tables() -> Tables:
    """Return the tables of the grammar, read once per process."""
    stored = json.loads(TABLES.read_text(encoding="utf-8")) if TABLES.exists() else {}
    if stored.get("grammar") != digest():
        stored = make()
    rules = [
        Reduction(rule, size, tuple(inline), single, callback)
        for rule, size, inline, single, callback in stored["rules"]
    ]
    actions = [
        {
            symbol: target if target >= 0 else rules[-target - 1]
            for symbol, target in entries.items()
        }
        for entries in stored["states"]
    ]
    return Tables(actions, stored["last"])


def digest() -> str:
    """The digest of the grammar."""
    return hashlib.sha256(GRAMMAR.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def make() -> dict[str, Any]:
    """Return the tables as plain data, made by lark from the grammar.

    A negative target -n is the reduction by rule n - 1.
    """
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    lark = Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
    conf = lark.parse_interactive().parser_state.parse_conf
    numbers = {conf.start_state: 0}
    pending = deque([conf.start_state])
    rules: dict[tuple[Any, ...], int] = {}
    states: list[dict[str, int]] = []
    while pending:
        state = pending.popleft()
        entries: dict[str, int] = {}
        for symbol, (action, arg) in sorted(
            conf.states[state].items(), key=lambda entry: str(entry[0])
        ):
            if action is Shift:
                if arg not in numbers:
                    numbers[arg] = len(numbers)
                    pending.append(arg)
                entries[str(symbol)] = numbers[arg]
            else:
                rule = _reduction(arg)
                entries[str(symbol)] = -rules.setdefault(rule, len(rules)) - 1
        states.append(entries)
    return {
        "grammar": digest(),
        "last": numbers[conf.end_state],
        "rules": [list(rule) for rule in rules],
        "states": states,
    }


def _reduction(rule: Any) -> tuple[Any, ...]:
    name = str(rule.origin.name)
    inline = tuple(
        i
        for i, symbol in enumerate(rule.expansion)
        if not symbol.is_term and str(symbol.name).startswith("_")
    )
    single = bool(rule.options.expand1) and rule.alias is None
    callback = None if name.startswith("_") else str(rule.alias or name)
    return name, len(rule.expansion), inline, single, callback


def text() -> str:
    """The content of `net.json`: one line a rule and a state."""
    made = make()
    parts = [f'{{"grammar": "{made["grammar"]}", "last": {made["last"]},']
    for key, end in (("rules", ","), ("states", "}")):
        rows = ",\n".join(json.dumps(row) for row in made[key])
        parts.append(f'"{key}": [\n{rows}\n]{end}')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TABLES.write_text(text(), encoding="utf-8", newline="\n")
