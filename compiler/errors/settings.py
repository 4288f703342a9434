"""What is said of `train { }` and of `--set train.…`."""

from __future__ import annotations

from collections.abc import Sequence

from ..source import Span
from .form import Diagnostic

# A setting given by `--set` has no place in the file: its messages begin with the option.


def _said(span: Span | None, option: str, message: str) -> str:
    return message if span is not None else f"`{option}`: {message}"


def unknown_setting(
    span: Span | None, option: str, settings: Sequence[str], meant: str
) -> Diagnostic:
    notes = [("", "settings: " + " ".join(settings))]
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        "unknown-setting",
        span,
        _said(span, option, "no such setting"),
        notes=tuple(notes),
    )


def repeated_setting(span: Span, shown: str, line: int) -> Diagnostic:
    return Diagnostic(
        "repeated-setting", span, f"`{shown}` is set already (line {line})"
    )


def setting_value(
    span: Span | None, option: str, key: str, wanted: str, example: str
) -> Diagnostic:
    return Diagnostic(
        "setting-value",
        span,
        _said(span, option, f"`{key}` must be {wanted}"),
        notes=(("help", f"e.g. `{example}`"),),
    )


def setting_word(
    span: Span | None, option: str, key: str, words: Sequence[str], meant: str
) -> Diagnostic:
    notes = [("", f"`{key}` is one of: {' '.join(words)}")]
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        "setting-word",
        span,
        _said(span, option, f"`{key}` has no such value"),
        notes=tuple(notes),
    )


def setting_range(span: Span | None, option: str, what: str, wanted: str) -> Diagnostic:
    return Diagnostic(
        "setting-range", span, _said(span, option, f"{what} must be {wanted}")
    )


def setting_target(span: Span | None, option: str, key: str, form: str) -> Diagnostic:
    return Diagnostic(
        "setting-target",
        span,
        _said(span, option, f"`{key}` is set for the whole program"),
        notes=(("help", f"write `{form}`"),),
    )


def setting_without_target(
    span: Span | None, option: str, key: str, form: str
) -> Diagnostic:
    return Diagnostic(
        "setting-for",
        span,
        _said(span, option, f"`{key}` says what it is set for"),
        notes=(("help", f"write `{form}`"),),
    )


def unknown_target(
    span: Span | None, option: str, key: str, name: str, kind: str, meant: str
) -> Diagnostic:
    return Diagnostic(
        "unknown-target",
        span,
        _said(span, option, f"`{key} {name}`: there is no {kind} named `{name}`"),
        notes=(("help", f"did you mean `{meant}`?"),) if meant else (),
    )


def unknown_call(
    span: Span | None,
    option: str,
    key: str,
    name: str,
    known: Sequence[str],
    meant: str,
) -> Diagnostic:
    """No optimizer (or schedule: `key`) of that name."""
    notes = [("", f"{key}s: " + ", ".join(known))]
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        f"unknown-{key}",
        span,
        _said(span, option, f"there is no {key} named `{name}`"),
        notes=tuple(notes),
    )


def call_argument(
    span: Span | None,
    option: str,
    key: str,
    call: str,
    name: str,
    signature: str,
    meant: str,
) -> Diagnostic:
    """An optimizer or schedule (`key`) has no such argument."""
    notes = [("", signature)]
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        f"{key}-argument",
        span,
        _said(span, option, f"`{call}` has no argument `{name}`"),
        notes=tuple(notes),
    )


def call_form(
    span: Span | None, option: str, key: str, call: str, signature: str
) -> Diagnostic:
    """Arguments of an optimizer or schedule (`key`) are given by name, once each."""
    return Diagnostic(
        f"{key}-form",
        span,
        _said(span, option, f"`{call}` takes each argument once, by its name"),
        notes=(("", signature),),
    )


def steps_and_epochs(span: Span | None, option: str) -> Diagnostic:
    return Diagnostic(
        "steps-and-epochs",
        span,
        _said(span, option, "`steps` and `epochs` both say when training ends"),
        notes=(("help", "set one of them"),),
    )


def data_outside(span: Span, path: str) -> Diagnostic:
    return Diagnostic(
        "data-outside",
        span,
        f"`{path}` does not stay in the program's folder",
        notes=(
            ("rule", "a program names data in its own folder only"),
            ("help", "name other files on the command line: `--data FILE`"),
        ),
    )


def unknown_wrt(name: str, inputs: Sequence[str], meant: str) -> Diagnostic:
    notes = [("", f"inputs: {', '.join(inputs) or 'none'}")]
    if meant:
        notes.append(("help", f"did you mean `{meant}`?"))
    return Diagnostic(
        "unknown-wrt",
        None,
        f"`--wrt {name}`: there is no such input",
        notes=tuple(notes),
    )


def wrt_not_real(name: str, kind: str) -> Diagnostic:
    return Diagnostic(
        "wrt-not-real",
        None,
        f"`--wrt {name}`: it is {kind}, so nothing has a derivative by it",
    )


def wrt_without_loss(name: str) -> Diagnostic:
    return Diagnostic(
        "wrt-without-loss",
        None,
        f"`--wrt {name}`: the program has no loss to differentiate",
        notes=(("help", f"name a value: `loss L = …`, or write `grad(y, {name})`"),),
    )
