"""What can be served."""

import json
from pathlib import Path

import pytest
from recipekit.runner.models.reference import base_of, resolve_target
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import seal_files, write_seal
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.hashing import folder_identity

from ...support.run_files import lock_with

RECIPE = """recipe: 1
name: mine
model: {model}
data: {{type: chat, sources: [{{path: rows.jsonl, converter: messages}}]}}
training: {{adapter: lora, learning_rate: 1e-4}}
"""


def run(root: Path, recipe: str, name: str, files: dict[str, str], lock: dict | None = None) -> Path:
    folder = root / recipe / name
    (folder / "model").mkdir(parents=True)
    (folder / "status.json").write_text('{"state": "done"}')
    (folder / "lock.json").write_text(json.dumps(lock_with(**(lock or {}))))
    (folder / "recipe.yml").write_text(RECIPE.format(model="{base_model: some/model, revision: v2}"), "utf-8")
    for file, text in files.items():
        (folder / "model" / file).write_text(text)
    return folder


def test_a_run_is_served_by_its_directory_or_as_its_recipes_newest(tmp_path: Path) -> None:
    run(tmp_path, "mine", "20260101-000000-aaaaaa", {"config.json": "{}"})
    newest = run(tmp_path, "mine", "20260102-000000-bbbbbb", {"config.json": "{}", "x": "1"})
    for name in ("mine", "run:mine", str(newest)):
        target = resolve_target(name, tmp_path)
        assert (target.base, target.adapter) == (str((newest / "model").resolve()), "")


def test_random_weights_of_a_smoke_run_do_not_take_the_place_of_the_model(tmp_path: Path) -> None:
    trained = run(tmp_path, "mine", "20260101-000000-aaaaaa", {"config.json": "{}"})
    newer = run(tmp_path, "mine", "20260102-000000-bbbbbb", {"config.json": "{}"})
    RunFolder(newer).update(smoke=True)
    assert resolve_target("mine", tmp_path).base == str((trained / "model").resolve())
    assert resolve_target(str(newer), tmp_path).base == str((newer / "model").resolve())


def test_a_run_named_by_its_recipe_file_has_the_recipes_name(tmp_path: Path) -> None:
    newest = run(tmp_path, "mine", "20260102-000000-bbbbbb", {"config.json": "{}"})
    file = tmp_path / "my recipe.yml"
    file.write_text((newest / "recipe.yml").read_text("utf-8"), "utf-8")
    assert [resolve_target(name, tmp_path).name for name in (str(file), "mine")] == ["mine", "mine"]


def test_an_adapter_is_served_with_the_base_model_that_the_lock_names(tmp_path: Path) -> None:
    lock = {"model": {"path": "/models/base", "identity": "base@1", "note": ""}}
    folder = run(tmp_path, "mine", "20260102-000000-bbbbbb", {"adapter_config.json": "{}"}, lock)
    target = resolve_target("mine", tmp_path)
    assert (target.base, target.adapter) == ("/models/base", str((folder / "model").resolve()))
    assert target.identity.startswith("base@1+")
    assert (target.kind, target.revision, target.run) == ("chat", "v2", str(folder))


def on_a_folder(tmp_path: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """A run whose base model is a folder, and that folder."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text('{"model_type": "llama"}')
    lock = {"model": {"path": str(base), "identity": folder_identity(base), "note": f"the folder {base}"}}
    folder = run(tmp_path / "runs", "mine", "20260102-000000-bbbbbb", files, lock)
    (folder / "recipe.yml").write_text(RECIPE.format(model=f"{{base_model: {base}}}"), "utf-8")
    return folder, base


def of_the_base(folder: Path, files: dict[str, str]) -> str:
    """The base that is loaded: beneath an adapter, or for a comparison with whole weights."""
    target = resolve_target(str(folder), folder.parents[1])
    return base_of(target).base if "config.json" in files else target.base


@pytest.mark.parametrize("files", [{"adapter_config.json": "{}"}, {"config.json": "{}"}], ids=["adapter", "whole weights"])
def test_a_base_model_that_has_changed_or_is_gone_is_not_loaded_as_the_one_that_was_trained_on(tmp_path: Path, files) -> None:
    folder, base = on_a_folder(tmp_path, files)
    assert of_the_base(folder, files) == str(base)
    (base / "config.json").write_text('{"model_type": "llama", "rope_theta": 1}')
    with pytest.raises(UserError, match=rf"{folder}: was trained on the folder {base}, but the folder {base} has changed"):
        of_the_base(folder, files)
    base.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=rf"{folder}: was trained on the folder {base}, which is not on this machine") as error:
        of_the_base(folder, files)
    assert "copy it there" in str(error.value)


def test_a_merged_model_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    merged = tmp_path / "runs" / "mine" / "20260102-000000-bbbbbb" / "merged"
    merged.mkdir(parents=True)
    (merged / "config.json").write_text('{"model_type": "llama"}')
    write_seal(merged)
    seal_files(merged.parent, ["merged/sealed.json"])
    assert resolve_target(str(merged), tmp_path / "runs").base == str(merged)
    (merged / "added_tokens.json").write_text("{}")
    with pytest.raises(UserError, match=r"added_tokens.json: was added after the folder was saved\n.*--accept"):
        resolve_target(str(merged), tmp_path / "runs")
    (merged / "added_tokens.json").unlink()
    (merged / "config.json").write_text('{"model_type": "llama", "rope_theta": 1}')
    with pytest.raises(UserError, match="config.json has changed since it was saved"):
        resolve_target(str(merged), tmp_path / "runs")


def test_the_identity_changes_with_the_weights(tmp_path: Path) -> None:
    folder = run(tmp_path, "mine", "20260102-000000-bbbbbb", {"config.json": "{}", "w": "1"})
    before = resolve_target("mine", tmp_path).identity
    (folder / "model" / "w").write_text("2")
    assert resolve_target("mine", tmp_path).identity != before


def test_unservable_models_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "20260102-000000-bbbbbb"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text("{}")
    with pytest.raises(UserError, match="has no trained model yet"):
        resolve_target(str(folder), tmp_path)
    with pytest.raises(UserError, match="has no finished full-parameter run"):
        resolve_target("run:mine", tmp_path)
    other = run(tmp_path, "other", "20260102-000000-bbbbbb", {"adapter_config.json": "{}"})
    (other / "lock.json").write_text("{}")
    with pytest.raises(UserError, match=r"lock\.json: is damaged"):
        resolve_target("other", tmp_path)


def test_a_folder_that_is_missing_among_the_runs_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "runs", "mine", "20260102-000000-aaaaaa", {"config.json": "{}"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="runs/mind: no such run\n    hint: did you mean 'mine'"):
        resolve_target("runs/mind", Path("runs"))


def test_anything_else_is_a_base_model(tmp_path: Path, tiny_model: Path) -> None:
    assert resolve_target(str(tiny_model), tmp_path).base == str(tiny_model)
    assert resolve_target("some/model", tmp_path).base == "some/model"
    assert resolve_target(str(tiny_model), tmp_path).kind == ""


def test_a_folder_whose_model_has_a_head_for_labels_is_a_classifier(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForSequenceClassification"]}')
    assert resolve_target(str(tmp_path), tmp_path).kind == "classification"


def test_the_base_of_a_run_reads_with_the_runs_tokenizer(tmp_path: Path) -> None:
    lock = {"model": {"path": "/models/base", "identity": "base@1", "note": "a folder"}}
    for number, file in enumerate(("adapter_config.json", "config.json")):
        folder = run(tmp_path, f"mine{number}", "20260102-000000-bbbbbb", {file: "{}"}, lock)
        base = base_of(resolve_target(str(folder), tmp_path))
        assert (base.base, base.adapter, base.tokenizer) == ("/models/base", "", str((folder / "model").resolve()))
    with pytest.raises(UserError, match="is not a run"):
        base_of(resolve_target("some/model", tmp_path))
