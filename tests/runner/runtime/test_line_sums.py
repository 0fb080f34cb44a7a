"""Lines with hashes of their own: what is not as it was written is left out, and the rest is kept."""

import pytest
from recipekit.runner.runtime import line_sums
from recipekit.runner.runtime.line_sums import append_lines, cut_changed_lines, drop_changed_lines, sums_of, write_sums
from recipekit.schemas.base.files import append_whole

LINES = [b'{"id": "a"}\n', b'{"id": "b"}\n', b'{"id": "c"}\n']


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "predictions.jsonl"
    append_lines(path, LINES[:2])
    append_lines(path, LINES[2:])
    return path


@pytest.mark.parametrize(
    ("content", "left", "count"),
    [
        (b"".join(LINES), LINES, 0),
        (LINES[0] + b'{"id": "x"}\n' + LINES[2], [LINES[0], LINES[2]], 1),
        (LINES[0] + LINES[2], [LINES[0], LINES[2]], 1),
        (b"".join([*LINES, LINES[1]]), LINES, 1),
        (b"".join([*LINES[:2], LINES[2][:4]]), LINES[:2], 1),
        (b"".join([*LINES, b'{"id": "d"}\n']), LINES, 1),
        (b"\xff\x00", [], 3),
        (b"", [], 3),
    ],
    ids=["as they were written", "changed", "missing", "twice", "torn", "foreign", "other bytes", "empty"],
)
def test_a_line_that_is_not_as_it_was_written_is_left_out(path, content, left, count):
    path.write_bytes(content)
    assert (drop_changed_lines(path), path.read_bytes()) == (count, b"".join(left))
    write_sums(path)
    assert drop_changed_lines(path) == 0


def test_lines_without_hashes_are_left_out(path):
    sums_of(path).unlink()
    assert (drop_changed_lines(path), path.read_bytes()) == (3, b"")


def test_a_kill_before_a_line_is_written_leaves_none(path):
    """Its hash is on the disk already."""
    with sums_of(path).open("ab") as stream:
        stream.write(b"0" * 64 + b"\n")
    assert (drop_changed_lines(path), path.read_bytes()) == (1, b"".join(LINES))


def test_a_kill_while_a_line_is_appended_is_no_changed_line(path, monkeypatch):
    def append_and_die(*given):
        append_whole(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(line_sums, "append_whole", append_and_die)
    with pytest.raises(KeyboardInterrupt):
        append_lines(path, [b'{"id": "d"}\n'])
    assert (cut_changed_lines(path), path.read_bytes()) == (False, b"".join(LINES))


@pytest.mark.parametrize(
    ("content", "hashes", "left", "is_changed"),
    [
        (LINES, 3, 3, False),
        (LINES[:2], 3, 2, False),
        ([*LINES[:2], LINES[2][:4]], 3, 2, False),
        ([LINES[0], b'{"id": "x"}\n', LINES[2]], 3, 1, True),
        ([LINES[0], LINES[2]], 3, 1, True),
        (LINES[::-1], 3, 0, True),
        ([*LINES, LINES[2]], 3, 3, True),
        (LINES, 2, 2, True),
        (LINES, 0, 0, True),
        (LINES[:1], 3, 1, True),
    ],
    ids=["as they were written", "killed", "torn", "changed", "missing", "in another order", "twice", "unhashed", "no hashes", "cut"],
)
def test_lines_that_need_their_order_are_cut_at_the_first_that_is_not_as_it_was_written(path, content, hashes, left, is_changed):
    path.write_bytes(b"".join(content))
    sums_of(path).write_bytes(b"".join(sums_of(path).read_bytes().splitlines(keepends=True)[:hashes]))
    assert (cut_changed_lines(path), path.read_bytes()) == (is_changed, b"".join(LINES[:left]))
    append_lines(path, LINES[left:])
    assert (cut_changed_lines(path), path.read_bytes()) == (False, b"".join(LINES))
