"""Resuming: from any step to the same bits, and from nothing else than the same run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.data import load
from gradc.errors import (
    CheckpointError,
    DataError,
    NonFiniteError,
    ResourceError,
    SettingError,
)
from gradc.policy import Policy, duration
from gradc.resuming import begin_with, merged, resume
from gradc.runs import RunFolder, newest
from gradc.settings import Settings
from gradc.trainer import Epoch, Result, Silence, Trainer
from gradc.weights import Snapshot, read_weights

NET = """\
input x: [N, 3]
input kind: int[N]
h = x |> dense(5) |> batchnorm |> tanh |> dropout(0.25)
scores = h |> dense(2)
loss fit = cross_entropy(scores, kind)
metric accuracy = mean(argmax(scores) == kind)
train {
  data = "t.csv"
  valid = 0.2
  batch = 8
  epochs = 5
  optimizer = adamw(lr = 0.02, decay = 0.1, on = "*.W")
  schedule = cosine(warmup = 3)
  clip = 1.0
  ema = 0.9
}
"""
PLATEAU = (
    ("train.schedule", "plateau(patience = 0, factor = 0.5)"),
    ("train.accumulate", "3"),
    ("train.optimizer", "rmsprop(momentum = 0.5)"),
    ("train.patience", "4"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program")
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((47, 3))
    kinds = (rows @ [1, -2, 0.5] + rng.standard_normal(47) > 0).astype(int)
    lines = [
        f"{a:.4f},{b:.4f},{c:.4f},{k}" for (a, b, c), k in zip(rows, kinds, strict=True)
    ]
    (path / "t.csv").write_text("\n".join(["x.0,x.1,x.2,kind", *lines]) + "\n")
    (path / "t.net").write_text(NET)
    return path


class Stopper(Silence):
    """Stops after a step, as a signal does."""

    every_step = True

    def __init__(self, at: int) -> None:
        self.at, self.warnings, self.announced = at, [""], [0]

    def started(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def progress(self, step: int, steps: int) -> None:
        self.trainer.stop = step == self.at

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def saved(self, path: str, step: int) -> None:
        self.announced.append(step)


def prepare(
    folder: Path,
    run: RunFolder | None = None,
    overrides: tuple[tuple[str, str], ...] = (),
    parent: Path | None = None,
    reporter: Silence | None = None,
    policy: Policy | None = None,
) -> Trainer:
    program = {
        "name": "t.net",
        "text": (folder / "t.net").read_text(),
        "libraries": {},
        "overrides": dict(overrides),
    }
    compiled = gradc.compile_again(program)
    network = gradc.Network(compiled.source, compiled.signature)
    settings = Settings.of(compiled.signature)
    data = load(compiled.signature, settings, folder)
    if parent is not None:
        facts = {"overrides": dict(overrides)}
        run = RunFolder.create(
            parent, network, program["text"], settings, folder, facts
        )
    return Trainer(
        network,
        data,
        settings,
        run,
        reporter or Silence(),
        policy=policy or Policy(save_seconds=None),
    )


def content(result: Result, trainer: Trainer) -> dict[str, bytes]:
    """All that a training ends with."""
    slots = getattr(trainer.optimizer, "slots", {})
    state = {f"s/{k}": v.tobytes() for k, v in result.state.items()}
    average = b"" if result.average is None else result.average.tobytes()
    best = result.best and replace(result.best, seconds=0.0)
    return {
        "theta": result.theta.tobytes(),
        "best": result.best_theta.tobytes(),
        "average": average,
        "epoch": repr(best).encode(),
        "progress": json.dumps(trainer.progress.to_json()).encode(),
        **{f"o/{k}": v.tobytes() for k, v in slots.items()},
        **state,
    }


@pytest.mark.parametrize("overrides", [(), PLATEAU], ids=["adamw", "plateau"])
def test_stopped_after_any_step_and_resumed_to_the_same_bits(
    folder: Path, tmp_path: Path, overrides: tuple[tuple[str, str], ...]
) -> None:
    whole = prepare(folder, None, overrides)
    expected = content(whole.train(), whole)
    steps = whole.step
    assert steps == 25 or 6 < steps <= 10
    for at in range(1, steps):
        first = prepare(folder, None, overrides, tmp_path, Stopper(at))
        stopped = first.train()
        assert stopped.ending == "stopped" and stopped.steps == at
        assert first.run is not None
        run = RunFolder.open(first.run.path)
        second = prepare(folder, run, overrides)
        assert resume(second, run.weights("latest")) == []
        result = second.train()
        assert content(result, second) == expected, f"after step {at}"
        last, best = run.weights("last"), run.weights("best")
        assert last.path.name == f"step-{steps:09d}.npz"
        average = best.theta(second.network, average=True)
        assert average.tobytes() == expected["best"]


def test_it_is_all_of_it_that_counts(folder: Path, tmp_path: Path) -> None:
    """Without the slots, the average or the memory the bits are others."""
    first = prepare(folder, None, (), tmp_path, Stopper(11))
    whole = prepare(folder)
    expected = content(whole.train(), whole)
    first.train()
    assert first.run is not None
    found = first.run.weights("latest")
    zero = {
        slot: {path: 0 * array for path, array in arrays.items()}
        for slot, arrays in found.slots.items()
    }
    memory = {path: 0 * array for path, array in found.memory.items()}
    averages = {path: 0 * array for path, array in found.averages.items()}
    for part in (
        replace(found, slots=zero),
        replace(found, memory=memory),
        replace(found, averages=averages),
    ):
        second = prepare(folder)
        resume(second, part)
        assert content(second.train(), second) != expected


def test_more_epochs_go_on_where_the_run_ended(folder: Path, tmp_path: Path) -> None:
    constant = (("train.schedule", "constant"),)
    longer = (*constant, ("train.epochs", "9"))
    whole = prepare(folder, None, longer)
    expected = content(whole.train(), whole)
    first = prepare(folder, None, constant, tmp_path)
    first.train()
    assert first.run is not None
    second = prepare(folder, first.run, longer)
    resume(second, first.run.weights("latest"))
    assert content(second.train(), second) == expected
    events = [e["event"] for e in first.run.events()]
    assert events.count("epoch") == 9 and "resume" in events


def test_what_was_done_after_the_checkpoint_does_not_count(
    folder: Path, tmp_path: Path
) -> None:
    """A log of a run that was killed at step 13, with a checkpoint of step 10."""
    policy = Policy(save_seconds=None, save_steps=10)
    first = prepare(folder, None, (), tmp_path, Stopper(13), policy)
    first.train()
    assert first.run is not None
    (first.run.checkpoints / "step-000000013.npz").unlink()
    with open(first.run.path / "log.jsonl", "a") as log:
        log.write('{"event": "epo')  # cut off
    found = first.run.weights("latest")
    assert found.state["step"] == 10 and "cannot be read" not in found.note
    assert "step-000000013.npz: No such file" in found.note
    second = prepare(folder, first.run)
    assert resume(second, found) == [found.note]
    second.train()
    steps = [e["step"] for e in first.run.events() if e["event"] == "epoch"]
    assert steps == [5, 10, 15, 20, 25]


def test_only_the_same_run_goes_on(folder: Path, tmp_path: Path) -> None:
    first = prepare(folder, None, (), tmp_path, Stopper(7))
    first.train()
    assert first.run is not None
    weights = first.run.weights("latest")

    other = prepare(folder)
    other.network.signature = {**other.network.signature, "text_sha256": "0"}
    with pytest.raises(CheckpointError, match=r"is of another program than t.net is"):
        resume(other, weights)

    other = prepare(folder, None, (("train.seed", "4"),))
    with pytest.raises(DataError, match=r"the data are not those that .*t-1 was tr"):
        resume(other, weights)

    best = first.run.weights("best")
    assert best.state["step"] == 5 and not best.resumable
    with pytest.raises(CheckpointError, match="weights to use, but nothing to go on"):
        resume(prepare(folder), best)

    odd = replace(weights, state={**weights.state, "progress": {"step": "x"}})
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        resume(prepare(folder), odd)
    odd = replace(weights, slots={"mean": {}, "square": {}})
    with pytest.raises(CheckpointError, match=r"does not fit the optimizer: .*absent"):
        resume(prepare(folder), odd)
    there = {**weights.state["environment"], "numpy": "1.0", "python": "3.9"}
    odd = replace(weights, state={**weights.state, "environment": there})
    (note,) = resume(prepare(folder), odd)
    assert note == f"resumed, but not to the same bits: numpy 1.0 → {np.__version__}"


def test_settings_that_may_change_and_those_that_may_not(folder: Path) -> None:
    kept = prepare(folder).settings
    asked = replace(kept, epochs=9, seed=4, arguments={"lr": 0.5}, batch={None: 9})
    assert merged(kept, asked, {"epochs", "optimizer"}) == replace(
        kept, epochs=9, arguments={"lr": 0.5}
    )
    for key, message in (
        ("seed", "keeps its seed: it is 0, not 4"),
        ("batch", "batch"),
    ):
        with pytest.raises(SettingError, match=message):
            merged(kept, asked, {key})
    with pytest.raises(SettingError, match="keeps its optimizer"):
        merged(kept, replace(kept, optimizer="sgd"), {"optimizer"})
    with pytest.raises(SettingError, match="keeps whether there is an ema"):
        merged(kept, replace(kept, ema=None), {"ema"})


def test_checkpoints_come_and_go(folder: Path, tmp_path: Path) -> None:
    policy = Policy(save_seconds=None, save_steps=4, keep=2)
    ear = Stopper(0)
    trainer = prepare(folder, None, (), tmp_path, ear, policy)
    result = trainer.train()
    assert trainer.run is not None and result.best is not None
    assert ear.announced[1:] == [4, 8, 12, 16, 20, 24, 25]
    there = {step for step, _ in trainer.run.steps()}
    kept = {24, 25}
    bests = {trainer.run.weights(str(step)).state["best"] for step in kept}
    assert there == kept | bests
    for step in kept:
        assert trainer.run.weights(str(step)).resumable


def test_a_time_limit_is_an_end_with_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    policy = Policy(time_limit=1e-9)
    trainer = prepare(folder, None, (), tmp_path, None, policy)
    result = trainer.train()
    assert (result.ending, result.steps, result.stopped) == ("time", 0, True)
    assert (
        duration("90s") == 90 and duration("1.5h") == 5400 and duration("2 d") == 172800
    )
    for text in ("", "0s", "5", "-1s", "1 week", "infs"):
        with pytest.raises(ValueError, match="is no length of time"):
            duration(text)


def test_early_stopping_restores_the_best(folder: Path, tmp_path: Path) -> None:
    impatient = (
        ("train.patience", "2"),
        ("train.epochs", "60"),
        ("train.optimizer", "adam(lr = 0.3)"),
        ("train.schedule", "constant"),
    )
    trainer = prepare(folder, None, impatient, tmp_path)
    result = trainer.train()
    assert result.ending == "patience" and result.best is not None
    assert trainer.history[-1].number == result.best.number + 2
    assert trainer.run is not None
    best = trainer.run.weights("best")
    assert np.array_equal(result.theta, best.theta(trainer.network))
    assert np.array_equal(result.best_theta, best.theta(trainer.network, average=True))
    # With more patience the run goes on from its last step, not from the best.
    more = (*impatient, ("train.patience", "4"), ("train.epochs", "12"))
    second = prepare(folder, trainer.run, more)
    resume(second, trainer.run.weights("latest"))
    assert second.step == trainer.history[-1].step
    assert second.train().steps > trainer.history[-1].step


def test_a_delta_that_is_too_small_is_no_progress(folder: Path) -> None:
    wide = (("train.patience", "2"), ("train.min_delta", "100"))
    assert prepare(folder, None, wide).train().steps == 15


# ---------------------------------------------------------------- weights of another run


def test_a_run_may_begin_with_the_weights_of_another(
    folder: Path, tmp_path: Path
) -> None:
    first = prepare(folder, None, (), tmp_path)
    first.train()
    assert first.run is not None
    best = first.run.weights("best")
    second = prepare(folder, None, (("train.seed", "9"),))
    assert begin_with(second, best) == "6 of 6 parameters"
    assert second.theta is not None
    assert np.array_equal(second.theta, best.theta(second.network, average=True))
    assert second.state["h.batchnorm.seen_mean"].tobytes() == (
        best.memory["h.batchnorm.seen_mean"].tobytes()
    )
    fewer = replace(best, parameters={"h.dense.W": best.parameters["h.dense.W"]})
    assert begin_with(prepare(folder), fewer).startswith("1 of 6 parameters; new: h.de")
    with pytest.raises(CheckpointError, match=r"has no parameter that t.net has"):
        begin_with(prepare(folder), replace(best, parameters={"v": np.zeros(3)}))
    odd = replace(fewer, averages={}, parameters={"h.dense.W": np.zeros((4, 5), "f4")})
    with pytest.raises(
        CheckpointError, match=r"h.dense.W is \[4, 5\], and \[3, 5\] in"
    ):
        begin_with(prepare(folder), odd)


def test_the_newest_run_has_the_highest_number(folder: Path, tmp_path: Path) -> None:
    for _ in range(11):
        prepare(folder, None, (), tmp_path)
    (tmp_path / "t-x").mkdir()
    assert newest(tmp_path, "t.net") == tmp_path / "t-11"
    assert newest(tmp_path, "u.net") is None


def test_a_checkpoint_alone_is_enough(folder: Path, tmp_path: Path) -> None:
    trainer = prepare(folder, None, (("train.epochs", "2"),), tmp_path)
    result = trainer.train()
    assert result.best_checkpoint is not None
    copy = tmp_path / "alone.npz"
    copy.write_bytes(Path(result.best_checkpoint).read_bytes())
    net = gradc.load(copy)
    assert np.array_equal(net.theta, result.best_theta)
    found = read_weights(copy)
    assert found.program is not None and found.program["text"] == NET
    outside = {**found.program, "libraries": {"../evil.net": "const a = 1\n"}}
    with pytest.raises(CheckpointError, match=r"library is called '../evil.net'"):
        gradc.compile_again(outside)
    assert not (tmp_path.parent / "evil.net").exists()


# --------------------------------------------------------------------------- run-aways


def explosive(folder: Path, tmp_path: Path, when: range) -> tuple[Trainer, Any]:
    """A trainer whose gradient is NaN at some steps."""
    ear = Stopper(0)
    trainer = prepare(
        folder, None, (), tmp_path, ear, Policy(None, None, on_nonfinite="skip")
    )
    stepper = trainer.network.stepper

    def sabotaged(*arguments: Any, **more: Any) -> Any:
        step = stepper(*arguments, **more)

        def one(arrays: Any, *more: Any) -> float:
            loss = step(arrays, *more)
            if trainer.step in when:
                arguments[1][2] = np.nan
            return loss

        return one

    trainer.network.stepper = sabotaged
    return trainer, ear


def test_updates_that_are_not_finite_are_dropped(folder: Path, tmp_path: Path) -> None:
    trainer, ear = explosive(folder, tmp_path, range(7, 10))
    before: dict[int, Any] = {}
    original = ear.progress

    def watch(step: int, steps: int) -> None:
        state = {k: v.copy() for k, v in trainer.state.items()}
        assert trainer.theta is not None
        before[step] = (trainer.theta.copy(), state)
        original(step, steps)

    ear.progress = watch
    result = trainer.train()
    assert result.skipped == 3 and result.steps == 25
    assert trainer.optimizer.steps == 22
    for step in (8, 9, 10):
        assert np.array_equal(before[step][0], before[7][0])
        for path, array in before[7][1].items():
            assert np.array_equal(before[step][1][path], array)
    assert not np.array_equal(before[11][0], before[7][0])
    assert "the update is dropped (1 so far)" in ear.warnings[1]


def test_ten_in_a_row_are_the_end(folder: Path, tmp_path: Path) -> None:
    trainer, _ = explosive(folder, tmp_path, range(7, 99))
    with pytest.raises(NonFiniteError, match="10 updates in a row were dropped"):
        trainer.train()
    assert trainer.step == 16


# ------------------------------------------------------------------------- accumulation


@pytest.mark.parametrize("total", ["mean", "sum"])
def test_accumulated_batches_are_one_larger_batch(folder: Path, total: str) -> None:
    text = NET.replace("|> batchnorm ", "").replace("|> dropout(0.25)", "")
    if total == "sum":
        text = text.replace("= cross_entropy", "= N * cross_entropy")
    text = text.replace("epochs = 5", "epochs = 5\n  dtype = float64")
    (folder / "t.net").write_text(text)
    try:
        one = prepare(folder, None, (("train.batch", "16"),)).train()
        two = prepare(
            folder, None, (("train.batch", "8"), ("train.accumulate", "2"))
        ).train()
    finally:
        (folder / "t.net").write_text(NET)
    assert one.steps == two.steps == 15
    np.testing.assert_allclose(one.theta, two.theta, rtol=1e-9, atol=1e-12)
    losses = [[e.loss for e in result.history] for result in (one, two)]
    if total == "mean":
        np.testing.assert_allclose(*losses, rtol=1e-9)


# ------------------------------------------------------------------------------- faults


def test_a_full_disk_is_survived_until_the_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradc import checkpoint

    ear = Stopper(0)
    policy = Policy(save_seconds=None, save_steps=5)
    trainer = prepare(folder, None, (), tmp_path, ear, policy)
    write = checkpoint.write_atomically
    full = range(8, 18)

    def failing(path: Path, data: bytes) -> None:
        if trainer.step in full:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_atomically", failing)
    result = trainer.train()
    assert result.steps == 25 and ear.announced[1:] == [5, 20, 25]
    assert [w.partition(";")[0] for w in ear.warnings[1:]] == [
        f"no checkpoint of step {step}: No space left on device" for step in (10, 15)
    ]
    assert (
        "the last one is" in ear.warnings[1] and "training goes on" in ear.warnings[1]
    )

    full = range(99)
    again = prepare(folder, None, (), tmp_path, ear, policy)
    with pytest.raises(ResourceError, match="the run cannot be saved: No space left"):
        again.train()
    assert ResourceError("x").exit_code == 7


def test_a_log_that_cannot_be_written_is_one_warning(
    folder: Path, tmp_path: Path
) -> None:
    ear = Stopper(0)
    trainer = prepare(folder, None, (), tmp_path, ear)
    assert trainer.run is not None
    (trainer.run.path / "log.jsonl").symlink_to("/dev/full")
    assert trainer.train().steps == 25
    assert len(ear.warnings) == 2 and "training goes on without it" in ear.warnings[1]


def test_best_epochs_are_told_exactly() -> None:
    epoch = Epoch(1, 2, 3, 4, 0.1, {"loss": 0.2}, True, 9, 1e-3, 0.0, True)
    from dataclasses import asdict

    assert Epoch(**json.loads(json.dumps(asdict(epoch)))) == epoch


def test_slots_of_a_snapshot_are_of_the_trained_part(folder: Path) -> None:
    trainer = prepare(folder)
    assert trainer.theta is not None
    vector = np.arange(trainer.network.trained, dtype="f4")
    snapshot = Snapshot(trainer.theta, {}, {}, {"mean": vector}, vector)
    arrays = snapshot.arrays(trainer.network)
    assert np.array_equal(arrays["o/mean/h.dense.W"], arrays["ema/h.dense.W"])
    assert sum(a.size for n, a in arrays.items() if n.startswith("ema")) == len(vector)
