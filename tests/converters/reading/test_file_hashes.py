"""A source file is hashed once while it stays as it is, and again when it has changed."""

from hashlib import sha256

import pytest
from recipekit.converters.reading import file_hashes
from recipekit.converters.reading.file_hashes import Version, remember, source_sha256


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(file_hashes, "_known", {})
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"one")
    return path


def digest(content):
    return sha256(content).hexdigest()


@pytest.fixture
def reads(monkeypatch):
    """The files that were read to hash them."""
    paths, read = [], file_hashes.file_sha256
    monkeypatch.setattr(file_hashes, "file_sha256", lambda path: paths.append(path) or read(path))
    return paths


def test_an_unchanged_file_is_read_once(file, reads, monkeypatch):
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 0)
    assert [source_sha256(file) for _ in range(3)] == [digest(b"one")] * 3
    assert reads == [file]


def test_a_file_that_has_changed_is_read_again(file, reads, monkeypatch):
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 0)
    source_sha256(file)
    file.write_bytes(b"other")
    assert source_sha256(file) == digest(b"other") and len(reads) == 2


def test_a_file_written_just_now_is_hashed_again(file, reads):
    """It may be written again within the same tick of the file system's clock."""
    file_hashes.SETTLED_NS, before = 10**18, file_hashes.SETTLED_NS
    try:
        source_sha256(file)
        source_sha256(file)
    finally:
        file_hashes.SETTLED_NS = before
    assert len(reads) == 2


def test_a_hash_of_another_version_is_not_kept(file, reads, monkeypatch):
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 0)
    opened = Version.of(file)
    file.write_bytes(b"longer than one")
    remember(file, opened, "of what was read")
    assert source_sha256(file) == digest(b"longer than one") and len(reads) == 1
