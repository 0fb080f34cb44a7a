"""The rows of an optimizer step: the product of what the recipe says, or what it says itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.batch import batch_of, possible_micro_batch_sizes, rows_of_a_step, with_micro_batch_size
from recipekit.schemas.sections import Launch, Recipe

VALUES: dict[str, Any] = {
    "recipe": 1, "name": "small", "model": {"base_model": "a/b"}, "training": {"adapter": "lora", "learning_rate": 1e-4},
    "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]},
}  # fmt: skip


def of(micro: Any = 1, accumulation: int | None = None, rows: int | None = None, processes: int = 1) -> Recipe:
    recipe = Recipe.from_values(VALUES)
    training = recipe.training._replace(micro_batch_size=micro, gradient_accumulation_steps=accumulation, global_batch_size=rows)
    return recipe._replace(training=training, launch=Launch(engine="torchrun", num_processes=processes))


def test_the_rows_of_a_step_are_the_product_of_what_the_recipe_says() -> None:
    assert batch_of(of(2, 4, processes=3)).rows == 24
    assert batch_of(of(2, processes=3)).rows == 6


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_global_batch_size_is_the_rows_of_a_step(micro: int, accumulation: int, processes: int) -> None:
    recipe = of(micro, rows=micro * accumulation * processes, processes=processes)
    assert list(rows_of_a_step(recipe)) == []
    assert batch_of(recipe) == batch_of(of(micro, accumulation, processes=processes))


@given(st.integers(1, 64), st.integers(1, 4))
def test_whatever_is_chosen_a_step_has_the_same_rows(rows: int, processes: int) -> None:
    recipe = of("auto", rows=rows * processes, processes=processes)
    assert list(rows_of_a_step(recipe)) == []
    sizes = possible_micro_batch_sizes(recipe)
    assert sizes == sorted(sizes, reverse=True) and {1, rows} <= set(sizes)
    assert {batch_of(with_micro_batch_size(recipe, micro)).rows for micro in sizes} == {rows * processes}


@pytest.mark.parametrize(
    ("recipe", "key", "what"),
    [
        (of("auto"), "micro_batch_size", "auto needs global_batch_size"),
        (of("auto", 4, 16), "gradient_accumulation_steps", "is computed from global_batch_size"),
        (of(2, 1, 16), "gradient_accumulation_steps", "is computed from global_batch_size"),
        (of("auto", rows=16, processes=3), "global_batch_size", "16 rows per step are not a multiple of 3 processes"),
        (of(3, rows=16), "global_batch_size", "16 rows per step are not a multiple of micro_batch_size 3 x 1 process"),
        (of(4, rows=16, processes=8), "global_batch_size", "16 rows per step are not a multiple of micro_batch_size 4 x 8 processes"),
    ],
)
def test_rows_that_are_unknown_contradictory_or_uneven_are_refused(recipe: Recipe, key: str, what: str) -> None:
    [found] = rows_of_a_step(recipe)
    assert (found.path, found.what) == (("training", key), what)


def test_a_number_is_never_replaced() -> None:
    assert with_micro_batch_size(of(4), 2) == of(4)
