"""How much memory a training takes, before its first step: planned, and refused where there is
not so much.

In: a trainer that is prepared, and the shapes that its signature says are made. Out: a `Need`.
A process that takes too much is killed without a word, so what is free is asked first: of the
system, of the control group that a container is, and of the limit of the process.

    need = planned(trainer)
    need.total, need.tensors[0].name        # 1_234_567, "h = relu(x @ W1)"
    refuse(need, "mlp.net")                 # ResourceError where less is free
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ResourceError
from .evaluation import CHUNK, chunked
from .execution import function_of
from .landing import landed
from .records import record
from .sizes import evaluate, symbols

if TYPE_CHECKING:
    from .network import Network
    from .trainer import Trainer

SHOWN = 3
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


@record
class Tensor:
    """One array of a step (or of an evaluation), or several of the same shape."""

    name: str
    line: int
    shape: tuple[int, ...]
    bytes: int
    count: int = 1


@record
class Need:
    """Bytes by what they are for; `tensors` are the largest first."""

    vectors: int  # ∇, the optimiser's slots, averages, the best weights, a checkpoint
    step: int
    evaluation: int
    tensors: tuple[Tensor, ...]

    @property
    def total(self) -> int:
        """The most at one time: a step and an evaluation never meet."""
        return self.vectors + max(self.step, self.evaluation)


def planned(trainer: Trainer) -> Need:
    """What a training will take beside the data, which are read already."""
    network, settings = trainer.network, trainer.settings
    dtype = np.dtype(settings.dtype)
    slots = len(getattr(trainer.optimizer, "slots", {}))
    kept = 1 + slots + bool(settings.ema)
    # ∇, slots, average, scratch, the best θ; a checkpoint is made twice over.
    vectors = (2 + slots + bool(settings.ema) + 1 + 2 * kept) * network.size
    rows = {
        dim: min(settings.batch_of(dim) or table.rows, table.rows)
        for dim, table in trainer.data.train.tables.items()
    }
    sizes = {**trainer.data.sizes, **network.sizes, **rows}
    forward, backward, saved = (
        tensors(network.signature, f, sizes, dtype)
        for f in ("forward", "backward", "saved")
    )
    step = max(_sum(forward), _sum([*saved, *backward]) - _in_places(network, dtype))
    held = trainer.data.held_out
    dim = chunked(network, held)
    sizes = {**sizes, **held.rows}
    if dim is not None:
        sizes[dim] = min(CHUNK, sizes[dim])
    evaluation = tensors(network.signature, "evaluate", sizes, dtype)
    largest = evaluation if _sum(evaluation) > step else [*forward, *backward]
    if network.signature.get("work"):
        step = _in_shards(trainer, {**sizes, **rows}, dtype) or step
    return Need(
        vectors * dtype.itemsize,
        step,
        _sum(evaluation),
        tuple(sorted(largest, key=lambda t: -t.bytes)[:SHOWN]),
    )


def _sum(found: list[Tensor]) -> int:
    """All of them, and the largest once more: `x @ W + b` has two arrays for a moment."""
    whole = sum(tensor.bytes * tensor.count for tensor in found)
    return whole + max((tensor.bytes for tensor in found), default=0)


def _in_places(network: Network, dtype: np.dtype[Any]) -> int:
    """Bytes of the gradients that are written into ∇ at once."""
    sizes = {p.path: p.stop - p.start for p in network.places if p.trained}
    if network.signature.get("work") or not network.has("backward"):
        return 0
    found = landed(function_of(network.source, "backward"), sizes)
    return sum(sizes[path] for path in found) * dtype.itemsize


def tensors(
    signature: Mapping[str, Any],
    function: str,
    sizes: Mapping[str, int],
    dtype: np.dtype[Any],
) -> list[Tensor]:
    """The arrays of a function at these sizes; those of an unknown size are left out."""
    width = {"real": dtype.itemsize, "int": 8, "bool": 1}
    found = []
    for entry in signature.get("storage", {}).get(function, []):
        names = {name for dim in entry["shape"] for name in symbols(dim)}
        if not names <= set(sizes):
            continue
        shape = tuple(evaluate(dim, sizes) for dim in entry["shape"])
        size = math.prod(shape) * width[entry["kind"]]
        name, line = entry["of"][0] if entry["of"] else (function, 0)
        found.append(Tensor(name, line, shape, size, entry["count"]))
    return found


def _in_shards(
    trainer: Trainer, sizes: Mapping[str, int], dtype: np.dtype[Any]
) -> int | None:
    """A step of -O2: for each thread the buffers of a shard, a vector for its gradient, and
    one for each sum that waits, of which there are fewer than levels of the tree. Threads that
    are processes read a copy of θ."""
    network, shards = trainer.network, trainer.shards
    threads = min(trainer.parallel.threads, shards)
    if shards > 1:
        dim = network.signature["shards"]["row_dim"]
        sizes = {**sizes, dim: -(-sizes[dim] // shards)}
    own = _buffers(network, sizes, dtype)
    waiting = max(0, (shards // threads).bit_length() - 1)
    vector = network.size * dtype.itemsize
    copied = vector if threads > 1 else 0
    return None if own is None else threads * (own + waiting * vector) + copied


def _buffers(
    network: Any, sizes: Mapping[str, int], dtype: np.dtype[Any]
) -> int | None:
    """The planned buffers of -O2, where arrays share memory, with a vector for gradients;
    None where one cannot tell."""
    from .buffers import Buffers

    try:
        made = Buffers(network.module["buffers"], network.signature, dtype, {})
        work, *_ = made.of((), lambda: sizes)
    except (KeyError, MemoryError, ValueError):
        return None
    stack, owners = [work], {}
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list | tuple):
            stack += item
        elif isinstance(item, np.ndarray):
            owner = item if item.base is None else item.base
            owners[id(owner)] = owner.nbytes
    return sum(owners.values())


def available() -> tuple[int | None, str]:
    """Bytes that are free, and who says so; None where nobody does."""
    found: list[tuple[int, str]] = []
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            found.append((int(line.split()[1]) * 1024, "free on this machine"))
    for most, used in _CGROUPS:
        limit, usage = _number(most), _number(used)
        if limit is not None and usage is not None and limit < 2**60:
            found.append((max(0, limit - usage), "left to this container"))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        pages = _lines("/proc/self/statm") or ["0"]
        used_now = int(pages[0].split()[0]) * os.sysconf("SC_PAGE_SIZE")
        found.append((max(0, limit - used_now), "left to this process (ulimit -v)"))
    return min(found) if found else (None, "")


def refuse(need: Need, name: str) -> None:
    """`ResourceError` (exit 7) with the largest tensors where so much is not free."""
    free, whose = available()
    if free is None or need.total <= free:
        return
    raise ResourceError(
        f"training {name} takes about {shown(need.total)} of memory, "
        f"and {shown(free)} are {whose}",
        *(described(tensor, name) for tensor in need.tensors),
        "try a smaller batch:  --set train.batch=…",
    )


def described(tensor: Tensor, name: str) -> str:
    """`3.0 GiB  [60000, 6700]  4 of them  h = relu(x @ W1)  mlp.net:7`."""
    many = f"{tensor.count} of them  " if tensor.count > 1 else ""
    where = f"  {name}:{tensor.line}" if tensor.line else ""
    return f"{shown(tensor.bytes)}  {list(tensor.shape)}  {many}{tensor.name}{where}"


def shown(size: int) -> str:
    """Bytes in a unit that people read."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _number(path: str) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None
