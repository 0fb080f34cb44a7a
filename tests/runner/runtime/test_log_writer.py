"""A log is written within its limit and without secrets, counted in bytes."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.runtime.child_process import run_child
from recipekit.runner.runtime.log_writer import LogWriter
from recipekit.schemas.base.errors import UserError

from ...support.waiting import PATIENCE

LIMIT, KEPT = 20_000, 1_000


def written(path, *chunks, limit=LIMIT, kept=KEPT):
    log = LogWriter(path, limit, kept)
    for chunk in chunks:
        log.feed(chunk)
        assert path.stat().st_size <= limit
    log.close()
    return path.read_bytes()


def test_a_short_log_is_written_as_it_is(tmp_path):
    assert written(tmp_path / "log", b"caf\xe9 \xff\n", b"a", b"b\nend") == b"caf\xe9 \xff\nab\nend"


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3 * LIMIT), max_size=12))
def test_a_log_is_never_larger_than_its_limit(tmp_path_factory, sizes):
    path = tmp_path_factory.mktemp("log") / "log"
    assert len(written(path, *(b"a line of text\n" * (size // 15) for size in sizes))) <= LIMIT


def test_a_long_log_keeps_its_beginning_and_its_end_and_counts_the_rest(tmp_path):
    text = written(tmp_path / "log", b"first\n", *[b"the same again\n" * 100] * 50, b"last\n")
    assert text.startswith(b"first\n") and text.endswith(b"last\n") and b"bytes were left out here" in text


def test_a_log_of_an_earlier_attempt_is_continued_within_the_limit(tmp_path):
    (tmp_path / "log").write_bytes(b"before\n" * 2_000)
    assert len(written(tmp_path / "log", b"after\n" * 2_000)) <= LIMIT


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_secret_that_comes_in_two_pieces_is_found(tmp_path, cut):
    text = b"GET with hf_aB3dE6gH9jK2mN5pQ8 now\n-----BEGIN RSA PRIVATE KEY-----\nMIIEpA\n-----END RSA PRIVATE KEY-----\n"
    logged = written(tmp_path / "log", text[:cut], text[cut : cut + 40], text[cut + 40 :])
    assert b"hf_aB3" not in logged and b"MIIEpA" not in logged and b"GET with [redacted] now" in logged


def test_a_line_without_end_is_left_out(tmp_path):
    logged = written(tmp_path / "log", *[b"x" * 10_000] * 20, b"sk-aB3dE6gH9jK2mN5pQ8\nnext\n")
    assert logged == b"[... a line of more than 65,536 bytes was left out]\nnext\n"


FLOOD = """
import os
for n in range(96):
    os.write(1, b"\\xff\\xfe warning: the same again\\n" * (2 ** 20 // 28))
os.write(1, b"ValueError: the cause\\n")
raise SystemExit(1)
"""


def test_a_child_that_floods_its_log_is_bounded_and_its_cause_found(tmp_path):
    with pytest.raises(UserError, match="ValueError: the cause"):
        run_child((sys.executable, "-c", FLOOD), tmp_path, {}, "x.log", "training", lambda event: None)
    text = (tmp_path / "x.log").read_bytes()
    assert len(text) <= 64 << 20 and b"bytes were left out here" in text


def test_it_ends_with_its_last_writer_and_not_with_the_first(tmp_path):
    reader, writer = os.pipe()
    argv = (sys.executable, "-m", "recipekit.runner.runtime.log_writer", str(tmp_path / "log"))
    process = subprocess.Popen(argv, stdin=reader)
    os.close(reader)
    second = os.dup(writer)
    os.write(writer, b"one\n")
    os.close(writer)
    os.write(second, b"two\n")
    os.close(second)
    assert process.wait(PATIENCE) == 0
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
