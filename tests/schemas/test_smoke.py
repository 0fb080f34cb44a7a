"""What a smoke run changes in a recipe, and what it leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.recipe import check_recipe, load_recipe
from recipekit.schemas.sections import Recipe
from recipekit.schemas.yaml_writing import to_yaml

Minimal = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture
def smoke_run(recipe_file: Write, minimal: Minimal) -> Callable[..., Recipe]:
    """The smoke run of a small recipe with changes."""

    def build(changes: dict[str, Any] | None = None) -> Recipe:
        return load_recipe(str(recipe_file(to_yaml(minimal(changes)))), smoke=True).recipe

    return build


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_every_shipped_recipe_has_a_valid_smoke_run_with_a_tiny_model(path: Path) -> None:
    assert check_recipe(path) == []
    loaded = load_recipe(path.stem, smoke=True)
    assert loaded.is_smoke and loaded.full == load_recipe(path.stem).recipe
    assert loaded.recipe.model.base_model.startswith(("tiny:", "run:"))
    assert loaded.recipe.training.max_steps == 4


def test_a_smoke_run_has_a_checkpoint_in_the_middle(smoke_run: Callable[..., Recipe]) -> None:
    training = smoke_run({"training.eval_steps": 200, "training.save_steps": 400, "training.micro_batch_size": 16}).training
    assert (training.max_steps, training.eval_steps, training.save_steps, training.logging_steps) == (4, 2, 2, 1)
    assert (training.micro_batch_size, training.gradient_accumulation_steps) == (2, 1)


def test_training_settings_are_kept(smoke_run: Callable[..., Recipe]) -> None:
    kept = {"adapter": "qlora", "lora_r": 64, "sequence_len": 4096, "learning_rate": 2e-4, "optimizer": "paged_adamw_8bit",
            "gradient_checkpointing": True, "precision": "bf16", "weight_decay": 0.1, "warmup_ratio": 0.1}  # fmt: skip
    training = smoke_run({f"training.{key}": value for key, value in kept.items()}).training
    assert {key: getattr(training, key) for key in kept} == kept


def test_a_smoke_run_uploads_nothing_and_checks_no_gate(smoke_run: Callable[..., Recipe]) -> None:
    found = smoke_run({
        "export.push_to_hub": "me/model", "training.trackers": ["wandb"], "evaluation.gates": {"perplexity": {"max": 5}}, "evaluation.metrics": ["perplexity", "safety"],
        "evaluation.judge": {"prompt": "judge_counsellor", "provider": {"provider": "openai", "model": "m"}},
        "launch": {"engine": "deepspeed", "zero_stage": 3, "num_processes": 8}, "model.attn_implementation": "flash_attention_2",
    })  # fmt: skip
    assert (found.export.push_to_hub, found.training.trackers, found.evaluation.gates) == (None, (), {})
    assert (found.evaluation.judge, found.evaluation.metrics) == (None, ("perplexity",))
    assert (found.launch.engine, found.launch.num_processes, found.model.attn_implementation) == ("local", 1, "eager")


def test_a_warm_up_that_is_longer_than_the_smoke_run_is_shortened(smoke_run: Callable[..., Recipe]) -> None:
    assert smoke_run({"training.warmup_steps": 100}).training.warmup_steps == 1


def test_rows_that_are_not_held_out_are_not_evaluated_while_training(smoke_run: Callable[..., Recipe]) -> None:
    found = smoke_run({"data.split": {"validation": 0, "test": 0.2}})
    assert found.training.eval_steps is None


def test_the_recipes_own_section_comes_last(smoke_run: Callable[..., Recipe]) -> None:
    own = {"model": {"base_model": "embedded:smollm2-135m-instruct"}, "training": {"max_steps": 10}, "evaluation": {"max_rows": 20}}
    found = smoke_run({"smoke": own})
    assert (found.model.base_model, found.training.max_steps, found.evaluation.max_rows) == ("embedded:smollm2-135m-instruct", 10, 20)


def test_another_recipes_model_is_that_of_its_smoke_run(smoke_run: Callable[..., Recipe]) -> None:
    assert smoke_run({"model.base_model": "run:first"}).model.base_model == "run:first"


def test_the_place_of_what_a_smoke_run_sets_is_reported(recipe_file: Write, minimal: Minimal) -> None:
    loaded = load_recipe(str(recipe_file(to_yaml(minimal()))), smoke=True)
    assert str(loaded.document.location(("training", "max_steps"))) == "--smoke"


@pytest.mark.parametrize(("steps", "every", "warmup"), [(1, 1, 0), (3, 1, 1), (10, 5, 1)])
def test_other_steps_of_the_recipes_own_move_the_checkpoint(smoke_run: Callable[..., Recipe], steps: int, every: int, warmup: int) -> None:
    training = smoke_run({"training.warmup_steps": 100, "smoke": {"training": {"max_steps": steps}}}).training
    assert (training.eval_steps, training.save_steps, training.warmup_steps) == (every, every, warmup)


def test_sample_prompts_get_short_replies(smoke_run: Callable[..., Recipe]) -> None:
    texts = {"evaluation.prompts.texts": ["Hi"]}
    own = smoke_run(texts | {"evaluation.prompts.generation": {"temperature": 0.7, "max_new_tokens": 256}}).evaluation.prompts
    assert own is not None and own.generation is not None
    assert (own.texts, own.generation.temperature, own.generation.max_new_tokens) == (("Hi",), 0.7, 16)
    of_texts = smoke_run(texts | {"data.type": "text", "data.sources": [{"path": "a.txt", "converter": "text"}]}).evaluation
    assert of_texts.generation.max_new_tokens == 16 and of_texts.prompts == (("Hi",), None, None)
