"""What is said of names: unknown, taken, out of reach; of constants and of `use`."""

from __future__ import annotations

from collections.abc import Sequence

from ..source import Span
from .form import Diagnostic, listed

Notes = list[tuple[str, str]]


def unknown_name(
    span: Span,
    name: str,
    meant: str = "",
    where: str = "",
    later: int = 0,
    inside: int = 0,
) -> Diagnostic:
    """`where` says what `meant` is ("param, line 6"); `later` is the line below on which
    the name is defined, `inside` the line of a block in which it was."""
    notes: Notes = []
    if inside:
        notes.append(
            ("rule", f"names first defined inside a block stay inside (line {inside})")
        )
        notes.append(
            ("help", f"define `{name}` before the block and continue it there")
        )
    elif later:
        notes.append(
            ("help", f"`{name}` is defined on line {later}: move that line up")
        )
    elif meant:
        notes.append(
            (
                "help",
                (
                    f"did you mean `{meant}` ({where})?"
                    if where
                    else f"did you mean `{meant}`?"
                ),
            )
        )
    return Diagnostic(
        "unknown-name",
        span,
        f"nothing named `{name}` is defined above this line",
        label="not defined",
        notes=tuple(notes),
    )


def unknown_size(span: Span, name: str, meant: str, where: str) -> Diagnostic:
    notes: Notes = [
        (
            "rule",
            "new sizes are introduced by the shapes of inputs and of arguments only",
        )
    ]
    if meant:
        notes.append(("help", f"did you mean `{meant}` ({where})?"))
    else:
        notes.append(
            ("help", f"one that no data tell is a constant: `const {name} = 8`")
        )
    return Diagnostic(
        "unknown-size",
        span,
        f"no size or constant named `{name}` is defined above this line",
        notes=tuple(notes),
    )


def not_a_size(span: Span, name: str, where: str) -> Diagnostic:
    return Diagnostic(
        "not-a-size",
        span,
        f"`{name}` is no size",
        label=f"{name} is {where}",
        notes=(("rule", "shapes are made of whole numbers, constants and sizes"),),
    )


# What other languages and libraries call a thing -> what a program says instead.
ELSEWHERE = {
    "range": "`for t in T { … }` over a size, `repeat i in 3 { … }` for copies",
    "zeros": "`= 0`: a number fills the shape, `param b: [n] = 0`",
    "ones": "`= 1`: a number fills the shape, `param g: [n] = 1`",
    "xavier": "`glorot()`",
    "kaiming": "`he()`",
    "randn": "`normal(0, 1)`",
    "rand": "`uniform(0, 1)`",
    "Linear": "`dense(x, n)`, or `linear(x, n)` without bias",
    "transpose": '`x\'` or `x.T`; of other axes `rearrange(x, "n t c -> t n c")`',
    "matmul": "`a @ b`",
    "dot": "`a @ b`",
    "len": "the size's name: of `x: [N, 3]` it is `N`",
    "ln": "`log`",
    "power": "`x^y`",
    "pow": "`x^y`",
    "norm": "`sqrt(sum(x^2))`",
    "print": "`output name = …`",
}


def unknown_function(
    span: Span, name: str, meant: str = "", where: str = "", later: int = 0
) -> Diagnostic:
    notes: Notes = []
    if later:
        notes.append(("help", f"`{name}` is defined on line {later}: move it up"))
    elif name in ELSEWHERE:
        notes.append(("help", f"here it is {ELSEWHERE[name]}"))
    elif meant:
        shown = f" ({where})" if where else ""
        notes.append(("help", f"did you mean `{meant}`{shown}?"))
    return Diagnostic(
        "unknown-function",
        span,
        f"there is no function or layer named `{name}`",
        label="not defined",
        notes=tuple(notes),
    )


def not_a_function(span: Span, name: str, where: str) -> Diagnostic:
    return Diagnostic(
        "not-a-function",
        span,
        f"`{name}` is a value, not a function",
        label=f"{name} is {where}",
        notes=(
            (
                "help",
                f"multiplication is written out, `{name} * (…)`; an index stands in "
                f"brackets, `{name}[…]`",
            ),
        ),
    )


def recursion(span: Span, name: str, kind: str, line: int) -> Diagnostic:
    return Diagnostic(
        "recursion",
        span,
        f"`{name}` calls itself",
        label=f"inside `{kind} {name}`, line {line}",
        notes=(
            ("rule", "there is no recursion"),
            (
                "help",
                "repeat with `repeat n { … }`; a standard function of that name "
                "is out of reach inside one that replaces it",
            ),
        ),
    )


def already_defined(span: Span, name: str, what: str, line: int) -> Diagnostic:
    return Diagnostic(
        "already-defined",
        span,
        f"`{name}` is already defined ({what}, line {line})",
        notes=(("help", "use another name"),),
    )


def reassigned(span: Span, name: str, what: str, line: int) -> Diagnostic:
    ways = {
        "input": "use a new name: an input keeps its meaning in the whole program",
        "param": "use a new name: training, not the program, changes a param",
        "random": "use a new name: a random is drawn, not computed",
        "state": f"the new value of a state is `update {name} = …`",
        "const": "use a new name; constants are changed by `--set`",
        "size": "use a new name: the data bind a size",
        "index": "use a new name: the loop counts by it",
        "predefined value": "use another name",
    }
    return Diagnostic(
        "reassigned",
        span,
        f"`{name}` is {_article(what)} and cannot get another value",
        label=f"defined on line {line}" if line else "",
        notes=(("help", ways.get(what, "use a new name")),),
    )


def _article(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def repeated_target(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "repeated-name", span, f"`{name}` is defined twice on the left of this equation"
    )


def repeated_formal(span: Span, name: str, function: str) -> Diagnostic:
    return Diagnostic(
        "repeated-argument", span, f"`{function}` has two arguments named `{name}`"
    )


def several_from_one(span: Span, count: int) -> Diagnostic:
    return Diagnostic(
        "several-names",
        span,
        f"{count} names on the left, but only a call gives several values",
        notes=(("help", "write one equation for each, or e.g. `a, b = split(x, 2)`"),),
    )


def sequence_outside_loop(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "sequence-outside-loop",
        span,
        f"`{name}[…] = …` collects a sequence, which only a `for` can do",
        notes=(
            ("rule", "values never change in place"),
            ("help", f"write `{name} = …`"),
        ),
    )


def not_a_state(span: Span, name: str, where: str) -> Diagnostic:
    return Diagnostic(
        "not-a-state",
        span,
        f"`{name}` is no state, so it cannot be updated",
        label=f"{name} is {where}" if where else "",
        notes=(("help", f"declare it first: `state {name}: [n] = 0`"),),
    )


def fill_outside(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "fill-outside",
        span,
        f"`{name}` says how to fill a `param`, `state` or `random`; it is no value",
        notes=(("help", f"`random eps: [n] = {name}(…)` draws, then use `eps`"),),
    )


# ---------------------------------------------------------------------------- structure


def top_level_only(span: Span, word: str, where: str) -> Diagnostic:
    return Diagnostic(
        "top-level-only",
        span,
        f"`{word}` cannot stand inside a `{where}`",
        notes=(("rule", f"`{word}` belongs to the whole program"),),
    )


def return_outside(span: Span) -> Diagnostic:
    return Diagnostic(
        "return-outside",
        span,
        "`return` belongs to a `fn` or `layer`",
        notes=(("help", "what the program gives is `output y = …`"),),
    )


def return_not_last(span: Span) -> Diagnostic:
    return Diagnostic(
        "return-not-last",
        span,
        "`return` must be the last statement of its `fn` or `layer`",
        notes=(("rule", "a function has one way through"),),
    )


def missing_return(span: Span, kind: str, name: str) -> Diagnostic:
    return Diagnostic(
        "missing-return",
        span,
        f"`{kind} {name}` returns nothing",
        notes=(("help", "end it with `return …`"),),
    )


def unnamed_again(span: Span, role: str, line: int) -> Diagnostic:
    return Diagnostic(
        "unnamed-root",
        span,
        f"of several `{role}` lines each needs a name",
        label=f"the first is on line {line}",
        notes=(("help", f"write `{role} name = …`"),),
    )


def over_metric(span: Span) -> Diagnostic:
    return Diagnostic(
        "over-metric",
        span,
        "a `metric` trains nothing, so `over` means nothing here",
        notes=(("help", "delete the `over`"),),
    )


def output_of_function(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "output-function",
        span,
        f"`{name}` is a function, not a value",
        notes=(("help", f"apply it: `output y = {name}(…)`"),),
    )


def output_again(span: Span, name: str, line: int) -> Diagnostic:
    return Diagnostic(
        "output-again", span, f"`{name}` is an output already (line {line})"
    )


def second_train(span: Span, line: int) -> Diagnostic:
    return Diagnostic(
        "second-train",
        span,
        f"the settings are on line {line} already",
        notes=(("help", "put them all into one `train { … }`"),),
    )


def std_name(span: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "std-name",
        span,
        f"`{name}` replaces the function of that name in the standard library",
        notes=(("", "the library itself goes on using its own"),),
        level="note",
    )


# ---------------------------------------------------------------------------- constants


def not_constant(span: Span, name: str) -> Diagnostic:
    what = f"`{name}` is not known" if name else "this is not known"
    return Diagnostic(
        "not-constant",
        span,
        f"{what} at compile time",
        notes=(
            (
                "rule",
                "constants are made of numbers, true, false and constants defined above",
            ),
        ),
    )


def constant_kind(span: Span, wanted: str, got: str) -> Diagnostic:
    return Diagnostic("constant-kind", span, f"expected {wanted}, got {got}")


def constant_too_large(span: Span) -> Diagnostic:
    return Diagnostic(
        "constant-too-large",
        span,
        "this number is too large",
        notes=(("rule", "whole numbers stay below 2^63, reals below 1.8e308"),),
    )


def constant_undefined(span: Span) -> Diagnostic:
    return Diagnostic("constant-undefined", span, "this number does not exist")


def unknown_const(
    name: str, text: str, file: str, constants: Sequence[str], meant: str
) -> Diagnostic:
    notes: Notes = []
    if constants:
        notes.append(("", "constants: " + ", ".join(constants)))
    else:
        notes.append(("", "it has no constants at all"))
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        "unknown-const",
        None,
        f"`--set {name}={text}`: {file} has no constant `{name}`",
        notes=tuple(notes),
    )


def bad_override(name: str, text: str) -> Diagnostic:
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    return Diagnostic(
        "bad-override",
        None,
        f"`--set {name}={shown}`: what stands behind `=` is no expression",
        notes=(("help", "the grammar is that of a file: `--set hidden=2*64`"),),
    )


def bad_override_value(name: str, text: str, why: str) -> Diagnostic:
    return Diagnostic("bad-override", None, f"`--set {name}={text}`: {why}")


# -------------------------------------------------------------------------------- `use`


def use_without_folder(span: Span) -> Diagnostic:
    return Diagnostic(
        "use-folder",
        span,
        "a program that is no file has no folder to take libraries from",
        notes=(("help", "name one with `-I FOLDER`"),),
    )


def use_not_relative(span: Span, path: str) -> Diagnostic:
    return Diagnostic(
        "use-relative",
        span,
        "the path of a library is relative to the file that uses it",
        notes=(
            ("help", 'e.g. `from "lib/blocks.net"`; other folders with `-I FOLDER`'),
        ),
    )


def use_no_net(span: Span, path: str) -> Diagnostic:
    return Diagnostic(
        "use-suffix",
        span,
        "a library is a `.net` file",
        label=f"ends otherwise: {path}",
    )


def use_outside(span: Span, path: str) -> Diagnostic:
    return Diagnostic(
        "use-outside",
        span,
        f"`{path}` lies outside the program's folder",
        notes=(
            ("rule", "libraries lie in the folder of the program, links followed"),
            ("help", "allow another folder with `-I FOLDER`"),
        ),
    )


def use_not_found(span: Span, path: str) -> Diagnostic:
    return Diagnostic("use-not-found", span, f"there is no file `{path}`")


def use_no_file(span: Span, path: str) -> Diagnostic:
    return Diagnostic("use-no-file", span, f"`{path}` is no ordinary file")


def use_not_text(span: Span, path: str) -> Diagnostic:
    return Diagnostic("use-not-text", span, f"`{path}` is not UTF-8 text")


def use_cycle(span: Span, chain: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "use-cycle",
        span,
        "these files use each other in a circle",
        notes=(("", " → ".join(chain)),),
    )


def too_many_files(span: Span, limit: int) -> Diagnostic:
    return Diagnostic("too-many-files", span, f"more than {limit} files are used")


def used_too_deeply(span: Span, limit: int) -> Diagnostic:
    return Diagnostic("use-depth", span, f"files use each other more than {limit} deep")


def files_too_large(span: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "files-too-large", span, f"the files have more than {limit} bytes together"
    )


def not_in_library(span: Span, word: str, file: str) -> Diagnostic:
    return Diagnostic(
        "not-in-library",
        span,
        f"`{word}` cannot stand in a library",
        label=f"{file} is used by another file",
        notes=(("rule", "a library holds `const`, `fn`, `layer` and `use` only"),),
    )


def unknown_import(
    span: Span, name: str, file: str, defined: Sequence[str], meant: str
) -> Diagnostic:
    notes: Notes = []
    if defined:
        notes.append(("", f"it defines {listed(defined)}"))
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        "unknown-import", span, f"{file} defines no `{name}`", notes=tuple(notes)
    )
