"""The entry point: finds the verb, runs it, and turns every way to fail into one message.

In: the words of a command line. Out: an exit status by the table of `exits.py`; never a
traceback. A verb is a module with

    SUMMARY                   one line, for `gradc --help`
    def parser() -> Parser    its flags
    def run(args, terminal) -> Exit

and it is imported only when it is asked for.

    main(["fmt", "--check", "examples"])     # 0, or 1 when something would change
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import RuntimeFault
from .exits import MEANINGS, Exit, Failure, Stopped, UsageError
from .terminal import Terminal, write_error

if TYPE_CHECKING:
    from .options import Parser

VERBS = {
    "compile": "turn a .net into Python source",
    "train": "compile a .net and train it on data",
    "eval": "the loss and metrics of a trained run",
    "predict": "the outputs of a trained run for new data",
    "check": "compare the emitted gradients with differences",
    "explain": "the derivation of a gradient, a line, or an error",
    "graph": "the computational graph as DOT, SVG or Mermaid",
    "explore": "a page that links the program, its graph and both passes",
    "diagnose": "why a network does not learn, line by line",
    "cost": "operations, bytes and memory of a step, line by line",
    "fmt": "format .net files",
    "new": "write a .net to start from",
    "info": "what this installation, a run, a checkpoint or a data file is",
    "completion": "a script that lets the shell complete verbs and flags",
}

EXHAUSTED = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.EIO,
    }
)
"""What an OSError says where a machine has come to its end; others are a wrong path's."""

SELDOM = 100_000
"""Objects made between two looks for garbage: modules and programs have next to none, and
looking takes a twentieth of the time before a first step."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default) and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal.of(_color_in(words))
    words = [_possible(word) for word in words]
    _prepare_streams()
    before = gc.get_threshold()
    gc.set_threshold(SELDOM, *before[1:])
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # what ends needs no sorting of its garbage: .03 s
    try:
        code = _dispatch(words, terminal)
        sys.stdout.flush()
        return int(code)
    except BrokenPipeError:
        _drop_stdout()
        return Exit.OK
    except SystemExit as leaving:  # argparse's --help
        return leaving.code if isinstance(leaving.code, int) else Exit.OK
    except KeyboardInterrupt:
        write_error("interrupted")
        return Exit.INTERRUPTED
    except Stopped as stopped:
        write_error("interrupted" if stopped.code == Exit.INTERRUPTED else "terminated")
        return stopped.code
    except Exception as error:
        return int(_explain(error, words, terminal))
    finally:
        gc.set_threshold(*before)


def _dispatch(words: list[str], terminal: Terminal) -> Exit:
    if not words or words[0] in ("-h", "--help", "help"):
        if len(words) > 1 and words[0] == "help":
            return _dispatch([words[1], "--help"], terminal)
        if not words:
            write_error(overview())
            return Exit.USAGE
        terminal.product(overview())
        return Exit.OK
    verb = words[0]
    if verb in ("--version", "-V", "version"):
        terminal.product(f"gradc {version()}")
        return Exit.OK
    if verb not in VERBS:
        raise _unknown_verb(verb)
    module = importlib.import_module(f".{verb}", __package__)
    read: Callable[[], Parser] = module.parser
    run: Callable[[Namespace, Terminal], Exit] = module.run
    args = read().read(words[1:])
    terminal.quiet, terminal.verbose = args.quiet, args.verbose
    return run(args, terminal)


def _unknown_verb(verb: str) -> UsageError:
    from .options import suggestion

    if verb.startswith("-"):
        return UsageError(
            "unknown-flag",
            f"gradc has no flag `{verb}`",
            help="flags stand behind the verb: `gradc compile FILE -O0`; see `gradc --help`",
        )
    if verb.endswith(".net"):
        hint = f"what shall be done with it? e.g. `gradc compile {verb}`"
    else:
        hint = suggestion(verb, list(VERBS)) or "see `gradc --help`"
    return UsageError("unknown-verb", f"gradc has no verb `{verb}`", help=hint)


def overview() -> str:
    """What `gradc --help` prints."""
    from .terminal import columns

    verbs = columns([(f"  {name}", summary) for name, summary in VERBS.items()])
    codes = columns([(f"  {int(c)}", text) for c, text in MEANINGS.items()], right=(0,))
    return (
        "gradc compiles networks written as equations to plain NumPy, gradients included,\n"
        "and trains them.\n\n"
        f"usage: gradc VERB …       gradc VERB --help       gradc --version\n\n{verbs}\n\n"
        f"exit status:\n{codes}\n"
    )


def version() -> str:
    """The installed version of gradc."""
    from gradc.compiler import __version__

    return __version__


# --------------------------------------------------------------------------- failing


def _explain(error: Exception, words: list[str], terminal: Terminal) -> Exit:
    """Say what went wrong, and the status that means it."""
    from gradc.compiler.errors import CompileError

    match error:
        case Failure():
            terminal.failure(error.message, error.id, error.notes)
            return error.code
        case CompileError():
            return _rejected(error, terminal)
        case RuntimeFault():
            terminal.failure(
                error.message, "", [("more", note) for note in error.notes]
            )
            return Exit(error.exit_code)
        case MemoryError():
            terminal.failure(
                "out of memory", "", [("", str(error))] if str(error) else []
            )
            return Exit.RESOURCES
        case OSError() if error.errno is not None:
            where = f"`{str(error.filename)[:200]}`: " if error.filename else ""
            terminal.failure(f"{where}{error.strerror}", "", [])
            return Exit.RESOURCES if error.errno in EXHAUSTED else Exit.USAGE
        case ValueError() if type(error).__name__ == "LinAlgError":
            terminal.failure(f"{_place(error)}{str(error).lower()}", "", [])
            return Exit.NON_FINITE
    return _internal(error, words, terminal)


def _place(error: Exception) -> str:
    """Where in the program a function of the module failed: `gp.net:8: `.

    The emitted lines of an equation stand below a comment that ends with its place.
    """
    import linecache
    import re

    found = ""
    trace = error.__traceback__
    while trace is not None:
        lines = linecache.getlines(trace.tb_frame.f_code.co_filename)
        for line in reversed(lines[: trace.tb_lineno]):
            if line.startswith(("def ", "import ")):
                break
            if place := re.fullmatch(r" *#.* {2}(\S+:\d+)\n?", line):
                found = f"{place[1]}: "
                break
        trace = trace.tb_next
    return found


LIMITS = {"file-too-large", "files-too-large", "too-many-nodes"}
"""Diagnostics without a place in the text that are the program's doing all the same."""


def _rejected(error: object, terminal: Terminal) -> Exit:
    """A program with mistakes, or past a limit: 3; a `--set` that does not fit it: 2."""
    from gradc.compiler.errors import CompileError

    assert isinstance(error, CompileError)
    write_error(error.render(terminal.color))
    count = len(error.diagnostics) + error.more
    write_error(f"{count} error{'s' if count > 1 else ''}")
    if all(d.span is None and d.message.startswith("`--") for d in error.diagnostics):
        return Exit.USAGE
    return Exit.REJECTED


def _internal(error: Exception, words: list[str], terminal: Terminal) -> Exit:
    """A bug: everything that helps to find it goes to a file, one message to the user."""
    import platform
    import tempfile
    import traceback

    from gradc.compiler.errors import InternalError

    stage = (
        error.stage
        if isinstance(error, InternalError)
        else f"gradc {' '.join(words[:1])}"
    )
    cause = error.__cause__ or error
    report = "\n".join(
        (
            f"gradc {version()}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {['gradc', *words]}",
            f"stage: {stage}",
            "",
            "".join(traceback.format_exception(cause)),
        )
    )
    notes = [("", f"{type(cause).__name__}: {cause}".splitlines()[0][:300])]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="gradc-bug-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(report)
        notes.append(("help", f"please report it with the file {file.name}"))
    except OSError:
        notes.append(("", report))
    terminal.failure(f"this is a bug in gradc, in stage `{stage}`", "internal", notes)
    return Exit.INTERNAL


# --------------------------------------------------------------------------- streams


def _possible(word: str) -> str:
    """A word without characters that no command line has: `main` may be called with any."""
    return re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "\N{REPLACEMENT CHARACTER}", word)


def _color_in(words: Sequence[str]) -> str:
    """`--color` wherever it stands, for messages about the command line itself."""
    for i, word in enumerate(words):
        value = word.partition("=")[2] if word.startswith("--color=") else ""
        if word == "--color" and i + 1 < len(words):
            value = words[i + 1]
        if value in ("always", "never"):
            return value
    return "auto"


def _prepare_streams() -> None:
    """Products are UTF-8 wherever the locale stands; messages never fail to be printed."""
    for stream, encoding in ((sys.stdout, "utf-8"), (sys.stderr, None)):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding=encoding, errors="backslashreplace")


def _drop_stdout() -> None:
    """The reader of stdout has left: let the interpreter flush into nothing."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
