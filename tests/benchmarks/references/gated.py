"""Gated layers, f(x W + b) σ(x V + c): halves in arrays of their own, rows in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .driving import Arena, Array, Run
from .mlp import add, dot, mm, mul, sub, tanh

K0, K1 = (
    0.7978845608028654,
    0.044715,
)  # √(2/π) and the cubic term of gelu's approximation


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """`options["layers"]`: (W, b, V, c, activation); `options["residual"]`: h + the layer."""
    x, y, residual = data["x"], data["y"], options.get("residual", False)
    n, k = y.shape
    layers = options["layers"]
    one, half = arena.full(1), arena.full(0.5)
    k0, k01, k3 = arena.full(K0), arena.full(K0 * K1), arena.full(3 * K0 * K1)
    c, ones = arena.full(2 * lr / (rows * k)), arena.full(1, n)
    H = [x, *(arena(f"h{i}", n, k) for i in range(len(layers)))]
    Z = [arena(f"z{i}", n, k) for i in range(len(layers))]
    S = [arena(f"s{i}", n, k) for i in range(len(layers))]
    T = [
        arena(f"t{i}", n, k) if layer[4] == "gelu_tanh" else Z[i]
        for i, layer in enumerate(layers)
    ]
    O = [arena(f"o{i}", n, k) if residual else H[i + 1] for i in range(len(layers))]
    U, e, dz, ds, w = (arena(name, n, k) for name in ("u", "e", "dz", "ds", "w"))
    flat = e.reshape(-1)
    weights = [
        (P[W], P[b], P[V], P[v], P[W].T, P[V].T, G[W], G[b], G[V], G[v], kind)
        for W, b, V, v, kind in layers
    ]

    def sigmoid(z: Array) -> None:
        mul(z, half, z)
        tanh(z, z)
        mul(z, half, z)
        add(z, half, z)

    def run() -> Any:
        for i, (W, b, V, v, _, _, _, _, _, _, kind) in enumerate(weights):
            h, z, s, t = H[i], Z[i], S[i], T[i]
            mm(h, W, z)
            add(z, b, z)
            mm(h, V, s)
            add(s, v, s)
            sigmoid(s)
            if kind == "tanh":
                tanh(z, z)
            elif kind == "silu":
                mul(z, half, U)
                tanh(U, U)
                mul(U, half, U)
                add(U, half, U)  # σ(z)
                mul(z, U, w)  # silu(z)
                # silu' = σ + silu (1 - σ), kept in place of z
                sub(one, U, z)
                mul(z, w, z)
                add(z, U, z)
                mul(w, s, O[i])
            else:
                # t = gelu(z); z becomes its derivative
                mul(z, z, w)
                mul(w, k01, U)
                add(U, k0, U)
                mul(U, z, U)
                tanh(U, U)
                mul(w, k3, w)
                add(w, k0, w)  # K0 (1 + 3 K1 z²)
                mul(z, half, z)
                mul(z, U, t)
                add(t, z, t)
                mul(w, z, w)
                mul(U, U, z)
                sub(one, z, z)
                mul(w, z, w)
                mul(U, half, U)
                add(w, U, w)
                add(w, half, z)
            if kind != "silu":
                mul(t, s, O[i])
            if residual:
                add(h, O[i], H[i + 1])
        sub(H[-1], y, e)
        loss = dot(flat, flat)
        mul(e, c, e)
        for i in range(len(weights) - 1, -1, -1):
            W, b, V, v, WT, VT, gW, gb, gV, gv, kind = weights[i]
            h, z, s = H[i], Z[i], S[i]
            mul(e, s, dz)
            mul(e, O[i], ds)
            sub(one, s, s)
            mul(ds, s, ds)
            if kind == "tanh":
                mul(z, z, z)
                sub(one, z, z)
            mul(dz, z, dz)
            hT = h.T
            mm(hT, dz, gW)
            dot(ones, dz, gb)
            mm(hT, ds, gV)
            dot(ones, ds, gv)
            if i:
                if residual:
                    mm(dz, WT, w)
                    add(e, w, e)
                else:
                    mm(dz, WT, e)
                mm(ds, VT, w)
                add(e, w, e)
        return loss / (rows * k)

    return run
