"""Which files a source names."""

import os

import pytest
from recipekit.converters.reading.files import open_source, source_files
from recipekit.schemas.base.errors import UserError


def names(path):
    return [file.name for file in source_files(str(path))]


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jsonl", "a/z.jsonl", "a/c.jsonl", ".git/x.jsonl", ".hidden"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    return tmp_path / "data"


def test_a_folder_lists_files_recursively_without_hidden_ones(folder):
    assert names(folder) == ["a/c.jsonl", "a/z.jsonl", "b.jsonl"]


def test_a_glob_gives_what_it_matches(folder):
    assert names(folder / "**" / "*.jsonl") == ["c.jsonl", "z.jsonl", "b.jsonl"]
    assert names(folder / "a" / "[cz].jsonl") == ["c.jsonl", "z.jsonl"]


def test_a_name_that_looks_like_a_glob_and_exists_is_a_name(tmp_path):
    (tmp_path / "a[1].jsonl").touch()
    assert names(tmp_path / "a[1].jsonl") == ["a[1].jsonl"]


def test_a_link_out_of_the_folder_is_not_the_folders(folder, tmp_path):
    (tmp_path / "secret").write_text("{}")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    assert names(folder) == ["a/c.jsonl", "a/z.jsonl", "b.jsonl"]


@pytest.mark.parametrize(("name", "what"), [("absent", "no such file"), ("*.csv", "no files match"), ("empty", "no files in the folder")])
def test_no_files_are_a_mistake(tmp_path, name, what):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=what):
        names(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_a_mistake(tmp_path):
    path = tmp_path / "a"
    path.touch(mode=0)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_source(path)


@pytest.mark.parametrize("name", ["with space", "-dash", "字💻.jsonl", "new\nline", "a" * 255])
def test_any_name_is_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    (file,) = source_files(str(tmp_path / name))
    with open_source(file.path) as stream:
        assert stream.read() == b"x"
