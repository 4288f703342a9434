"""Small networks of images: emitted gradients against the complex step, at every level."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradc.cli.main import main

PROGRAMS = {
    "classifier": """
input image: [N, 8, 8, 1]
input label: int[N]
h = image |> conv(4) |> relu |> maxpool
h = h |> conv(3, k = 2, stride = 2, pad = "valid") |> tanh |> flatten
loss = cross_entropy(dense(h, 3), label)
""",
    "autoencoder": """
input image: [N, 8, 6, 2]
h = image |> conv(3, stride = 2) |> softplus
y = h |> conv_transpose(4) |> tanh |> conv_transpose(2, stride = 1)
loss = mean((y - image)^2)
""",
    "any size": """
input image: [N, H, W, 2]
h = image |> conv(3, stride = 2) |> tanh |> avgpool
loss = mean(h^2) + mean((image |> conv(2, pad = [2, 0, 1, 1]))^2)
""",
    "sequence": """
input x: [N, T, 3]
param K: [2, 3, 4] = he()
h = conv2d(x, K, pad = [4, 0], dilation = 4) |> tanh |> conv1d(2)
loss = mean(h^2)
""",
    "groups": """
input image: [N, 6, 6, 4]
param K: [3, 3, 2, 6] = he()
param D: [3, 3, 1, 6] = he()
h = conv2d(image, K, 1, "same", groups = 2) |> tanh
h = conv2d(h, D, pad = "valid", groups = 6) |> tanh
loss = mean(conv_transpose2d(h, D, 2, groups = 6)^2)
""",
    "overlapping pools": """
input image: [N, 7, 9, 2]
h = image |> conv(3) |> pool2d(3, 2, 1) |> pool2d(2, 1, kind = "mean")
loss = mean(h^3)
""",
    "derivative inside": """
input image: [N, 6, 6, 1]
energy = image |> conv(3) |> tanh |> maxpool |> sum(axis = [1, 2, 3])
force = grad(energy, image)
loss = mean((force - image)^2)
""",
}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", PROGRAMS)
def test_check(
    name: str, level: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.net"
    path.write_text(PROGRAMS[name], encoding="utf-8")
    assert main(["check", str(path), f"-O{level}"]) == 0, capsys.readouterr().out
    assert "agree" in capsys.readouterr().out
