"""Division of Muon's work on matrices between ranks."""

from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.training.optim.muon_ranks import newton_schulz_flops, plan

shapes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=12)


@given(shapes, st.integers(1, 8), st.floats(1, 1e5))
def test_every_row_is_in_one_unit_and_units_do_not_depend_on_the_ranks(
    matrices: list[tuple[int, int, int]], n_ranks: int, unit_flops: float
) -> None:
    whole = tuple((rows * parts, columns) for rows, columns, parts in matrices)
    parts = tuple(count for _, _, count in matrices)
    units = plan(whole, parts, n_ranks, unit_flops)
    found = sorted((b.matrix, row) for unit in units for b in unit.blocks for row in range(b.start, b.start + b.rows))
    assert found == [(matrix, row) for matrix, (rows, _) in enumerate(whole) for row in range(rows)]
    assert [unit.blocks for unit in units] == [unit.blocks for unit in plan(whole, parts, 1, unit_flops)]
    assert all(len({block.wide for block in unit.blocks}) == 1 for unit in units)
    load = [sum(unit.flops for unit in units if unit.owner == rank) for rank in range(n_ranks)]
    assert max(load) - min(load) <= max(unit.flops for unit in units)


def test_gpt2_is_shared_evenly() -> None:
    shapes = ((2304, 768), (768, 768), (3072, 768), (768, 3072)) * 12
    units = plan(shapes, (3, 1, 1, 1) * 12, 8, 50e9)
    load = [sum(unit.flops for unit in units if unit.owner == rank) for rank in range(8)]
    assert max(load) < 1.15 * sum(load) / 8
    assert sum(load) == 12 * (4 * newton_schulz_flops(768, 768) + 2 * newton_schulz_flops(768, 3072))
