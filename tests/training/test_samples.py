"""Every sample program trains from the command line: the figures that it has to reach.

A run is `gradc train` on the sample's text as it is; what is compared is what `gradc eval`
or `gradc predict` say of it and of a run whose one step moves nothing. `02_derivatives` has
no loss and no parameter: there is nothing to train.

Trainings of more than about two seconds are marked: pytest -m training tests/training
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic

from gradc.cli import main

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
DATA = ROOT.parent.parent / "shared" / "data"
UNMOVED = ("--steps", "1", "--set", "train.optimizer=sgd(lr = 1e-12)")
REDUCED = 0.5  # a loss, an error or a distance is at least halved

long = pytest.mark.training
given = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared")

Gradc = Callable[..., str]


@pytest.fixture
def gradc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gradc:
    """Run a command in an empty folder with the samples in it; it must succeed."""
    monkeypatch.chdir(tmp_path)
    for path in SAMPLES.glob("*.net"):
        shutil.copy(path, tmp_path)

    def run(*words: str | Path) -> str:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    return run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """`digits.npz` and `held.npz`: MNIST in 0 … 1, 2,000 rows and 500 others."""
    with np.load(DATA / "mnist10k.npz") as archive:
        x, y = archive["x"], archive["y"]
    pixels = x.reshape(len(x), 784).astype(np.float32) / 255
    for name, rows in (("digits", slice(2000)), ("held", slice(2000, 2500))):
        np.savez(tmp_path / f"{name}.npz", x=pixels[rows], y=y[rows])
    return tmp_path


def train(gradc: Gradc, *words: str | Path) -> str:
    """The folder of a run."""
    folder: str = json.loads(gradc("train", *words, "--out", "runs", "--json"))["run"]
    return folder


def figures(gradc: Gradc, run: str) -> dict[str, Any]:
    """Its loss and metrics on the rows held out; where none are, on those it was fed."""
    found: dict[str, Any] = json.loads(gradc("eval", run, "--json"))
    return found


# ------------------------------------------------------------- losses that are halved


@dataclass(frozen=True)
class Run:
    """How a sample is trained: its data, and words that say how long and how fast."""

    data: tuple[str, ...]
    words: tuple[str, ...]
    table: Callable[[], synthetic.Table] | None = None


HALVED = {
    "01_chain": Run(
        ("--data", "x=1"), ("--steps", "60", "--set", "train.optimizer=sgd(lr = 1)")
    ),
    "03_logistic": Run(
        ("--data", "table.npz", "--valid", "0.2"),
        ("--set", "train.optimizer=adam(lr = 0.05)", "--epochs", "5"),
        synthetic.clouds,
    ),
    "10_burgers": Run(
        ("--data", "table.npz"),
        ("--steps", "50"),
        lambda: synthetic.points(inside=150, border=60),
    ),
    "12_neural_ode": Run(
        ("--data", "table.npz", "--valid", "0.2"),
        ("--set", "train.optimizer=adam(lr = 3e-3)", "--epochs", "5"),
        synthetic.pairs,
    ),
    "15_two_heads": Run(
        ("--data", "table.npz", "--valid", "0.25"),
        ("--set", "train.batch=16", "--epochs", "3"),
        lambda: synthetic.photos(200),
    ),
    "16_tied_autoencoder": Run(
        ("--data", "table.npz", "--valid", "0.2"),
        ("--set", "train.optimizer=adam(lr = 3e-3)"),
        synthetic.curves,
    ),
}
LONG = {"10_burgers", "15_two_heads"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=long) if n in LONG else n for n in HALVED]
)
def test_halves_its_loss(gradc: Gradc, tmp_path: Path, name: str) -> None:
    run = HALVED[name]
    if run.table is not None:
        synthetic.write(tmp_path / "table.npz", run.table())
    before = train(gradc, f"{name}.net", *run.data, *UNMOVED)
    after = train(gradc, f"{name}.net", *run.data, *run.words)
    start, end = figures(gradc, before)["loss"], figures(gradc, after)["loss"]
    assert 0 < end <= REDUCED * start, (start, end)


@given
@pytest.mark.parametrize("name", ["04_relu_mlp", "09_vae"])
def test_halves_its_loss_on_digits(gradc: Gradc, files: Path, name: str) -> None:
    inputs = {"04_relu_mlp": ("X=digits.npz:x", "label=digits.npz:y")}
    words = [
        word
        for source in inputs.get(name, ("x=digits.npz:x",))
        for word in ("--data", source)
    ]
    words += ["--valid", "0.2"]
    before = train(gradc, f"{name}.net", *words, *UNMOVED)
    after = train(gradc, f"{name}.net", *words, "--epochs", "2")
    start, end = figures(gradc, before)["loss"], figures(gradc, after)["loss"]
    assert 0 < end <= REDUCED * start, (start, end)


# --------------------------------------------------------------------------- accuracy


def classifies(gradc: Gradc, name: str, image: str, label: str, *words: str) -> float:
    """The accuracy on 2,000 rows of MNIST that were held out of 10,000."""
    run = train(
        gradc,
        f"{name}.net",
        *("--data", f"{image}={DATA}/mnist10k.npz:x"),
        *("--data", f"{label}={DATA}/mnist10k.npz:y"),
        *("--valid", "0.2", "--set", "train.scale=unit", *words),
    )
    found = figures(gradc, run)
    assert found["n"] == 2000
    return float(found["accuracy"])


@given
def test_nielsen_reaches_90_percent(gradc: Gradc) -> None:
    assert classifies(gradc, "05_nielsen", "x", "digit", "--epochs", "12") >= 0.90


@long
@given
def test_the_cnn_reaches_95_percent(gradc: Gradc) -> None:
    words = ("--set", "train.batch=32", "--epochs", "2")
    assert classifies(gradc, "06_cnn", "image", "label", *words) >= 0.95


# ------------------------------------------------------------------------------- text


@long
@given
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "07_char_lstm",
            "--set width=96 --set train.window.T=32 --steps 1200",
        ),
        (
            "08_nanogpt",
            "--set context=32 --set width=48 --set heads=4 --set depth=2 --set drop=0.1 "
            "--set train.optimizer.lr=3e-3 --steps 800",
        ),
    ],
)
def test_writes_at_most_two_and_a_half_nats_a_character(
    gradc: Gradc, name: str, words: str
) -> None:
    book = f"text={DATA}/tinyshakespeare.txt"
    run = train(gradc, f"{name}.net", "--data", book, "--valid", "0.05", *words.split())
    assert 1 < figures(gradc, run)["loss"] <= 2.5


# ---------------------------------------------------------------------------- samples


def drawn(gradc: Gradc, run: str, *words: str) -> Any:
    """The output of a run with the weights that it ended with.

    What these learn from is a contrast or an opponent: no epoch is the best by its loss.
    """
    gradc("predict", run, *words, "--weights", "last", "-o", "out.npz", "--force")
    with np.load("out.npz") as archive:
        (name,) = archive.files
        return archive[name]


@given
def test_the_rbm_rebuilds_what_it_sees(gradc: Gradc, files: Path) -> None:
    def error(*words: str) -> float:
        run = train(gradc, "11_rbm.net", "--data", "v=digits.npz:x", *words)
        rebuilt = drawn(gradc, run, "--data", "v=held.npz:x")
        return float(((rebuilt - held) ** 2).mean())

    with np.load("held.npz") as archive:
        held = archive["x"]
    start, end = error(*UNMOVED), error("--epochs", "4")
    assert end <= REDUCED * start, (start, end)


def test_the_energy_is_low_where_the_data_are(gradc: Gradc, tmp_path: Path) -> None:
    table = synthetic.ring()
    synthetic.write(tmp_path / "ring.npz", table)

    def distance(*words: str) -> float:
        run = train(gradc, "13_ebm.net", "--data", "ring.npz", *words)
        sample = drawn(gradc, run, "--size", "N=2000")
        return float(np.linalg.norm(sample.mean(axis=0) - table["x"].mean(axis=0)))

    start, end = distance(*UNMOVED), distance("--epochs", "15")
    assert start > 0.5 and end <= REDUCED * start, (start, end)


@long
@given
def test_the_generator_moves_to_the_data(gradc: Gradc, files: Path) -> None:
    def distance(*words: str) -> float:
        run = train(gradc, "14_gan.net", "--data", "image=digits.npz:x", *words)
        fake = drawn(gradc, run, "--size", "N=500")
        return float(np.linalg.norm(fake.mean(axis=0) - mean))

    with np.load("held.npz") as archive:
        mean = archive["x"].mean(axis=0)
    optimizer = "train.optimizer=adam(lr = 2e-4, beta1 = 0.5)"
    start, end = distance(*UNMOVED), distance("--epochs", "8", "--set", optimizer)
    assert start > 5 and end <= REDUCED * start, (start, end)


def test_every_sample_that_has_a_loss_is_trained_here(gradc: Gradc) -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    for path in sorted(SAMPLES.glob("[01]*.net")):
        if path.stem == "02_derivatives":
            assert main(["train", path.name, "--data", "x=1", "--data", "y=2"]) == 2
        else:
            assert path.stem in here, path.stem
