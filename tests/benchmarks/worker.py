"""One contender in a process of its own. The runner starts it and asks for measurements.

    python -m tests.benchmarks.worker check W3 "numpy 1x2" start.npz
    python -m tests.benchmarks.worker arrays W3 "numpy 1x2" start.npz
    python -m tests.benchmarks.worker time  W3 "numpy 1x2" start.npz

`check` writes the loss and the gradient of a step in float64 to a file and ends. `arrays` counts
the bytes of NumPy's arrays at the worst moment of a step, parameters included, and ends: not what
a compiler leaves behind in Python's own memory, nor what other libraries hold. `time` builds
in the workload's precision and then answers each line on its standard input, a number of
seconds, with the median and minimum of a step in about so long.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, TextIO

from .workloads import WORKLOADS


def load(file: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Start values and data, as the runner has written them."""
    import numpy as np

    with np.load(file) as entries:
        parts: dict[str, dict[str, Any]] = {"p": {}, "d": {}}
        for name in entries.files:
            parts[name[0]][name[2:]] = entries[name]
    return parts["p"], parts["d"]


def sample(
    step: Callable[[], Any], seconds: float, least: float = 0.002
) -> list[float]:
    """Seconds of a step, each averaged over about `least`, for about so long."""
    clock = time.perf_counter
    begin = clock()
    step()
    count = max(1, int(least / max(clock() - begin, 1e-7)))
    found: list[float] = []
    stop = clock() + seconds
    while clock() < stop or len(found) < 3:
        begin = clock()
        for _ in range(count):
            step()
        found.append((clock() - begin) / count)
    return found


def resident() -> int:
    """Bytes of memory that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak() -> int:
    """The most that it ever held since `forget_peak`, and what its forks have of their own."""
    found = _kilobytes("/proc/self/status", "VmHWM")
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        forks = file.read().split()
    for fork in forks:
        found += _kilobytes(f"/proc/{fork}/smaps_rollup", "Private_")
    return found * 1024


def _kilobytes(path: str, key: str) -> int:
    """What a file of the kernel's says of all that begins so."""
    with open(path) as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(key))


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def gradient(step: Callable[[], Any], values: Callable[[], Any], lr: float) -> Any:
    """The loss, and the gradient by what a step changes."""
    import numpy as np

    before = {k: np.array(v, copy=True) for k, v in values().items()}
    loss = float(step())
    after = values()
    return loss, {k: (v - np.asarray(after[k])) / lr for k, v in before.items()}


def arrays_of(make: Callable[[], Callable[[], Any]]) -> int:
    """Bytes of NumPy's arrays at the worst moment of a step after the first two; those that
    there were before `make` are not counted."""
    import numpy as np

    tracemalloc.start()
    try:
        step = make()
        for _ in range(2):
            step()
        own = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
        gc.collect()
        held = tracemalloc.take_snapshot().filter_traces([own]).statistics("filename")
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        step()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return sum(s.size for s in held) + most - before


def serve(mode: str, name: str, contender: str, file: str, out: TextIO) -> None:
    def say(**found: Any) -> None:
        out.write(json.dumps(found) + "\n")
        out.flush()

    from .contenders import cast, find

    work = WORKLOADS[name]
    try:
        make = find(contender)
        parameters, data = load(file)
        if mode == "check":
            import numpy as np

            step, values = make(work, parameters, data, "float64")
            loss, found = gradient(step, values, work.lr)
            handle, path = tempfile.mkstemp(".npz")
            os.close(handle)
            np.savez(path, **found)
            say(loss=loss, file=path)
            return
        if mode == "arrays":
            data = cast(data, work.dtype)
            say(arrays=arrays_of(lambda: make(work, parameters, data, work.dtype)[0]))
            return
        start = resident()
        begin = time.perf_counter()
        step, _ = make(work, parameters, data, work.dtype)
        step()
        first = time.perf_counter() - begin
        for _ in range(2):
            step()
        forget_peak()
        for _ in range(3):
            step()
        say(first=first, memory=peak() - start)
    except ImportError as error:
        say(missing=str(error))
        return
    except Exception as error:
        import traceback

        traceback.print_exc()
        say(error=f"{type(error).__name__}: {str(error)[:300]}")
        return
    for line in sys.stdin:
        times = sorted(sample(step, float(line)))
        say(median=times[len(times) // 2], least=times[0])


if __name__ == "__main__":
    # What libraries print goes to the error output: the runner reads the other.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(*sys.argv[1:5], answers)
