"""A published folder that is no longer what was written says so, with both hashes."""

import hashlib

import pytest
from recipekit.converters.building.manifest import own_files, verify_folder
from recipekit.converters.building.pipeline import build

from ...support.chats import chat_data, chats
from ...support.jsonl import write_jsonl


@pytest.fixture
def folder(tmp_path):
    build(chat_data(write_jsonl(tmp_path / "a.jsonl", chats(20))), tmp_path / "out")
    return tmp_path / "out"


def test_an_unchanged_folder_verifies(folder):
    assert verify_folder(folder) == []


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_flipped_bit_is_reported_with_both_hashes(folder, place):
    path = folder / "train.jsonl"
    before = path.read_bytes()
    content = bytearray(before)
    content[place] ^= 1
    path.write_bytes(content)
    (problem,) = verify_folder(folder)
    assert str(path) in problem
    assert hashlib.sha256(before).hexdigest() in problem
    assert hashlib.sha256(content).hexdigest() in problem


def test_a_deleted_file_is_reported(folder):
    (folder / "train.jsonl").unlink()
    assert verify_folder(folder) == [f"{folder / 'train.jsonl'} cannot be read: No such file or directory"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}"])
def test_an_unusable_manifest_is_reported(folder, content):
    (folder / "manifest.json").unlink()
    if content is not None:
        (folder / "manifest.json").write_bytes(content)
    (problem,) = verify_folder(folder)
    assert "manifest.json cannot be read" in problem


NAMES = ("train.jsonl", "test.jsonl")


def test_only_the_files_of_the_manifest_are_ours(folder):
    assert own_files(folder, NAMES) == {"manifest.json", "train.jsonl"}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"recipekit": "1"}'])
def test_a_damaged_manifest_claims_every_file_it_may_have_named(folder, content):
    (folder / "manifest.json").unlink()
    if content is not None:
        (folder / "manifest.json").write_bytes(content)
    assert own_files(folder, NAMES) == {"manifest.json", *NAMES}


def test_a_foreign_manifest_claims_no_file(folder):
    (folder / "manifest.json").write_text('{"name": "an app", "files": {"train.jsonl": {}}}')
    assert own_files(folder, NAMES) == set()
