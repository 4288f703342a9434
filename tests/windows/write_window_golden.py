"""Write golden/windows.npz: what PyTorch makes of convolutions and pools, in float64.

Run where torch is installed: `python tests/windows/write_window_golden.py`. For each case the
value, and the gradients of <weight, value> by the image, the kernel and the bias, all
channels last. `test_convolution.py` reads `CASES` and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "windows.npz"


@dataclass(frozen=True)
class Setup:
    """One case. `net` is the argument text that says the same as the numbers here."""

    kind: str  # conv, transposed, max, mean
    x: tuple[int, ...]
    k: tuple[int, ...]  # of the kernel, (k, k, c, n), or of the pool, (k, k)
    net: str = ""
    stride: int = 1
    pad: tuple[int, ...] = (0, 0, 0, 0)  # top, bottom, left, right
    dilation: int = 1
    groups: int = 1

    def text(self, out: tuple[int, ...]) -> str:
        """The .net program: the image is a parameter, so that it has a gradient."""
        x = ", ".join(map(str, self.x))
        lines = [f"param x: [{x}] = normal()"]
        if self.kind in ("conv", "transposed"):
            k = ", ".join(map(str, self.k))
            call = "conv2d" if self.kind == "conv" else "conv_transpose2d"
            lines += [
                f"param K: [{k}] = normal()",
                f"param b: [{self.k[-1]}] = normal()",
                f"y = {call}(x, K{self.net}) + b",
            ]
        else:
            lines.append(f'y = pool2d(x, {self.k[0]}{self.net}, kind = "{self.kind}")')
        shape = ", ".join(map(str, out))
        lines += [f"input weight: [{shape}]", "loss = sum(weight * y)", "output z = y"]
        return "\n".join(lines) + "\n"


IMAGE, ODD = (2, 7, 6, 3), (2, 9, 7, 4)
K = (3, 3, 3, 4)
CASES: dict[str, Setup] = {
    "valid": Setup("conv", IMAGE, K, ', pad = "valid"'),
    "same": Setup("conv", IMAGE, K, pad=(1, 1, 1, 1)),
    "same_even": Setup("conv", IMAGE, (2, 4, 3, 5), pad=(0, 1, 1, 2)),
    "same_stride": Setup("conv", (2, 8, 7, 3), K, ", 2", 2, (0, 1, 1, 1)),
    "same_stride_3": Setup("conv", (2, 8, 7, 3), K, ", 3", 3, (0, 1, 1, 1)),
    "one": Setup("conv", IMAGE, (1, 1, 3, 5)),
    "one_stride": Setup("conv", IMAGE, (1, 1, 3, 5), ", 2", 2),
    "stride": Setup("conv", (2, 9, 8, 3), K, ', 2, "valid"', 2),
    "stride_pad": Setup("conv", IMAGE, K, ", 2, 1", 2, (1, 1, 1, 1)),
    "asymmetric": Setup("conv", IMAGE, K, ", pad = [0, 2, 1, 0]", 1, (0, 2, 1, 0)),
    "dilation": Setup(
        "conv", ODD, (3, 3, 4, 2), ", 1, 2, dilation = 2", 1, (2,) * 4, 2
    ),
    "dilation_stride": Setup(
        "conv", ODD, (2, 3, 4, 2), ', 2, "valid", dilation = 2', 2, (0,) * 4, 2
    ),
    "groups": Setup("conv", ODD, (3, 3, 2, 6), ", groups = 2", 1, (1,) * 4, 1, 2),
    "depthwise": Setup(
        "conv", ODD, (3, 3, 1, 4), ", 2, 1, groups = 4", 2, (1,) * 4, 1, 4
    ),
    "depthwise_twice": Setup(
        "conv", ODD, (3, 2, 1, 8), ', pad = "valid", groups = 4', groups=4
    ),
    "sequence": Setup("conv", (2, 9, 3), (3, 3, 4), pad=(1, 1)),
    "sequence_causal": Setup(
        "conv", (2, 9, 3), (2, 3, 4), ", pad = [2, 0], dilation = 2", 1, (2, 0), 2
    ),
    "sequence_stride": Setup(
        "conv", (2, 9, 4), (4, 2, 4), ', 2, "valid", groups = 2', 2, (0, 0), 1, 2
    ),
    "up": Setup("transposed", IMAGE, K, ', 1, "valid"'),
    "up_same": Setup("transposed", IMAGE, K, ", 2", 2, (0, 1, 0, 1)),
    "up_same_even": Setup("transposed", IMAGE, (4, 4, 3, 2), ", 2", 2, (1, 1, 1, 1)),
    "up_small": Setup("transposed", IMAGE, (2, 2, 3, 2), ", 3", 3, (0, -1, 0, -1)),
    "up_pad": Setup("transposed", IMAGE, K, ", 2, 1", 2, (1, 1, 1, 1)),
    "up_dilation": Setup(
        "transposed", IMAGE, K, ", 2, [1, 0, 2, 1], dilation = 2", 2, (1, 0, 2, 1), 2
    ),
    "up_groups": Setup(
        "transposed", ODD, (3, 3, 2, 6), ", 2, 1, groups = 2", 2, (1,) * 4, 1, 2
    ),
    "up_sequence": Setup("transposed", (2, 5, 3), (4, 3, 2), ", 2", 2, (1, 1)),
    "max": Setup("max", (2, 8, 6, 3), (2, 2), stride=2),
    "max_odd": Setup("max", (2, 7, 8, 3), (3, 3), stride=3),
    "max_overlap": Setup("max", (2, 7, 9, 3), (3, 3), ", 2", 2),
    "max_pad": Setup("max", (2, 7, 9, 3), (3, 3), ", 2, 1", 2, (1, 1, 1, 1)),
    "mean": Setup("mean", (2, 8, 6, 3), (2, 2), stride=2),
    "mean_overlap": Setup("mean", (2, 7, 9, 3), (3, 3), ", 2", 2),
    "mean_pad": Setup("mean", (2, 7, 9, 3), (3, 3), ", 2, 1", 2, (1, 1, 1, 1)),
    "mean_sequence": Setup("mean", (2, 9, 3), (2,), stride=2),
}


def arrays(name: str) -> dict[str, Any]:
    """The image, kernel and bias of a case."""
    case = CASES[name]
    rng = np.random.default_rng(list(name.encode()))
    found = {"x": rng.normal(size=case.x)}
    if case.kind in ("conv", "transposed"):
        found["K"] = rng.normal(size=case.k)
        found["b"] = rng.normal(size=case.k[-1])
    return found


def weight(name: str, shape: tuple[int, ...]) -> Any:
    """What the value is multiplied with before it is summed."""
    return np.random.default_rng([1, *name.encode()]).normal(size=shape)


def torch_run(name: str) -> dict[str, Any]:
    """value, d_x, d_K, d_b by PyTorch."""
    import torch
    from torch.nn import functional as F

    case = CASES[name]
    given = {
        k: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for k, v in arrays(name).items()
    }
    axes = len(case.x) - 2
    x = given["x"].movedim(-1, 1)
    sides = [s for i in reversed(range(axes)) for s in case.pad[2 * i : 2 * i + 2]]
    if case.kind in ("conv", "transposed"):
        kernel = given["K"].movedim(-1, 0).movedim(-1, 1)  # n, c, k, k
        options = {
            "stride": case.stride,
            "dilation": case.dilation,
            "groups": case.groups,
        }
        if case.kind == "conv":
            call = F.conv2d if axes == 2 else F.conv1d
            y = call(F.pad(x, sides), kernel, given["b"], **options)
        else:
            call = F.conv_transpose2d if axes == 2 else F.conv_transpose1d
            n, c = kernel.shape[:2]  # torch has (groups c, n / groups, k, k)
            kernel = kernel.reshape(case.groups, n // case.groups, c, *case.k[:axes])
            kernel = kernel.movedim(2, 1).flatten(0, 1)
            y = call(x, kernel, **options)
            y = F.pad(y, [-s for s in sides])
            y = y + given["b"].reshape(-1, *[1] * axes)
    elif case.kind == "max":
        call = F.max_pool2d
        y = call(F.pad(x, sides, value=-float("inf")), case.k, case.stride)
    else:
        call = F.avg_pool2d if axes == 2 else F.avg_pool1d
        y = call(x, case.k, case.stride, case.pad[0], count_include_pad=False)
    y = y.movedim(1, -1)
    (torch.tensor(weight(name, tuple(y.shape))) * y).sum().backward()
    found = {"y": y.detach().numpy()}
    found |= {f"d_{k}": v.grad.numpy() for k, v in given.items()}
    return found


def main() -> None:
    made = {}
    for name in CASES:
        made |= {f"{name}.{k}": v for k, v in torch_run(name).items()}
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **made)


if __name__ == "__main__":
    main()
