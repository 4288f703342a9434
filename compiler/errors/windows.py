"""What is said of images, kernels and windows."""

from __future__ import annotations

from ..ir.dims import Dim
from ..source import Span
from .form import Diagnostic, did_you_mean
from .operands import Named, both, shown


def needs_image(span: Span, function: str, x: Named) -> Diagnostic:
    return Diagnostic(
        "needs-image",
        span,
        f"`{function}` needs an image",
        label=f"{shown(x)}; {function} takes x: [N, H, W, c]",
        notes=(
            (
                (
                    "help",
                    'rows become images by `rearrange(x, "n (h w) -> n h w 1", h = 8)`',
                ),
            )
            if len(x[1]) == 2
            else ()
        ),
    )


def kernel_rank(span: Span, function: str, x: Named, kernel: Named) -> Diagnostic:
    wants = "[k, k, c, n]" if len(x[1]) == 4 else "[k, c, n]"
    what = "an image" if len(x[1]) == 4 else "a sequence"
    return Diagnostic(
        "kernel-rank",
        span,
        f"the kernel for {what} is {wants}",
        label=both(x, kernel),
    )


def channels(
    span: Span, function: str, x: Named, kernel: Named, groups: int
) -> Diagnostic:
    c = kernel[1][-2].described()
    rule = "the last axis of x and the last but one of the kernel are the channels read"
    if groups > 1:
        rule += f"; each of {groups} groups reads its own"
    return Diagnostic(
        "channels",
        span,
        f"the kernel reads {c} channels{' a group' if groups > 1 else ''}, "
        f"{x[0]} has {x[1][-1].described()}",
        label=both(x, kernel),
        notes=(("rule", rule),),
    )


def kernel_size(span: Span, function: str, kernel: Named, size: Dim) -> Diagnostic:
    return Diagnostic(
        "kernel-size",
        span,
        f"a kernel has whole sizes from 1 on, not {size.described()}",
        label=shown(kernel),
    )


def groups_divide(
    span: Span, function: str, groups: int, size: Dim, word: str
) -> Diagnostic:
    return Diagnostic(
        "groups-divide",
        span,
        f"{groups} groups do not divide the {size.described()} channels "
        f"that go {word} `{function}`",
    )


def window_size(
    span: Span, function: str, window: int, size: Dim, pad: int
) -> Diagnostic:
    more = f" and {pad} of padding" if pad else ""
    return Diagnostic(
        "window-size",
        span,
        f"a window of {window} does not fit into {size.described()}{more}",
        notes=(("help", 'pad the image (`pad = "same"`), or take a smaller window'),),
    )


def nothing_left(span: Span, function: str, size: Dim, pad: int) -> Diagnostic:
    return Diagnostic(
        "window-size",
        span,
        f"`{function}` cuts {pad} off an axis of {size.described()}: nothing is left",
        notes=(
            ("rule", "its padding is what is cut off, as conv2d's is what is added"),
        ),
    )


def positive(span: Span, function: str, name: str, number: int) -> Diagnostic:
    return Diagnostic(
        "wants-positive",
        span,
        f"`{name}` of `{function}` is a whole number from 1 on, not {number}",
    )


def pad_word(span: Span, function: str, word: str) -> Diagnostic:
    meant = did_you_mean(word, ("same", "valid"))
    notes = [("help", f'did you mean "{meant}"?')] if meant else []
    return Diagnostic(
        "pad",
        span,
        f'`pad` of `{function}` is "same", "valid" or numbers, not "{word}"',
        notes=tuple(notes),
    )


def pad_numbers(span: Span, function: str, axes: int) -> Diagnostic:
    each = "[top, bottom, left, right]" if axes == 2 else "[before, after]"
    return Diagnostic(
        "pad",
        span,
        f"`pad` of `{function}` is one whole number, or {2 * axes}: {each}",
    )


def pool_kind(span: Span, word: str) -> Diagnostic:
    return Diagnostic(
        "pool-kind", span, f'`kind` of `pool2d` is "max" or "mean", not "{word}"'
    )


def pool_pad(span: Span, pad: int, k: int) -> Diagnostic:
    return Diagnostic(
        "pool-pad",
        span,
        f"a padding of {pad} is not smaller than the window of {k}",
        notes=(("rule", "a window in the padding alone has no maximum and no mean"),),
    )
