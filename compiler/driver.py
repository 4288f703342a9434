"""THE PIPELINE: the only file that knows the order of the stages.

In: a `Source` and `Options`. Out: `Compiled`, or a `CompileError` with the author's mistakes,
or an `InternalError` that names the stage in which gradc itself failed.

    compiled = compile_source(Source.from_text("sq.net", "input x\\noutput y = x^2"))
    print(compiled.source)
    print(dump("dag", build(source, options, until="dag").value))
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from math import prod
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from gradc.records import record

from .autodiff.reverse import differentiate
from .autodiff.shards import mixing_line, sharded, shared_rows
from .backend import fast, readable
from .backend.plan import Recompute
from .backend.schedule import schedule
from .backend.signature import shards, signature
from .errors import (
    CompileError,
    Diagnostic,
    InternalError,
    Reporter,
    did_you_mean,
    loops,
    settings,
)
from .figures import figures
from .frontend.parser import parse
from .frontend.resolve import resolve
from .frontend.scan import Limits
from .ir.graph import topological
from .ir.program import Joint, Program
from .lowering.lower import lower
from .ops.loops import hoisting_all
from .passes import before_derivatives, run_passes
from .source import Source

if TYPE_CHECKING:
    from .explain.provenance import Trace

FAST = 2  # the level from which on modules have planned buffers
STAGES = ("ast", "names", "dag", "grad", "opt", "schedule", "py")


@record
class Options:
    """What a compilation depends on beside the text: equal options, equal bytes."""

    level: int = 1  # -O
    overrides: dict[str, str] = field(default_factory=dict)  # --set: name -> .net text
    include_dirs: tuple[Path, ...] = ()  # -I
    folder: Path | None = None  # of the root file: what `use` may reach
    wrt: tuple[str, ...] = ()  # inputs whose adjoints `backward` returns too
    limits: Limits = field(default_factory=Limits)
    complex: bool = False  # forms that are analytic in complex numbers, for `check`
    loss: str | None = None  # of several losses this one alone, over all, for `check`
    recompute: Recompute | None = None  # by the level: `cheap` for planned buffers
    poison: bool = (
        False  # -O2: buffers are filled with NaN when nobody reads them any more
    )


@record
class Compiled:
    """An emitted module and what a runtime has to know of it."""

    source: str
    signature: dict[str, Any]
    warnings: tuple[Diagnostic, ...]
    stats: dict[str, Any]  # see figures.py
    libraries: dict[
        str, str
    ]  # the files that the program uses, by path from its folder


@record
class Built:
    """What the last stage that ran handed on, and the seconds that each took."""

    value: Any
    seconds: dict[str, float]
    made: dict[str, Any]  # by stage: what every one handed on


def stages(source: Source, options: Options) -> Iterator[Any]:
    """What each stage hands on, in the order of STAGES: one step of this a stage."""
    yield (tree := parse(source, options.limits))
    yield (resolved := resolve(tree, options))
    with hoisting_all(options.level >= FAST and not options.complex):
        program = lower(resolved, options)
    yield program
    check_wrt(program, options.wrt)
    if options.loss is not None:
        program = only(program, options.loss)
    libraries = {m.name: m.source.text for m in resolved.modules[1:] if m.source}
    for made in behind(program, options):
        if isinstance(made, Compiled):
            made = replace(made, warnings=resolved.warnings, libraries=libraries)
        yield made


def behind(program: Program, options: Options) -> Iterator[Any]:
    """The stages after lowering: where a program is source, where it came from is no matter."""
    if options.complex:  # the forms that are analytic are those of -O1
        options = replace(options, level=min(options.level, FAST - 1))
    program = before_derivatives(program, options.level)
    rows, whole = "", program
    if options.level >= FAST and not options.wrt:
        program, rows = sharded(program)
    with hoisting_all(options.level >= FAST):
        joint = differentiate(program, options.wrt)
    check_saved(joint, options.limits)
    yield joint
    yield (optimised := run_passes(joint, options.level))
    planned = options.level >= FAST and has_arrays(joint)
    written = options if planned else replace(options, level=min(options.level, 1))
    if written.recompute is None:
        written = replace(written, recompute="cheap" if planned else "none")
    plan = schedule(optimised, written, numbers=options.level >= FAST)
    turned = fast.turned(plan) if options.level and not options.wrt else frozenset()
    yield (plan := replace(plan, rows=rows, level=options.level, turned=turned))
    described = signature(plan)
    if not planned:
        text = readable.emit(plan, options)
    else:
        made = fast.emit(plan, options)
        text, described["work"] = made.text, made.work
        if made.work is not None:
            row_dim = None if options.wrt else shared_rows(whole)
            least = fast.least_rows(plan)
            described["shards"] = shards(plan, row_dim, mixing_line(whole), least)
    yield Compiled(text, described, (), figures(joint, plan), {})


def compile_program(program: Program, options: Options) -> Compiled:
    """Compile what lowering made, or what was made of that: a probe, say."""
    with without_gc():
        *_, compiled = behind(program, options)
    assert isinstance(compiled, Compiled)
    return compiled


def build(source: Source, options: Options | None = None, until: str = "py") -> Built:
    """Run the stages up to one; what fails beside the author's mistakes is a bug in it."""
    with without_gc():
        return _build(stages(source, options or Options()), until)


def _build(running: Iterator[Any], until: str) -> Built:
    seconds: dict[str, float] = {}
    made: dict[str, Any] = {}
    for stage in STAGES:
        started = perf_counter()
        try:
            value = next(running)
        except (CompileError, InternalError, MemoryError):
            raise
        except Exception as error:
            raise InternalError(stage, str(error)) from error
        seconds[stage] = perf_counter() - started
        if stage == STAGES[-1]:  # its text is all that anybody wants
            made["dag"].graph.clear()
            return Built(value, seconds, {})
        made[stage] = value
        if stage == until:
            return Built(value, seconds, made)
    raise ValueError(f"no stage {until!r}; the stages are {', '.join(STAGES)}")


@contextmanager
def without_gc() -> Iterator[None]:
    """A graph lives until the end: looking for garbage in it makes compiling quadratic."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def only(program: Program, name: str) -> Program:
    """The program with one of its losses, which trains whatever it depends on."""
    (root,) = (r for r in program.training.losses if r.name == name)
    alone = replace(root, over=None)
    training = replace(program.training, losses=(alone,), total=alone)
    return replace(program, training=training)


def check_wrt(program: Program, names: tuple[str, ...]) -> None:
    """`--wrt` names real inputs of a program with a loss."""
    reporter = Reporter()
    kinds = {entry.name: entry.node.kind for entry in program.inputs}
    for name in names:
        if name not in kinds:
            meant = did_you_mean(name, kinds) or ""
            reporter.report(settings.unknown_wrt(name, list(kinds), meant))
        elif kinds[name] != "real":
            reporter.report(settings.wrt_not_real(name, kinds[name]))
        elif program.training.total is None:
            reporter.report(settings.wrt_without_loss(name))
    reporter.raise_if_errors()


def trace(source: Source, options: Options | None = None) -> Trace:
    """All that the stages made of a program, with what each value is called."""
    from .explain.provenance import Trace  # what compiles alone does without
    from .explain.stations import stations

    given = options or Options()
    built = build(source, given, until="schedule")
    joint, plan = built.made["grad"], built.value
    written = readable.emission(plan, given)
    named = stations(joint, plan, written.names)
    return Trace(source, built.made["ast"], joint, plan, written, named)


def has_arrays(joint: Joint) -> bool:
    """Is there any memory to plan? A program of single numbers has none."""
    return any(n.shape for n in topological(joint.gradients.values()))


def check_saved(joint: Joint, limits: Limits) -> None:
    """What a backward pass saves of the steps of a loop is no larger than a tensor may be."""
    reporter = Reporter()
    for node in topological(joint.gradients.values()):
        if node.op.name == "each":
            count = prod(max(1, d.integer or 1) for d in node.shape)
            if count > limits.elements:
                span = node.origin.span
                said = loops.too_much_saved(span, node.shape, limits.elements)
                reporter.report(said)
                break
    reporter.raise_if_errors()


def compile_source(source: Source, options: Options | None = None) -> Compiled:
    """Compile a program."""
    compiled: Compiled = build(source, options).value
    return compiled


def compile_file(path: str | Path, options: Options | None = None) -> Compiled:
    """Compile a file. `OSError` or `UnicodeDecodeError` where it cannot be read."""
    file = Path(path)
    source = Source.from_text(file.name, file.read_bytes().decode("utf-8"))
    given = options or Options()
    return compile_source(source, replace(given, folder=given.folder or file.parent))
