"""gradc: networks as equations in, readable NumPy gradients out.

    import gradc
    net = gradc.compile("logit.net", hidden=64)      # path or text; constants by keyword
    print(net.source)                                # what one reads
    theta = net.init(seed=0)                         # the flat vector θ
    loss, nabla = net.value_and_grad(theta, x=x, y=y)
    net.predict(theta, x=x)["p"]

    net = gradc.load("runs/digits-1")                # a trained run; its weights are net.theta

This is the face in Python; `gradc.cli` is the command, `gradc.compiler` the compiler. Names are
loaded when they are asked for, since the command has to set BLAS's threads before numpy is.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import Network

__all__ = ["Network", "compile", "load"]


def compile(program: str | Path, /, **constants: float | bool) -> Network:
    """Compile a program, a path or its text, and return the network, ready to be called.

    `constants` replace the program's `const`s. Mistakes in it raise
    `gradc.compiler.CompileError`, whose text is the message.
    """
    from gradc.compiler import Options, Source, compile_file, compile_source
    from gradc.compiler.backend.guard import check

    from .network import Network

    overrides = {name: _written(name, value) for name, value in constants.items()}
    options = Options(overrides=overrides)
    if isinstance(program, Path) or _is_path(program):
        compiled = compile_file(program, options)
    else:
        compiled = compile_source(Source.from_text("text.net", program), options)
    return Network(compiled.source, compiled.signature, tree=check(compiled.source))


def _is_path(text: str) -> bool:
    """A single line that ends in .net is a path: no program does."""
    return "\n" not in text and re.search(r"\.net\s*\Z", text) is not None


def _written(name: str, value: float | bool) -> str:
    """A constant's value as a program writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return repr(value)
    raise ValueError(f"{name} = {value!r} is no finite number")


def __getattr__(name: str) -> Any:
    if name == "Network":
        from .network import Network

        return Network
    if name == "__version__":
        from gradc.compiler import __version__

        return __version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
