"""What is said of kinds: numbers, truth values, and what is no value at all."""

from __future__ import annotations

from ..source import Span
from .form import Diagnostic


def bool_arithmetic(span: Span, symbol: str, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "bool-arithmetic",
        span,
        f"`{symbol}` does not compute with true and false",
        label=f"{text} is {kind}",
        notes=(
            ("rule", "a bool is compared, combined, chosen by and counted, no more"),
            ("help", "`where(c, 1, 0)` makes numbers; `sum(c)` and `mean(c)` count"),
        ),
    )


def bool_argument(span: Span, name: str, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "bool-argument",
        span,
        f"`{name}` takes numbers, not true and false",
        label=f"{text} is {kind}",
        notes=(("help", "`where(c, 1, 0)` makes numbers of them"),),
    )


def compare_kinds(
    span: Span, symbol: str, left: tuple[str, str], right: tuple[str, str]
) -> Diagnostic:
    kinds = (left[1].split("[")[0].split(" ")[0], right[1].split("[")[0].split(" ")[0])
    notes: list[tuple[str, str]] = [
        ("rule", "int is compared with int, real with real, bool with bool")
    ]
    if "bool" in kinds and kinds[0] == kinds[1]:
        notes = [("rule", "true and false are equal or not; neither is less")]
    elif "bool" not in kinds:
        notes.append(
            (
                "help",
                "a class is `argmax(…)`; near a whole number is `abs(a - b) < 0.5`",
            )
        )
    return Diagnostic(
        "compare-kinds",
        span,
        f"`{symbol}` cannot compare these",
        label=f"{left[0]} is {left[1]}; {right[0]} is {right[1]}",
        notes=tuple(notes),
    )


def logic_of_numbers(span: Span, symbol: str, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "logic-of-numbers",
        span,
        f"`{symbol}` combines true and false, not numbers",
        label=f"{text} is {kind}",
        notes=(("help", f"compare first, e.g. `{text} > 0`"),),
    )


def where_condition(span: Span, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "where-condition",
        span,
        "the first argument of `where` says true or false",
        label=f"{text} is {kind}",
        notes=(("help", f"compare it, e.g. `where({text} > 0, a, b)`"),),
    )


def where_kinds(
    span: Span, left: tuple[str, str], right: tuple[str, str]
) -> Diagnostic:
    return Diagnostic(
        "where-kinds",
        span,
        "`where` chooses between a bool and a number",
        label=f"{left[0]} is {left[1]}; {right[0]} is {right[1]}",
        notes=(("rule", "both choices are numbers, or both are true and false"),),
    )


def if_condition(span: Span, text: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "if-condition",
        span,
        f"`if` needs true or false, but `{text}` is {kind}",
        notes=(("help", f"compare it, e.g. `if {text} > 0 then … else …`"),),
    )


def if_on_data(span: Span, data: str, condition: str, yes: str, no: str) -> Diagnostic:
    what = f"`{data}` is data" if data else f"`{condition}` is known with the data only"
    choice = f"where({condition}, {yes}, {no})"
    if len(choice) > 60 or "\n" in choice:
        choice = "where(condition, a, b)"
    return Diagnostic(
        "if-on-data",
        span,
        f"`if` chooses at compile time, but {what}",
        notes=(("help", f"for element-by-element choice write `{choice}`"),),
    )


def not_a_value(span: Span, text: str, what: str) -> Diagnostic:
    notes: list[tuple[str, str]] = []
    if what in ("a function", "a fn", "a layer") and text.isidentifier():
        notes.append(("help", f"apply it: `{text}(…)`"))
    elif what == "a string":
        notes.append(("rule", "strings are paths, axis patterns and option words only"))
    elif what.startswith("the "):
        notes.append(("help", "give each a name: `a, b = …`"))
    return Diagnostic(
        "not-a-value",
        span,
        "a value is needed here",
        label=f"this is {what}",
        notes=tuple(notes),
    )


def list_of_numbers(span: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "list-of-numbers",
        span,
        "a list is made of numbers",
        label="" if what == "a value" else f"{what} is in it",
        notes=(
            ("help", "tensors are put together by `stack(a, b)` and `concat(a, b)`"),
        ),
    )
