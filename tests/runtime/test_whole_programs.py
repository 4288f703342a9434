"""From the text of a program to its answers: text data, chance, memory, schedules, L-BFGS."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from loading import TEXT

import gradc
from gradc.cli import main

BIGRAM = """\
const vocab = 28
input text: int[N, T]
input target: int[N, T]
param E: [vocab, 16] = normal(0, 0.1)
z = E[text] |> dense(vocab)
loss fit = cross_entropy(z, target)
metric right = mean(argmax(z) == target)
output z
train {
  data = "f.txt"
  data target = next(text)
  window T = 16
  valid = 0.1
  batch = 8
  epochs = 20
  optimizer = adagrad(lr = 0.3, eps = 1e-8, inside = true)
  schedule = cosine(warmup = 5, min = 0.01)
}
"""


def test_a_net_learns_which_character_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bigram.net").write_text(BIGRAM)
    Path("f.txt").write_text(TEXT)
    assert main(["train", "bigram.net", "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Below what any guess that does not look at the character can reach.
    shares = [TEXT.count(c) / len(TEXT) for c in set(TEXT)]
    entropy = -sum(p * math.log(p) for p in shares)
    assert found["best"]["fit"] < 0.4 * entropy and found["best"]["right"] > 0.6
    assert main(["eval", "runs/bigram-1", "--require", "right>0.6"]) == 0
    Path("g.txt").write_text("the fox")
    assert main(["predict", "runs/bigram-1", "--data", "g.txt", "-o", "z.npz"]) == 0
    with np.load("z.npz") as file:
        characters = "".join(sorted(set(TEXT)))
        z = file["z"]
    likely = [characters[i] for i in z[0].argmax(axis=1)]
    assert z.shape == (1, 7, 28) and likely[1] == "e"  # behind the h of "the"
    log = Path("runs/bigram-1/log.jsonl").read_text()
    last = [json.loads(line) for line in log.splitlines()]
    rates = [event["lr"] for event in last if event["event"] == "epoch"]
    assert 0.29 < rates[0] <= 0.3 and rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.0102


MIDDLE = np.array([5.0, 0.0, -5.0])
CHANCE = """\
input x: [N, D]
input y: [N]
state seen: [D] = 0
random keep: [N, D] = bernoulli(0.75)
update seen = 0.9 * seen + 0.1 * mean(x, axis = 0)
mu = if training then mean(x, axis = 0) else seen
c = x - mu
h = if training then c * keep / 0.75 else c
p = (h |> dense(1))[:, 0]
loss = mean((p - y)^2)
output p
train { data = "f.npz"; valid = 0.25; batch = 20; epochs = 40; optimizer = adam(lr = 0.03) }
"""


def test_a_program_with_chance_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chance.net").write_text(CHANCE)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3)) + MIDDLE
    np.savez("f.npz", x=x, y=(x - MIDDLE) @ [1.0, -1.0, 0.5])
    assert main(["check", "chance.net"]) == 0
    assert "all 2 parameters agree" in capsys.readouterr().out
    for _ in range(2):
        assert main(["train", "chance.net", "--json", "-q"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["best"]["loss"] == second["best"]["loss"] < 0.3
    assert first["best"] == second["best"]
    net = gradc.load("runs/chance-1")
    np.testing.assert_allclose(net.state["seen"], MIDDLE, atol=0.3)
    assert main(["eval", "runs/chance-1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss"] == first["best"]["loss"]
    predicted = net.predict(net.theta, x=x[:5])["p"]
    # Dropout shrinks the weights, to three quarters here, and leaves their directions.
    exact = (x[:5] - MIDDLE) @ [1, -1, 0.5]
    np.testing.assert_allclose(predicted, 0.75 * exact, atol=0.3)


def test_lbfgs_takes_whole_tables_in_double_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chance.net").write_text(CHANCE)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 3))
    np.savez("f.npz", x=x, y=x @ [1.0, -1.0, 0.5])
    words = ["train", "chance.net", "--set", "train.optimizer=lbfgs(history = 5)"]
    assert main([*words, "--steps", "5", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 5
    assert gradc.load("runs/chance-1").theta.dtype == np.float64
    assert main([*words, "--set", "train.clip=1"]) == 2
    assert "there is no clip beside it" in capsys.readouterr().err


GAN = """\
input x: [N, 2]
random z: [N, 3] = normal(0, 1)
fn maker(z) = z |> dense(4, tanh) |> dense(2)
fn critic(x) = x |> dense(4, tanh) |> dense(1)
fake = maker(z)
loss fool over maker = mean(softplus(-critic(fake)))
loss judge over critic = mean(softplus(-critic(x))) + mean(softplus(critic(stop(fake))))
output fake
train { data = "f.npz"; epochs = 2 }
"""


def test_two_players_and_samples_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gan.net").write_text(GAN)
    np.savez("f.npz", x=np.random.default_rng(0).standard_normal((64, 2)))
    for method in ("complex", "central"):
        for level in ("-O0", "-O1"):
            assert main(["check", "gan.net", "--method", method, level]) == 0
    assert main(["train", "gan.net", "-q"]) == 0
    assert main(["predict", "runs/gan-1"]) == 4
    assert "needs the size N, which no input binds" in capsys.readouterr().err
    assert main(["predict", "runs/gan-1", "--size", "M=3"]) == 2
    capsys.readouterr()
    tables = []
    for words in (["--size", "N=3"], ["--size", "3"]):
        assert main(["predict", "runs/gan-1", *words]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] and len(tables[0].splitlines()) == 4
