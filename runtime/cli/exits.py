"""The exit codes: one code, one meaning; and the mistakes that a command line can make.

raise UsageError("unknown-flag", "gradc train has no flag `--epoch`",
                 help="did you mean `--epochs`?")       # exit 2
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the status of a process says."""

    OK = 0
    CHECK_FAILED = 1  # asked for: check, fmt --check, eval --require, diagnose --strict
    USAGE = 2  # the command line or a setting
    REJECTED = 3  # the .net, or a limit of the compiler
    DATA = 4
    CHECKPOINT = 5
    NON_FINITE = 6
    RESOURCES = 7  # memory or disk
    INTERNAL = 70  # a bug in gradc
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    Exit.OK: "success",
    Exit.CHECK_FAILED: "a check you asked for did not hold "
    "(check, fmt --check, --require, --strict)",
    Exit.USAGE: "bad command line or setting",
    Exit.REJECTED: "the .net was rejected, or is past a --limit of the compiler",
    Exit.DATA: "the data were rejected",
    Exit.CHECKPOINT: "the run or checkpoint was rejected",
    Exit.NON_FINITE: "training became infinite or NaN",
    Exit.RESOURCES: "out of memory or disk",
    Exit.INTERNAL: "a bug in gradc; a report file is written",
    Exit.INTERRUPTED: "stopped by Ctrl-C (training saves what it has first)",
    Exit.TERMINATED: "stopped by SIGTERM (likewise)",
}
"""The table that `gradc --help` prints."""


class Failure(Exception):
    """A message for the user, and the status to leave with.

    `id` names the mistake (`error[unknown-flag]`; "" for none); `notes` are further lines,
    (kind, text) with kind "rule", "help" or "", as in a compiler's diagnostic.
    """

    def __init__(
        self,
        code: Exit,
        message: str,
        *,
        id: str = "",
        notes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id
        self.notes = notes


class UsageError(Failure):
    """The command line asks for something that cannot be (exit 2)."""

    def __init__(self, id: str, message: str, *notes: str, help: str = "") -> None:
        kinds = tuple(("", note) for note in notes)
        helps = (("help", help),) if help else ()
        super().__init__(Exit.USAGE, message, id=id, notes=kinds + helps)


class Stopped(BaseException):
    """A signal ends the command at once (exit 130 or 143)."""

    def __init__(self, code: Exit) -> None:
        super().__init__(code)
        self.code = code
