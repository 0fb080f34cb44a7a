"""The cuts of a step: as little padding as any, or as many tokens in each."""

import itertools
import random

import pytest
from recipekit.runner.launch.micro_batches import balanced, batch_sizes


def places(lengths, sizes):
    starts = itertools.accumulate([0, *sizes[:-1]])
    return sum(lengths[start] * size for start, size in zip(starts, sizes, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_no_other_cuts_have_fewer_places(seed):
    chance = random.Random(seed)
    lengths = sorted((chance.randint(1, 50) for _ in range(chance.randint(1, 9))), reverse=True)
    count = chance.randint(1, 4)
    cap = -(-len(lengths) // count) * lengths[0]
    found = batch_sizes(lengths, count, cap)
    assert sum(found) == len(lengths) and len(found) == min(count, len(lengths))
    ways = (sizes for sizes in itertools.product(range(1, len(lengths) + 1), repeat=len(found)) if sum(sizes) == len(lengths))
    allowed = (sizes for sizes in ways if all(n * lengths[sum(sizes[:i])] <= cap for i, n in enumerate(sizes)))
    assert places(lengths, found) == min(places(lengths, sizes) for sizes in allowed)


def test_a_batch_is_never_larger_than_one_of_the_longest_rows():
    lengths = [10, 9, 8, 7, 1, 1, 1, 1]
    assert batch_sizes(lengths, 2, 1000) == [4, 4]
    assert batch_sizes([10, 1, 1, 1, 1, 1], 2, 1000) == [1, 5]
    assert batch_sizes([10, 5, 5, 5, 5, 5], 2, 20) == [2, 4], "[1, 5] has fewer places, but 25 of them in a batch"


def test_rows_without_padding_are_batched_by_tokens():
    lengths = [9, 8, 2, 7, 3, 1]
    batches = balanced([0, 1, 3, 4, 2, 5], lengths, 3)
    assert [sum(lengths[row] for row in batch) for batch in batches] == [10, 10, 10]
