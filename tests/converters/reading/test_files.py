"""Which files a source names."""

import os

import pytest
from recipekit.converters.reading.files import files_of, keys_for, open_source, source_files
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Source


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


def test_a_link_within_the_folder_is_not_a_second_file(folder):
    (folder / "loop").symlink_to(folder)
    assert names(folder) == ["a/c.jsonl", "a/z.jsonl", "b.jsonl"]


@pytest.mark.parametrize(("target", "what"), [("secret", "is a link out of the folder"), ("gone", "is a link to a file that is not there")])
def test_a_link_that_would_be_left_out_is_named(folder, tmp_path, target, what):
    (tmp_path / "secret").write_text("{}")
    (folder / "link.jsonl").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=what):
        names(folder)
    if target == "secret":
        assert "link.jsonl" in names(folder / "*")
    else:
        with pytest.raises(UserError, match=what):
            names(folder / "*")


@pytest.mark.parametrize(
    "files",
    [
        ("train.jsonl", "test.jsonl"),
        ("a-train-00000-of-2.parquet", "a-validation-0.parquet"),
        ("train/x.csv", "dev/x.csv"),
        ("Train_1", "VAL_1"),
        ("train.jsonl", "eval.jsonl"),
        ("train.csv", "evaluation.csv"),
        ("trainset.csv", "test-data/testset.csv"),
        ("trainData.json", "heldout.json"),
        ("trn.json", "tst.json"),
    ],
)
def test_files_of_several_splits_are_not_one_source(tmp_path, files):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="holds files of several splits"):
        files_of(Source(str(tmp_path), "messages"))
    assert len(files_of(Source(str(tmp_path), "messages", split="test"))) == 2


def test_names_that_only_contain_a_splits_word_are_of_no_split(tmp_path):
    for name in ("trainer.jsonl", "contest.jsonl", "developers.jsonl", "train.jsonl", "train_2.jsonl"):
        (tmp_path / name).touch()
    assert len(files_of(Source(str(tmp_path), "messages"))) == 5


@pytest.mark.parametrize(("name", "what"), [("absent", "no such file"), ("*.csv", "no files match"), ("empty", "no files in the folder")])
def test_no_files_are_a_mistake(tmp_path, name, what):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=what):
        names(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_file_is_a_user_error(tmp_path):
    path = tmp_path / "a"
    path.touch(mode=0)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_source(path)


@pytest.mark.parametrize("name", ["with space", "-dash", "字💻.jsonl", "new\nline", "a" * 255])
def test_any_file_name_is_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    (file,) = source_files(str(tmp_path / name))
    with open_source(file.path) as stream:
        assert stream.read() == b"x"


def test_a_name_that_is_not_utf_8_is_refused_before_anything_is_read(tmp_path):
    """Every row names its file in JSON, which cannot contain it."""
    with open(os.fsencode(tmp_path) + b"/ro\xffws.jsonl", "wb") as stream:
        stream.write(b"{}\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        source_files(str(tmp_path))


def test_a_link_to_itself_does_not_suggest_itself(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError) as caught:
        source_files(str(tmp_path / "loop"))
    assert "did you mean" not in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Our questions;\n;\nq;a\nWhy?;So.\nHow?;So.\n", {"encoding": "utf-8", "skip_lines": 2, "field": None}),
        ("q;a\nWhy?;So.\nHow?;So.\n", {"encoding": "utf-8", "skip_lines": 0, "field": None}),
        ('{"rows": [{"q": "Why?"}]}', {"encoding": "utf-8", "skip_lines": 0, "field": "rows"}),
        ('[{"q": "Why?"}]', {"encoding": "utf-8", "skip_lines": 0, "field": None}),
    ],
)
def test_another_file_is_read_with_the_keys_that_it_needs(tmp_path, text, keys):
    (tmp_path / "new").write_text(text)
    source = Source("old", "table", skip_lines=2, field="rows")
    assert keys_for(tmp_path / "new", source) == keys
