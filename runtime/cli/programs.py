"""From a verb's flags to a compiled program: where the command line meets the compiler.

add_level(parser); add_common(parser)
source, folder = source_of(args)
    compiled = compile_text(source, options_of(args, folder), terminal)
network = load(compiled)          # passes the guard first
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Any

from .exits import UsageError
from .options import Parser, assignments, read_program, suggestion, whole
from .terminal import Terminal, write_error

if TYPE_CHECKING:
    from gradc.compiler import Compiled, Options, Source

    from .. import Trained
    from ..network import Network


def add_level(parser: Parser, default: int = 1) -> None:
    """`-O0`, `-O1`, `-O2`, what is computed again, and what is for testing the last."""
    forms = (
        "one line an operation",
        "rewritten, and still explained",
        "on planned buffers, the fastest",
    )
    parser.add_argument(
        "-O",
        dest="level",
        type=int,
        choices=tuple(range(len(forms))),
        default=default,
        help="; ".join(
            f"{level}{' (default)' if level == default else ''}: {form}"
            for level, form in enumerate(forms)
        ),
    )
    parser.add_argument(
        "--recompute",
        choices=("none", "cheap", "blocks"),
        help="what backward computes again, so that forward need not save it: nothing; what "
        "an operation or two make of the rest (at -O2 the default); all that is inside of "
        "the copies of a repeat, for the least memory and up to a third more time",
    )
    parser.add_argument(
        "--poison",
        action="store_true",
        help="at -O2, fill buffers with NaN where nobody reads them any more (for tests)",
    )


def options_of(args: Namespace, folder: Path) -> Options:
    """The compiler's options that the flags of `add_common` (and others) stand for."""
    from gradc.compiler import Options

    return Options(
        level=getattr(args, "level", 1),
        overrides=assignments(args.overrides, "--set"),
        include_dirs=tuple(Path(path) for path in args.include_dirs),
        folder=folder,
        wrt=tuple(getattr(args, "wrt", None) or ()),
        limits=limits_of(args.limits),
        recompute=getattr(args, "recompute", None),
        poison=getattr(args, "poison", False),
    )


def limits_of(pairs: list[str]) -> Any:
    """`--limit nodes=1000000` as the compiler's limits."""
    from gradc.compiler.frontend.scan import Limits

    known = [field.name for field in dataclasses.fields(Limits)]
    raised: dict[str, int] = {}
    for name, text in assignments(pairs, "--limit").items():
        key = name.replace("-", "_")
        if key not in known:
            raise UsageError(
                "unknown-limit",
                f"there is no limit `{name}`",
                f"limits: {' '.join(known)}",
                help=suggestion(key, known),
            )
        try:
            raised[key] = whole(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(
                "command-line", f"`--limit {name}={text}`: {error}"
            ) from None
    return Limits(**raised)


def source_of(args: Namespace) -> tuple[Source, Path]:
    """The program of `FILE` or `-`, and the folder that its files are relative to."""
    from gradc.compiler import Source

    text, name, folder = read_program(args.file, args.filename_in_msg)
    return Source.from_text(name, text), folder


@contextmanager
def in_time(source: Source, options: Options) -> Iterator[None]:
    """Reject a program that takes longer to compile than its limit says.

    What counts is the time of this process, so that a busy machine rejects no more. There is
    no limit where there is no such clock, or in a thread.
    """
    from gradc.compiler.errors import CompileError, program

    seconds = options.limits.seconds

    def expire(number: int, frame: FrameType | None) -> None:
        raise CompileError([program.too_slow(source.name, seconds)])

    if not hasattr(signal, "setitimer") or current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, expire)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def compile_text(source: Source, options: Options, terminal: Terminal) -> Compiled:
    """Compile, unless the cache has it; warnings go to stderr."""
    from .cache import compiled_once

    with in_time(source, options):
        compiled = compiled_once(source, options)
    show_warnings(compiled, terminal)
    return compiled


def show_warnings(compiled: Compiled, terminal: Terminal) -> None:
    """Print what the compiler would rather have otherwise."""
    from gradc.compiler.errors import render

    for warning in compiled.warnings:
        write_error(render(warning, terminal.color))


def load(compiled: Compiled) -> Network:
    """Execute a module, after the guard has admitted it."""
    from gradc.compiler.backend.guard import check

    from ..network import Network

    return Network(compiled.source, compiled.signature, tree=check(compiled.source))


def open_run(path: str, weights: str) -> Trained:
    """A run folder or a checkpoint, its program compiled anew."""
    from .. import open_run as open_folder

    folder = Path(path)
    if not folder.exists():
        raise UsageError(
            "no-run", f"there is no run folder `{path}`", help=runs_near(folder)
        )
    return open_folder(folder, weights)


def runs_near(folder: Path) -> str:
    """Run folders beside a missing one."""
    beside = sorted(found.parent.name for found in folder.parent.glob("*/run.json"))
    return suggestion(folder.name, beside) or (
        f"there is: {', '.join(beside[:5])}" if beside else ""
    )
