"""Step a module of `-O2` on buffers of its own, beside the same program at `-O0`.

module = Fast(compile_source(source, Options(level=2, poison=True)))
loss, gradients = module.step(values)          # values: by path and by name
"""

from __future__ import annotations

from typing import Any

import numpy as np
from backend.executing import Emitted

from gradc.compiler import Options, Source, driver
from gradc.compiler.backend import guard
from gradc.compiler.explain.costs import HEADER
from gradc.sizes import bind, evaluate

Arrays = dict[str, Any]


class Fast:
    """A module of level 2, checked by the guard and executed."""

    def __init__(self, compiled: driver.Compiled) -> None:
        self.text, self.signature = compiled.source, compiled.signature
        self.work: dict[str, Any] | None = compiled.signature["work"]
        self.takes = compiled.signature["functions"]
        self.module: dict[str, Any] = {}
        exec(compile(guard.check(self.text), "<fast>", "exec"), self.module)

    def sizes(self, values: Arrays) -> dict[str, int]:
        """The sizes that the inputs and parameters bind."""
        shapes = {
            e["name"]: np.shape(values[e["name"]]) for e in self.signature["inputs"]
        }
        return bind(self.signature, shapes, {})

    def buffers(self, sizes: dict[str, int], dtype: Any = float) -> Any:
        """The memory of a step."""
        assert self.work is not None
        return self.module["buffers"](*(sizes[s] for s in self.work["sizes"]), dtype)

    def step(
        self,
        values: Arrays,
        dtype: Any = float,
        work: Any = None,
        d_loss: float = 1.0,
        rows: int | None = None,
    ) -> tuple[Any, Arrays]:
        """The loss and the gradients; their arrays are those of `work`."""
        takes = self.takes["forward"]
        given: list[Any] = []
        if takes["params"]:
            given.append(
                {e["path"]: values[e["path"]] for e in self.signature["parameters"]}
            )
        if takes["state"]:
            given.append(
                {e["path"]: values[e["path"]] for e in self.signature["states"]}
            )
        if takes["noise"]:
            given.append({path: values[path] for path in takes["draws"]})
        given += [values[k] for k in takes["inputs"]]
        forward, backward = self.module["forward"], self.module["backward"]
        with np.errstate(all="ignore"):
            if self.work is None:  # single numbers: there is nothing to plan
                loss, saved, *_ = forward(*given)
                return loss, backward(saved, d_loss)
            sizes = self.sizes(values)
            work = self.buffers(sizes, dtype) if work is None else work
            given.append(work)
            if self.work["rows"]:
                given.append(rows or sizes[self.signature["total"]["row_dim"]])
            loss, saved, *_ = forward(*given)
            return loss, backward(saved, d_loss, work)

    def planned(self, values: Arrays, itemsize: int = 8) -> int:
        """The bytes that the plan says a step holds, gradients apart."""
        assert self.work is not None
        sizes = self.sizes(values)

        def count(key: str) -> int:
            return int(evaluate(self.work[key], sizes))  # type: ignore[index]

        reals = count("reals") + count("constants") + count("temporary")
        whole = count("integers") * 8 + count("truths") + count("headers") * HEADER
        return reals * itemsize + whole


def compiled(text: str, level: int = 2, **options: Any) -> driver.Compiled:
    """A program's module."""
    source = Source.from_text("test.net", text)
    return driver.compile_source(source, Options(level=level, **options))


def drawn(text: str, sizes: dict[str, int] | None = None, **options: Any) -> Emitted:
    """The same program at -O0, with values for all that it reads."""
    source = Source.from_text("test.net", text)
    given = Options(level=0, **options)
    joint = driver.build(source, given, until="grad").value
    return Emitted(joint, 0, sizes=sizes)


def values_of(plain: Emitted, dtype: Any = float) -> Arrays:
    """Everything by name, reals in one precision."""
    found = {**plain.params, **plain.state, **plain.noise, **plain.inputs}
    return {
        k: v.astype(dtype) if np.asarray(v).dtype.kind == "f" else v
        for k, v in found.items()
    }


def largest_error(found: Arrays, wanted: Arrays) -> float:
    """The largest difference, of each array's largest entry."""
    assert set(found) == set(wanted)
    worst = 0.0
    arrays = [np.asarray(w, float) for w in wanted.values()]
    top = max(float(np.max(np.abs(w[np.isfinite(w)]), initial=0)) for w in arrays)
    for path, w in wanted.items():
        g = np.asarray(found[path], float)
        w = np.asarray(w, float)
        assert g.shape == w.shape, path
        same = (np.isnan(g) & np.isnan(w)) | (g == w)
        if not np.all(same):
            own = float(np.max(np.abs(w[np.isfinite(w)]), initial=0))
            scale = max(own, 1e-3 * top)  # what cancels to 0 has no digits of its own
            error = np.where(same, 0, np.abs(g - w)) / scale
            worst = max(worst, float(np.max(np.where(np.isnan(error), np.inf, error))))
    return worst
