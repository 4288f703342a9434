"""What is said of loops, random draws and states: time, chance and memory."""

from __future__ import annotations

from ..ir.dims import Dim, Shape, show
from ..source import Span
from .form import Diagnostic


def steps_not_a_size(span: Span, text: str, found: str) -> Diagnostic:
    """`for t in x { }`: the number of steps is no size."""
    return Diagnostic(
        "loop-steps",
        span,
        f"`for` needs a number of steps, but `{text}` is {found}",
        notes=(
            (
                "rule",
                "the steps are a constant or a size of the data: `for t in T { … }`",
            ),
            ("help", "there is no loop whose end the data decide"),
        ),
    )


def loop_shape(
    span: Span, name: str, before: Shape, after: Shape, line: int
) -> Diagnostic:
    """A loop value that changes shape from one step to the next."""
    return Diagnostic(
        "loop-shape",
        span,
        f"`{name}` changes shape from one step to the next",
        label=f"{show(before, described=True)} becomes {show(after, described=True)}",
        notes=(
            ("", f"{name}: {show(before, described=True)} starts on line {line}"),
            (
                "help",
                "a loop value keeps its shape; to keep every step write `seq[:, t] = ...`",
            ),
        ),
    )


def loop_kind(span: Span, name: str, before: str, after: str) -> Diagnostic:
    """A loop value that changes its kind."""
    return Diagnostic(
        "loop-kind",
        span,
        f"`{name}` is {before} when the loop begins and {after} after a step",
        notes=(("help", "a loop value keeps its kind"),),
    )


def collect_place(span: Span, name: str, index: str) -> Diagnostic:
    """`y[t, t] = e`: not one place for the step."""
    return Diagnostic(
        "collect-place",
        span,
        f"`{name}[…]` must name the step once and `:` elsewhere",
        notes=(
            ("rule", f"`{name}[:, {index}] = e` puts the steps on the second axis"),
        ),
    )


def collect_rank(span: Span, name: str, items: int, shape: Shape) -> Diagnostic:
    """`y[:, t] = e` where e has another number of axes."""
    return Diagnostic(
        "collect-rank",
        span,
        f"`{name}[…]` has {items} places, but the value has shape {show(shape, described=True)}",
        notes=(
            (
                "help",
                f"one place for the step and at most {len(shape)} for the axes of the value",
            ),
        ),
    )


def collected_twice(span: Span, name: str) -> Diagnostic:
    """Two equations of a loop that fill one sequence."""
    return Diagnostic(
        "collected-twice",
        span,
        f"`{name}` has an entry for this step already",
        notes=(("help", "collect the second value under another name"),),
    )


def sequence_inside(span: Span, name: str, index: str, line: int) -> Diagnostic:
    """`y` is read in the loop that collects it."""
    return Diagnostic(
        "sequence-inside",
        span,
        f"`{name}` is whole only behind the loop that collects it",
        notes=(
            ("rule", f"`{name}[…{index}…] = e` keeps e of every step (line {line})"),
            (
                "help",
                f"what a step hands to the next is a name of its own: `last = …` before "
                f"the loop, `last = e` and `{name}[…] = last` in it",
            ),
        ),
    )


def step_outside(
    span: Span, text: str, shape: Shape, size: Dim, index: str, steps: Dim, over: int
) -> Diagnostic:
    """`x[:, t - 1]`, at which the first step would be one before the first element.

    `over`: how far outside, below 0 at the first step.
    """
    step = "first" if over < 0 else "last"
    fewer = steps - abs(over)
    help_ = f"`for {index} in {fewer} {{ … }}`"
    if over < 0:
        help_ += f", with `{index}` for `{index} - {-over}` and `{index} + {-over}` for `{index}`"
    return Diagnostic(
        "index-range",
        span,
        f"at the {step} step this lies outside the axis of size {size.described()}",
        label=f"{text} is {show(shape, described=True)}",
        notes=(
            ("rule", f"`{index}` runs from 0 to {steps - 1}; nothing is clipped"),
            ("help", help_),
        ),
    )


def law_range(span: Span, law: str, rule: str, found: str) -> Diagnostic:
    """`bernoulli(1.5)`."""
    return Diagnostic(
        "random-range",
        span,
        f"`{law}` needs {rule}, not {found}",
    )


def not_a_law(span: Span, name: str, found: str) -> Diagnostic:
    """`random x = 3`."""
    return Diagnostic(
        "random-law",
        span,
        f"`random {name}` needs a law to draw from, but got {found}",
        notes=(
            (
                "help",
                "`normal(0, 1)`, `uniform(0, 1)`, `bernoulli(0.5)` or `categorical(p)`",
            ),
        ),
    )


def law_argument(span: Span, law: str, shape: Shape, found: Shape) -> Diagnostic:
    """An argument of a law that does not fit the declared shape."""
    return Diagnostic(
        "random-shape",
        span,
        f"`{law}` draws {show(shape, described=True)}, but its argument is "
        f"{show(found, described=True)}",
        notes=(
            ("help", "an argument of a law fits the declared shape by broadcasting"),
        ),
    )


def law_kind(span: Span, law: str, kind: str) -> Diagnostic:
    """`random x: int[N] = normal(0, 1)`."""
    good = "an int" if law == "categorical" else "a real"
    return Diagnostic(
        "random-kind",
        span,
        f"`{law}` draws {good}, not {kind}",
        notes=(("help", f"declare it {good.split()[-1]}"),),
    )


def law_of_weights(span: Span, law: str) -> Diagnostic:
    """`random x = he()`."""
    return Diagnostic(
        "random-law",
        span,
        f"`{law}()` fills parameters; it is no law to draw from",
        notes=(("help", "`normal(0, 1)`, `uniform(0, 1)`, `bernoulli(p)`"),),
    )


def grad_through_random(
    span: Span, drawn: str, line: int, params: list[str]
) -> Diagnostic:
    """A loss that depends on a draw whose law depends on a parameter."""
    first = params[0]
    return Diagnostic(
        "grad-through-random",
        span,
        "training would need the gradient of a random draw",
        label=f"depends on `random {drawn}` (line {line}), whose law depends on `{first}`",
        notes=(
            (
                "help",
                f"`stop({drawn})` treats the sample as fixed data (contrastive divergence)",
            ),
            (
                "help",
                "for a normal, `z = mu + sigma * eps` with `random eps: [..] = normal(0, 1)`",
            ),
        ),
    )


def updated_twice(span: Span, name: str, path: str) -> Diagnostic:
    """A state with two new values in one step."""
    return Diagnostic(
        "updated-twice",
        span,
        f"`{name}` ({path}) is updated twice in one step",
        notes=(
            (
                "help",
                "one `update` a state; what is in a `fn` exists once and runs at every call: "
                "write a `layer` for a state of its own",
            ),
        ),
    )


def update_shape(span: Span, name: str, shape: Shape, found: Shape) -> Diagnostic:
    """The new value of a state has another shape."""
    return Diagnostic(
        "update-shape",
        span,
        f"`{name}` is {show(shape, described=True)}, but its new value is "
        f"{show(found, described=True)}",
    )


def update_kind(span: Span, name: str, found: str) -> Diagnostic:
    """The new value of a state is no real value."""
    return Diagnostic(
        "update-kind",
        span,
        f"`{name}` holds real numbers, but its new value is {found}",
    )


def update_in_loop(span: Span, name: str) -> Diagnostic:
    """`update` inside a `for`."""
    return Diagnostic(
        "update-in-loop",
        span,
        f"`{name}` is updated at every step of a `for`",
        notes=(("help", "carry a value through the loop and `update` after it"),),
    )


def state_kind(span: Span, kind: str) -> Diagnostic:
    """`state x: int`."""
    return Diagnostic(
        "state-kind",
        span,
        f"a state is real, not {kind}",
        notes=(("help", "leave the kind out: real is the default"),),
    )


def too_many_steps(span: Span, steps: Dim, limit: int) -> Diagnostic:
    """More steps than a tensor has elements."""
    return Diagnostic(
        "too-many-steps",
        span,
        f"{steps} steps are more than the {limit} elements that a tensor may have",
    )


def too_much_saved(span: Span, shape: Shape, limit: int) -> Diagnostic:
    """A value of every step that the backward pass reads, beyond what a tensor may be."""
    return Diagnostic(
        "too-much-saved",
        span,
        f"the backward pass would save {show(shape)} here, a value of every step",
        label=f"more than {limit} elements",
        notes=(("help", "fewer steps, or `stop` what needs no gradient"),),
    )
