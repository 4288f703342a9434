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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import Network
    from .runs import RunFolder
    from .weights import Weights

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


def load(run: str | Path, weights: str = "best") -> Network:
    """Return the network of a run folder, with its trained weights as `theta`.

    It is compiled anew from the program's text in the folder. `weights` are the "best" or the
    "last". What was fitted to the training data (scales, classes) is in `net.transforms`:
    `gradc predict` applies it to files; inputs given in Python are taken as they are.
    """
    return open_run(run, weights).network


def open_run(run: str | Path, weights: str = "best") -> Trained:
    """A run folder with all that evaluation and prediction need; `CheckpointError`s.

    The Python in a run folder is for reading: it is never executed.
    """
    from gradc.compiler import Options, Source, compile_source
    from gradc.compiler.backend.guard import check

    from .network import Network
    from .runs import RunFolder

    folder = RunFolder.open(Path(run))
    options = Options(
        level=folder.info.get("level", 1),
        overrides=folder.info.get("overrides", {}),
        folder=folder.path,
    )
    compiled = compile_source(
        Source.from_text(folder.info["net"], folder.text), options
    )
    network = Network(compiled.source, compiled.signature, tree=check(compiled.source))
    found = folder.weights(weights)
    network.theta = found.theta(network)
    network.state = found.remembered(network)
    network.seed = folder.settings.seed
    network.transforms = found.transforms
    return Trained(folder, network, found)


@dataclass(frozen=True)
class Trained:
    """A run that was opened."""

    run: RunFolder
    network: Network
    weights: Weights


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
