"""Sizes: normal form, exact division, printing, and the broadcasting rules B1 to B3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.compiler.ir.dims import ONE, STRETCH, Dim, Mismatch, broadcast, show, size

N, M, T = Dim.symbol("N"), Dim.symbol("M"), Dim.symbol("T")
HIDDEN = Dim.constant("hidden", 64)


def dims(*sizes: Dim | int) -> tuple[Dim, ...]:
    return tuple(s if isinstance(s, Dim) else Dim.of(s) for s in sizes)


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (N + 1, "N + 1"),
        (1 + N, "N + 1"),
        (T - 1, "T - 1"),
        (4 * HIDDEN, "4 * hidden"),
        (N * N + 2 * N * M, "2 * M * N + N * N"),
        (N - N, "0"),
        (Dim.of(7), "7"),
        (-1 * N, "-N"),
    ],
)
def test_a_size_prints_as_it_was_written(dim: Dim, text: str) -> None:
    assert str(dim) == text


def test_equality_is_that_of_normal_forms() -> None:
    assert (N + 1) * (N + 1) == N * N + 2 * N + 1
    assert Dim.symbol("n") != N
    assert Dim.of(64) == HIDDEN
    assert hash(HIDDEN) == hash(Dim.of(64))
    assert HIDDEN.described() == "hidden=64"
    assert (4 * HIDDEN).described() == "4 * hidden=256"


def test_division_is_exact_or_refused() -> None:
    assert Dim.of(384).divided(6) == Dim.of(64)
    assert Dim.of(384).divided(5) is None
    assert Dim.of(4).divided(0) is None
    assert (HIDDEN * 4).divided(HIDDEN) == Dim.of(4)
    assert (N * M).divided(N) == M
    assert N.divided(M) is None
    assert (2 * N + 2).divided(N + 1) == Dim.of(2)
    half = T.divided(2)
    assert half is not None
    assert str(half) == "T / 2"
    assert not half.whole
    assert half * 2 == T


def test_luck_is_equality_that_an_override_breaks() -> None:
    assert HIDDEN.same_by_luck(Dim.constant("classes", 64))
    assert HIDDEN.same_by_luck(Dim.of(64))
    assert not HIDDEN.same_by_luck(HIDDEN)
    assert not HIDDEN.same_by_luck(N)


def test_json_is_what_the_runtime_reads() -> None:
    assert HIDDEN.json() == 64
    assert (2 * N - 1).json() == [[2, 1, ["N"]], [-1, 1, []]]
    half = T.divided(2)
    assert half is not None
    assert half.json() == [[1, 2, ["T"]]]


ACCEPTED = [
    ((), (N, 10), (N, 10)),  # B1
    ((N, 10), (10,), (N, 10)),  # B2
    ((N, 4, T, T), (T, T), (N, 4, T, T)),
    ((N, 32, 32, 32), (32,), (N, 32, 32, 32)),  # equal numbers are no ambiguity
    ((N, 10), (N, STRETCH), (N, 10)),  # B3
    ((N, STRETCH), (STRETCH, N), (N, N)),
    ((STRETCH,), (STRETCH,), (STRETCH,)),
    ((N, HIDDEN), (64,), (N, 64)),
    ((N, STRETCH, T), (T,), (N, STRETCH, T)),  # room that was left is no other place
]
REFUSED = [
    ((N, 1), (N,), "sizes"),
    ((N, 1), (N, 10), "sizes"),  # a real axis of size 1 does not stretch
    ((N,), (N, 10), "sizes"),
    ((N, N), (N,), "ambiguous"),
    ((N,), (M,), "sizes"),
    ((N, T, T), (T,), "ambiguous"),
    ((HIDDEN, N), (HIDDEN,), "sizes"),
]


@pytest.mark.parametrize(("a", "b", "expected"), ACCEPTED)
def test_shapes_that_broadcast(a, b, expected) -> None:
    assert broadcast(dims(*a), dims(*b)) == dims(*expected)
    assert broadcast(dims(*b), dims(*a)) == dims(*expected)


@pytest.mark.parametrize(("a", "b", "reason"), REFUSED)
def test_shapes_that_do_not(a, b, reason) -> None:
    for first, second in [(a, b), (b, a)]:
        found = broadcast(dims(*first), dims(*second))
        assert isinstance(found, Mismatch)
        assert found.reason == reason


def test_reports() -> None:
    assert show(dims(N, HIDDEN, STRETCH)) == "[N, hidden, *]"
    assert show(dims(N, HIDDEN), described=True) == "[N, hidden=64]"
    assert size(dims(N, 3, STRETCH)) == 3 * N
    assert size(()) == ONE


polynomials = st.recursive(
    st.sampled_from([N, M, T, HIDDEN, Dim.of(2), Dim.of(-3)]),
    lambda inner: st.builds(lambda a, b: a + b, inner, inner)
    | st.builds(lambda a, b: a * b, inner, inner)
    | st.builds(lambda a, b: a - b, inner, inner),
    max_leaves=6,
)


@given(polynomials, polynomials, polynomials)
def test_polynomials_form_a_ring(a: Dim, b: Dim, c: Dim) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert a * (b + c) == a * b + a * c
    assert (a + b) + c == a + (b + c)
    assert a - a == Dim.of(0)
