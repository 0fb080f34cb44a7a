"""How many optimizer steps there are, and what is beyond them. That the count is Axolotl's own: test_axolotl_contract.py."""

import pytest
from recipekit.runner.launch.steps import early_stopping_note, optimizer_steps, repetitions, step_problems
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Recipe


@pytest.mark.parametrize(
    ("rows", "changes", "steps"),
    [
        (100, {}, 100),
        (108, {"training.micro_batch_size": 4, "training.num_epochs": 2}, 54),
        (9, {"training.micro_batch_size": 4}, 3),
        (100, {"training.micro_batch_size": 4, "training.gradient_accumulation_steps": 4, "training.num_epochs": 3}, 21),
        (100, {"training.num_epochs": 0.25}, 25),
        (100, {"launch.engine": "torchrun", "launch.num_processes": 4, "launch.num_nodes": 2}, 13),
        (1, {"training.micro_batch_size": 64}, 1),
    ],
)
def test_steps_are_rows_times_epochs_over_the_rows_of_a_step(minimal, rows, changes, steps):
    assert optimizer_steps(Recipe.from_values(minimal(changes)), rows) == steps


@pytest.mark.parametrize("most", [3, 250])
def test_max_steps_overrides_epochs(minimal, most):
    assert optimizer_steps(Recipe.from_values(minimal({"training.max_steps": most})), 100) == most


@pytest.mark.parametrize(
    ("changes", "rows", "evaluations"),
    [
        ({"training.num_epochs": 3}, 10, 2),
        ({"training.num_epochs": 4}, 10, None),
        ({"training.max_steps": 30, "training.eval_steps": 10}, 10, 2),
        ({"training.max_steps": 31, "training.eval_steps": 10}, 10, None),
        ({"training.max_steps": 25, "training.micro_batch_size": 4}, 32, None),
        ({"training.max_steps": 24, "training.micro_batch_size": 4}, 32, 2),
    ],
)
def test_early_stopping_that_cannot_act_is_named(minimal, changes, rows, evaluations):
    """With a patience of 2: the first evaluation sets the best loss, and a third one without a better loss must precede the last step."""
    notes = early_stopping_note(Recipe.from_values(minimal(changes | {"training.early_stopping_patience": 2})), rows)
    what = f"early_stopping_patience cannot act: it takes 3 evaluations before the last step, and there are {evaluations}"
    assert notes == ([] if evaluations is None else [what])
    assert early_stopping_note(Recipe.from_values(minimal(changes)), rows) == []


@pytest.fixture
def problems(recipe_file):
    """What the data refutes in a recipe with these training keys, for 10 rows at one row a step."""
    (recipe_file("", "rows.jsonl"))

    def found(*lines):
        text = (
            "recipe: 1\nname: small\nmodel: {base_model: a/b}\ndata:\n  type: chat\n  sources: [{path: rows.jsonl, converter: messages}]\n"
        )
        text += "training:\n  adapter: lora\n  learning_rate: 1e-4\n" + "".join(f"  {line}\n" for line in lines)
        loaded = load_recipe(str(recipe_file(text)))
        return [(p.location.line, p.location.column, p.what) for p in step_problems(loaded.recipe, loaded.document, 10)]

    return found


def test_steps_within_the_run_are_accepted(problems):
    assert problems("eval_steps: 10", "save_steps: 5", "warmup_steps: 9") == []


@pytest.mark.parametrize("key", ["eval_steps", "save_steps"])
def test_a_step_beyond_the_end_is_reported_with_its_line(problems, key):
    (problem,) = problems("seed: 1", f"{key}: 11")
    assert problem == (11, 11 + len(key) - 6, f"training.{key}: 11 is beyond the end of the run, which takes 10 steps for 10 rows")


@pytest.mark.parametrize("warmup", [10, 11])
def test_a_warmup_longer_than_the_run_is_reported(problems, warmup):
    (problem,) = problems(f"warmup_steps: {warmup}")
    assert problem[2] == f"training.warmup_steps: {warmup} steps of warm-up, but the run takes 10"


@pytest.mark.parametrize(("ratio", "wrong"), [(0.9, []), (0.91, ["10 steps of warm-up, but the run takes 10"])])
def test_a_share_of_the_steps_is_rounded_up(problems, ratio, wrong):
    assert [what.removeprefix("training.warmup_ratio: ") for *_, what in problems(f"warmup_ratio: {ratio}")] == wrong


def test_every_problem_is_reported_at_once(problems):
    assert len(problems("eval_steps: 20", "save_steps: 20", "warmup_steps: 20")) == 3


@pytest.mark.parametrize(
    ("processes", "nodes", "rows", "again"), [(1, 1, 41, 0), (2, 1, 40, 0), (2, 1, 41, 3), (2, 1, 42, 2), (2, 2, 42, 6)]
)
def test_rows_that_several_processes_see_twice_are_counted(minimal, processes, nodes, rows, again):
    launch = {"engine": "torchrun", "num_processes": processes, "num_nodes": nodes}
    notes = repetitions(Recipe.from_values(minimal({"training.micro_batch_size": 2, "launch": launch})), rows)
    assert [note.partition(" ")[0] for note in notes] == ([str(again)] if again else [])
