"""The runtime's exceptions: one class for each thing that can go wrong, with its exit code.

Wrong arguments of a Python call are `ValueError` with names and shapes, as everywhere in
Python. The classes here are for what only happens while data are read and a net is trained;
the command line turns each into one message and its documented exit code.

    raise DataError("wine.csv:118, column 'ash': empty value (missing)",
                    "say what to do:  --set train.missing=drop | mean | error")
"""

from __future__ import annotations


class RuntimeFault(Exception):
    """A message of one sentence, further lines of it, and an exit code."""

    exit_code = 70

    def __init__(self, message: str, *notes: str) -> None:
        self.message = message
        self.notes = tuple(note for note in notes if note)
        super().__init__(message, *self.notes)

    def __str__(self) -> str:
        return "\n  ".join((self.message, *self.notes))


class SettingError(RuntimeFault, ValueError):
    """A training setting that cannot be used (exit 2)."""

    exit_code = 2


class DataError(RuntimeFault, ValueError):
    """The data cannot be used as they are (exit 4)."""

    exit_code = 4


class CheckpointError(RuntimeFault, ValueError):
    """A checkpoint or run folder is damaged, newer, or of another net (exit 5)."""

    exit_code = 5


class NonFiniteError(RuntimeFault, ArithmeticError):
    """The loss or its gradient became infinite or NaN (exit 6)."""

    exit_code = 6


class ResourceError(RuntimeFault):
    """Memory or disk do not suffice (exit 7)."""

    exit_code = 7
