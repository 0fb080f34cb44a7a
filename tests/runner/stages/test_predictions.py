"""What the base model's predictions depend on: they are those of an earlier run only if none of it has changed."""

from types import SimpleNamespace

import pytest
from recipekit.runner.runtime.line_sums import append_lines
from recipekit.runner.runtime.run_files import RunFile
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import read_seal, seal_files, write_seal
from recipekit.runner.stages.predictions import base_keys, reuse_predictions
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


class Run:
    """A run with an evaluation of three predictions, and what a stage says of it."""

    def __init__(self, folder):
        self.run, self.said = RunFolder(folder), []
        self.asked = {**REQUEST, "key": "same", "complete": True}

    def evaluated(self, name):
        folder = self.run / name
        folder.mkdir()
        append_lines(folder / "predictions.jsonl", [b'{"id": "%d"}\n' % number for number in range(3)])
        (folder / "rows.jsonl").write_text("{}\n")
        (folder / "prompts.json").write_text("{}\n")
        self.run.write(RunFile(f"{name}/request.json", dict), self.asked)
        return folder

    def interrupted(self):
        folder = self.evaluated("evaluating")
        seal_files(folder, ["rows.jsonl", "prompts.json"])
        return folder

    def warn(self, stage, what):
        self.said.append(what)

    def left(self):
        return sorted(path.name for path in (self.run / "evaluating").glob("*"))


@pytest.fixture
def begun(tmp_path):
    return Run(tmp_path)


WHOLE = ["predictions.jsonl", "predictions.sums", "prompts.json", "request.json", "rows.jsonl", "sealed.json"]


def test_an_interrupted_evaluation_is_continued(begun):
    begun.interrupted()
    assert (reuse_predictions(begun, "same"), begun.said, begun.left()) == (begun.asked, [], WHOLE)
    assert (reuse_predictions(begun, "of other rows"), begun.said, begun.left()) == (None, [], [])


def test_an_evaluation_that_was_killed_as_it_was_published_is_continued(begun):
    """What it writes again is not sealed any more: killed once more in between, it would be taken for changed."""
    folder = begun.interrupted()
    (folder / "metrics.json").write_text("{}")
    write_seal(folder)
    assert (reuse_predictions(begun, "same"), begun.said) == (begun.asked, [])
    assert set(read_seal(folder) or {}) == {"rows.jsonl", "prompts.json"}


@pytest.mark.parametrize(
    ("name", "content", "said", "left"),
    [
        ("predictions.jsonl", '{"id": "0"}\n{"id": "7"}\n{"id": "2"}\n', "predictions.jsonl: 1 line is missing or changed", WHOLE),
        ("predictions.jsonl", "", "predictions.jsonl: 3 lines are missing or changed", WHOLE),
        ("predictions.sums", None, "predictions.jsonl: 3 lines are missing or changed", WHOLE[:1] + WHOLE[2:]),
        ("rows.jsonl", "[]\n", "rows.jsonl has changed since it was saved", WHOLE[:4] + WHOLE[5:]),
        ("prompts.json", '{"tuned": []}\n', "prompts.json has changed since it was saved", WHOLE[:2] + WHOLE[3:]),
    ],
    ids=["a line", "every line", "the hashes", "rows", "a probe"],
)
def test_what_was_changed_of_an_interrupted_evaluation_is_said_and_made_again(begun, name, content, said, left):
    """The rest is kept: a reply may have taken minutes."""
    folder = begun.interrupted()
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    assert reuse_predictions(begun, "same") == {key: value for key, value in begun.asked.items() if key != "complete"}
    assert (begun.said, begun.left()) == ([f"{folder}: {said}: not used"], left)


def test_predictions_whose_request_is_missing_are_not_thrown_away_in_silence(begun):
    folder = begun.interrupted()
    (folder / "request.json").unlink()
    assert (reuse_predictions(begun, "same"), begun.said) == (None, [f"{folder}: request.json is missing: not used"])


def test_a_finished_evaluation_is_only_continued_as_it_was_sealed(begun):
    folder = begun.evaluated("eval")
    (folder / "predictions.sums").unlink()
    write_seal(folder)
    assert (reuse_predictions(begun, "same"), begun.said, begun.left()) == (begun.asked, [], WHOLE)
    (folder / "predictions.jsonl").write_text("{}\n")
    (begun.run / "evaluating" / "request.json").write_text("[]")
    assert reuse_predictions(begun, "same") is None
    assert [line.partition(": ")[0] for line in begun.said] == [str(begun.run / "evaluating" / "request.json"), str(folder)]
    assert "predictions.jsonl has changed since it was saved: not used" in begun.said[1]
