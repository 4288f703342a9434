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
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .records import record

if TYPE_CHECKING:
    from gradc.compiler import Compiled, Options, Source

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
    """Return the network of a run folder or checkpoint, with its trained weights as `theta`.

    It is compiled anew from the program's text in it. `weights` are the "best", the "last" or
    the moving average "ema". What was fitted to the training data (scales, classes) is in
    `net.transforms`: `gradc predict` applies it to files; inputs given in Python are taken as
    they are.
    """
    return open_run(run, weights).network


def open_run(run: str | Path, weights: str = "best") -> Trained:
    """A run folder, or a checkpoint file, with all that evaluation and prediction need.

    The program is that in the checkpoint, compiled anew; `CheckpointError` where it is damaged
    or of another format. The Python in a run folder is for reading: it is never executed.
    `weights` are "best", "last", or the moving average "ema".
    """
    from gradc.compiler.backend.guard import check

    from .errors import CheckpointError
    from .network import Network
    from .runs import RunFolder
    from .weights import read_weights

    path = Path(run)
    if path.is_file():
        found = read_weights(path)
        folder = RunFolder.of(found)
    else:
        folder = RunFolder.open(path)
        found = folder.weights("last" if weights == "ema" else weights)
    if weights == "ema" and not found.averages:
        raise CheckpointError(f"{found.path} has no moving average of its weights")
    compiled = compile_again(found.program or folder.program, folder.path)
    network = Network(compiled.source, compiled.signature, tree=check(compiled.source))
    network.theta = found.theta(network, average=weights != "last")
    network.state = found.remembered(network)
    network.seed = folder.settings.seed
    network.transforms = found.transforms
    return Trained(folder, network, found)


def compile_again(
    program: Mapping[str, Any],
    folder: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    options: Options | None = None,
) -> Compiled:
    """Compile a program as a checkpoint keeps it, with `overrides` beside its own."""
    from gradc.compiler import compile_source

    with program_again(program, folder, overrides, options) as (source, chosen):
        return compile_source(source, chosen)


@contextmanager
def program_again(
    program: Mapping[str, Any],
    folder: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    options: Options | None = None,
) -> Iterator[tuple[Source, Options]]:
    """The text of a program as a checkpoint keeps it, and the options to compile it by.

    Its libraries are written to a folder of their own for the time; `folder` is where those
    of a run of format 1 lie.
    """
    from gradc.compiler import Options, Source

    from .errors import CheckpointError

    kept: Mapping[str, str] = program["libraries"]
    with tempfile.TemporaryDirectory(prefix="gradc-") as made:
        for name, text in kept.items():
            path = Path(made, name)
            if not path.resolve().is_relative_to(Path(made).resolve()):
                raise CheckpointError(f"a checkpoint's library is called {name!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        chosen = replace(
            options or Options(),
            level=program.get("level", 1),
            overrides={**program["overrides"], **(overrides or {})},
            folder=Path(made) if kept or folder is None else folder,
        )
        yield Source.from_text(program["name"], program["text"]), chosen


@record
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
