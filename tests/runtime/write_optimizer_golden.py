"""Write golden/optimizers.npz: what PyTorch's optimisers do in 200 steps of float64.

Run where torch is installed: `python tests/runtime/write_optimizer_golden.py`. The gradients
are those of a fixed random sequence and span four decades, from entry to entry and from step
to step. `test_optimizers.py` reads `CASES`, replays the sequence and compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "optimizers.npz"
SIZE, STEPS = 12, 200
KEPT = (1, 2, 3, 10, 50, 100, 150, 200)  # the steps after which theta is stored

# name -> (rule, arguments, clip by norm, clip by value)
CASES: dict[str, tuple[str, dict[str, Any], float | None, float | None]] = {
    "sgd": ("sgd", {"lr": 0.03}, None, None),
    "sgd_decay": ("sgd", {"lr": 0.03, "decay": 0.1}, None, None),
    "sgd_momentum": ("sgd", {"lr": 0.01, "momentum": 0.8, "decay": 0.01}, None, None),
    "sgd_nesterov": (
        "sgd",
        {"lr": 0.01, "momentum": 0.8, "nesterov": True, "decay": 0.05},
        None,
        None,
    ),
    "momentum": ("momentum", {"lr": 0.01, "decay": 0.02}, None, None),
    "nesterov": ("nesterov", {"lr": 0.01, "momentum": 0.95, "decay": 0.02}, None, None),
    "adam": ("adam", {"lr": 0.02}, None, None),
    "adam_decay": ("adam", {"lr": 0.02, "decay": 0.1}, None, None),
    "adam_betas": (
        "adam",
        {"lr": 0.005, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3},
        None,
        None,
    ),
    "adamw": ("adamw", {"lr": 0.02}, None, None),
    "adamw_decay": ("adamw", {"lr": 0.02, "decay": 0.3}, None, None),
    "adagrad": ("adagrad", {"lr": 0.1}, None, None),
    "adagrad_decay": ("adagrad", {"lr": 0.1, "eps": 1e-3, "decay": 0.05}, None, None),
    "rmsprop": ("rmsprop", {"lr": 0.01}, None, None),
    "rmsprop_momentum": (
        "rmsprop",
        {"lr": 0.003, "alpha": 0.9, "eps": 1e-4, "momentum": 0.8, "decay": 0.02},
        None,
        None,
    ),
    "sgd_mask": ("sgd", {"lr": 0.03, "decay": 0.3, "on": "a*"}, None, None),
    "adam_mask": ("adam", {"lr": 0.02, "decay": 0.3, "on": "*.W"}, None, None),
    "adamw_mask": ("adamw", {"lr": 0.02, "decay": 0.3, "on": "a.W, b.W"}, None, None),
    "clip_norm": ("sgd", {"lr": 0.03}, 0.5, None),
    "clip_value": ("adam", {"lr": 0.03}, None, 0.05),
}

# Where the parameters lie that the masks of decay name.
PLACES = {"a.W": (0, 4), "a.b": (4, 6), "b.W": (6, 10), "b.b": (10, 12)}
DECAY = 0.9  # of the moving average


# name -> (schedule, arguments, rate, steps in all, the torch scheduler and its arguments)
SCHEDULES: dict[str, tuple[str, dict[str, Any], float, int, str, dict[str, Any]]] = {
    "cosine": (
        "cosine",
        {"min": 1e-4},
        0.01,
        200,
        "CosineAnnealingLR",
        {"T_max": 200, "eta_min": 1e-4},
    ),
    "step": (
        "step",
        {"every": 30, "factor": 0.5},
        0.01,
        200,
        "StepLR",
        {"step_size": 30, "gamma": 0.5},
    ),
    "exponential": (
        "exponential",
        {"factor": 0.97},
        0.01,
        200,
        "ExponentialLR",
        {"gamma": 0.97},
    ),
    "multistep": (
        "multistep",
        {"at": [20, 70, 71, 150], "factor": 0.3},
        0.02,
        200,
        "MultiStepLR",
        {"milestones": [20, 70, 71, 150], "gamma": 0.3},
    ),
    "one_cycle": (
        "one_cycle",
        {},
        0.01,
        200,
        "OneCycleLR",
        {"max_lr": 0.01, "total_steps": 200, "cycle_momentum": False},
    ),
    "one_cycle_early": (
        "one_cycle",
        {"rise": 0.07, "div": 10.0, "final_div": 50.0, "steps": 200},
        0.5,
        200,
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": 200,
            "pct_start": 0.07,
            "div_factor": 10.0,
            "final_div_factor": 50.0,
            "cycle_momentum": False,
        },
    ),
    "plateau": (
        "plateau",
        {"patience": 3, "factor": 0.5, "threshold": 1e-2},
        0.1,
        200,
        "ReduceLROnPlateau",
        {"patience": 3, "factor": 0.5, "threshold": 1e-2},
    ),
    "plateau_cooling": (
        "plateau",
        {"patience": 1, "factor": 0.7, "cooldown": 4, "min": 0.002},
        0.1,
        200,
        "ReduceLROnPlateau",
        {"patience": 1, "factor": 0.7, "cooldown": 4, "min_lr": 0.002},
    ),
}


def losses() -> np.ndarray:
    """What a plateau is told: falling, noisy, at times not a number."""
    rng = np.random.Generator(np.random.Philox(11))
    falling = 1 / (1 + 0.02 * np.arange(STEPS)) + 0.02 * rng.standard_normal(STEPS)
    falling[60:63] = np.nan
    return falling


def start_and_gradients() -> tuple[np.ndarray, np.ndarray]:
    """θ before the first step, and the gradient of each step."""
    rng = np.random.Generator(np.random.Philox(7))
    theta = rng.standard_normal(SIZE)
    decades = 10 ** rng.uniform(-3, 1, (STEPS, SIZE))
    return theta, rng.standard_normal((STEPS, SIZE)) * decades


def torch_run(case: str) -> np.ndarray:
    """θ after each of the KEPT steps, by torch.optim."""
    import torch

    rule, given, norm, value = CASES[case]
    theta, gradients = start_and_gradients()
    if "on" in given:
        return torch_masked(case)
    parameter = torch.nn.Parameter(torch.tensor(theta))
    arguments = dict(given)
    arguments["weight_decay"] = arguments.pop("decay", 0.01 if rule == "adamw" else 0.0)
    if rule in ("adam", "adamw"):
        betas = (arguments.pop("beta1", 0.9), arguments.pop("beta2", 0.999))
        kind = torch.optim.Adam if rule == "adam" else torch.optim.AdamW
        optimizer: Any = kind([parameter], betas=betas, **arguments)
    elif rule in ("adagrad", "rmsprop"):
        kind = torch.optim.Adagrad if rule == "adagrad" else torch.optim.RMSprop
        optimizer = kind([parameter], **arguments)
    else:
        if rule != "sgd":
            arguments.setdefault("momentum", 0.9)
            arguments["nesterov"] = rule == "nesterov"
        optimizer = torch.optim.SGD([parameter], **arguments)
    kept = []
    for step, gradient in enumerate(gradients, 1):
        parameter.grad = torch.tensor(gradient)
        if norm is not None:
            torch.nn.utils.clip_grad_norm_([parameter], norm)
        if value is not None:
            torch.nn.utils.clip_grad_value_([parameter], value)
        optimizer.step()
        if step in KEPT:
            kept.append(parameter.detach().numpy().copy())
    return np.array(kept)


def torch_masked(case: str) -> np.ndarray:
    """θ after each of the KEPT steps, with decay in some parameters, by parameter groups."""
    import torch

    rule, given, _, _ = CASES[case]
    theta, gradients = start_and_gradients()
    pieces = [slice(*place) for place in PLACES.values()]
    parameters = [torch.nn.Parameter(torch.tensor(theta[piece])) for piece in pieces]
    masked = [list(PLACES).index(name) for name in _matching(given["on"])]
    groups = [
        {"params": [p], "weight_decay": given["decay"] if i in masked else 0.0}
        for i, p in enumerate(parameters)
    ]
    kinds = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    optimizer: Any = kinds[rule](groups, lr=given["lr"])
    kept = []
    for step, gradient in enumerate(gradients, 1):
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = torch.tensor(gradient[piece])
        optimizer.step()
        if step in KEPT:
            kept.append(np.concatenate([p.detach().numpy() for p in parameters]))
    return np.array(kept)


def _matching(on: str) -> list[str]:
    """The parameters that the masks of `CASES` mean, spelt out."""
    return {
        "a*": ["a.W", "a.b"],
        "*.W": ["a.W", "b.W"],
        "a.W, b.W": ["a.W", "b.W"],
    }[on]


def torch_average() -> np.ndarray:
    """The moving average after each of the KEPT steps, by torch.optim.swa_utils."""
    import torch

    theta, gradients = start_and_gradients()
    model = torch.nn.Module()
    model.theta = torch.nn.Parameter(torch.tensor(theta))
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(DECAY)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    kept = []
    for step, gradient in enumerate(gradients, 1):
        model.theta.grad = torch.tensor(gradient)
        optimizer.step()
        average.update_parameters(model)
        if step in KEPT:
            kept.append(average.module.theta.detach().numpy().copy())
    return np.array(kept)


def torch_rates(case: str) -> np.ndarray:
    """The rate of each step, by torch.optim.lr_scheduler."""
    import torch

    _, _, rate, steps, name, arguments = SCHEDULES[case]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        told = (losses()[step],) if name == "ReduceLROnPlateau" else ()
        if step + 1 < steps:  # one cycle has no step behind its last one
            scheduler.step(*told)
    return np.array(rates)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    rates = {f"rates/{case}": torch_rates(case) for case in SCHEDULES}
    runs = {case: torch_run(case) for case in CASES}
    np.savez(GOLDEN, **runs, **rates, average=torch_average())
    print(f"wrote {GOLDEN} ({GOLDEN.stat().st_size} bytes)")
