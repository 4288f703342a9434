"""Command lines: a stricter argparse, the flags that all verbs share, and forms of values.

In: `argv` of one verb. Out: an `argparse.Namespace`, or a `UsageError` that says what was
meant. Values are read by type, never evaluated.

    parser = Parser("train", "train a net")
    parser.read(["digits.net", "--epoch", "3"])
    # UsageError: gradc train has no flag `--epoch` … did you mean `--epochs`?
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .exits import Exit, UsageError

LARGEST_PROGRAM = 2**26  # bytes; --limit file_bytes is lower and says so better
_NUMBER = re.compile(r"-\.?\d")


class Parser(argparse.ArgumentParser):
    """One verb's flags. A mistake raises `UsageError`; nothing is abbreviated."""

    def __init__(
        self, verb: str, summary: str, examples: str = "", later: Sequence[str] = ()
    ) -> None:
        """`later` are the flags that a later version will know."""
        super().__init__(
            prog=f"gradc {verb}",
            description=summary,
            epilog=examples and f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.later = frozenset(later)

    def error(self, message: str) -> NoReturn:
        """What argparse found, as a `UsageError`."""
        message = (
            message.replace("argument ", "", 1) if "argument " in message else message
        )
        if message.startswith("the following arguments are required: "):
            missing = message.partition(": ")[2]
            raise UsageError(
                "missing-argument", f"{self.prog} needs {missing}", help=self._usage()
            )
        raise UsageError("command-line", f"{self.prog}: {message}", help=self._usage())

    def _usage(self) -> str:
        return f"see `{self.prog} --help`"

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse the arguments behind the verb."""
        self._refuse_unknown_flags(argv)
        found, extra = self.parse_known_args(list(argv))
        if extra:
            raise UsageError(
                "command-line",
                f"{self.prog}: did not expect `{extra[0]}`",
                help=self._usage(),
            )
        return found

    def _refuse_unknown_flags(self, argv: Sequence[str]) -> None:
        """Before argparse complains about what is missing, say which flag does not exist."""
        for word in argv:
            known: Collection[str] = self._option_string_actions
            if word == "--":
                return
            if not word.startswith("-") or word == "-" or _NUMBER.match(word):
                continue
            flag = word.partition("=")[0] if word.startswith("--") else word[:2]
            if word in self.later:
                flag = word  # -O2, where -O1 is known
                known = set(known) - {word[:2]}
            if flag in known:
                continue
            if not word.startswith("--") and len(word) > 2:
                flag = word  # -epochs is one mistake, not a flag -e
            if flag in self.later:
                raise UsageError(
                    "later-flag",
                    f"{self.prog} {flag} comes with a later version of gradc",
                )
            raise UsageError(
                "unknown-flag",
                f"{self.prog} has no flag `{flag}`",
                help=suggestion(flag, [name for name in known if name.startswith("--")])
                or self._usage(),
            )


def suggestion(word: str, candidates: Sequence[str]) -> str:
    """`did you mean `--epochs`?`, or "" where nothing is like the word."""
    from gradc.compiler.errors import did_you_mean

    table = {name.lstrip("-"): name for name in candidates}
    best = did_you_mean(word.lstrip("-"), table)
    return f"did you mean `{table[best]}`?" if best else ""


def add_common(parser: Parser, *, program: bool = True) -> None:
    """The flags of every verb; with `program`, those of verbs that compile."""
    group = parser.add_argument_group("common")
    if program:
        repeated(
            group,
            "--set",
            "NAME=VALUE",
            "replace a const (hidden=64) or a setting (train.optimizer.lr=0.1)",
            dest="overrides",
        )
        repeated(
            group,
            "-I",
            "DIR",
            "a folder whose libraries `use` may read, beside the program's own",
            dest="include_dirs",
        )
        repeated(
            group,
            "--limit",
            "NAME=NUMBER",
            "raise a limit of the compiler (nodes=1000000)",
            dest="limits",
        )
        group.add_argument(
            "--filename-in-msg",
            metavar="NAME",
            help="the file name in messages and in the output (for `-` and editors)",
        )
    group.add_argument(
        "--json", action="store_true", help="one JSON document on stdout"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", help="errors and warnings alone"
    )
    group.add_argument("-v", "--verbose", action="store_true", help="say more")
    group.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours in messages (NO_COLOR is heeded)",
    )


def repeated(
    to: argparse._ActionsContainer, flag: str, metavar: str, help: str, **more: Any
) -> None:
    """A flag that may stand any number of times: what stands behind it, as a list."""
    to.add_argument(
        flag, metavar=metavar, action="append", default=[], help=help, **more
    )


def assignments(pairs: Sequence[str], flag: str) -> dict[str, str]:
    """`["hidden=64"]` as a dict of texts; a later one wins."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(
                "command-line",
                f"`{flag} {pair}` is not of the form NAME=VALUE",
                help=f"e.g. `{flag} {'nodes=1000000' if flag == '--limit' else 'hidden=64'}`",
            )
        found[name.strip()] = value.strip()
    return found


def positive(text: str) -> int:
    """An argparse type: a whole number from 1 on."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def whole(text: str) -> int:
    """An argparse type: a whole number from 0 on."""
    digits = text.replace("_", "").replace(",", "")
    if re.fullmatch(r"-\d{1,18}", digits):
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    if re.fullmatch(r"-?\d{19,}", digits):
        raise argparse.ArgumentTypeError(f"{text} has more than 18 digits")
    if not re.fullmatch(r"\d{1,18}", digits):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(digits)


def number(text: str) -> float:
    """An argparse type: a positive, finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def names(text: str) -> tuple[str, ...]:
    """An argparse type: names separated by commas."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("no name given")
    return found


def sizes(pairs: Sequence[str]) -> dict[str, int]:
    """`["N=8"]` as sizes; a bare `8` stands for the rows, "" as its name."""
    found = {}
    for pair in pairs:
        name, _, value = pair.rpartition("=")
        try:
            found[name.strip()] = positive(value.strip())
        except argparse.ArgumentTypeError as error:
            raise UsageError(
                "command-line", f"`--size {pair}`: {error}", help="e.g. `--size N=8`"
            ) from None
    return found


def read_program(path: str, shown: str | None) -> tuple[str, str, Path]:
    """The text of a program, the name that messages give it, and the folder that its
    `use` and `data` are relative to. `-` is stdin."""
    import sys

    from .exits import Failure

    if path == "-":
        raw = sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else None
        data = sys.stdin.read().encode() if raw is None else raw
        name, folder = shown or "<stdin>", Path.cwd()
    else:
        file = Path(path)
        name, folder = shown or file.name, file.parent
        try:
            if file.is_dir():
                raise UsageError("no-file", f"`{path}` is a folder, not a program")
            with file.open("rb") as opened:
                data = opened.read(LARGEST_PROGRAM + 1)
            if len(data) > LARGEST_PROGRAM:
                raise UsageError("no-file", f"`{path}` is too large for a program")
        except FileNotFoundError:
            raise UsageError(
                "no-file", f"there is no file `{path}`", help=_near(file)
            ) from None
        except OSError as error:
            raise UsageError(
                "no-file", f"cannot read `{path}`: {error.strerror}"
            ) from None
    try:
        # A name that is not UTF-8 can be opened, but stands in no text.
        name = name.encode("utf-8", "replace").decode()
        return data.decode("utf-8"), name, folder
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Failure(
            Exit.REJECTED,
            f"{name}:{line}: the file is not UTF-8 text (byte {error.start})",
            id="not-text",
        ) from None


def _near(file: Path) -> str:
    """A file beside the missing one that may have been meant."""
    try:
        beside = sorted(p.name for p in file.parent.glob("*.net"))
    except OSError:
        return ""
    hint = suggestion(file.name, beside)
    if hint and str(file.parent) != ".":
        hint = hint.replace("`", f"`{file.parent}/", 1)
    return hint
