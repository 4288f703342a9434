"""Write golden/layers.npz: what PyTorch's layers compute, in float64, and their gradients.

    python tests/std/write_layer_golden.py      # needs torch

Every case has inputs and parameters under the paths that they have in gradc, the output `y`,
a cotangent `g`, and the gradients of sum(y * g) as `d:PATH`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "layers.npz"
Case = dict[str, np.ndarray]


def cases() -> dict[str, Case]:
    """All cases, computed afresh."""
    import torch

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    found: dict[str, Case] = {}

    def finish(name: str, x, parameters, y, **more) -> None:
        """`parameters`: path -> (tensor with a gradient, how it lies in gradc)."""
        g = torch.randn_like(y)
        (y * g).sum().backward()
        case = {"x": x.detach(), "y": y.detach(), "g": g, "d:x": x.grad, **more}
        for path, (tensor, turned) in parameters.items():
            case[path] = tensor.detach().T if turned else tensor.detach()
            case["d:" + path] = tensor.grad.T if turned else tensor.grad
        found[name] = {k: np.ascontiguousarray(v.numpy()) for k, v in case.items()}

    def sequence():
        return torch.randn(2, 5, 3, requires_grad=True)

    for name, kind in (("lstm", torch.nn.LSTM), ("rnn", torch.nn.RNN)):
        layer, x = kind(3, 4, batch_first=True), sequence()
        with torch.no_grad():
            layer.bias_hh_l0.zero_()  # one bias in gradc
        finish(
            name,
            x,
            {
                f"y.{name}.W": (layer.weight_ih_l0, True),
                f"y.{name}.U": (layer.weight_hh_l0, True),
                f"y.{name}.b": (layer.bias_ih_l0, False),
            },
            layer(x)[0],
        )
    layer, x = torch.nn.GRU(3, 4, batch_first=True), sequence()
    finish(
        "gru",
        x,
        {
            "y.gru.W": (layer.weight_ih_l0, True),
            "y.gru.U": (layer.weight_hh_l0, True),
            "y.gru.b": (layer.bias_ih_l0, False),
            "y.gru.a": (layer.bias_hh_l0, False),
        },
        layer(x)[0],
    )
    for name, causal in (("attention", False), ("causal_attention", True)):
        attention = torch.nn.MultiheadAttention(6, 2, batch_first=True)
        with torch.no_grad():
            attention.in_proj_bias.normal_()
            attention.out_proj.bias.normal_()
        x = torch.randn(2, 5, 6, requires_grad=True)
        mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
        y, _ = attention(x, x, x, attn_mask=mask)
        finish(
            name,
            x,
            {
                "y.attention.q.dense.W": (attention.in_proj_weight, True),
                "y.attention.q.dense.b": (attention.in_proj_bias, False),
                "y.attention.dense.W": (attention.out_proj.weight, True),
                "y.attention.dense.b": (attention.out_proj.bias, False),
            },
            y,
        )
    norm, x = torch.nn.LayerNorm(3), sequence()
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    finish(
        "layernorm",
        x,
        {
            "y.layernorm.gain": (norm.weight, False),
            "y.layernorm.bias": (norm.bias, False),
        },
        norm(x),
    )
    batch = torch.nn.BatchNorm1d(3)
    x = torch.randn(7, 3, requires_grad=True)
    with torch.no_grad():
        batch.weight.normal_()
        batch.bias.normal_()
    finish(
        "batchnorm",
        x,
        {
            "y.batchnorm.gain": (batch.weight, False),
            "y.batchnorm.bias": (batch.bias, False),
        },
        batch(x),
        seen_mean=batch.running_mean,
    )
    group = torch.nn.GroupNorm(3, 6)
    x = torch.randn(2, 4, 3, 6, requires_grad=True)
    with torch.no_grad():
        group.weight.normal_()
        group.bias.normal_()
    finish(
        "groupnorm",
        x,
        {
            "y.groupnorm.gain": (group.weight, False),
            "y.groupnorm.bias": (group.bias, False),
        },
        group(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1),
    )
    return found


def main() -> None:
    flat = {f"{n}/{k}": v for n, case in cases().items() for k, v in case.items()}
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **flat)
    print(f"{GOLDEN}: {len(flat)} arrays, {GOLDEN.stat().st_size} bytes")


if __name__ == "__main__":
    main()
