"""report.html of a run: what its log, its settings and its best weights say, on one page.

write(trainer, rows, text)          # after a training, into its folder
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .terminal import figure

if TYPE_CHECKING:
    from ..report import Confusion, Residuals
    from ..trainer import Result, Trainer

MOST_CLASSES = 40
MOST_ROWS = 20_000  # of the part held out, for the matrix and the residuals


def write(
    trainer: Trainer,
    result: Result,
    settings: Sequence[tuple[str, str, str]],
    text: str,
) -> None:
    """Make the page; `OSError` where it cannot be written."""
    from gradc.compiler import CompileError, Source

    from ..checkpoint import write_atomically
    from ..environment import environment
    from ..report import Report, page
    from .picture import picture

    run = trainer.run
    assert run is not None
    best = result.best
    facts = {"run": str(run.path), "steps": f"{result.steps:,}"}
    if best is not None:
        facts["best epoch"] = f"{best.number:,}"
        for name, value in best.figures.items():
            facts[f"{name}, held out" if best.held_out else name] = figure(value, 4)
    facts["parameters"] = f"{trainer.network.size:,}"
    facts["time"] = f"{result.seconds:.1f} s"
    facts["data"] = "; ".join(trainer.data.summary)
    confusion, residuals = judged(trainer, result)
    try:
        drawn = picture(Source.from_text(trainer.network.name, text))
    except CompileError:  # a limit that was raised for the training
        drawn = ""
    made = page(
        Report(
            run.path.name,
            run.events(),
            facts,
            settings,
            drawn,
            text,
            confusion,
            residuals,
            environment(),
        )
    )
    write_atomically(run.path / "report.html", made.encode())


def judged(
    trainer: Trainer, result: Result
) -> tuple[Confusion | None, Residuals | None]:
    """What the best weights say of the part held out: classes, or numbers."""
    import numpy as np

    from ..evaluation import outputs
    from ..report import Confusion, Residuals

    network, part = trainer.network, trainer.data.held_out
    signature = network.signature
    if not network.has("predict") or max(part.rows.values(), default=0) > MOST_ROWS:
        return None, None
    network.state = result.best_state
    values = outputs(network, result.best_theta, part)
    inputs = {entry["name"]: entry for entry in signature["inputs"]}
    columns = {n for table in part.tables.values() for n in table.columns}
    for entry in signature["outputs"]:
        label, found = entry["classes_of"], values[entry["name"]]
        if label not in columns or entry["kind"] != "int":
            continue
        (true,) = part.arrays([label])
        if true.shape != found.shape:
            continue
        count = int(max(true.max(), found.max())) + 1
        if count <= MOST_CLASSES and min(true.min(), found.min()) >= 0:
            words = trainer.data.transforms.classes.get(label)
            names = list(words or map(str, range(count)))
            names += [str(i) for i in range(len(names), count)]
            counts = np.zeros((len(names), len(names)), np.int64)
            np.add.at(counts, (true.reshape(-1), found.reshape(-1)), 1)
            return Confusion(entry["name"], tuple(names), counts), None
    for entry in signature["outputs"]:
        found = values[entry["name"]]
        for name in sorted(columns - set(entry["inputs"])):
            if inputs[name]["kind"] == "real" == entry["kind"] and json.dumps(
                inputs[name]["shape"]
            ) == json.dumps(entry["shape"]):
                (true,) = part.arrays([name])
                if np.isfinite(found).all() and found.size:
                    return None, Residuals(entry["name"], name, true, found)
    return None, None


def safely(trainer: Trainer, result: Result, *arguments: Any) -> str:
    """Write the page; what went wrong, if it did: a report is not worth a run."""
    if trainer.run is None:
        return ""
    try:
        write(trainer, result, *arguments)
    except (OSError, ValueError, ArithmeticError, MemoryError) as error:
        return f"no report.html could be written: {error}"
    return ""
