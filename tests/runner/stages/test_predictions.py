"""What the base model's predictions depend on: they are those of an earlier run only if none of it has changed."""

from types import SimpleNamespace

import pytest
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.predictions import base_keys
from recipekit.schemas.sections import Recipe

GENERATION = {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0, "batch_size": 4, "seed": 1}
REQUEST = {"generate": True, "bits": 0, "generation": GENERATION, "packages": {"torch": "2"}, "machine": {"device": "cpu"}, "sets": {}}


@pytest.fixture
def key(minimal, tmp_path):
    """The key of a recipe with these changes, with others to the request, the model and the rows."""

    def compute(changes=None, request=None, identity="m", rows="{}\n"):
        run = RunFolder(tmp_path)
        (run / "evaluating").mkdir(exist_ok=True)
        (run / "evaluating" / "rows.jsonl").write_text(rows)
        context = SimpleNamespace(run=run, model=SimpleNamespace(identity=identity))
        return base_keys(context, Recipe.from_values(minimal(changes)), {**REQUEST, **(request or {})})[""]

    return compute


@pytest.mark.parametrize("changes", [{"training.learning_rate": 0.5}, {"training.lora_r": 2}, {"training.seed": 9}, {"training.num_epochs": 7},
                                     {"data.sources": [{"path": "/other.jsonl", "converter": "messages"}]}], ids=str)  # fmt: skip
def test_another_training_asks_the_base_model_the_same(key, changes):
    assert key(changes) == key()


@pytest.mark.parametrize(
    "changed",
    [
        {"changes": {"training.sequence_len": 64}},
        {"changes": {"training.train_on_inputs": True}},
        {"changes": {"training.precision": "fp32"}},
        {"changes": {"training.adapter": "none"}},
        {"changes": {"model.chat_template": "chatml"}},
        {"changes": {"data.system_prompt": "Be brief."}},
        {"changes": {"axolotl": {"tokens": ["<x>"]}}},
        {"request": {"generation": {**GENERATION, "temperature": 0.5}}},
        {"request": {"generate": False}},
        {"request": {"bits": 4}},
        {"request": {"packages": {"torch": "3"}}},
        {"request": {"machine": {"device": "cuda"}}},
        {"identity": "of other weights"},
        {"rows": '{"id": "x"}\n'},
    ],
    ids=str,
)
def test_what_changes_a_prediction_of_the_base_model_changes_its_key(key, changed):
    assert key(**changed) != key()


def test_every_set_has_a_key_of_its_rows(minimal, tmp_path):
    run = RunFolder(tmp_path)
    for name in ("", "sets/a", "sets/b"):
        (run / "evaluating" / name).mkdir(parents=True, exist_ok=True)
        (run / "evaluating" / name / "rows.jsonl").write_text("{}\n")
    context = SimpleNamespace(run=run, model=SimpleNamespace(identity="m"))
    of_set = {"key": "of a training", "record_type": "chat", "generate": True, "generation": GENERATION}
    sets = {"a": of_set, "b": {**of_set, "generate": False}}
    found = base_keys(context, Recipe.from_values(minimal()), {**REQUEST, "sets": sets})
    assert set(found) == {"", "a", "b"} and len(set(found.values())) == 3
    other = {**sets, "a": {**of_set, "key": "of another training"}}
    assert base_keys(context, Recipe.from_values(minimal()), {**REQUEST, "sets": other}) == found
