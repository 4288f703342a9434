"""`gradc fmt`: .net files in the one form, comments kept.

gradc fmt digits.net            # rewrites the file where its form differs
gradc fmt --check examples/     # changes nothing; a list, and exit 1, where it would
"""

from __future__ import annotations

import difflib
import os
import tempfile
from argparse import Namespace
from pathlib import Path

from gradc.compiler.errors import CompileError
from gradc.compiler.source import Source

from .exits import Exit, UsageError
from .options import Parser, add_common, read_program
from .terminal import Terminal, write_error

SUMMARY = "format .net files"


def parser() -> Parser:
    """The flags of `gradc fmt`."""
    made = Parser("fmt", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1])
    made.add_argument(
        "files", metavar="FILE", nargs="+", help=".net files, folders, or -"
    )
    made.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if one would"
    )
    made.add_argument(
        "--diff", action="store_true", help="show what would change; change nothing"
    )
    made.add_argument(
        "--filename-in-msg", metavar="NAME", help="the name of `-` in messages"
    )
    add_common(made, program=False)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Format each file; a file with errors is left alone and decides the status."""
    from gradc.compiler.frontend.format import format_source

    changed: list[str] = []
    same: list[str] = []
    broken: list[str] = []
    for path in programs(args.files):
        shown = (args.filename_in_msg or "<stdin>") if path == "-" else path
        text, _, _ = read_program(path, shown)
        try:
            formatted = format_source(Source.from_text(shown, text))
        except CompileError as error:
            write_error(error.render(terminal.color))
            broken.append(shown)
            continue
        (same if formatted == text else changed).append(shown)
        if args.diff:
            if formatted != text:
                terminal.product(difference(text, formatted, shown))
        elif path == "-" and not args.check:
            terminal.product(formatted)
        elif formatted != text and not args.check:
            rewrite(Path(path), formatted)
    asked = args.check or args.diff
    if args.json:
        import json

        terminal.product(
            json.dumps({"changed": changed, "unchanged": same, "broken": broken})
        )
    elif args.files != ["-"] or asked:
        for name in changed:
            terminal.say(f"would reformat {name}" if asked else f"reformatted {name}")
        terminal.say(summary(len(changed), len(same), len(broken), asked))
    if broken:
        return Exit.REJECTED
    return Exit.CHECK_FAILED if args.check and changed else Exit.OK


def programs(paths: list[str]) -> list[str]:
    """The files that are meant: of a folder every .net in it, in order, none twice."""
    found: dict[str, None] = {}
    for path in paths:
        if path != "-" and Path(path).is_dir():
            inside = sorted(str(p) for p in Path(path).rglob("*.net"))
            if not inside:
                raise UsageError("no-file", f"there is no .net file in `{path}`")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


def difference(old: str, new: str, name: str) -> str:
    """A unified diff."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        name,
        f"{name} (formatted)",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def rewrite(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new, never half."""
    target = Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def summary(changed: int, same: int, broken: int, asked: bool) -> str:
    """`1 file reformatted, 2 left unchanged`."""

    def files(count: int) -> str:
        return f"{count} file{'' if count == 1 else 's'}"

    parts = []
    if changed:
        parts.append(f"{files(changed)} {'would be ' if asked else ''}reformatted")
    if same:
        parts.append(f"{files(same)} {'' if asked else 'left '}unchanged")
    if broken:
        parts.append(f"{files(broken)} with errors")
    return ", ".join(parts)
