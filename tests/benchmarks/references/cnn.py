"""Two convolutions with pooling, then two dense layers; the batch is the last axis.

So every slice that a convolution or a pool takes has runs of whole batches. The activation and
the bias come after the pool, on a quarter of the data: what grows commutes with a maximum. The
gradient of a convolution's input is a product for each place of the kernel; where images keep
their size, one product with the windows of the gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .driving import Arena, Array, Run
from .mlp import activate, add, deactivate, dot, exp, maximum, mm, mul, sub


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """Images [N, H, W, channels], kernels [k, k, in, out]. `options`: the activation, and
    whether zeros stand around the images so that a convolution keeps their size."""
    x, kind, same = data["x"], options["activation"], options.get("same", False)
    K1, b1, K2, b2, W3, b3, W4, b4 = P.values()
    gK1, gb1, gK2, gb2, gW3, gb3, gW4, gb4 = G.values()
    n, side, _, c0 = x.shape
    k, _, _, c1 = K1.shape
    c2 = K2.shape[3]
    edge = k // 2 if same else 0
    s1 = side + 2 * edge - k + 1
    p1 = s1 // 2
    s2 = p1 + 2 * edge - k + 1
    p2 = s2 // 2
    hidden, classes = W4.shape

    def framed(name: str, channels: int, size: int) -> tuple[Array, Array]:
        """An image with its edge of zeros, and what is inside of it."""
        whole = arena(name, channels, size + 2 * edge, size + 2 * edge, n)
        whole.fill(0)
        return whole, whole[:, edge : edge + size, edge : edge + size]

    def windows(a: Array, size: int) -> Array:
        """[k, k, c, size, size, n]: a view."""
        c, h, w, b = a.strides
        return as_strided(a, (k, k, len(a), size, size, n), (h, w, c, h, w, b))

    def quarters(z: Array) -> list[Array]:
        h = 2 * (z.shape[1] // 2)
        return [z[:, i:h:2, j:h:2] for i in (0, 1) for j in (0, 1)]

    image = np.zeros((c0, side + 2 * edge, side + 2 * edge, n), arena.dtype)
    image[:, edge : edge + side, edge : edge + side] = x.transpose(3, 1, 2, 0)
    cols1 = arena("cols1", k * k * c0, s1 * s1 * n)
    cols2 = arena("cols2", k * k * c1, s2 * s2 * n)
    z1, z2 = arena("z1", c1, s1, s1, n), arena("z2", c2, s2, s2, n)
    m1, m2 = arena("m1", c1, p1, p1, n), arena("m2", c2, p2, p2, n)
    framed1, a1 = framed("a1", c1, p1)
    a2 = arena("a2", c2, p2, p2, n)
    t1, t2 = arena("t1", c1, p1, p1, n), arena("t2", c2, p2, p2, n)
    d1, d2 = arena("d1", c1, p1, p1, n), arena("d2", c2, p2, p2, n)
    h, dh = arena("h", hidden, n), arena("dh", hidden, n)
    z, total = arena("z", classes, n), arena("total", n)
    z1_rows, z2_rows = z1.reshape(c1, -1), z2.reshape(c2, -1)
    W3_ = W3.reshape(p2, p2, c2, hidden)  # its rows are (i, j, c); here c comes first
    turned, gturned = arena("W3", c2, p2, p2, hidden), arena("gW3", c2, p2, p2, hidden)
    turned_rows, gturned_rows = turned.reshape(-1, hidden), gturned.reshape(-1, hidden)
    gW3_ = gW3.reshape(p2, p2, c2, hidden).transpose(2, 0, 1, 3)
    flat = a2.reshape(-1, n)
    q1, q2 = quarters(z1), quarters(z2)
    into1 = cols1.reshape(k, k, c0, s1, s1, n)
    into2 = cols2.reshape(k, k, c1, s2, s2, n)
    from1, from2 = windows(image, s1), windows(framed1, s2)
    K1T, K2T = K1.reshape(-1, c1).T, K2.reshape(-1, c2).T
    B1, B2, B3, B4 = (
        b1[:, None, None, None],
        b2[:, None, None, None],
        b3[:, None],
        b4[:, None],
    )
    c = arena.full(lr / rows)
    scores, at = z.reshape(-1), data["y"] * n + np.arange(n)
    odd1 = s1 % 2 != 0
    odd2 = s2 % 2 != 0
    ones1, ones2 = arena.full(1, p1 * p1 * n), arena.full(1, p2 * p2 * n)
    ones_n, copy, equal = arena.full(1, n), np.copyto, np.equal
    gK1_, gK2_ = gK1.reshape(-1, c1), gK2.reshape(-1, c2)
    d1_rows, d2_rows = d1.reshape(c1, -1), d2.reshape(c2, -1)
    acts = [activate(kind, a, arena) for a in (a1, a2, h)]
    derivatives = [
        deactivate(kind, a, d, arena) for a, d in ((a1, d1), (a2, d2), (h, dh))
    ]

    def pool(q: list[Array], m: Array, t: Array) -> None:
        maximum(q[0], q[1], out=m)
        maximum(q[2], q[3], out=t)
        maximum(m, t, out=m)

    def unpool(q: list[Array], m: Array, d: Array, t: Array, into: list[Array]) -> None:
        for part, place in zip(q, into, strict=True):
            equal(part, m, out=t)
            mul(t, d, place)

    def by_places() -> tuple[list[Array], Array, Run, Run]:
        """Where the gradient of z2 goes, its rows, and what makes rows and d1 of it."""
        small = arena("small", c1, s2, s2, n)
        small_rows = small.reshape(c1, -1)
        places = [
            (K2[i, j], d1[:, i : i + s2, j : j + s2])
            for i in range(k)
            for j in range(k)
        ]

        def lay_out() -> None:
            if odd2:  # what the pool left out
                z2[:, -1] = 0
                z2[:, :, -1] = 0

        def spread() -> None:
            d1.fill(0)
            for w, place in places:
                mm(w, z2_rows, small_rows)
                add(place, small, place)

        return q2, z2_rows, lay_out, spread

    def by_windows() -> tuple[list[Array], Array, Run, Run]:
        """As `by_places`, where d1 is as large as z2."""
        whole, inside = framed("dz2", c2, s2)
        columns = arena("dcols", k * k * c2, s2 * s2 * n)
        into, source = columns.reshape(k, k, c2, s2, s2, n), windows(whole, s2)
        kernel = arena("kernel", c1, k, k, c2)
        back, kernel_rows = K2[::-1, ::-1].transpose(2, 0, 1, 3), kernel.reshape(c1, -1)

        def lay_out() -> None:
            copy(into, source)

        def spread() -> None:
            copy(kernel, back)
            mm(kernel_rows, columns, d1_rows)

        return quarters(inside), into[edge, edge].reshape(c2, -1), lay_out, spread

    placed2, dz2_rows, lay_out, spread = by_windows() if same else by_places()

    def run() -> Any:
        copy(into1, from1)
        mm(K1T, cols1, z1_rows)
        pool(q1, m1, t1)
        add(m1, B1, a1)
        acts[0]()
        copy(into2, from2)
        mm(K2T, cols2, z2_rows)
        pool(q2, m2, t2)
        add(m2, B2, a2)
        acts[1]()
        copy(turned, W3_.transpose(2, 0, 1, 3))
        mm(turned_rows.T, flat, h)
        add(h, B3, h)
        acts[2]()
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
        derivatives[2]()
        mm(flat, dh.T, gturned_rows)
        copy(gW3_, gturned)
        dot(dh, ones_n, gb3)
        mm(turned_rows, dh, d2.reshape(-1, n))
        derivatives[1]()
        dot(d2_rows, ones2, gb2)
        unpool(q2, m2, d2, t2, placed2)
        lay_out()
        mm(cols2, dz2_rows.T, gK2_)
        spread()
        derivatives[0]()
        dot(d1_rows, ones1, gb1)
        unpool(q1, m1, d1, t1, q1)
        if odd1:
            z1[:, -1] = 0
            z1[:, :, -1] = 0
        mm(cols1, z1_rows.T, gK1_)
        return loss / rows

    return run
