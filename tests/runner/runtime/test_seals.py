"""What is sealed and changed afterwards is named wherever it is read."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.runtime import seals
from recipekit.runner.runtime.seals import (
    folder_faults,
    read_seal,
    read_sealed,
    require_sealed,
    seal_faults,
    seal_files,
    unseal_files,
    write_seal,
)
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.files import open_regular, replace_folder, write_atomically
from recipekit.schemas.base.hashing import SEAL


@pytest.fixture
def folder(tmp_path):
    for name in ("metrics.json", "nested/rows.jsonl", "README.md"):
        (tmp_path / "eval" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "eval" / name).write_bytes(b"as written")
    write_seal(tmp_path / "eval")
    return tmp_path / "eval"


def test_an_unchanged_folder_has_no_fault(folder):
    assert seal_faults(folder) == []
    assert read_sealed(folder / "metrics.json") == read_sealed(folder / "nested" / "rows.jsonl") == b"as written"
    require_sealed(folder)


def test_a_file_that_was_added_is_named_where_the_whole_folder_is_read(folder):
    (folder / "nested" / ".DS_Store").write_bytes(b"of a file manager")
    (folder / "model-F16.gguf").write_bytes(b"of llama.cpp's converter")
    require_sealed(folder)
    (folder / "nested" / "chat_template.jinja").write_bytes(b"not as written")
    assert folder_faults(folder) == ["nested/chat_template.jinja was added after the folder was saved"] and seal_faults(folder) == []
    with pytest.raises(UserError, match="nested/chat_template.jinja was added"):
        require_sealed(folder)
    write_seal(folder)
    assert folder_faults(folder) == []


@pytest.mark.parametrize(("name", "undo"), [("metrics.json", "restore"), ("added.json", "remove")])
def test_the_hint_names_a_command_only_for_a_folder_of_a_run(folder, name, undo):
    (folder / name).write_bytes(b"not as written")
    with pytest.raises(UserError, match=f"{undo} the file, or delete sealed.json to use the folder as it is"):
        require_sealed(folder)
    seal_files(folder.parent, [f"{folder.name}/sealed.json"])
    with pytest.raises(UserError, match=f"{undo} the file, or accept the change: recipe verify RUN --accept"):
        require_sealed(folder)


def test_a_model_card_may_be_written_again(folder):
    (folder / "README.md").write_bytes(b"with other numbers")
    assert seal_faults(folder) == [] and read_sealed(folder / "README.md") == b"with other numbers"


@given(content=st.binary(max_size=40))
def test_any_other_content_is_named(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "a").write_bytes(b"as written")
    write_seal(folder)
    (folder / "a").write_bytes(content)
    if content == b"as written":
        assert seal_faults(folder) == [] and read_sealed(folder / "a") == content
        return
    assert seal_faults(folder) == ["a has changed since it was saved"]
    for read in (lambda: read_sealed(folder / "a"), lambda: require_sealed(folder)):
        with pytest.raises(UserError, match=r"changed|has changed since it was saved"):
            read()


def test_a_file_of_another_size_is_named_without_its_hash(folder, monkeypatch):
    """A hundred gigabytes of nothing in the place of the weights were hashed for minutes."""
    name = next(iter(read_seal(folder)))
    os.truncate(folder / name, 1 << 33)  # sparse
    hashed = []
    monkeypatch.setattr(seals, "file_sha256", lambda path: hashed.append(path.name) or "")
    assert f"{name} has changed since it was saved" in seal_faults(folder)
    assert name not in hashed


def test_what_a_killed_write_has_left_is_not_sealed(folder):
    """The next write removes it, and the seal would miss it then."""
    if not (child := os.fork()):
        write_atomically(folder / SEAL, (os._exit(1) for _ in range(1)))
    os.waitpid(child, 0)
    assert [path.name for path in folder.glob(".*")] == [f".{SEAL}.{child}.tmp"]
    write_seal(folder)
    assert seal_faults(folder) == [] and not [*folder.glob(".*")]


def test_a_missing_file_is_named(folder):
    (folder / "metrics.json").unlink()
    assert seal_faults(folder) == ["metrics.json is missing"]


@given(content=st.binary(max_size=40))
def test_a_damaged_seal_is_reported(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "a").write_bytes(b"as written")
    (folder / SEAL).write_bytes(b"[" + content)
    assert seal_faults(folder)[0].startswith(f"{SEAL} is damaged")
    with pytest.raises(UserError, match=f"{SEAL}: is damaged"):
        read_sealed(folder / "a")


def test_single_files_are_sealed_and_unsealed_by_name(tmp_path):
    for name in ("lock.json", "metrics.jsonl", "rendered/axolotl.yml", "rendered.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"as written")
    seal_files(tmp_path, ["lock.json"])
    seal_files(tmp_path, ["metrics.jsonl", "rendered/axolotl.yml", "rendered.txt"])
    (tmp_path / "metrics.jsonl").write_bytes(b"other")
    assert seal_faults(tmp_path, ["lock.json"]) == [] and seal_faults(tmp_path) == ["metrics.jsonl has changed since it was saved"]
    unseal_files(tmp_path, ["metrics.jsonl", "rendered", "absent"])
    assert set(read_seal(tmp_path) or {}) == {"lock.json", "rendered.txt"} and read_sealed(tmp_path / "metrics.jsonl") == b"other"


@pytest.mark.parametrize("name", ["data/manifest.json", "eval/held_out/metrics.json"])
def test_a_file_up_to_two_folders_down_is_checked_by_the_seal_above_it(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    seal_files(tmp_path, [name])
    path.write_bytes(b"{ }")
    with pytest.raises(UserError, match=rf"{path.name}: was changed after it was written"):
        read_sealed(path)


def test_hashes_of_lines_are_not_sealed(folder):
    """They are needed only until the file is sealed as a whole."""
    (folder / "predictions.sums").write_bytes(b"0")
    write_seal(folder)
    assert set(read_seal(folder) or {}) == {"metrics.json", "nested/rows.jsonl"}


def test_unsealed_files_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"by hand")
    assert read_sealed(tmp_path / "a") == b"by hand" and seal_faults(tmp_path) == []
    unseal_files(tmp_path, ["a"])
    assert not (tmp_path / SEAL).exists()


@pytest.fixture
def run(folder):
    """A run's folder, whose seal is also of the seal of eval/."""
    seal_files(folder.parent, ["eval/sealed.json"])
    return folder.parent


def test_a_removed_seal_is_reported(run):
    (run / "eval" / SEAL).unlink()
    (run / "eval" / "metrics.json").write_bytes(b"better numbers")
    for read in (lambda: read_sealed(run / "eval" / "metrics.json"), lambda: require_sealed(run), lambda: require_sealed(run / "eval")):
        with pytest.raises(UserError, match=r"sealed\.json.* is missing"):
            read()


def test_a_seal_that_was_edited_with_its_file_is_not_believed(run):
    (run / "eval" / "metrics.json").write_bytes(b"better numbers")
    write_seal(run / "eval")
    with pytest.raises(UserError, match=r"sealed\.json: was changed after it was written"):
        read_sealed(run / "eval" / "metrics.json")


def test_a_missing_sealed_file_is_reported(folder):
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"metrics\.json: is missing"):
        read_sealed(folder / "metrics.json")
    with pytest.raises(FileNotFoundError):
        read_sealed(folder / "never.json")


def test_a_named_pipe_is_not_opened(folder):
    for name in ("metrics.json", SEAL):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    assert seal_faults(folder)[0].startswith(f"{SEAL} is damaged: not a regular file")


def metrics(folder):
    return read_sealed(folder / "metrics.json")


@pytest.mark.parametrize(("opened_before", "read"), [("metrics.json", metrics), (SEAL, metrics), (SEAL, seal_faults)])
def test_a_folder_that_is_replaced_while_it_is_read_is_not_called_changed(folder, monkeypatch, opened_before, read):
    """An evaluation that ends exchanges the folder and its seals after a reader has opened one of them."""
    run, waiting = folder.parent, [folder / opened_before]
    seal_files(run, [f"eval/{SEAL}"])
    (run / "evaluating").mkdir()
    (run / "evaluating" / "metrics.json").write_bytes(b"newer")
    write_seal(run / "evaluating")

    def opened(path):
        stream = open_regular(path)
        if path in waiting:
            waiting.clear()
            unseal_files(run, ["eval"])
            replace_folder(run / "evaluating", folder)
            seal_files(run, [f"eval/{SEAL}"])
        return stream

    monkeypatch.setattr(seals, "open_regular", opened)
    assert read(folder) in (b"newer", [])
    assert not waiting and metrics(folder) == b"newer"
