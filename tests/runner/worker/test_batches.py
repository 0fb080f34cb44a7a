"""The micro-batches of a step: the same rows in every step, each once an epoch, with the least padding."""

import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.batches import MOST_ROWS, StepBatches, set_up_trainer

CHANCE = random.Random(5)
LENGTHS = [CHANCE.choice([30, 60, 200, 900]) + n for n in range(50)]


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

    def prepared() -> Any:
        rows: Any = list(range(50))
        return prepare_data_loader(DataLoader(rows, batch_sampler=StepBatches(LENGTHS, 4, 4, seed=1)), put_on_device=False)

    whole = prepared()
    whole.set_epoch(1)
    expected = [batch.tolist() for batch in whole]
    resumed: Any = skip_first_batches(prepared(), 8)
    resumed.set_epoch(1)
    assert [batch.tolist() for batch in resumed] == expected[8:]


def test_a_step_of_very_many_rows_is_cut_evenly():
    lengths = [CHANCE.randint(1, 99) for _ in range(MOST_ROWS + 44)]
    assert [len(batch) for batch in epoch_of(StepBatches(lengths, 100, 3, seed=1))] == [100, 100, 100]


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
    [{"micro": 1}, {"accumulation": 1}, {"world": 2}],
    ids=["one row", "one batch", "two processes"],
)
def test_equal_lengths_keep_the_trainers_order(changes):
    given = {"micro": 4, "accumulation": 4, "world": 1} | changes
    args = SimpleNamespace(per_device_train_batch_size=given["micro"], gradient_accumulation_steps=given["accumulation"],
                           world_size=given["world"], n_gpu=0)  # fmt: skip
    trainer = SimpleNamespace(args=args, train_dataset={"input_ids": [[1], [1, 2]]})
    cfg = SimpleNamespace(group_by_length=False, curriculum_sampling=None, seed=1, rows_by_step=None)
    set_up_trainer(cfg, trainer)
    assert not hasattr(trainer, "_get_train_sampler")


@pytest.mark.parametrize(("micro", "accumulation"), [(1, 8), (8, 1), (2, 4)])
def test_with_global_batch_size_a_step_has_the_same_rows_on_every_machine(micro, accumulation):
    args = SimpleNamespace(per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation, world_size=1, n_gpu=0)
    trainer = SimpleNamespace(args=args, train_dataset={"input_ids": [[0] * length for length in LENGTHS]})
    set_up_trainer(
        SimpleNamespace(group_by_length=False, curriculum_sampling=None, seed=1, rows_by_step=True, flatten_batches=None), trainer
    )
    found = epoch_of(trainer._get_train_sampler())
    steps = [sorted(itertools.chain(*found[at : at + accumulation])) for at in range(0, len(found), accumulation)]
    four = epoch_of(StepBatches(LENGTHS, 4, 2, seed=1))
    assert steps == [sorted(itertools.chain(*four[at : at + 2])) for at in range(0, len(four), 2)]


def test_rows_grouped_by_length_come_in_the_order_of_their_epoch_whatever_was_drawn_before():
    def orders(drawn, micro=2, accumulation=2):
        args = SimpleNamespace(
            per_device_train_batch_size=micro, train_batch_size=micro, gradient_accumulation_steps=accumulation, world_size=1, n_gpu=0
        )
        trainer = SimpleNamespace(args=args, train_dataset={"input_ids": [[0] * length for length in LENGTHS * 20]})
        set_up_trainer(SimpleNamespace(group_by_length=True, curriculum_sampling=None, seed=1, rows_by_step=None), trainer)
        torch.rand(drawn)
        sampler = trainer._get_train_sampler()
        return [sampler.set_epoch(epoch) or list(sampler) for epoch in range(2)]

    first, second = orders(3)
    assert orders(5) == [first, second] and first != second
    assert orders(3, micro=4, accumulation=1) == [first, second], "a step has the same rows however it is divided"
    assert sorted(first) == sorted(second) == [*range(20 * len(LENGTHS))]
