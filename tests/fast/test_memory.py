"""The buffer plan, on instructions made up by hand."""

from __future__ import annotations

from gradc.compiler.backend.memory import Storage, Use, at_most, plan
from gradc.compiler.ir.dims import Dim

N, T = Dim.symbol("N"), Dim.symbol("T")


def real(size: Dim | int) -> Storage:
    return Storage(size if isinstance(size, Dim) else Dim.of(size), "real")


def test_a_result_takes_the_place_of_what_dies() -> None:
    x, y, z = (real(N) for _ in range(3))
    layout = plan([Use((x,), ()), Use((y,), (x,), over=(x,)), Use((z,), (y,))])
    assert layout.place[x] == layout.place[y] != layout.place[z]
    assert len(layout.slots) == 2


def test_what_is_read_later_keeps_its_place() -> None:
    x, y, z = (real(N) for _ in range(3))
    layout = plan([Use((x,), ()), Use((y,), (x,), over=(x,)), Use((z,), (x, y))])
    assert len({layout.place[s] for s in (x, y, z)}) == 3


def test_a_place_is_taken_only_where_the_instruction_allows_it() -> None:
    x, y = real(N), real(N)
    layout = plan([Use((x,), ()), Use((y,), (x,))])
    assert layout.place[x] != layout.place[y]


def test_kinds_and_sizes_are_kept_apart() -> None:
    x, mask, small = real(N), Storage(N, "bool"), real(10 * N)
    layout = plan(
        [
            Use((x,), ()),
            Use((mask,), (x,), over=(x,)),
            Use((small,), (mask,), over=(x,)),
        ]
    )
    assert layout.place[mask] != layout.place[x]
    assert layout.total("bool").terms == N.value.terms


def test_a_dead_slot_is_used_again_and_grows() -> None:
    a, b, c = real(N), real(N), real(4 * N)
    layout = plan([Use((a,), ()), Use((b,), (a,)), Use((c,), (b,))])
    assert layout.place[c] == layout.place[a]
    assert layout.slots[layout.place[c]].size == 4 * N


def test_the_smallest_slot_that_fits_is_taken() -> None:
    large, small, end, new = real(100), real(10), real(1), real(8)
    layout = plan(
        [
            Use((large,), ()),
            Use((small,), ()),
            Use((end,), (large, small)),
            Use((new,), ()),
        ]
    )
    assert layout.place[new] == layout.place[small]


def test_what_lives_long_leaves_larger_slots_to_what_needs_them() -> None:
    """Else a small value would hold a large slot while another large one is made."""
    wide, z, h, later, end = real(3 * N), real(N), real(N), real(3 * N), real(1)
    uses = [
        Use((wide,), ()),
        Use((z,), (wide,)),
        Use((h,), (z,), over=(z,)),
        Use((later,), (h,)),
        Use((end,), (later, h)),
    ]
    dead = [Use((wide,), ()), Use((end,), (wide,)), *uses[1:]]
    for sequence in (uses, dead):
        layout = plan(sequence)
        assert layout.place[z] == layout.place[h]
        assert layout.slots[layout.place[h]].size == N
        assert layout.place[later] == layout.place[wide]


def test_small_values_lie_where_large_ones_are_not_at_the_time() -> None:
    large, small, other, again = real(4 * N), real(N), real(2 * N), real(4 * N)
    layout = plan(
        [
            Use((small,), ()),
            Use((other,), (small,)),
            Use((large,), (other,)),
            Use((again,), (), over=(large,)),
            Use((), (large, again)),
        ]
    )
    assert layout.place[small] == layout.place[large]
    assert layout.place[other] == layout.place[again]
    assert layout.total("real").terms == (8 * N).value.terms


def test_sizes_that_cannot_be_compared_share_nothing() -> None:
    a, b, c = real(100 * N), real(N), real(T)
    layout = plan([Use((a,), ()), Use((b,), (a,)), Use((c,), (b,))])
    assert layout.place[c] not in (layout.place[a], layout.place[b])


def test_sizes_are_compared_for_all_data() -> None:
    assert at_most(N, 2 * N)
    assert at_most(10 * N + 5, 128 * N)  # from N = 1 on
    assert at_most(N, N * T)
    assert not at_most(Dim.of(100), N)
    assert not at_most(N, T)
    assert at_most(T * N, T * N + N)


def test_a_part_of_a_gradient_is_summed_where_it_is_wanted() -> None:
    gradient = Storage(N, "real", given=True)
    first, second = real(N), real(N)
    layout = plan(
        [
            Use((first,), ()),
            Use((second,), ()),
            Use((gradient,), (first, second), over=(first, second)),
        ]
    )
    assert layout.home(first) is gradient
    assert first not in layout.place
    assert layout.place[second] == 0


def test_what_a_loop_reads_lives_for_all_of_it() -> None:
    x, states, t, u = real(N), real(N * T), real(N), real(N)
    body = (Use((t,), (x,)), Use((u,), (t,)), Use((states,), (u,)))
    layout = plan([Use((x,), ()), Use((states,), (x,), body=body), Use((), (states,))])
    assert len({layout.place[s] for s in (x, states, t, u)}) == 4


def test_temporaries_of_a_step_share_memory() -> None:
    a, b, c, out = real(N), real(N), real(N), real(N * T)
    body = (Use((a,), ()), Use((b,), (a,)), Use((c,), (b,)), Use((out,), (c,)))
    layout = plan([Use((out,), (), body=body), Use((), (out,))])
    assert layout.place[a] == layout.place[c] != layout.place[b]


def test_what_is_free_after_each_instruction_is_told() -> None:
    x, y = real(N), real(N)
    uses = [Use((x,), ()), Use((y,), (x,)), Use((), (y,))]
    layout = plan(uses)
    assert layout.freed[uses[1]] == [layout.place[x]]
    assert layout.freed[uses[2]] == [layout.place[y]]
