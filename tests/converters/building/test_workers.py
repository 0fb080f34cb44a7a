"""Several processes give what one gives, in order; one that dies is replaced once."""

import os
import signal
import time
from pathlib import Path

import orjson
import pytest
from recipekit.converters.building import workers as module
from recipekit.converters.building.conversion import Batch, Converted, Spec, convert_batch
from recipekit.converters.building.workers import Workers
from recipekit.converters.reading.records import Row
from recipekit.schemas.base.errors import Location, Problem, UserError

from ...support.chats import chat, chats
from ...support.waiting import is_running, wait_until

CHATS = Spec("chat", "messages", {})


def batches(count, rows=3):
    return [Batch("a", 1 + n * rows, b"".join(orjson.dumps(row) + b"\n" for row in chats(rows, n * rows))) for n in range(count)]


def result(found: Converted):
    return found.lines, found.digests, list(found.ends), found.ledger.as_json()


def failing(monkeypatch, fault, on_line=1):
    """The work of the processes, but for `fault`, which happens at the batch that starts on that line."""

    def convert(spec, batch):
        if batch.line == on_line:
            fault()
        return convert_batch(spec, batch)

    monkeypatch.setattr(module, "convert_batch", convert)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def sigterm_interrupts():
    """SIGTERM raises KeyboardInterrupt, as it does in the process of a command."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def once(path: Path, fault=die):
    def act():
        if not path.exists():
            path.touch()
            fault()

    return act


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 40])
def test_results_come_in_the_order_of_the_batches(processes, count):
    expected = [result(convert_batch(CHATS, batch)) for batch in batches(count)]
    with Workers(processes) as workers:
        assert [result(found) for found in workers.convert(CHATS, batches(count))] == expected


def test_a_slow_batch_holds_the_others_back_but_loses_none(monkeypatch):
    failing(monkeypatch, lambda: time.sleep(0.3))
    with Workers(2) as workers:
        found = list(workers.convert(CHATS, batches(30)))
    assert b"".join(part.lines for part in found) == b"".join(convert_batch(CHATS, batch).lines for batch in batches(30))


def test_the_same_processes_serve_one_source_after_the_other():
    with Workers(2) as workers:
        list(workers.convert(CHATS, batches(3)))
        pids = {worker.process.pid for worker in workers.workers}
        found = list(workers.convert(CHATS._replace(prefix="1/"), batches(3)))
        assert {worker.process.pid for worker in workers.workers} == pids
    assert orjson.loads(found[0].lines.splitlines()[0])["id"] == "1/a:1"


@pytest.mark.parametrize("memory", [True, False])
def test_messages_of_any_size_leave_no_memory_allocated(monkeypatch, memory):
    monkeypatch.setattr(module, "KEPT_BYTES", 4096)
    if not memory:
        monkeypatch.delattr(os, "memfd_create")
    large = [Batch("a", n, orjson.dumps(chat("x" * 1_000_000 + str(n))) + b"\n") for n in range(1, 12)]
    rows = [Batch("a", 20, rows=[Row(chat("y" * 1_000_000), "a", 20)])]
    with Workers(2) as workers:
        found = [result(part) for part in workers.convert(CHATS, large + rows)]
        assert [os.fstat(file).st_size for worker in workers.workers for file in worker.files] == [0] * 4
    assert found == [result(convert_batch(CHATS, batch)) for batch in large + rows]


def test_a_batch_that_waits_for_a_dead_process_is_converted(monkeypatch, tmp_path):
    """The first batch of a process costs a try; the second has done nothing."""
    for count in range(1, 9):
        failing(monkeypatch, once(tmp_path / str(count)), on_line=1 + 3 * (count - 1))
        with Workers(2) as workers:
            found = [result(part) for part in workers.convert(CHATS, batches(8))]
        assert (tmp_path / str(count)).exists()
        assert found == [result(convert_batch(CHATS, batch)) for batch in batches(8)]


def test_a_killed_process_retries_its_batch(monkeypatch, tmp_path):
    failing(monkeypatch, once(tmp_path / "died"), on_line=7)
    with Workers(2) as workers:
        found = list(workers.convert(CHATS, batches(12)))
    assert (tmp_path / "died").exists()
    assert [result(part) for part in found] == [result(convert_batch(CHATS, batch)) for batch in batches(12)]


@pytest.mark.parametrize(
    ("fault", "died"),
    [(die, r"signal 9 \(SIGKILL\)"), (terminate, r"signal 15 \(SIGTERM\)"), (lambda: os._exit(7), "exit code 7")],
    ids=["SIGKILL", "SIGTERM", "exit"],
)
def test_a_batch_that_kills_two_processes_is_named(monkeypatch, sigterm_interrupts, fault, died):
    failing(monkeypatch, fault, on_line=4)
    expected = f"{died}.* while it converted lines 4 to 6 of a, and so did the retry"
    with pytest.raises(UserError, match=expected) as caught, Workers(2) as workers:
        list(workers.convert(CHATS, batches(5)))
    assert caught.value.problems[0].location == Location("a", 4)


def test_out_of_memory_is_reported_as_a_killed_process(monkeypatch, tmp_path):
    def exhausted():
        raise MemoryError

    failing(monkeypatch, once(tmp_path / "died", exhausted))
    with Workers(2) as workers:
        assert len(list(workers.convert(CHATS, batches(4)))) == 4


def test_a_users_mistake_found_in_a_process_arrives_whole(monkeypatch):
    problem = Problem(Location("a", 4), "cannot be", "mend it", "some-rule")

    def mistaken():
        raise UserError(problem)

    failing(monkeypatch, mistaken, on_line=4)
    with pytest.raises(UserError) as caught, Workers(2) as workers:
        list(workers.convert(CHATS, batches(5)))
    assert caught.value.problems == [problem]


def test_a_bug_has_a_traceback(monkeypatch):
    failing(monkeypatch, lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"), Workers(2) as workers:
        list(workers.convert(CHATS, batches(5)))


def test_no_worker_process_is_left():
    pids = []
    with pytest.raises(KeyboardInterrupt), Workers(3) as workers:
        for _ in workers.convert(CHATS, batches(9)):
            pids = [worker.process.pid for worker in workers.workers]
            raise KeyboardInterrupt
    assert len(pids) == 3
    assert not any(is_running(pid) for pid in pids)


def test_processes_end_with_their_parent():
    """Killed outright, the parent cannot end them: they see their pipe close."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        workers = Workers(3)
        next(workers.convert(CHATS, batches(6)))
        os.write(writing, b" ".join(b"%d" % worker.process.pid for worker in workers.workers))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    pids = os.read(reading, 1000).split()
    os.close(reading)
    os.close(writing)
    assert len(pids) == 3
    wait_until(lambda: not any(is_running(pid.decode()) for pid in pids))
