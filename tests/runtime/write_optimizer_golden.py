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
    "clip_norm": ("sgd", {"lr": 0.03}, 0.5, None),
    "clip_value": ("adam", {"lr": 0.03}, None, 0.05),
}


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
}


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


def torch_rates(case: str) -> np.ndarray:
    """The rate of each step, by torch.optim.lr_scheduler."""
    import torch

    _, _, rate, steps, name, arguments = SCHEDULES[case]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    rates = {f"rates/{case}": torch_rates(case) for case in SCHEDULES}
    np.savez(GOLDEN, **{case: torch_run(case) for case in CASES}, **rates)
    print(f"wrote {GOLDEN} ({GOLDEN.stat().st_size} bytes)")
