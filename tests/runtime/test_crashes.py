"""Runs that are killed, told to stop, or cannot write: what is on the disk is always whole.

A child process trains and writes a byte to a pipe after each step; the parent reads as many as
it likes and kills it, wherever it is by then. `pytest -m crash` does that 40 times, and lets
20 processes be told to stop.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc import checkpoint
from gradc.cli import main
from gradc.data import load
from gradc.errors import CheckpointError, ResourceError
from gradc.policy import Policy
from gradc.resuming import resume
from gradc.runs import RunFolder
from gradc.settings import Settings
from gradc.trainer import Silence, Trainer

NET = """\
input x: [N, 3]
input kind: int[N]
h = x |> dense(16) |> batchnorm |> tanh |> dropout(0.25) |> dense(8, tanh)
scores = h |> dense(2)
loss fit = cross_entropy(scores, kind)
train {
  data = "t.csv"
  valid = 0.2
  batch = 8
  epochs = 60
  optimizer = adam(lr = 0.02)
  schedule = cosine(warmup = 20)
  ema = 0.99
}
"""
EVERY = Policy(save_seconds=None, save_steps=7, keep=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program")
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((60, 3))
    kinds = (rows @ [1, -2, 0.5] > 0).astype(int)
    lines = [
        f"{a:.4f},{b:.4f},{c:.4f},{k}" for (a, b, c), k in zip(rows, kinds, strict=True)
    ]
    (path / "t.csv").write_text("\n".join(["x.0,x.1,x.2,kind", *lines]) + "\n")
    (path / "t.net").write_text(NET)
    return path


class Pipe(Silence):
    """Tells another process of every step, and keeps what was announced."""

    every_step = True

    def __init__(self, writer: int = -1) -> None:
        self.writer, self.announced = writer, 0

    def progress(self, step: int, steps: int) -> None:
        if self.writer >= 0:
            os.write(self.writer, b".")

    def saved(self, path: str, step: int) -> None:
        self.announced = step


@cache
def compiled_once() -> Any:
    """The program of all these tests, as the command compiles it."""
    program = {"name": "t.net", "text": NET, "libraries": {}, "overrides": {}}
    return gradc.compile_again({**program, "level": 2})


def prepare(
    folder: Path,
    run: RunFolder | None = None,
    parent: Path | None = None,
    reporter: Silence | None = None,
    policy: Policy = EVERY,
) -> Trainer:
    compiled = compiled_once()
    network = gradc.Network(compiled.source, compiled.signature)
    settings = Settings.of(compiled.signature)
    data = load(compiled.signature, settings, folder)
    if parent is not None:
        run = RunFolder.create(parent, network, NET, settings, folder)
    return Trainer(network, data, settings, run, reporter or Silence(), policy=policy)


def final(run: RunFolder) -> list[bytes]:
    """The bytes of the last checkpoint and of the best."""
    return [run.weights(which).path.read_bytes() for which in ("last", "best")]


def forked(child: Callable[[int], int]) -> tuple[int, int]:
    """A process that runs `child(writer)`: its id, and the other end of its pipe."""
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return process, reader
    os.close(reader)
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = child(writer)
    finally:
        os._exit(code)


def ended(process: int, reader: int) -> tuple[int, str]:
    """Wait for the end: the status, and what was said before it."""
    said = b""
    while more := os.read(reader, 65536):
        said += more
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said.decode()


def killed_and_resumed(folder: Path, parent: Path, seed: int, kills: int) -> int:
    """Train with some kills; returns how many there were. The end is compared."""
    draw = random.Random(seed)
    made = prepare(folder, None, parent)
    assert made.run is not None
    path = made.run.path
    done = 0
    while True:

        def child(writer: int) -> int:
            run = RunFolder.open(path)
            trainer = prepare(folder, run, None, Pipe(writer))
            if any(run.steps()):
                resume(trainer, run.weights("latest"))
            trainer.train()
            return 0

        process, reader = forked(child)
        if done == kills:
            assert ended(process, reader)[0] == 0
            return done
        for _ in range(draw.randrange(1, 2 * 360 // (kills + 1))):
            if not os.read(reader, 1):
                break
        os.kill(process, signal.SIGKILL)
        code, _ = ended(process, reader)
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            return done
        done += 1


@pytest.fixture(scope="module")
def uninterrupted(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[bytes]:
    trainer = prepare(folder, None, tmp_path_factory.mktemp("runs"))
    trainer.train()
    assert trainer.run is not None and trainer.step == 360
    return final(trainer.run)


def test_a_run_that_is_killed_ends_with_the_same_bits(
    folder: Path, tmp_path: Path, uninterrupted: list[bytes]
) -> None:
    killed_and_resumed(folder, tmp_path, 1, 5)
    assert final(RunFolder.open(tmp_path / "t-1")) == uninterrupted


@pytest.mark.crash
def test_forty_kills(folder: Path, tmp_path: Path, uninterrupted: list[bytes]) -> None:
    kills = runs = 0
    while kills < 40:
        runs += 1
        kills += killed_and_resumed(folder, tmp_path, 100 + runs, 8)
        assert final(RunFolder.open(tmp_path / f"t-{runs}")) == uninterrupted
        assert not list((tmp_path / f"t-{runs}" / "ckpt").glob("*.tmp.*"))


# ------------------------------------------------------------------------------ signals


def told_to_stop(
    folder: Path, parent: Path, seed: int, stops: int
) -> tuple[int, RunFolder]:
    """A run by the command that signals stop and `--resume` goes on with."""
    draw = random.Random(seed)
    run, count = parent / "t-1", 0
    words = ["train", str(folder / "t.net"), "--out", str(parent)]
    while True:
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):

            def child(writer: int, words: list[str] = words) -> int:
                os.dup2(writer, 2)
                import sys

                sys.stderr = open(2, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
                return main([*words, "--log-format", "json", "--checkpoint-every", "9"])

            process, reader = forked(child)
            # A line of JSON an epoch and a checkpoint: some are waited for.
            said, lines = b"", draw.randrange(1, 40)
            while said.count(b"\n") < lines and (more := os.read(reader, 4096)):
                said += more
            if count < stops:
                os.kill(process, number)
            left, rest = ended(process, reader)
            if left == 0:
                return count, RunFolder.open(run)
            assert left == code, rest
            count += 1
            step = RunFolder.open(run).weights("latest").state["step"]
            events = RunFolder.open(run).events()
            assert events[-1]["event"] == "stopped" and events[-1]["step"] == step
            words = ["train", "--resume", str(run)]


def test_a_run_that_is_told_to_stop_goes_on(
    folder: Path, tmp_path: Path, uninterrupted: list[bytes]
) -> None:
    count, run = told_to_stop(folder, tmp_path, 5, 2)
    assert count >= 1
    expected = [checkpoint.unpack(data)[0] for data in uninterrupted]
    for data, arrays in zip(final(run), expected, strict=True):
        found = checkpoint.unpack(data)[0]
        assert set(found) == set(arrays)
        assert all(found[n].tobytes() == arrays[n].tobytes() for n in arrays)


@pytest.mark.crash
def test_twenty_signals(
    folder: Path, tmp_path: Path, uninterrupted: list[bytes]
) -> None:
    count = runs = 0
    expected = [checkpoint.unpack(data)[0] for data in uninterrupted]
    while count < 20:
        runs += 1
        stops, run = told_to_stop(folder, tmp_path / str(runs), 50 + runs, 4)
        count += stops
        for data, arrays in zip(final(run), expected, strict=True):
            found = checkpoint.unpack(data)[0]
            assert all(found[n].tobytes() == arrays[n].tobytes() for n in arrays)


# ------------------------------------------------------------- calls of the system that fail


class Failing:
    """Counts the calls of `write`, `fsync` and `replace`, and lets the n-th one fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call: str, at: int) -> None:
        self.calls, self.at = 0, at
        name = {"write": "open"}.get(call, call)
        original: Any = getattr(os, name)
        if call == "write":
            monkeypatch.setattr(checkpoint, "open", self.opened, raising=False)
            monkeypatch.setattr(checkpoint.os, "fsync", lambda file: None)
            return

        def counted(*arguments: Any) -> Any:
            self.count()
            # What a disk does when it is told to be sure takes long, and is not the point.
            return None if call == "fsync" else original(*arguments)

        monkeypatch.setattr(checkpoint.os, "fsync", lambda file: None)
        monkeypatch.setattr(checkpoint.os, call, counted)

    def count(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise OSError(28, "No space left on device")

    def opened(self, *arguments: Any) -> Any:
        file = open(*arguments)  # noqa: SIM115
        failing = self

        class File:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> int:
                file.write(data[: len(data) // 2])  # as a disk does that fills up
                file.flush()
                failing.count()
                return file.write(data[len(data) // 2 :])

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        return File()


def fails_at(
    folder: Path, parent: Path, call: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int, int]:
    """Train 22 steps with one failing call: the steps announced and loaded, the calls."""
    pipe = Pipe()
    trainer = prepare(folder, None, parent, pipe)
    trainer.steps = 22
    run = trainer.run
    assert run is not None
    with monkeypatch.context() as patch:
        failing = Failing(patch, call, at)
        try:
            trainer.train()
        except ResourceError as error:
            assert error.exit_code == 7
    try:
        found = run.weights("latest")
    except CheckpointError:
        return pipe.announced, -1, failing.calls
    assert found.resumable
    again = prepare(folder, RunFolder.open(run.path))
    resume(again, found)
    best = found.state["best"]
    assert best is None or again.best is not None
    return pipe.announced, found.state["step"], failing.calls


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failing_call_leaves_the_last_good_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """At call n, for every n: what loads is no older than the last that was announced."""
    at, most = 1, 1
    while at <= most:
        announced, loaded, calls = fails_at(folder, tmp_path, call, at, monkeypatch)
        assert loaded >= announced, f"{call} {at}"
        most, at = max(most, calls), at + 1
    assert most >= 12


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Children must not write to the user's cache."""
    monkeypatch.setenv("GRADC_CACHE", "off")
    yield


def test_events_are_lines_of_json(folder: Path, tmp_path: Path) -> None:
    trainer = prepare(folder, None, tmp_path)
    trainer.steps = 9
    trainer.train()
    assert trainer.run is not None
    lines = (trainer.run.path / "log.jsonl").read_text().splitlines()
    assert all(json.loads(line)["v"] == 1 for line in lines)
