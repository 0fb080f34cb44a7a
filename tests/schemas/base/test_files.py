"""What is published is complete, or absent."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.schemas.base import files
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.files import NewFile, new_folder, refuse_inputs_in, refuse_others, remove_folder, sweep, write_atomically

MARKER = "manifest.json"


def write(target, content, marker=MARKER):
    with new_folder(target, marker) as folder:
        (folder / "rows").write_text(content)
        (folder / MARKER).write_text("{}")


def left_over(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def dead_process():
    """The number of a process that has ended."""
    return int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True).stdout)


def test_a_new_folder_appears_whole(tmp_path):
    write(tmp_path / "out", "a")
    assert (tmp_path / "out" / "rows").read_text() == "a"
    assert not left_over(tmp_path)


def test_an_older_folder_is_replaced_completely(tmp_path):
    write(tmp_path / "out", "a")
    (tmp_path / "out" / "only in the old one").touch()
    write(tmp_path / "out", "b")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rows", MARKER}
    assert (tmp_path / "out" / "rows").read_text() == "b"
    assert not left_over(tmp_path)


OWN = (MARKER, "rows", "parts/one")


@pytest.mark.parametrize("theirs", ["notes.md", "parts/two", "sub/y", "rows.bak", "empty/"])
def test_foreign_files_in_a_folder_are_kept(tmp_path, theirs):
    out = tmp_path / "out"
    write(out, "a")
    (out / "parts").mkdir()
    (out / "parts" / "one").touch()
    path = out / theirs
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if theirs.endswith("/") else path.write_text("mine")
    with pytest.raises(UserError, match=f"{theirs.rstrip('/')}"), new_folder(out, MARKER, OWN):
        pytest.fail("the work was done")
    assert path.exists() and (out / "rows").read_text() == "a"
    path.rmdir() if theirs.endswith("/") else path.unlink()
    if path.parent.name == "sub":
        path.parent.rmdir()
    with new_folder(out, MARKER, OWN):
        pass
    assert not any(out.iterdir())


def test_files_added_meanwhile_are_kept(tmp_path):
    write(tmp_path / "out", "a")
    with pytest.raises(UserError, match=r"delete: notes\.md"), new_folder(tmp_path / "out", MARKER, OWN):
        (tmp_path / "out" / "notes.md").touch()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, "notes.md", "rows"]
    assert not left_over(tmp_path)


def test_of_many_files_some_are_named(tmp_path):
    write(tmp_path / "out", "a")
    for number in range(8):
        (tmp_path / "out" / f"mine{number}").touch()
    with pytest.raises(UserError, match="mine0, mine1, mine2, mine3, mine4 and 3 more"):
        refuse_others(tmp_path / "out", OWN)


def test_a_file_that_is_read_may_not_be_in_the_folder_that_is_written(tmp_path):
    write(tmp_path / "out", "a")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for path in (tmp_path / "out" / "rows", tmp_path / "link" / "rows"):
        with pytest.raises(UserError, match="rows: is an input inside"):
            refuse_inputs_in(tmp_path / "out", [path])
    refuse_inputs_in(tmp_path / "out", [tmp_path / "outside", tmp_path / "out2" / "rows"])


def test_a_link_to_a_folder_is_replaced_and_removed_and_the_folder_is_left_alone(tmp_path):
    """As of a run whose checkpoints somebody keeps on another disk."""
    for name in ("one", "two"):
        write(tmp_path / "elsewhere" / name, "a")
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    write(tmp_path / "one", "b")
    remove_folder(tmp_path / "two")
    assert (tmp_path / "one" / "rows").read_text() == "b" and not (tmp_path / "one").is_symlink()
    assert not os.path.lexists(tmp_path / "two") and not left_over(tmp_path)
    assert [(tmp_path / "elsewhere" / name / "rows").read_text() for name in ("one", "two")] == ["a", "a"]


def test_without_atomic_exchange_a_folder_is_replaced_in_two_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_libc", lambda: object())
    write(tmp_path / "out", "a")
    write(tmp_path / "out", "b")
    assert (tmp_path / "out" / "rows").read_text() == "b"
    assert not left_over(tmp_path)


def test_an_error_leaves_the_old_one(tmp_path):
    write(tmp_path / "out", "a")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out", MARKER) as folder:
        (folder / "rows").write_text("half")
        1 / 0  # noqa: B018
    assert (tmp_path / "out" / "rows").read_text() == "a"
    assert not left_over(tmp_path)


def test_foreign_files_are_never_deleted(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(UserError, match="was not written by recipekit"):
        write(tmp_path / "out", "a")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="was not written by recipekit"):
        write(tmp_path / "file", "a")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "a")


def test_only_files_of_killed_writers_are_swept(tmp_path):
    dead, alive = dead_process(), os.getpid()
    names = [f".out.{dead}.tmp", f".out.old.{dead}.tmp", f".out.{alive}.tmp", f".other.{dead}.tmp", ".out.tmp", ".out.x.tmp"]
    for name in [*names, "out"]:
        (tmp_path / name).mkdir()
    sweep(tmp_path / "out")
    assert sorted(left_over(tmp_path)) == sorted(names[2:])


def test_an_interrupted_replacement_is_undone(tmp_path):
    """Killed between the two steps of an exchange, a writer leaves no folder of the name at all."""
    moved = tmp_path / f".out.old.{dead_process()}.tmp"
    moved.mkdir()
    (moved / "rows").write_text("a")
    sweep(tmp_path / "out")
    assert (tmp_path / "out" / "rows").read_text() == "a"


def test_a_missing_folder_is_not_swept(tmp_path):
    sweep(tmp_path / "absent" / "out")
    write(tmp_path / "absent" / "out", "a")
    assert (tmp_path / "absent" / "out" / "rows").exists()


@pytest.mark.parametrize("name", ["[a]*", "with space", "-dash", "字💻"])
def test_any_file_name_is_accepted(tmp_path, name):
    write(tmp_path / name, "a")
    write(tmp_path / name, "b")
    assert (tmp_path / name / "rows").read_text() == "b"


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.EBUSY, "mount point"),
        (errno.EXDEV, "overlayfs"),
    ],
)
def test_a_full_disk_is_reported_with_what_to_do(tmp_path, number, hint):
    with pytest.raises(UserError) as caught, new_folder(tmp_path / "out", MARKER):
        raise OSError(number, os.strerror(number))
    assert hint in caught.value.problems[0].hint
    assert caught.value.problems[0].location.file == str(tmp_path / "out")
    assert not left_over(tmp_path)


def test_a_file_is_written_atomically(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a", b"old")
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(UserError, match="Input/output error"):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not left_over(tmp_path)


def test_a_file_in_parts_is_written_atomically(tmp_path):
    def broken():
        yield b"half"
        raise UserError("no more")

    write_atomically(tmp_path / "file", (part for part in (b"a", b"", b"b")))
    with pytest.raises(UserError, match="no more"):
        write_atomically(tmp_path / "file", broken())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"ab")]


def test_the_hash_is_of_the_intended_bytes(tmp_path):
    file = NewFile(tmp_path / "a")
    file.write(b"one")
    file.write(memoryview(b"two"))
    file.close()
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert file.facts() == {"sha256": hashlib.sha256(b"onetwo").hexdigest(), "bytes": 6}


def test_lost_bytes_are_detected(tmp_path):
    file = NewFile(tmp_path / "a")
    file.write(b"onetwo")
    file.stream.flush()
    os.truncate(tmp_path / "a", 3)
    with pytest.raises(UserError, match="6 bytes were written, but the file has 3"):
        file.close()


@pytest.mark.parametrize("system", ["linux", "another"])
def test_a_large_file_is_flushed_while_it_is_written(tmp_path, monkeypatch, system):
    monkeypatch.setattr(files, "SENT_BYTES", 1000)
    if system == "another":
        monkeypatch.setattr(files, "_libc", lambda: object())
    sent, send = [], files.send_to_disk
    monkeypatch.setattr(files, "send_to_disk", lambda stream, start, end: (sent.append((start, end)), send(stream, start, end)))
    file = NewFile(tmp_path / "a")
    for size in (400, 700, 300, 2500, 999):
        file.write(b"x" * size)
    file.close()
    assert sent == [(0, 1100), (1100, 3900)]
    assert file.path.read_bytes() == b"x" * 4899


def test_a_folder_that_another_process_writes_first_is_replaced(tmp_path, monkeypatch):
    """Two commands with one new --out: the later one wins, and neither fails."""
    exists = Path.exists
    with new_folder(tmp_path / "out", "marker") as folder:
        (folder / "marker").write_text("mine")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "marker").write_text("theirs")
        monkeypatch.setattr(Path, "exists", lambda path, **_: path.name != "out" and exists(path))
    monkeypatch.undo()
    assert (tmp_path / "out" / "marker").read_text() == "mine" and [path.name for path in tmp_path.iterdir()] == ["out"]


APPENDS = """
import resource, signal, sys
from pathlib import Path
from recipekit.schemas.base.files import append_whole

path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
append_whole(path, b"12345\\n")
try:
    append_whole(path, b"abcde\\nfghij\\n")
except OSError as error:
    print(error.errno)
append_whole(path, b"end\\n")
"""


def test_a_write_that_fails_in_part_appends_nothing(tmp_path):
    """The file may have ten bytes: four of the second write fit. Written again when the file is closed, they would be there twice."""
    done = subprocess.run([sys.executable, "-c", APPENDS, str(tmp_path / "lines")], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (str(errno.EFBIG), "")
    assert (tmp_path / "lines").read_bytes() == b"12345\nend\n"
