"""The micro-batches of a step: the same rows in every step, each once an epoch, with the least padding."""

import itertools
import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.batches import MOST_ROWS, StepBatches, balanced, batch_sizes, set_up_trainer

CHANCE = random.Random(5)
LENGTHS = [CHANCE.choice([30, 60, 200, 900]) + n for n in range(50)]


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


def epoch_of(batches):
    return [list(batch) for batch in batches]


@pytest.mark.parametrize(("micro", "accumulation"), [(4, 4), (8, 2), (2, 8), (5, 3)])
def test_an_epoch_has_every_row_once_and_as_many_batches_as_there_would_be(micro, accumulation):
    batches = StepBatches(LENGTHS, micro, accumulation, seed=1)
    found = epoch_of(batches)
    assert sorted(itertools.chain(*found)) == list(range(50))
    assert len(found) == len(batches) == -(-50 // micro)


def test_a_split_step_has_the_same_rows():
    steps = []
    for micro, accumulation in ((4, 4), (8, 2), (2, 8)):
        found = epoch_of(StepBatches(LENGTHS, micro, accumulation, seed=1))
        steps.append([set(itertools.chain(*found[first : first + accumulation])) for first in range(0, len(found), accumulation)])
    assert steps[0] == steps[1] == steps[2]


def test_rows_of_similar_length_are_batched_with_less_padding():
    def padded(found):
        return sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in found)

    order = list(range(50))
    random.Random(1).shuffle(order)
    assert padded(epoch_of(StepBatches(LENGTHS, 4, 4, seed=1))) < 0.75 * padded([order[i : i + 4] for i in range(0, 50, 4)])


def test_the_order_depends_only_on_seed_and_epoch():
    one, two = StepBatches(LENGTHS, 4, 4, seed=1), StepBatches(LENGTHS, 4, 4, seed=1)
    first = epoch_of(one)
    assert first == epoch_of(one) == epoch_of(two)
    one.set_epoch(1)
    assert epoch_of(one) != first
    assert epoch_of(StepBatches(LENGTHS, 4, 4, seed=2)) != first


def test_resuming_keeps_the_order_of_the_epoch():
    from accelerate.data_loader import prepare_data_loader, skip_first_batches
    from torch.utils.data import DataLoader

    def prepared():
        return prepare_data_loader(DataLoader(list(range(50)), batch_sampler=StepBatches(LENGTHS, 4, 4, seed=1)), put_on_device=False)

    whole = prepared()
    whole.set_epoch(1)
    expected = [batch.tolist() for batch in whole]
    resumed = skip_first_batches(prepared(), 8)
    resumed.set_epoch(1)
    assert [batch.tolist() for batch in resumed] == expected[8:]


def test_a_step_of_very_many_rows_is_cut_evenly():
    lengths = [CHANCE.randint(1, 99) for _ in range(MOST_ROWS + 44)]
    assert [len(batch) for batch in epoch_of(StepBatches(lengths, 100, 3, seed=1))] == [100, 100, 100]


def test_rows_without_padding_are_batched_by_tokens():
    lengths = [9, 8, 2, 7, 3, 1]
    batches = balanced([0, 1, 3, 4, 2, 5], lengths, 3)
    assert [sum(lengths[row] for row in batch) for batch in batches] == [10, 10, 10]


@given(st.lists(st.integers(1, 900), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 9))
def test_padded_or_not_a_step_has_the_same_rows_in_as_many_batches(lengths, micro, accumulation, seed):
    def steps(flat):
        found = epoch_of(StepBatches(lengths, micro, accumulation, seed, flat))
        assert len(found) == -(-len(lengths) // micro) and all(found)
        return [sorted(itertools.chain(*found[at : at + accumulation])) for at in range(0, len(found), accumulation)]

    assert steps(flat=True) == steps(flat=False)


def test_the_fullest_batch_without_padding_has_fewer_places_than_with_it():
    def fullest(flat):
        found = epoch_of(StepBatches(LENGTHS, 4, 4, 1, flat))
        return max(sum(LENGTHS[row] for row in batch) if flat else len(batch) * max(LENGTHS[row] for row in batch) for batch in found)

    assert fullest(flat=True) < 0.8 * fullest(flat=False)


@pytest.mark.parametrize(
    "changes",
    [{"micro": 1}, {"accumulation": 1}, {"world": 2}, {"group_by_length": True}],
    ids=["one row", "one batch", "two processes", "grouped"],
)
def test_equal_lengths_keep_the_trainers_order(changes):
    given = {"micro": 4, "accumulation": 4, "world": 1, "group_by_length": False} | changes
    args = SimpleNamespace(per_device_train_batch_size=given["micro"], gradient_accumulation_steps=given["accumulation"],
                           world_size=given["world"], n_gpu=0)  # fmt: skip
    trainer = SimpleNamespace(args=args, train_dataset={"input_ids": [[1], [1, 2]]})
    cfg = SimpleNamespace(group_by_length=given["group_by_length"], curriculum_sampling=None, seed=1)
    set_up_trainer(cfg, trainer)
    assert not hasattr(trainer, "_get_train_sampler")
