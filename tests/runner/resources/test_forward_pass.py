"""The largest forward pass: of padded rows, of full blocks, of rows without padding."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.resources.forward_pass import ForwardPass, largest_forward_pass
from recipekit.schemas.sections import Recipe

VALUES = {
    "recipe": 1, "name": "small", "model": {"base_model": "a/b"}, "training": {"adapter": "lora", "learning_rate": 1e-4},
    "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]},
}  # fmt: skip


@pytest.fixture
def of(minimal):
    return lambda **training: Recipe.from_values(minimal({f"training.{key}": value for key, value in training.items()}))


def test_padded_rows_all_have_the_length_of_the_longest(of):
    recipe = of(micro_batch_size=4, sequence_len=1024)
    assert largest_forward_pass(recipe, [10, 70], varlen=False) == ForwardPass(128, 512)
    assert largest_forward_pass(recipe, [5000], varlen=False) == ForwardPass(1024, 4096)


def test_blocks_are_full(of):
    recipe = of(micro_batch_size=2, sequence_len=1024, sample_packing=True)
    assert largest_forward_pass(recipe, [10], varlen=True) == ForwardPass(1024, 2048, masked=False)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=50), st.integers(1, 6), st.integers(1, 4))
def test_without_padding_no_micro_batch_has_more_tokens_than_its_longest_rows(lengths, micro, accumulation):
    training = {"micro_batch_size": micro, "gradient_accumulation_steps": accumulation, "sequence_len": 4096}
    found = largest_forward_pass(Recipe.from_values(VALUES | {"training": VALUES["training"] | training}), lengths, varlen=True)
    assert found.flat and not found.masked
    # A batch may take more rows than micro_batch_size: those of a step are dealt by their tokens.
    assert max(lengths) <= found.tokens <= sum(sorted(lengths)[-micro * accumulation :])
    assert found.longest == max(lengths)


def test_without_padding_real_lengths_make_far_smaller_batches(of):
    chance = random.Random(5)
    lengths = [chance.choice([100, 300, 1500]) for _ in range(400)]
    flat, padded = (
        largest_forward_pass(of(micro_batch_size=4, gradient_accumulation_steps=4), lengths, varlen) for varlen in (True, False)
    )
    assert flat.tokens < 0.8 * padded.tokens and flat.size[1] == "forward pass"


@given(st.lists(st.integers(0, 900), min_size=1, max_size=50), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_no_forward_pass_trains_more_tokens_than_are_counted(trained, micro, accumulation, processes):
    """Whatever rows a micro-batch has; of a single process, any rows of a step."""
    changes = {"training": VALUES["training"] | {"micro_batch_size": micro, "gradient_accumulation_steps": accumulation}}
    launch = {"launch": {"engine": "torchrun", "num_processes": processes}} if processes > 1 else {}
    found = largest_forward_pass(Recipe.from_values(VALUES | changes | launch), [1000] * len(trained), False, trained)
    rows = micro * (accumulation if processes == 1 else 1)
    assert found.trained == min(sum(sorted(trained)[-rows:]), found.tokens)
    assert found._replace(most_trained=None).trained == found.tokens
