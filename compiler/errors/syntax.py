"""What is said of text that is no program: statements, types, expressions."""

from __future__ import annotations

from collections.abc import Sequence

from ..source import Span
from .form import Diagnostic, did_you_mean

# --------------------------------------------------------------------------- statements


def unfinished_line(span: Span, at_end: bool = False) -> Diagnostic:
    what = "the file ends" if at_end else "the next line begins a new statement"
    return Diagnostic(
        "unfinished-line",
        span,
        "this line is not finished",
        label=f"{what} behind this `{span.text}`",
    )


def missing_separator(before: Span, span: Span, setting: bool) -> Diagnostic:
    first = span.text.split("\n", 1)[0]
    word = first.split(" ", 1)[0][:24]
    start = Span(span.source, span.start, span.start + len(word))
    last = before.text.split("\n")[-1].split(" ")[-1][-24:]
    return Diagnostic(
        "missing-separator",
        start,
        f"expected an operator, `;` or a new line between `{last}` and `{word}`",
        notes=(
            (
                ("rule", "two settings on one line need `;` between them")
                if setting
                else ("rule", "two statements on one line need `;` between them")
            ),
            *(() if setting else (("help", "multiplication is written out: `2 * x`"),)),
        ),
    )


def missing_operator(span: Span, left: str, right: str, call: bool) -> Diagnostic:
    if call:
        help_ = f"a function is called with parentheses: `{left}({right})`"
    else:
        help_ = f"multiplication is written out: `{left} * {right}"
        help_ += "…)`" if right == "(" else "`"
    return Diagnostic(
        "missing-operator",
        span,
        f"expected an operator or a new line between `{left}` and `{right}`",
        notes=(("help", help_),),
    )


def reserved_word(span: Span, word: str) -> Diagnostic:
    ideas = {
        "state": "states",
        "in": "inside",
        "input": "inputs",
        "output": "result",
        "loss": "cost",
        "param": "weight",
        "train": "training_set",
        "for": "target",
        "if": "flag",
        "from": "source",
        "or": "either",
        "and": "both",
        "not": "inverse",
        "fn": "f",
        "real": "value",
        "int": "number",
        "bool": "flag",
        "random": "noise",
        "over": "above",
    }
    return Diagnostic(
        "reserved-word",
        span,
        f"`{word}` is a word of the language",
        notes=(("help", f"pick another name, e.g. `{ideas.get(word, word + '1')}`"),),
    )


def misplaced_word(span: Span, word: str) -> Diagnostic:
    belongs = {
        "then": "`then` belongs to `if c then a else b`",
        "else": "`else` belongs to `if c then a else b`",
        "if": "a choice is a value: `y = if c then a else b`",
        "from": '`from` belongs to `use name from "file.net"`',
        "in": "`in` belongs to `for t in T { … }`",
        "over": "`over` belongs to `loss name over a = …`",
    }.get(word, f"`{word}` belongs inside an expression or a type")
    return Diagnostic(
        "misplaced-word",
        span,
        f"no statement begins with `{word}`",
        notes=(("rule", belongs),),
    )


def cannot_begin(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "statement-start",
        span,
        f"no statement begins with `{text}`",
        notes=(
            (
                "rule",
                "a line that begins with an operator continues the one before, and there "
                "is none that could go on here",
            ),
        ),
    )


def needless_semicolon(span: Span) -> Diagnostic:
    return Diagnostic(
        "needless-semicolon",
        span,
        "this `;` separates nothing",
        notes=(("help", "delete it"),),
    )


def not_a_statement(span: Span) -> Diagnostic:
    return Diagnostic(
        "not-a-statement",
        span,
        "an expression alone is no statement: its value would be lost",
        notes=(("help", "give it a name, `y = …`, or show it with `output y = …`"),),
    )


def unknown_statement(span: Span, word: str, meant: str, help_: str) -> Diagnostic:
    if help_:
        notes = (("help", help_),)
    elif meant:
        notes = (("help", f"did you mean `{meant}`?"),)
    else:
        notes = (
            (
                "rule",
                "a line is an equation `name = …` or begins with one of: const input param "
                "random state fn layer repeat for loss metric output train use update "
                "return",
            ),
        )
    return Diagnostic(
        "unknown-statement", span, f"no statement begins with `{word}`", notes=notes
    )


def comparison_for_equation(span: Span) -> Diagnostic:
    return Diagnostic(
        "equation-sign",
        span,
        "an equation has one `=`; `==` compares",
        notes=(("help", "write `=`"),),
    )


def equation_for_comparison(span: Span) -> Diagnostic:
    return Diagnostic(
        "comparison-sign",
        span,
        "`=` cannot stand inside an expression",
        notes=(("rule", "`=` defines, `==` compares"),),
    )


def chained_equation(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "chained-equation",
        span,
        "an equation defines one thing",
        notes=(("help", f"write two: `{name} = …` first, then the other `= {name}`"),),
    )


def chained_comparison(span: Span) -> Diagnostic:
    return Diagnostic(
        "chained-comparison",
        span,
        "comparisons do not chain",
        notes=(("help", "write `a < b and b < c`"),),
    )


def augmented_assignment(span: Span, name: str, symbol: str) -> Diagnostic:
    return Diagnostic(
        "augmented-assignment",
        span,
        f"there is no `{symbol}=`",
        notes=(("help", f"write `{name} = {name} {symbol} …`"),),
    )


def leaf_without_value(span: Span, kind: str) -> Diagnostic:
    example = {
        "param": "`= he()`, `= 0` or `= normal(0, 0.1)`",
        "state": "`= 0`",
        "random": "`= normal(0, 1)` or `= bernoulli(0.5)`",
    }[kind]
    return Diagnostic(
        "missing-value",
        span,
        f"a `{kind}` says how its entries are filled",
        label="`=` is missing",
        notes=(("help", f"add e.g. {example}"),),
    )


def statement_without_value(span: Span, kind: str) -> Diagnostic:
    return Diagnostic(
        "missing-value",
        span,
        f"{'an' if kind == 'update' else 'a'} `{kind}` needs a value",
        label="`=` is missing",
        notes=(("help", f"write `{kind} name = …`"),),
    )


def function_without_body(span: Span, kind: str) -> Diagnostic:
    return Diagnostic(
        "missing-body",
        span,
        f"this `{kind}` has no body",
        notes=(("help", f"write `{kind} f(x) = …` or `{kind} f(x) {{ … return … }}`"),),
    )


def function_without_parentheses(span: Span, kind: str, name: str) -> Diagnostic:
    return Diagnostic(
        "missing-parentheses",
        span,
        f"a `{kind}` lists its arguments in parentheses",
        notes=(("help", f"write `{kind} {name}(x) …`"),),
    )


def loop_without_block(span: Span, kind: str) -> Diagnostic:
    form = "repeat n { … }" if kind == "repeat" else "for t in T { … }"
    return Diagnostic(
        "missing-block",
        span,
        f"a `{kind}` needs a block",
        label="`{` is missing",
        notes=(("help", f"write `{form}`"),),
    )


def for_without_in(span: Span) -> Diagnostic:
    return Diagnostic(
        "for-form",
        span,
        "expected `in`",
        notes=(("help", "a loop is `for t in T { … }`"),),
    )


def train_form(span: Span) -> Diagnostic:
    return Diagnostic(
        "train-form",
        span,
        "expected `{`",
        notes=(("help", "settings stand in braces: `train { epochs = 10 }`"),),
    )


def use_without_names(span: Span) -> Diagnostic:
    return Diagnostic(
        "use-form",
        span,
        "`use` says which definitions it wants",
        notes=(("help", 'write `use name from "file.net"`'),),
    )


def use_form(span: Span) -> Diagnostic:
    return Diagnostic(
        "use-form",
        span,
        f"`{span.text}` cannot stand here",
        notes=(("help", 'write `use name, other from "file.net"`'),),
    )


def input_with_value(span: Span) -> Diagnostic:
    return Diagnostic(
        "input-value",
        span,
        "an `input` has no value: it comes from the data",
        notes=(("help", "a number fixed in the program is a `const`"),),
    )


def const_with_type(span: Span) -> Diagnostic:
    return Diagnostic(
        "const-type",
        span,
        "a `const` is one number and needs no type",
        notes=(("help", "write `const name = value`"),),
    )


def several_consts(span: Span) -> Diagnostic:
    return Diagnostic(
        "several-consts",
        span,
        "one `const` defines one name",
        notes=(("help", "write one line for each"),),
    )


# -------------------------------------------------------------------------------- types


def unknown_type(span: Span, word: str) -> Diagnostic:
    kinds = {
        "float": "real",
        "float32": "real",
        "float64": "real",
        "double": "real",
        "tensor": "real",
        "integer": "int",
        "int32": "int",
        "int64": "int",
        "boolean": "bool",
    }
    meant = kinds.get(word.lower()) or did_you_mean(word, ("real", "int", "bool"))
    help_ = (
        f"did you mean `{meant}`?" if meant else f"axes stand in brackets: `[{word}]`"
    )
    return Diagnostic(
        "unknown-type",
        span,
        f"`{word}` is no type",
        notes=(
            (
                "rule",
                "a type is `real` (which may be left out), `int` or `bool`, and axes",
            ),
            ("help", help_),
        ),
    )


def shape_in_parentheses(span: Span) -> Diagnostic:
    return Diagnostic(
        "shape-brackets",
        span,
        "a shape stands in square brackets",
        notes=(("help", "write `[N, 784]`"),),
    )


def missing_colon(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "missing-colon",
        span,
        f"expected `:` between `{name}` and its shape",
        notes=(("help", f"write `{name}: [N, 784]`"),),
    )


# -------------------------------------------------------------------------- expressions


def pipe_mix(
    arrow: Span, before: str, left: Span, last: Span, stage: Span
) -> Diagnostic:
    def short(text: str, most: int = 24) -> str:
        flat = " ".join(text.split())
        return flat if len(flat) <= most else ".."

    symbol = " ".join(before.split())
    operand = last.text
    head = short(symbol, 12)
    if head == "..":
        head = ".. " + symbol.split(" ")[-1]
    kind = (
        "sum"
        if symbol.rstrip().endswith(("+", "-")) and " " in symbol
        else "expression"
    )
    whole = f"{head} .."
    if symbol in ("-", "+"):
        whole = f"{symbol}.."
    return Diagnostic(
        "pipe-mix",
        arrow,
        f"does `|>` apply to the {kind} or only to `{short(operand)}`?",
        notes=(
            (
                "help",
                f"add parentheses: `({whole}) |> {short(stage.text)}` or "
                f"`{head} ({short(operand)} |> {short(stage.text)})`",
            ),
        ),
    )


def pipe_into_no_function(span: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "pipe-form",
        span,
        f"`|>` hands its left side to a function, and `{text}` is none",
        notes=(("help", "write `x |> f` or `x |> f(a)`"),),
    )


def two_operators(span: Span, left: str, right: str) -> Diagnostic:
    return Diagnostic(
        "two-operators",
        span,
        f"expected a value between `{left}` and `{right}`",
    )


def operator_without_left(span: Span, symbol: str) -> Diagnostic:
    return Diagnostic(
        "operator-left",
        span,
        f"nothing stands to the left of `{symbol}`",
    )


def not_needs_parentheses(span: Span) -> Diagnostic:
    return Diagnostic(
        "not-parentheses",
        span,
        "`not` inside an operation needs parentheses",
        notes=(("help", "write `a == (not b)`"),),
    )


def if_needs_parentheses(span: Span) -> Diagnostic:
    return Diagnostic(
        "if-parentheses",
        span,
        "`if` inside an operation needs parentheses",
        notes=(("help", "write `1 + (if c then a else b)`"),),
    )


def if_behind_value(span: Span) -> Diagnostic:
    return Diagnostic(
        "if-order",
        span,
        "a choice begins with its condition",
        notes=(("help", "write `if c then a else b`"),),
    )


def incomplete_choice(span: Span, missing: str) -> Diagnostic:
    return Diagnostic(
        "incomplete-choice",
        span,
        f"this `{span.text}` has no `{missing}`",
        notes=(("rule", "a choice is `if c then a else b`, with all three parts"),),
    )


def slice_step(span: Span) -> Diagnostic:
    return Diagnostic(
        "slice-step",
        span,
        "a slice has two ends and no step",
        notes=(("rule", "`x[a:b]` takes from a to before b"),),
    )


def semicolon_in_brackets(span: Span) -> Diagnostic:
    return Diagnostic(
        "semicolon-in-brackets",
        span,
        "`;` cannot stand inside brackets",
        notes=(("help", "separate arguments and entries with `,`"),),
    )


def missing_value(span: Span, left: str, right: str) -> Diagnostic:
    return Diagnostic(
        "missing-operand",
        span,
        f"expected a value between `{left}` and `{right}`",
    )


def unexpected(
    span: Span, text: str, before: str, expected: Sequence[str]
) -> Diagnostic:
    where = f" behind `{before}`" if before else ""
    shown = text if len(text) <= 24 else text[:23] + "…"
    return Diagnostic(
        "syntax",
        span,
        f"`{shown}` cannot stand{where or ' here'}",
        label=_expected(expected),
    )


def unexpected_end(span: Span, expected: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "unexpected-end",
        span,
        "the file ends in the middle of a statement",
        label=_expected(expected),
    )


def _expected(words: Sequence[str]) -> str:
    if not words:
        return ""
    if len(words) == 1:
        return f"expected {words[0]}"
    return f"expected {', '.join(words[:-1])} or {words[-1]}"


def single_quotes(span: Span) -> Diagnostic:
    return Diagnostic(
        "single-quotes",
        span,
        "`'` is the transpose, and nothing stands before it",
        notes=(("help", 'strings have double quotes: `"same"`'),),
    )


def braces_in_expression(span: Span) -> Diagnostic:
    return Diagnostic(
        "braces",
        span,
        "`{` cannot stand here",
        notes=(
            (
                "rule",
                "braces hold the statements of `fn`, `layer`, `repeat`, `for` and `train`",
            ),
            ("help", "group with `( )`, list with `[ ]`"),
        ),
    )
