"""`recipe run --resume` trains what the recipe says, or says where the unfinished run differs from it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_folder import create
from recipekit.runner.stages import data
from recipekit.runner.stages.context import RunContext
from recipekit.runner.workflows import run as workflow
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.yaml_writing import to_yaml

from ...support.tiny import write_recipe

COMMIT = "c" * 40


@dataclass
class Unfinished:
    """A recipe with a run that was interrupted, and what was resumed since."""

    folder: Path
    run: object
    resumed: list

    def resume(self, *settings, smoke=False):
        loaded = load_recipe(str(self.folder / "tiny.yml"), settings, smoke)
        return workflow.resume_recipe(loaded, self.folder / "runs", None)

    def problems(self, *settings, smoke=False):
        with pytest.raises(UserError) as caught:
            self.resume(*settings, smoke=smoke)
        assert self.resumed == []
        return caught.value.problems


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    recipe, resumed = load_recipe(str(write_recipe(tmp_path, tmp_path / "model"))), []
    run = create("tiny", "abcdef", tmp_path / "runs")
    (run / "recipe.yml").write_text(to_yaml(recipe.document.data))
    run.update(recipe="tiny", state="interrupted", stages={}, smoke=False)
    monkeypatch.setattr(workflow, "resume_run", lambda *given: resumed.append(given[0].path))
    return Unfinished(tmp_path, run, resumed)


def test_the_same_recipe_is_resumed(unfinished):
    unfinished.resume()
    unfinished.resume("training.learning_rate=1e-3")  # as the file says
    assert unfinished.resumed == [unfinished.run.path] * 2


def test_another_value_is_refused_with_its_place_and_both_values(unfinished):
    (problem,) = unfinished.problems("training.learning_rate=5e-4")
    assert str(problem.location) == "--set training.learning_rate=5e-4"
    assert problem.what == f"training.learning_rate is 0.0005, and 0.001 in the unfinished run {unfinished.run.path}"
    assert f"recipe resume {unfinished.run.path}" in problem.hint and "starts a new run" in problem.hint


def test_an_edited_file_is_refused_with_every_key_that_differs(unfinished):
    path = unfinished.folder / "tiny.yml"
    path.write_text(
        path.read_text().replace("lora_r: 4", "lora_r: 16").replace("  eval_steps: 4\n", "").replace("max_rows: 4", "max_rows: 2")
    )
    problems = unfinished.problems()
    assert [problem.what.split(",")[0] for problem in problems] == [
        "training.lora_r is 16", "training.eval_steps is null", "evaluation.max_rows is 2"]  # fmt: skip
    assert problems[0].location.file == str(path) and problems[0].location.line


def test_an_edited_parent_is_refused_with_its_place(unfinished):
    path = unfinished.folder / "tiny.yml"
    parent = path.rename(unfinished.folder / "parent.yml")
    path.write_text("recipe: 1\nextends: parent.yml\nname: tiny\n")
    unfinished.resume()
    unfinished.resumed.clear()
    parent.write_text(parent.read_text().replace("lora_r: 4", "lora_r: 16"))
    (problem,) = unfinished.problems()
    assert problem.what.startswith("training.lora_r is 16, and 4 in") and problem.location.file == str(parent)


def test_another_value_of_a_variable_is_refused(unfinished, monkeypatch):
    path, own = unfinished.folder / "tiny.yml", unfinished.run / "recipe.yml"
    path.write_text(path.read_text().replace("path: rows.jsonl", "path: '${ROWS_DIR}/rows.jsonl'") + "variables: [ROWS_DIR]\n")
    monkeypatch.setenv("ROWS_DIR", str(unfinished.folder))
    own.write_text(to_yaml(load_recipe(str(path)).document.data))
    unfinished.resume()
    unfinished.resumed.clear()
    monkeypatch.setenv("ROWS_DIR", str(unfinished.folder / "other"))
    problems = unfinished.problems()
    assert any("/other/rows.jsonl" in problem.what and problem.what.startswith("data.sources.0.path is") for problem in problems)


def test_one_source_more_is_refused(unfinished):
    path = unfinished.folder / "tiny.yml"
    more = "[{path: rows.jsonl, converter: emogpt}, {path: rows.jsonl, converter: messages}]"
    path.write_text(path.read_text().replace("[{path: rows.jsonl, converter: emogpt}]", more))
    assert "data.sources.1.path" in "\n".join(problem.what for problem in unfinished.problems())


def test_a_full_run_is_not_resumed_as_a_smoke_run(unfinished):
    (problem,) = unfinished.problems(smoke=True)
    assert problem.what == f"the newest run, {unfinished.run.path}, is a full run, but a smoke run was requested"


def test_a_finished_run_is_not_resumed(unfinished):
    unfinished.run.update(state="done")
    assert unfinished.resume("training.learning_rate=5e-4") is None


def test_a_branch_is_pinned_to_the_runs_commit(unfinished, monkeypatch):
    path = unfinished.folder / "tiny.yml"
    path.write_text(path.read_text().replace("path: rows.jsonl,", "path: 'hf:ann/moods',"))
    pinned = (unfinished.run / "recipe.yml").read_text()
    loaded = load_recipe(str(path))
    loaded.document.data["data"]["sources"][0]["revision"] = COMMIT
    (unfinished.run / "recipe.yml").write_text(to_yaml(loaded.document.data))
    assert COMMIT not in pinned
    unfinished.resume()
    assert unfinished.resumed == [unfinished.run.path]
    unfinished.resumed.clear()
    path.write_text(path.read_text().replace("'hf:ann/moods',", f"'hf:ann/moods', revision: {'d' * 40},"))
    (problem,) = unfinished.problems()
    assert problem.what.startswith(f"data.sources.0.revision is {'d' * 40}, and {COMMIT} in")


def test_sources_that_have_changed_since_are_named_when_a_run_is_resumed(tmp_path, monkeypatch, capsys):
    loaded = load_recipe(str(write_recipe(tmp_path, tmp_path / "model")))
    run = create("tiny", "abcdef", tmp_path / "runs")
    converted = data.key(RunContext(loaded, tmp_path / "runs", Display(), run))
    run.update(recipe="tiny", state="interrupted", stages={"data": converted}, smoke=False)
    monkeypatch.setattr(workflow, "_run_stages", lambda context: None)
    workflow.resume_run(run, loaded, tmp_path / "runs", Display())
    assert "sources have changed" not in capsys.readouterr().err
    (source,) = {path for path in tmp_path.glob("*.jsonl")}
    source.write_text(source.read_text() + "\n")
    workflow.resume_run(run, loaded, tmp_path / "runs", Display())
    assert "the sources have changed; the run keeps the rows that it converted before" in " ".join(capsys.readouterr().err.split())
