"""The simulated allocator: whatever is allocated and released, blocks neither overlap nor get lost, and free neighbours are one block."""

import importlib.util

from hypothesis import given
from hypothesis import strategies as st

from ..support.paths import ROOT

spec = importlib.util.spec_from_file_location("benchmark_segments", ROOT / "benchmarks" / "segments.py")
assert spec and spec.loader
segments = importlib.util.module_from_spec(spec)
spec.loader.exec_module(segments)

MB = 1 << 20
SIZES = st.one_of(st.integers(1, 4096), st.integers(MB - 600, MB + 600), st.integers(9 * MB, 11 * MB), st.integers(MB, 60 * MB))


def tiles(allocator):
    """The blocks of each segment in order, each with whether it is free."""
    free = {(segment, offset) for pool in allocator.free.values() for _, segment, offset in pool}
    found = {}
    for (segment, offset), block in sorted(allocator.blocks.items()):
        found.setdefault(segment, []).append((offset, block, (segment, offset) in free))
    return found


@given(st.lists(st.one_of(SIZES, st.integers(-50, -1)), max_size=60))
def test_blocks_tile_their_segments_and_free_neighbours_are_joined(steps):
    """A positive number allocates so many bytes; a negative one releases one of what is held."""
    allocator, held = segments.Allocator(), []
    for step in steps:
        if step > 0:
            held.append((allocator.allocate(step), step))
        elif held:
            place, _ = held.pop(step % len(held))
            allocator.release(*place)
    assert allocator.reserved >= allocator.allocated >= sum(size for _, size in held)
    total = 0
    for blocks in tiles(allocator).values():
        end, before, was_free = 0, None, False
        for offset, block, is_free in blocks:
            assert offset == end and block.before == before and not (is_free and was_free)
            end, before, was_free = offset + block.size, offset, is_free
        assert blocks[-1][1].after is None
        total += end
    assert total == allocator.reserved


def test_a_large_block_that_small_ones_were_cut_from_is_not_found_again():
    """The reason for gaps: the memory is there, but not in one piece."""
    allocator = segments.Allocator()
    allocator.release(*allocator.allocate(100 * MB))
    allocator.allocate(20 * MB)
    allocator.allocate(100 * MB)
    assert (allocator.allocated, allocator.reserved) == (120 * MB, 200 * MB)
