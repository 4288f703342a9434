"""The command `gradc`: one module a verb, and the only place where both halves meet.

`main.py` finds the verb and turns every way to fail into one message and its exit code
(`exits.py`); `options.py` reads command lines, `terminal.py` writes to streams. Nothing here
imports numpy or a stage of the compiler before a verb needs it: the number of BLAS threads
has to be set first, and `gradc --help` should cost nothing.

    raise SystemExit(main(["compile", "digits.net", "-o", "-"]))
"""

from .main import main

__all__ = ["main"]
