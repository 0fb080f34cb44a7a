"""The log of requests."""

import sqlite3
import stat
import subprocess
import sys

import pytest
from recipekit.runner.providers.request_log import Entry, RequestLog, Used, open_log
from recipekit.runner.providers.requests import ProviderRequest, Reply
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.generate_sections import Sampling

from ...support.llm_server import Quiet
from ...support.paths import ROOT
from ...support.waiting import PATIENCE

ASKED = ProviderRequest("p", "m", ({"role": "user", "content": "你好"},), Sampling(), 1)
REPLY = Reply("好 😀", "stop", 3, 4)


@pytest.fixture
def log(tmp_path):
    opened = RequestLog(tmp_path / "runs" / "log.sqlite")
    yield opened
    opened.close()


def test_a_later_process_finds_an_answer_by_its_key(log, tmp_path) -> None:
    assert log.reply(ASKED.key) is None
    log.keep([Entry(ASKED, REPLY, 0.5, "USD", 2, 1.5), Entry(ASKED._replace(seed=2), REPLY._replace(metered=False), None, None, 1, 1.0)])
    assert log.reply(ASKED.key) == REPLY
    assert log.used() == Used(2, 14, 0.5)
    again = RequestLog(log.path)
    assert again.reply(ASKED._replace(seed=2).key) == REPLY._replace(metered=False)
    again.close()


@pytest.mark.parametrize(
    "other",
    [
        {"provider": "q"},
        {"model": "n"},
        {"messages": ({"role": "user", "content": "你好!"},)},
        {"sampling": Sampling(temperature=0)},
        {"seed": 2},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_request_key_covers_everything_that_affects_the_reply(other) -> None:
    assert ASKED._replace(**other).key != ASKED.key


def test_failures_are_counted_and_the_last_is_reported(log) -> None:
    log.fail(ASKED, "status 500", True)
    log.fail(ASKED, "status 429", True)
    assert log.failures(ASKED.key) == 2
    assert log.last_failure(ASKED.key) == "status 429"
    assert (log.failures("x"), log.last_failure("x")) == (0, "")


def test_answers_are_written_atomically(log) -> None:
    broken = Entry(ASKED._replace(seed=3), REPLY._replace(text=None), None, None, 1, 1.0)
    with pytest.raises(sqlite3.IntegrityError):
        log.keep([Entry(ASKED, REPLY, None, None, 1, 1.0), broken])
    assert log.used() == Used()


def test_only_the_user_may_read_it(log) -> None:
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_another_file_is_not_a_log(tmp_path) -> None:
    path = tmp_path / "log.sqlite"
    path.write_text("this is something else entirely, and long enough to be read as a header" * 3)
    with pytest.raises(UserError, match="cannot be used as the request log: file is not a database"):
        RequestLog(path)


def test_a_full_disk_is_an_error_of_the_log_and_keeps_what_it_holds(log) -> None:
    log.keep([Entry(ASKED, REPLY, None, None, 1, 1.0)])
    log.database.execute("pragma max_page_count = 1")  # SQLite then says what it says on a full disk
    with pytest.raises(UserError, match="log.sqlite: cannot be used as the request log: database or disk is full"):
        log.keep([Entry(ASKED._replace(seed=2), REPLY._replace(text="x" * 100_000), None, None, 1, 1.0)])
    assert log.reply(ASKED.key) == REPLY
    assert log.used() == Used(1, 7)


def test_a_damaged_log_is_reported(tmp_path) -> None:
    whole = RequestLog(tmp_path / "log.sqlite")
    whole.keep([Entry(ASKED._replace(seed=seed), REPLY, None, None, 1, 1.0) for seed in range(500)])
    whole.close()
    content = whole.path.read_bytes()
    whole.path.write_bytes(content[:4096] + b"\x55" * (len(content) - 4096))
    with pytest.raises(UserError, match="cannot be used as the request log: database disk image is malformed"):
        RequestLog(whole.path).used()


@pytest.mark.parametrize(
    "change", ["reply = 'good'", "reply = cast(x'ff' as text)", "completion_tokens = 9", "redacted = 1", "sha256 = ''", "key = 'k'"]
)
def test_an_answer_that_was_changed_is_said_and_not_used(log, change: str) -> None:
    kept = ASKED._replace(seed=2)
    log.keep([Entry(asked, REPLY, 0, "USD", 2, 1) for asked in (ASKED, kept)])
    log.database.execute(f"update replies set {change} where key = ?", (ASKED.key,))
    assert log.reply(ASKED.key) is None and log.reply(kept.key) == REPLY
    log.close()
    for lines in ([f"{log.path}: 1 reply changed after being written: not used, and asked for again if needed"], []):
        display = Quiet()
        with open_log(log.path, display) as again:
            assert (again.reply(ASKED.key), again.reply(kept.key), again.used().requests) == (None, REPLY, 1)
        assert [line[1] for line in display.lines] == lines


def test_a_log_of_a_version_without_hashes_is_refused_and_kept(log) -> None:
    log.keep([Entry(ASKED, REPLY, 0.5, "USD", 2, 1.5)])
    log.database.execute("alter table replies drop column sha256")
    log.close()
    with pytest.raises(UserError, match="cannot be used as the request log: no such column: sha256"):
        RequestLog(log.path)
    with sqlite3.connect(log.path) as database:
        assert database.execute("select count(*) from replies").fetchone() == (1,)
    database.close()


READ_WHILE_WRITING = """
import sys
from pathlib import Path
from threading import Thread
from tests.runner.providers.test_request_log import ASKED, REPLY
from recipekit.runner.providers.request_log import Entry, RequestLog

log = RequestLog(Path(sys.argv[1]))
answers = [[Entry(ASKED._replace(seed=number), REPLY, None, None, 1, 1.0)] for number in range(300)]
writer = Thread(target=lambda: [log.keep(entries) for entries in answers])
writer.start()
while writer.is_alive():
    assert log.reply(ASKED._replace(seed=0).key) in (REPLY, None)
print(log.used().requests)
"""


def test_a_thread_reads_answers_while_another_writes_some(tmp_path) -> None:
    """As while requests are under way: neither may wait for the other without end."""
    argv = [sys.executable, "-c", READ_WHILE_WRITING, tmp_path / "log.sqlite"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == "300\n", done.stderr
