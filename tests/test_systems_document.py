"""docs/systems.md: every recipe, converter, task, key and command that its tables name is there; recipes check, and are all named."""

import re
from pathlib import Path

import pytest
from recipekit.converters.sources.introspection import TEMPLATES
from recipekit.converters.sources.registry import CONVERTERS
from recipekit.runner.cli.main import COMMANDS
from recipekit.runner.evaluation.sentiment import emotion_prompts
from recipekit.runner.generate.tasks import TASKS
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.json_schema import schema, subschema
from recipekit.schemas.recipe import load_recipe

from .support.paths import ROOT

TEXT = (ROOT / "docs" / "systems.md").read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| step")]
RECIPES = {path.stem for path in shipped_recipes()}


def named(word: str) -> set[str]:
    """What stands in code after `word` (or its plural), and after a comma behind that."""
    found = re.findall(rf"\b{word}s? ((?:`[^`]+`(?:, | and )?)+)", TEXT)
    return {name for group in found for name in re.findall(r"`([^`]+)`", group)}


def test_every_recipe_converter_and_task_is_there():
    assert named("recipe") <= RECIPES and len(named("recipe")) > 20
    assert named("converter") <= set(CONVERTERS)
    assert named("task") <= set(TASKS)


def test_every_recipe_of_a_system_is_named():
    systems = ("introspection", "emollm", "babylm", "alpaca", "emogpt", "mbti")
    unnamed = {name for name in RECIPES if name.startswith(systems)} - named("recipe")
    assert unnamed == {"emogpt_augment"}, "which emogpt_lmsys extends"


@pytest.mark.parametrize("name", sorted(named("recipe")))
def test_every_recipe_checks(name):
    assert load_recipe(name).recipe.name == name


def test_every_key_exists():
    for key in named("key"):
        assert subschema(schema("recipe"), tuple(key.split("."))), key


def test_every_command_exists():
    verbs = set(re.findall(r"`recipe ([a-z-]+)", TEXT))
    assert verbs <= set(COMMANDS) and "review" in verbs


def guide_prompts(recipe) -> bool:
    """Whether the guide's four prompts are asked with its sampling."""
    prompts = recipe.evaluation.prompts
    return len(prompts.texts) == 4 and (prompts.generation.temperature, prompts.generation.top_p) == (0.7, 0.9)


@pytest.mark.parametrize(
    "name",
    [
        "introspection_infer",
        "introspection_llama3_full",
        "babylm_gpt2",
        "babylm_corpus",
        "alpaca_gpt2",
        "alpaca_emotion",
        "emogpt_qwen",
        "mbti_llama2_16class",
    ],
)
def test_reported_recipe_values_are_set(name):
    recipe = load_recipe(name).recipe
    expected = {
        "introspection_infer": lambda: recipe.generate.task == "ask",
        "introspection_llama3_full": lambda: (
            len(recipe.evaluation.prompts.texts) == 2 and recipe.evaluation.also["emotions"].gates["contains_reference"].max_regression
        ),
        "babylm_gpt2": lambda: recipe.evaluation.logit_lens and recipe.evaluation.blimp,
        "babylm_corpus": lambda: sum(source.max_words for source in recipe.data.sources) == 10_000_000,
        "alpaca_gpt2": lambda: (
            recipe.evaluation.logit_lens
            and recipe.evaluation.blimp
            and recipe.evaluation.sentiment_model
            and len({emotion for emotion, _ in emotion_prompts(Path(recipe.evaluation.sentiment_prompts))}) == 28
        ),
        "alpaca_emotion": lambda: recipe.evaluation.sentiment_prompts and len(recipe.generate.options["emotions"]) == 15,
        "emogpt_qwen": lambda: (
            {"token_accuracy", "token_reduction"} <= {*recipe.evaluation.metrics}
            and recipe.evaluation.gates
            and guide_prompts(recipe)
            and (recipe.evaluation.rubric.gates["emoji_appropriate"].min, recipe.evaluation.rubric.gates["technically_right"].min)
            == (80, 90)
            and recipe.evaluation.also["answers"].gates["contains_reference"].max_regression
        ),
        "mbti_llama2_16class": lambda: recipe.training.save_total_limit == 3 and recipe.training.load_best_model_at_end,
    }
    assert expected[name]()


@pytest.mark.parametrize("name", sorted(name for name in RECIPES if name.startswith("introspection")))
def test_sample_questions_are_asked_as_training_asks(name):
    recipe = load_recipe(name).recipe
    (source,) = recipe.data.sources
    start, middle, end = re.split(r"\{text\}|\{word\}", TEMPLATES[source.options["template"]])
    assert "asked this question" in start, "the guide's"
    for text in recipe.evaluation.prompts.texts:
        assert re.fullmatch(f"{re.escape(start)}.+{re.escape(middle)}(Fear|Joy){re.escape(end)}", text), text


def test_new_sentences_are_asked_as_training_asks():
    (template,) = re.findall(r"--option 'user_template=([^']+)'", TEXT)
    assert template == TEMPLATES["v1"]


def test_every_emogpt_recipe_has_a_run_name_of_its_own_in_wandb():
    found = [load_recipe(name).recipe.training for name in RECIPES if name.startswith("emogpt")]
    assert {training.trackers for training in found} == {("wandb",)}
    assert len({training.tracker_run_name for training in found}) == len(found)


def test_exactly_two_parts_are_missing():
    assert sum("**Missing**" in row for row in ROWS) == 2
