"""Who works beside the caller: threads, or processes that are forks of this one.

    team = Team(2)                       # the caller, and a thread that sleeps until then
    team.run([first, second])
    fork = Fork(work)                    # another process, which calls `work(message)`
    fork.begin(message)
    fork.finish()

Of threads Python runs one at a time. NumPy lets go of the interpreter's lock for the inside of
a call and takes it again behind it: two threads with calls of a few µs each spend as much time
on handing that lock over as on the calls. Processes have a lock each, and see the same of what
lies in `shared` memory.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .execution import computing

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from multiprocessing.synchronize import Semaphore

Array = NDArray[Any]

LOOKS = (
    2000  # before a process falls asleep: about a millisecond; waking takes a twentieth
)
PATIENCE = (
    1.0  # seconds after which one that sleeps asks whether the other is still there
)


# ---------------------------------------------------------------------------- threads
class Team:
    """Threads that sleep until there is work; the caller is the first of them."""

    def __init__(self, threads: int) -> None:
        self._work: list[Callable[[], None]] = []
        self._errors: list[BaseException | None] = [None] * threads
        self._go = [threading.Lock() for _ in range(threads)]
        self._done = [threading.Lock() for _ in range(threads)]
        for i in range(1, threads):
            self._go[i].acquire()
            self._done[i].acquire()
            threading.Thread(target=self._serve, args=(i,), daemon=True).start()

    def _serve(self, i: int) -> None:
        with computing():  # each thread has its own
            while True:
                self._go[i].acquire()
                self._do(i)
                self._done[i].release()

    def _do(self, i: int) -> None:
        try:
            self._work[i]()
        except BaseException as error:
            self._errors[i] = error

    def run(self, work: Sequence[Callable[[], None]]) -> None:
        """All of the work, one piece a thread; the first error of any of them."""
        self._work = list(work)
        self._errors = [None] * len(self._errors)
        for i in range(1, len(work)):
            self._go[i].release()
        self._do(0)
        for i in range(1, len(work)):
            self._done[i].acquire()
        for error in self._errors:
            if error is not None:
                raise error


# -------------------------------------------------------------------------- processes
class Lost(Exception):
    """A fork has ended before it was done: somebody has killed it."""


def may_fork() -> bool:
    """Whether a fork of this process can go on by itself.

    On Linux; with no other thread, of Python or of a library, since a lock that it holds is
    never released in the fork; and not from a daemon, which may have no children.
    """
    if sys.platform != "linux":
        return False
    import multiprocessing

    try:
        alone = len(os.listdir("/proc/self/task")) == 1
        multiprocessing.get_context("fork").Semaphore(0)
    except (ImportError, OSError):  # no /proc, or no semaphores
        return False
    return alone and not multiprocessing.current_process().daemon


def shared(count: int, dtype: Any) -> Array:
    """Zeros that this process has in common with its later forks. What nobody touches takes
    no memory."""
    kind = np.dtype(dtype)
    return np.frombuffer(mmap.mmap(-1, max(1, count * kind.itemsize)), kind, count)


class Fork:
    """A process that calls `work` whenever it is told to, with the message it was told last.

    It has all that this one had when it was made. It ends with this one, or with this object.
    """

    def __init__(self, work: Callable[[Any], None]) -> None:
        import multiprocessing

        context = multiprocessing.get_context("fork")
        self._go, self._done = context.Semaphore(0), context.Semaphore(0)
        self._messages, there = context.Pipe()
        self._counts = shared(2, np.int64)  # messages sent, errors to be fetched
        arguments = (work, there, self._go, self._done, self._counts, os.getpid())
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        there.close()
        weakref.finalize(self, _end, self._process, os.getpid())

    def begin(self, message: Any = None) -> None:
        """Let it work; with another message, unless that is None."""
        if message is not None:
            with suppress(OSError):  # nobody is there, as `finish` will find
                self._messages.send(message)
            self._counts[0] += 1
        self._go.release()

    def finish(self) -> None:
        """Wait until it is done. An error of its work is raised here."""
        if not _wait(self._done, self._process.is_alive):
            raise Lost
        if self._counts[1]:
            self._counts[1] = 0
            raise self._messages.recv()


def _serve(
    work: Callable[[Any], None],
    messages: Connection,
    go: Semaphore,
    done: Semaphore,
    counts: Array,
    parent: int,
) -> None:
    """The life of a fork."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()  # what was there is not looked at again, nor copied
    seen, message = 0, None
    with computing():
        while _wait(go, lambda: os.getppid() == parent):
            try:
                if counts[0] != seen:
                    seen, message = int(counts[0]), messages.recv()
                work(message)
            except BaseException as error:
                messages.send(_portable(error))
                counts[1] = 1
            done.release()


def _wait(until: Semaphore, other_is_there: Callable[[], bool]) -> bool:
    """Take the semaphore; False if nobody is left who could release it."""
    acquire, let_others = until.acquire, os.sched_yield
    for _ in range(LOOKS):
        if acquire(False):
            return True
        let_others()
    while not acquire(True, PATIENCE):
        if not other_is_there():
            return False
    return True


def _portable(error: BaseException) -> BaseException:
    """The error, or what can be said of it to another process."""
    try:
        found = pickle.loads(pickle.dumps(error))
    except Exception:  # of whatever kind: the error's own constructor is called
        found = None
    if type(found) is type(error):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def _end(process: BaseProcess, owner: int) -> None:
    """End a fork. In other forks of its owner it is not theirs to end."""
    if os.getpid() == owner:
        process.terminate()
        process.join()
