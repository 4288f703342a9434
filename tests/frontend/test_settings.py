from __future__ import annotations

from typing import Any

import pytest

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend.parser import parse
from gradc.compiler.frontend.resolve import Plain, resolve
from gradc.compiler.frontend.settings import KEYS
from gradc.compiler.frontend.signatures import OPTIMIZERS, RANGES, SCHEDULES
from gradc.compiler.source import Source

HEAD = "const context = 256\ninput text: int[N, T]\ninput target: int[N, T]\ninput w\n"


def train(text: str, **overrides: str) -> dict[str, Any]:
    given = {f"train.{name}": value for name, value in overrides.items()}
    source = Source.from_text("a.net", HEAD + f"train {{ {text} }}")
    return resolve(parse(source), Plain(given)).train


def refused(text: str, **overrides: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        train(text, **overrides)
    return [diagnostic.id for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("epochs = 20", {"epochs": 20}),
        ("steps = 10 * 500", {"steps": 5000}),
        ("seed = 0", {"seed": 0}),
        (
            "accumulate = 4; ema = 0; patience = 3; min_delta = 1e-4",
            {"accumulate": 4, "ema": 0.0, "min_delta": 1e-4, "patience": 3},
        ),
        (
            'optimizer = adamw(on = "*.W"); schedule = multistep(at = [5, 2 * 4])',
            {
                "optimizer": {"name": "adamw", "args": {"on": "*.W"}, "line": 5},
                "schedule": {"name": "multistep", "args": {"at": [5, 8]}, "line": 5},
            },
        ),
        ("batch = 64", {"batch": [[None, 64]]}),
        ("batch N = 64; batch T = 2", {"batch": [["N", 64], ["T", 2]]}),
        ("window T = context", {"window": [["T", 256]]}),
        ("dtype = float64", {"dtype": "float64"}),
        ("missing = mean", {"missing": "mean"}),
        (
            "scale = unit; scale w = standard",
            {"scale": [[None, "unit"], ["w", "standard"]]},
        ),
        ("clip = 5", {"clip": {"norm": 5.0}}),
        ("clip = value(0.5)", {"clip": {"value": 0.5}}),
        ("valid = 0.2", {"valid": 0.2}),
        ('valid = "g.csv"', {"valid": {"path": "g.csv"}}),
        ('data = "f.csv"', {"data": [[None, {"path": "f.csv", "entry": None}]]}),
        (
            'data text = "a/f.npz:images"; data target = next(text); data w = 1 / 2',
            {
                "data": [
                    ["text", {"path": "a/f.npz", "entry": "images"}],
                    ["target", {"next": "text"}],
                    ["w", {"value": 0.5}],
                ]
            },
        ),
        (
            "optimizer = sgd(lr = 0.1, nesterov = true, momentum = 0.9)",
            {
                "optimizer": {
                    "name": "sgd",
                    "args": {"lr": 0.1, "nesterov": True, "momentum": 0.9},
                    "line": 5,
                }
            },
        ),
        ("optimizer = adam", {"optimizer": {"name": "adam", "args": {}, "line": 5}}),
    ],
)
def test_values(text: str, expected: dict[str, Any]) -> None:
    assert train(text) == expected


def test_keys_come_in_one_order() -> None:
    found = train("window T = 3; seed = 1; batch = 2; epochs = 4")
    assert list(found) == [key for key in KEYS if key in found]


@pytest.mark.parametrize(
    ("key", "name"),
    [*(("optimizer", n) for n in OPTIMIZERS), *(("schedule", n) for n in SCHEDULES)],
)
def test_every_argument_of_every_optimizer_and_schedule(key: str, name: str) -> None:
    table = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}[key]
    for argument, default in table[name].args:
        if isinstance(default, bool):
            good, bad = ["true", "false"], ["1", "0.5"]
        elif isinstance(default, str):
            good, bad = ['"*.W"', '"a, b"'], ["1", "true", '" "']
        elif isinstance(default, tuple):
            good = ["[3]", "[10, 20]"]
            bad = ["[2, 2]", "[0]", "7", "[1, 2.5]", "[true]", '"1"']
        else:
            low, high = RANGES[argument]
            good, bad = [f"{low:g}", f"{low + 0.25:g}"], ["-0.5", "true", "inf"]
            if isinstance(default, int):
                good, bad = [f"{low:g}", "7"], [*bad, "7.5"]
            bad += [f"{high:g}"] if high is not None else []
        for text in good:
            found = train(f"{key} = {name}({argument} = {text})")
            assert argument in found[key]["args"]
            inside = train(f"{key} = {name}", **{f"{key}.{argument}": text})
            assert inside[key]["args"] == found[key]["args"]
        for text in bad:
            assert refused(f"{key} = {name}({argument} = {text})") == ["setting-range"]


def test_the_runtime_has_the_same_calls_with_the_same_defaults() -> None:
    from gradc import optimizers, quasi_newton, schedules

    rules = {name: dict(rule.defaults) for name, rule in optimizers.RULES.items()}
    rules["lbfgs"] = quasi_newton.DEFAULTS
    assert {name: dict(call.args) for name, call in OPTIMIZERS.items()} == rules
    kinds = {name: dict(kind.defaults) for name, kind in schedules.KINDS.items()}
    assert {name: dict(call.args) for name, call in SCHEDULES.items()} == kinds


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("lr = 1", ["unknown-setting"]),
        ("epochs = 0", ["setting-range"]),
        ("epochs = true", ["setting-value"]),
        ("epochs = lost", ["not-constant"]),
        ("ema = 1", ["setting-range"]),
        ("ema = true", ["setting-value"]),
        ("min_delta = -1", ["setting-range"]),
        ("patience = 0", ["setting-range"]),
        ("accumulate = 0.5", ["setting-value"]),
        ("batch Q = 3", ["unknown-target"]),
        ("window = 3", ["setting-for"]),
        ("dtype text = float32", ["setting-target"]),
        ('dtype = "float32"', ["setting-word"]),
        ("valid = 1", ["setting-range"]),
        ("valid = 0", ["setting-range"]),
        ("clip = 0", ["setting-range"]),
        ("clip = inf", ["setting-range"]),
        ("data = next(text)", ["setting-value"]),
        ("data target = next(target)", ["unknown-target"]),
        ('data = ""', ["setting-value"]),
        ('data = "f.npz:"', ["setting-value"]),
        ('data = "a/../../b.csv"', ["data-outside"]),
        ('data = "~/b.csv"', ["data-outside"]),
        ('valid = "/b.csv"', ["data-outside"]),
        ("optimizer = newton()", ["unknown-optimizer"]),
        ("optimizer = adam(0.1)", ["optimizer-form"]),
        ("optimizer = adam(lr = 1, lr = 2)", ["optimizer-form"]),
        ("schedule = cos()", ["unknown-schedule"]),
        ("schedule = cosine(0.1)", ["schedule-form"]),
        ("schedule = cosine(low = 1)", ["schedule-argument"]),
        ("schedule = 3", ["setting-value"]),
        ("steps = 1; epochs = 1", ["steps-and-epochs"]),
    ],
)
def test_refused(text: str, ids: list[str]) -> None:
    assert refused(text) == ids


def test_the_command_line_wins() -> None:
    found = train("epochs = 20; batch = 8; batch N = 4", epochs="3", batch="16")
    assert found == {"batch": [["N", 4], [None, 16]], "epochs": 3}
    assert train("epochs = 20", steps="100") == {"steps": 100}
    assert train("steps = 20", epochs="1") == {"epochs": 1}


def test_the_command_line_reaches_inside() -> None:
    given = {"optimizer.lr": "1/4"}
    found = train("optimizer = sgd(lr = 3, momentum = 0.5)", **given)
    assert found["optimizer"] == {
        "name": "sgd", "args": {"lr": 0.25, "momentum": 0.5}, "line": 5,
    }  # fmt: skip
    assert train("", **given)["optimizer"]["name"] == "adam"
    assert train("", **{"window.T": "8"}) == {"window": [["T", 8]]}
    assert train("", data='"/any/where.csv"')["data"][0][1]["path"] == "/any/where.csv"


def test_the_command_line_is_checked_alike() -> None:
    assert refused("", epochs="0") == ["setting-range"]
    assert refused("", epochs="1; 2") == ["bad-override"]
    assert refused("", **{"optimizer.rate": "1"}) == ["optimizer-argument"]
    assert refused("", **{"window.Q": "1"}) == ["unknown-target"]
    assert refused("", **{"epochs.x": "1"}) == ["setting-target"]
    assert refused("", optimizer="3") == ["setting-value"]
