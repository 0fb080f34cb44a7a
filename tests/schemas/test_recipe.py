"""Loading and checking a whole recipe: layers, schema, rules, smoke, pass-through keys; and ten thousand mutated recipes."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipekit.schemas import validation
from recipekit.schemas.base.errors import MAX_PROBLEMS, UserError
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.generate_rules import ROWS
from recipekit.schemas.recipe import check_recipe, is_prompt, load_recipe
from recipekit.schemas.values import without
from recipekit.schemas.yaml_source import KeyPath, parse_yaml
from recipekit.schemas.yaml_writing import to_yaml

from ..support.counting import within_lines

Write = Callable[..., Path]
Minimal = Callable[..., dict[str, Any]]


def messages(path: Path, *settings: str) -> list[str]:
    return [str(problem) for problem in check_recipe(path, settings)]


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid(path: Path) -> None:
    assert messages(path) == []
    loaded = load_recipe(path.stem)
    assert loaded.recipe.name == path.stem
    assert loaded.path == path


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_a_shipped_recipe_names_its_schema_for_editors(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/recipe.schema.json"
    assert (path.parent / first.partition("=")[2]).is_file()


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_the_data_of_a_shipped_recipe_is_shipped_too(path: Path) -> None:
    recipe = load_recipe(str(path)).recipe
    named = [source.path for source in recipe.data.sources if source.path != ROWS]
    named += [recipe.generate.input] if recipe.generate and recipe.generate.input else []
    assert [name for name in named if not Path(name).exists()] == []


def test_every_yaml_file_in_recipes_is_a_shipped_recipe_or_a_prompt() -> None:
    folder = shipped_recipes()[0].parent
    found = sorted(p for p in folder.rglob("*") if p.suffix in (".yml", ".yaml"))
    assert [p for p in found if p.parent.name != "prompts"] == shipped_recipes()
    assert all(check_recipe(p) == [] and is_prompt(parse_yaml(p.read_text("utf-8"), str(p))) for p in found if p.parent.name == "prompts")


def test_a_resolved_recipe_written_out_loads_the_same(recipe_file: Write) -> None:
    child = recipe_file("extends: emogpt_qwen\nname: mine\ntraining: {warmup_ratio: null, warmup_steps: 3}\n", "mine.yml")
    loaded = load_recipe(str(child), ("training.learning_rate=3e-5",))
    again = load_recipe(str(recipe_file(to_yaml(loaded.document.data), "resolved.yml")))
    assert again.recipe == loaded.recipe
    assert again.recipe.training.warmup_ratio is None
    assert again.recipe.training.learning_rate == 3e-5


def test_rules_are_reported_with_their_places(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"training.max_steps": 5, "training.warmup_steps": 9, "training.eval_steps": 7})))
    assert [line.split(": ")[1] for line in messages(path)] == ["training.warmup_steps", "training.eval_steps"]


def test_a_key_that_a_setting_leaves_without_effect_comes_with_the_setting_that_removes_it(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"training.lora_r": 8})))
    (problem,) = messages(path, "training.adapter=none")
    assert problem.endswith("; for this command alone: --set training.lora_r=null")
    assert messages(path, "training.adapter=none", "training.lora_r=null") == []


def test_rules_run_only_on_a_valid_schema(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"training.max_steps": 5, "training.warmup_steps": 9, "training.lora_r": "x"})))
    assert len(messages(path)) == 1


def test_a_recipe_is_checked_as_its_smoke_run_too(recipe_file: Write, minimal: Minimal) -> None:
    values = minimal({"training.warmup_steps": 50, "smoke": {"training": {"max_steps": 2, "warmup_steps": 2}}})
    (problem,) = messages(recipe_file(to_yaml(values)))
    assert "training.warmup_steps: 2 steps of warm-up, but the run takes 2" in problem
    mended = minimal({"training.warmup_steps": 50, "smoke": {"training": {"max_steps": 2, "warmup_steps": None}}})
    path = recipe_file(to_yaml(mended))
    assert messages(path) == []
    assert load_recipe(str(path), smoke=True).recipe.training.max_steps == 2
    assert load_recipe(str(path)).recipe.training.max_steps is None
    assert [load_recipe(str(path), smoke=smoke).is_smoke for smoke in (True, False)] == [True, False]


def test_a_problem_of_the_smoke_run_hides_none_of_the_matrix(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal() | {"smoke": {"training": {"lora_rr": 3}}, "matrix": {"training.seedd": [1, 2]}}))
    assert [problem.what for problem in check_recipe(path)] == ["unknown key 'lora_rr' in training", "unknown key 'seedd' in training"]


def test_an_unknown_key_in_smoke_is_reported_at_its_place(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"smoke": {"training": {"max_stepz": 2}}})))
    line = path.read_text().splitlines().index("    max_stepz: 2") + 1
    assert messages(path) == [f"{path}:{line}:5: unknown key 'max_stepz' in training\n    hint: did you mean 'max_steps'?"]


def test_every_kind_of_problem_is_reported_at_once(recipe_file: Write, minimal: Minimal) -> None:
    """An unknown key, a pass-through key, and a key without effect at its default value."""
    changes = {"training.adapter": "none", "training.lora_r": 16, "training.max_stepz": 2, "axolotl": {"rl": "dpo"},
               "evaluation": {"generation": {"max_new_tokens": 256}, "prompts": {"path": "absent.txt"}}}  # fmt: skip
    found = "\n".join(messages(recipe_file(to_yaml(minimal(changes)))))
    for key in ("max_stepz", "training.lora_r: has no effect with adapter: none", "axolotl.rl is not allowed", "absent.txt: no such file"):
        assert key in found


AXOLOTL = {
    "save_only_model: true": "axolotl.save_only_model is not allowed: a training could not be resumed: its checkpoints would have no optimizer\n    hint: remove it",
    "min_sample_len: 9": "axolotl.min_sample_len is not allowed: short rows would vanish after they were counted\n    hint: remove it",
    "trainer_cls: os.system": "axolotl.trainer_cls is not allowed: it runs code that the recipe does not show\n    hint: remove it",
    **{
        f"{key}: 2": f"axolotl.{key} is not allowed: it shards the model or its sequences over processes, which the plan does not know: launch.engine, launch.zero_stage, launch.fsdp\n    hint: remove it"
        for key in ("context_parallel_size", "tensor_parallel_size", "dp_shard_size", "dp_replicate_size")
    },
    "rl: dpo": "axolotl.rl is not allowed: it belongs to another kind of training than supervised fine-tuning\n    hint: remove it",
    "chunked_cross_entropy: true": "axolotl.chunked_cross_entropy has no effect on a training by recipekit\n    hint: remove it",
    "wandb_name: a": "axolotl.wandb_name has no effect without a tracker\n    hint: add training.trackers",
    "cosine_constant_lr_ratio: 0.5": "axolotl.cosine_constant_lr_ratio has no effect without axolotl.cosine_min_lr_ratio\n    hint: set axolotl.cosine_min_lr_ratio, or remove it",
    "lisa_n_layers: 1": "axolotl.lisa_n_layers has no effect with an adapter\n    hint: set training.adapter: none, or remove it",
    "unfrozen_parameters: [a]": "axolotl.unfrozen_parameters has no effect with an adapter\n    hint: set training.adapter: none, or remove it",
    "tokens: [<new>]": "axolotl.tokens has no effect without axolotl.lora_modules_to_save\n    hint: set axolotl.lora_modules_to_save, or remove it",
    "learning_rate: 1": "axolotl.learning_rate is set by the recipe\n    hint: use training.learning_rate",
    "neftune_noise_alph: 5": "unknown key 'neftune_noise_alph' in axolotl\n    hint: did you mean 'neftune_noise_alpha'?",
    "qqqqqqqq: 5": "unknown key 'qqqqqqqq' in axolotl\n    hint: Axolotl 0.19.0 would ignore it",
}


@pytest.mark.parametrize("line", AXOLOTL)
def test_a_pass_through_key_must_be_one_of_axolotls_own(recipe_file: Write, minimal: Minimal, line: str) -> None:
    path = recipe_file(to_yaml(minimal()) + f"axolotl:\n  {line}\n")
    (problem,) = messages(path)
    assert problem.partition(": ")[2] == AXOLOTL[line]
    assert f":{len(path.read_text().splitlines())}:3: " in problem


@pytest.mark.parametrize(
    ("scheduler", "keys", "refused"),
    [
        ("linear", {"cosine_min_lr_ratio": 0.1}, "cosine_min_lr_ratio has no effect without training.lr_scheduler: cosine"),
        ("cosine", {"cosine_min_lr_ratio": 0.1}, ""),
        ("linear", {"cosine_min_lr_ratio": 0.1, "jagged_restart_steps": 5}, ""),
        (
            "cosine",
            {"cosine_min_lr_ratio": 0.1, "lr_scheduler_kwargs": {"num_cycles": 3}},
            "lr_scheduler_kwargs has no effect with axolotl.",
        ),
        ("cosine", {"lr_scheduler_kwargs": {"num_cycles": 3}}, ""),
    ],
)
def test_keys_of_the_schedule_are_refused_where_the_scheduler_ignores_them(
    recipe_file: Write, minimal: Minimal, scheduler: str, keys: dict[str, Any], refused: str
) -> None:
    problems = messages(recipe_file(to_yaml(minimal({"training.lr_scheduler": scheduler, "axolotl": keys}))))
    assert [refused in problem for problem in problems] == ([True] if refused else [])


def test_a_known_pass_through_key_is_taken(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"axolotl": {"neftune_noise_alpha": 5}})))
    assert messages(path) == []
    assert load_recipe(str(path)).recipe.axolotl == {"neftune_noise_alpha": 5}


def test_thousands_of_wrong_pass_through_keys_are_explained_soon(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"axolotl": {f"wrong_key_{i}": 1 for i in range(20_000)}})))
    assert 1 < len(within_lines(6_000_000, messages, path)) < 120


MANY = {
    "keys of a section": "model: {" + ",".join(f"k{i}: 0" for i in range(20_000)) + "}",
    "keys of the recipe": "".join(f"k{i}: 0\n" for i in range(20_000)),
    "sources": "data:\n  type: chat\n  sources:\n" + "  - {path: a, convertr: b}\n" * 9_000,
}


@pytest.mark.parametrize("name", MANY)
def test_thousands_of_unknown_keys_are_put_aside_soon(recipe_file: Write, name: str) -> None:
    """Each was removed in a copy of what was left: with their square, a minute for 50,000."""
    checked: list[KeyPath] = []

    def copied(values: Any, path: KeyPath) -> Any:
        checked.append(path)
        return without(values, path)

    path = recipe_file(f"recipe: 1\nname: x\n{MANY[name]}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(validation, "without", copied)
        assert 1 < len(messages(path)) < 120
    assert len(checked) <= MAX_PROBLEMS


QUOTED = ["a: !{} b", "a: *{}", "recipe: 1\nextends: {}", "extends: [{}]"]


@pytest.mark.parametrize("text", QUOTED)
def test_a_name_of_a_megabyte_is_not_printed_whole(recipe_file: Write, text: str) -> None:
    assert sum(map(len, messages(recipe_file(text.format("x" * 900_000))))) < 10_000


def test_loading_raises_every_problem_at_once(recipe_file: Write, minimal: Minimal) -> None:
    path = recipe_file(to_yaml(minimal({"training.lora_r": "x", "training.seed": -1, "nonsense": 1})))
    with pytest.raises(UserError) as caught:
        load_recipe(str(path))
    assert len(caught.value.problems) == 3
    assert caught.value.exit_code == 1


FRAGMENTS = [
    "", "\n", " ", "  ", "\t", ":", ": ", "- ", "[", "]", "{", "}", ",", "#", "'", "\"", "&a ", "*a", "<<: *a", "|", ">", "!",
    "!!int ", "%", "@", "`", "?", "? ", "---\n", "...\n", "null", "true", "no", "2e-4", "1e999", ".nan", "-1", "0", "9" * 40,
    "9" * 5000, "12:34:56", "014", "\x00", "\x07", "\x85", "\u2028", "\ufeff", "😀", "é", "\r", "extends: quickstart\n",
    "extends: .\n", "extends: \"\\0\"\n", "smoke: {training: {max_steps: 1}}\n", "axolotl: {a: 1}\n", "training: {}\n",
    "[[[[[[[[", "{a: {a: {a: ", "evaluation: {metrics: [{}, 1, perplexity]}\n", "launch: {zero_stage: 3}\n",
]  # fmt: skip


def mutant(lines: list[str], rng: random.Random) -> str:
    """The recipe's lines after one to four changes: cut, doubled, swapped, indented, or with hostile text put in."""
    lines = list(lines)
    for _ in range(rng.randint(1, 4)):
        index = rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind == 0 and len(lines) > 1:
            del lines[index]
        elif kind == 1:
            lines.insert(index, lines[rng.randrange(len(lines))])
        elif kind == 2:
            lines[index] = " " * rng.randint(0, 6) + lines[index]
        elif kind == 3:
            lines[index] = lines[index].lstrip()
        elif kind == 4:
            key, colon, _ = lines[index].partition(":")
            lines[index] = f"{key}{colon} {rng.choice(FRAGMENTS)}"
        else:
            at = rng.randint(0, len(lines[index]))
            lines[index] = lines[index][:at] + rng.choice(FRAGMENTS) + lines[index][at + rng.choice((0, 0, 1, 5)) :]
    return "\n".join(lines)


@pytest.mark.parametrize("mutants", [2_500, pytest.param(10_000, marks=pytest.mark.long)])
def test_mutated_recipes_never_give_a_traceback(tmp_path: Path, mutants: int) -> None:
    rng = random.Random(20_251)
    originals = [path.read_text("utf-8").splitlines() for path in shipped_recipes()]
    path = tmp_path / "mutant.yml"
    refused = 0
    for number in range(mutants):
        text = mutant(rng.choice(originals), rng)
        path.write_text(text, encoding="utf-8")
        try:
            problems = check_recipe(path)
        except Exception as error:
            raise AssertionError(f"mutant {number}: {type(error).__name__}: {error}\n{text}") from error
        refused += bool(problems)
        assert all(problem.location.file and problem.what for problem in problems), text
    assert 0.4 * mutants < refused < mutants, "the mutants must be both good and bad"
