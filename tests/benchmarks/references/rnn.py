"""Recurrent networks over characters: all but h @ U taken out of time, tables looked up last.

`z = x W + b` of all steps is one product, of the first layer one on the table of characters,
whose rows are gathered afterwards. A layer of tanh keeps h of all steps in one array; its
derivative 1 - h² is taken of all at once. An LSTM has one tanh for its four gates, since
σ(z) = tanh(z / 2) / 2 + 1 / 2 and the half goes into copies of the weights; its gates lie apart
([4, n, k] a step), so that nothing but the product goes over parts of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .driving import Arena, Array, Run
from .mlp import add, cross_entropy, dot, mm, mul, sub, tanh

NARROW = 128
"""Up to which width sorted sums beat one product with ones."""


@dataclass(frozen=True)
class Layer:
    """`forward` makes states of z = x W + b; `backward` takes d, the adjoint of the states,
    and leaves that of z in `dz`, in one of the two arrays. `states` and `dz` are rows.
    """

    forward: Run
    backward: Run
    states: Array
    dz: Array


def tanh_layer(
    U: Array, GU: Array, z: Array, d: Array, arena: Arena, name: str
) -> Layer:
    """h = tanh(z + h U). z and d [T, n, k], d of the states, then of z."""
    T, n, k = z.shape
    UT, back = arena(f"{name}UT", k, k), arena(f"{name}back", n, k)
    states, slope = arena(f"{name}h", T + 1, n, k), arena(f"{name}slope", T, n, k)
    states[0] = 0
    one, out, d0, slope0 = arena.full(1), states[1:], d[0], slope[0]
    enteringT, d_rows = states[:-1].reshape(-1, k).T, d.reshape(-1, k)
    there = [(states[t], z[t], states[t + 1]) for t in range(T)]
    again = [(d[t], slope[t], d[t - 1]) for t in range(T - 1, 0, -1)]

    def forward() -> None:
        for h, x, after in there:
            mm(h, U, after)
            add(after, x, after)
            tanh(after, after)

    def backward() -> None:
        np.copyto(UT, U.T)
        mul(out, out, slope)
        sub(one, slope, slope)
        for g, s, before in again:
            mul(g, s, g)
            mm(g, UT, back)
            add(before, back, before)
        mul(d0, slope0, d0)
        mm(enteringT, d_rows, GU)

    return Layer(forward, backward, out.reshape(-1, k), d_rows)


def lstm_layer(
    U: Array, GU: Array, z: Array, d: Array, arena: Arena, name: str
) -> Layer:
    """Gates i, f, g, o of z + h U, where all but g are of z / 2 already."""
    T, n, k = d.shape
    scale = halves(k, arena)
    Us, UT = arena(f"{name}Us", k, 4 * k), arena(f"{name}UT", 4 * k, k)
    states, cells = arena(f"{name}h", T + 1, n, k), arena(f"{name}c", T + 1, n, k)
    states[0] = cells[0] = 0
    gates, slopes = arena(f"{name}g", T, 4, n, k), arena(f"{name}s", T, 4, n, k)
    tc, q = arena(f"{name}tc", T, n, k), arena(f"{name}q", T, n, k)
    dz = z  # of which nothing is needed any more
    total, ig = arena(f"{name}total", n, 4 * k), arena(f"{name}ig", n, k)
    dc, next_dc, back = (arena(f"{name}{x}", n, k) for x in ("dc", "next", "back"))
    apart = total.reshape(n, 4, k).swapaxes(0, 1)
    one = arena.full(1)
    factor, offset = (np.empty((4, 1, 1), z.dtype) for _ in range(2))
    factor[:, 0, 0], offset[:, 0, 0] = (0.5, 0.5, 1, 0.5), (0.5, 0.5, 0, 0.5)
    i, f, g, o = (gates[:, j] for j in range(4))
    si, sf, sg, so = (slopes[:, j] for j in range(4))
    there = [
        (states[t], z[t], gates[t], *gates[t], cells[t], cells[t + 1], tc[t], states[t + 1])
        for t in range(T)
    ]  # fmt: skip
    parts = dz.reshape(T, n, 4, k)
    again = [
        (d[t], so[t], parts[t, :, 3], q[t], slopes[t, :3],
         parts[t, :, :3].swapaxes(0, 1), f[t], dz[t])
        for t in range(T - 1, -1, -1)
    ]  # fmt: skip
    enteringT, dz_rows = states[:-1].reshape(-1, k).T, dz.reshape(-1, 4 * k)
    before, ifs = cells[:-1], slopes[:, :2]

    def forward() -> None:
        mul(U, scale, Us)
        for h, x, a, a_i, a_f, a_g, a_o, c, after, t, out in there:
            dot(h, Us, total)
            add(total, x, total)
            tanh(total, total)
            mul(apart, factor, a)
            add(a, offset, a)
            mul(a_f, c, after)
            mul(a_i, a_g, ig)
            add(after, ig, after)
            tanh(after, t)
            mul(a_o, t, out)

    def backward() -> None:
        np.copyto(UT, U.T)
        mul(gates, gates, slopes)
        sub(gates[:, :2], ifs, ifs)
        sub(one, sg, sg)
        sub(o, so, so)
        mul(si, g, si)
        mul(sf, before, sf)
        mul(sg, i, sg)
        mul(so, tc, so)
        mul(tc, tc, q)
        sub(one, q, q)
        mul(q, o, q)
        next_dc.fill(0)
        back.fill(0)
        for d_h, s_o, d_o, s_c, s_ifg, d_ifg, a_f, d_z in again:
            add(d_h, back, back)
            mul(back, s_o, d_o)
            mul(back, s_c, dc)
            add(dc, next_dc, dc)
            mul(dc, s_ifg, d_ifg)
            mul(dc, a_f, next_dc)
            dot(d_z, UT, back)
        mm(enteringT, dz_rows, GU)

    return Layer(forward, backward, states[1:].reshape(-1, k), dz_rows)


def halves(k: int, arena: Arena) -> Array:
    """By which the gates' weights are multiplied."""
    scale = arena("halves", 4 * k)
    scale[:] = 0.5
    scale[2 * k : 3 * k] = 1
    return scale


def sums_by_place(
    index: Array, d: Array, G: Array, arena: Arena
) -> tuple[Run, Callable[[Array], None]]:
    """G = the sums of the rows of d that have one index; and the sum of all of them."""
    v, k = G.shape
    if k > NARROW:
        which = np.zeros((v, len(index)), d.dtype)
        which[index, np.arange(len(index))] = 1
        ones = arena.full(1, v)
        return lambda: dot(which, d, G), lambda total: dot(ones, G, total)
    # Rows in the order of their places, then one sum for each run of them.
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    present = index[order][starts]
    ordered = arena("ordered", *d.shape)
    sums = arena("sums", v, k)[: len(present)]
    ones = arena.full(1, len(present))

    def run() -> None:
        d.take(order, 0, ordered, "clip")
        add.reduceat(ordered, starts, 0, None, sums)
        G.fill(0)
        G[present] = sums

    return run, lambda total: dot(ones, sums, total)


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """`options["layers"]`: (kind, W, U, b), the first with no `options["embed"]` a table itself;
    `options["last"]`: W and b of the logits."""
    ids = np.ascontiguousarray(data["text"].T)
    target = np.ascontiguousarray(data["target"].T)
    T, n = ids.shape
    index, embed, cells = ids.reshape(-1), options.get("embed"), options["layers"]
    z = [arena(f"{i}z", T, n, P[U].shape[1]) for i, (_, _, U, _) in enumerate(cells)]
    d = [arena(f"{i}d", T, n, P[U].shape[0]) for i, (_, _, U, _) in enumerate(cells)]
    layers = [
        (lstm_layer if kind == "lstm" else tanh_layer)(
            P[U], G[U], z[i], d[i], arena, str(i)
        )
        for i, (kind, _, U, _) in enumerate(cells)
    ]
    forward: list[Run] = [layers[0].forward]
    backward: list[Run] = [layers[0].backward]
    for i, (kind, W, _, b) in list(enumerate(cells))[1:]:
        below = layers[i - 1].states
        forward += [_inputs(P[W], P[b], below, z[i], kind, arena), layers[i].forward]
        weights = _weights(P[W], G[W], G[b], below, layers[i].dz, d[i - 1], arena)
        backward[:0] = [layers[i].backward, weights]
    Wo, bo, gWo, gbo = (values[x] for values in (P, G) for x in options["last"])
    states, d_states = layers[-1].states, d[-1].reshape(T * n, -1)
    logits = arena("logits", T * n, bo.size)
    loss = cross_entropy(logits, target, lr / (rows * T), arena)
    ones, statesT, WoT, total = arena.full(1, T * n), states.T, Wo.T, 1 / (rows * T)
    kind, W0, _, b0 = cells[0]
    W, gW, gb, z_rows = P[W0], G[W0], G[b0], z[0].reshape(T * n, -1)
    E = P[embed] if embed else W
    table = arena("table", len(E), z_rows.shape[1])
    d_table = arena("d_table", *table.shape) if embed else gW
    by_place, total_of = sums_by_place(index, layers[0].dz, d_table, arena)
    scaled = _scaled(W, P[b0], kind, arena)
    ET, WT = E.T, W.T

    def run() -> Any:
        weights, bias = scaled()
        if embed:
            mm(E, weights, table)
            add(table, bias, table)
        else:
            add(weights, bias, table)
        table.take(index, 0, z_rows, "clip")
        for do in forward:
            do()
        mm(states, Wo, logits)
        add(logits, bo, logits)
        value = loss()
        mm(statesT, logits, gWo)
        dot(ones, logits, gbo)
        mm(logits, WoT, d_states)
        for do in backward:
            do()
        by_place()
        total_of(gb)
        if embed:
            mm(ET, d_table, gW)
            mm(d_table, WT, G[embed])
        return value * total

    return run


def _scaled(
    W: Array, b: Array, kind: str, arena: Arena
) -> Callable[[], tuple[Array, Array]]:
    """W and b as the gates want them."""
    if kind != "lstm":
        return lambda: (W, b)
    scale = halves(b.size // 4, arena)
    weights, bias = arena("weights", *W.shape), arena("bias", b.size)

    def run() -> tuple[Array, Array]:
        mul(W, scale, weights)
        mul(b, scale, bias)
        return weights, bias

    return run


def _inputs(W: Array, b: Array, below: Array, z: Array, kind: str, arena: Arena) -> Run:
    """z = x W + b of all steps, x the states of the layer below."""
    rows, scaled = z.reshape(len(below), -1), _scaled(W, b, kind, arena)

    def run() -> None:
        weights, bias = scaled()
        mm(below, weights, rows)
        add(rows, bias, rows)

    return run


def _weights(
    W: Array, gW: Array, gb: Array, below: Array, dz: Array, d: Array, arena: Arena
) -> Run:
    """The gradients of W and b, and d, the adjoint of the states below."""
    ones, WT, belowT = arena.full(1, len(dz)), W.T, below.T
    target = d.reshape(len(dz), -1)

    def run() -> None:
        mm(belowT, dz, gW)
        dot(ones, dz, gb)
        mm(dz, WT, target)

    return run
