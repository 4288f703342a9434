"""Two convolutions with relu and pooling, then two dense layers; the batch is the last axis.

So every slice that a convolution or a pool takes has runs of whole batches. relu and the bias
come after the pool, on a quarter of the data: max and relu commute, and so does a bias. The
gradient of a convolution's input is one small product for each place of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .driving import Arena, Array, Run
from .mlp import add, dot, exp, greater, maximum, mm, mul, sub


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """Images [N, H, W, channels], kernels [k, k, in, out], no padding."""
    x = data["x"]
    K1, b1, K2, b2, W3, b3, W4, b4 = P.values()
    gK1, gb1, gK2, gb2, gW3, gb3, gW4, gb4 = G.values()
    n, side, _, c0 = x.shape
    k, _, _, c1 = K1.shape
    c2 = K2.shape[3]
    s1 = side - k + 1
    p1 = s1 // 2
    s2 = p1 - k + 1
    p2 = s2 // 2
    hidden, classes = W4.shape
    image = np.ascontiguousarray(x.transpose(3, 1, 2, 0)).astype(arena.dtype)

    def windows(a: Array, size: int) -> Array:
        """[k, k, c, size, size, n]: a view."""
        c, h, w, b = a.strides
        return as_strided(a, (k, k, len(a), size, size, n), (h, w, c, h, w, b))

    def quarters(z: Array) -> list[Array]:
        h = 2 * (z.shape[1] // 2)
        return [z[:, i:h:2, j:h:2] for i in (0, 1) for j in (0, 1)]

    cols1 = arena("cols1", k * k * c0, s1 * s1 * n)
    cols2 = arena("cols2", k * k * c1, s2 * s2 * n)
    z1, z2 = arena("z1", c1, s1, s1, n), arena("z2", c2, s2, s2, n)
    m1, m2 = arena("m1", c1, p1, p1, n), arena("m2", c2, p2, p2, n)
    a1, a2 = arena("a1", c1, p1, p1, n), arena("a2", c2, p2, p2, n)
    t1, t2 = arena("t1", c1, p1, p1, n), arena("t2", c2, p2, p2, n)
    d1, d2 = arena("d1", c1, p1, p1, n), arena("d2", c2, p2, p2, n)
    small = arena("small", c1, s2, s2, n)
    h, dh = arena("h", hidden, n), arena("dh", hidden, n)
    z, total = arena("z", classes, n), arena("total", n)
    z1_rows, z2_rows = z1.reshape(c1, -1), z2.reshape(c2, -1)
    small_rows = small.reshape(c1, -1)
    W3_ = W3.reshape(p2, p2, c2, hidden)  # its rows are (i, j, c); here c comes first
    turned, gturned = arena("W3", c2, p2, p2, hidden), arena("gW3", c2, p2, p2, hidden)
    turned_rows, gturned_rows = turned.reshape(-1, hidden), gturned.reshape(-1, hidden)
    gW3_ = gW3.reshape(p2, p2, c2, hidden).transpose(2, 0, 1, 3)
    flat = a2.reshape(-1, n)
    q1, q2 = quarters(z1), quarters(z2)
    into1 = cols1.reshape(k, k, c0, s1, s1, n)
    into2 = cols2.reshape(k, k, c1, s2, s2, n)
    from1, from2 = windows(image, s1), windows(a1, s2)
    K1T, K2T = K1.reshape(-1, c1).T, K2.reshape(-1, c2).T
    offsets = [
        (K2.reshape(k * k, c1, c2)[k * i + j], d1[:, i : i + s2, j : j + s2])
        for i in range(k)
        for j in range(k)
    ]
    B1, B2, B3, B4 = (
        b1[:, None, None, None],
        b2[:, None, None, None],
        b3[:, None],
        b4[:, None],
    )
    zeros1, zeros2 = arena.full(0, *a1.shape), arena.full(0, *a2.shape)
    zeros_h, zero, c = arena.full(0, *h.shape), arena.full(0), arena.full(lr / rows)
    scores, at = z.reshape(-1), data["y"] * n + np.arange(n)
    odd1 = s1 % 2 != 0
    odd2 = s2 % 2 != 0
    ones1, ones2 = arena.full(1, p1 * p1 * n), arena.full(1, p2 * p2 * n)
    ones_n, copy, equal = arena.full(1, n), np.copyto, np.equal
    gK1_, gK2_ = gK1.reshape(-1, c1), gK2.reshape(-1, c2)
    d1_rows, d2_rows = d1.reshape(c1, -1), d2.reshape(c2, -1)

    def pool(q: list[Array], m: Array, t: Array) -> None:
        maximum(q[0], q[1], out=m)
        maximum(q[2], q[3], out=t)
        maximum(m, t, out=m)

    def unpool(q: list[Array], m: Array, d: Array, t: Array) -> None:
        for part in q:
            equal(part, m, out=t)
            mul(t, d, part)

    def run() -> Any:
        copy(into1, from1)
        mm(K1T, cols1, z1_rows)
        pool(q1, m1, t1)
        add(m1, B1, a1)
        maximum(a1, zeros1, out=a1)
        copy(into2, from2)
        mm(K2T, cols2, z2_rows)
        pool(q2, m2, t2)
        add(m2, B2, a2)
        maximum(a2, zeros2, out=a2)
        copy(turned, W3_.transpose(2, 0, 1, 3))
        mm(turned_rows.T, flat, h)
        add(h, B3, h)
        maximum(h, zeros_h, out=h)
        mm(W4.T, h, z)
        add(z, B4, z)
        maximum.reduce(z, 0, None, total)
        sub(z, total, z)
        loss = -scores.take(at).sum()
        exp(z, z)
        add.reduce(z, 0, None, total)
        loss += np.log(total).sum()
        np.divide(c, total, total)
        mul(z, total, z)
        scores[at] -= c
        mm(h, z.T, gW4)
        dot(z, ones_n, gb4)
        mm(W4, z, dh)
        greater(h, zero, out=h)
        mul(dh, h, dh)
        mm(flat, dh.T, gturned_rows)
        copy(gW3_, gturned)
        dot(dh, ones_n, gb3)
        mm(turned_rows, dh, d2.reshape(-1, n))
        greater(a2, zero, out=a2)
        mul(d2, a2, d2)
        dot(d2_rows, ones2, gb2)
        unpool(q2, m2, d2, t2)
        if odd2:  # what the pool left out
            z2[:, -1] = 0
            z2[:, :, -1] = 0
        mm(cols2, z2_rows.T, gK2_)
        d1.fill(0)
        for w, place in offsets:
            mm(w, z2_rows, small_rows)
            add(place, small, place)
        greater(a1, zero, out=a1)
        mul(d1, a1, d1)
        dot(d1_rows, ones1, gb1)
        unpool(q1, m1, d1, t1)
        if odd1:
            z1[:, -1] = 0
            z1[:, :, -1] = 0
        mm(cols1, z1_rows.T, gK1_)
        return loss / rows

    return run
