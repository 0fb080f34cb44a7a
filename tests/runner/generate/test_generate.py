"""Generating from start to end against real servers that misbehave, with a process that is killed, and with keys that must not be seen."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from recipekit.runner.generate.generate import generate_rows
from recipekit.runner.providers.dispatcher import Dispatcher
from recipekit.runner.providers.limits import Pace
from recipekit.schemas.base.errors import GateError, Interrupted, UserError

from ...support import llm_server
from ...support.llm_server import KEY, OK, reply, serving, status, then
from ...support.waiting import PATIENCE, has_taken, wait_until


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_bytes().splitlines()]


def used(manifest) -> dict:
    (facts,) = manifest["providers"].values()
    return facts


def failures(folder: Path) -> str:
    """What was noted of requests that failed."""
    with sqlite3.connect(folder / "requests.sqlite") as log:
        errors = " ".join(error for (error,) in log.execute("select error from failures"))
    log.close()
    return errors


def test_every_request_becomes_a_row_in_the_order_of_the_input(generating, tmp_path) -> None:
    manifest, server = generating(reply(lambda exchange: f"love | joy {exchange.body['seed']}"))
    assert (manifest["rows_in"], manifest["rows_kept"], manifest["requests"], manifest["rows"]) == (6, 6, 6, 6)
    assert [(row["question_id"], row["run_number"]) for row in rows(tmp_path / "out")] == [(f"s{n}", r) for n in range(3) for r in (1, 2)]
    assert {row["generated_by"]["provider"] for row in rows(tmp_path / "out")} == {"openai_compatible"}
    assert sorted({body["seed"] for body in server.asked}) == [42, 43], "each repetition has a seed of its own"
    assert used(manifest)["prompt_tokens"] == 6 * 7


def test_no_more_requests_are_in_flight_than_allowed(generating) -> None:
    inside, most, together = [], [], threading.Barrier(3)

    def when_three_are_there(exchange):
        inside.append(exchange)
        most.append(len(inside))
        together.wait(PATIENCE)
        inside.remove(exchange)
        reply()(exchange)

    generating(when_three_are_there, count=12, limits={"concurrency": 3, "timeout": PATIENCE})
    assert max(most) == 3


WRONG = {
    "429": status(429, "slow down"), "500": status(500), "503": status(503), "a cut connection": llm_server.cut,
    "malformed JSON": llm_server.malformed, "JSON of another shape": llm_server.other_shape, "a page": llm_server.wrong_type,
}  # fmt: skip


def test_a_single_failure_is_retried(generating, tmp_path) -> None:
    together = threading.Barrier(8)

    def when_all_have_asked(exchange):
        if exchange.number < 8:  # a request that is tried again meanwhile would fail twice
            together.wait(PATIENCE)
        then(*WRONG.values(), reply())(exchange)

    manifest, server = generating(when_all_have_asked, count=4, limits={"concurrency": 8})
    assert manifest["rows_kept"] == 8
    assert used(manifest)["retried"] == len(WRONG)
    assert len(server.asked) == 8 + len(WRONG)
    errors = failures(tmp_path)
    for word in ("status 429: slow down", "status 500", "status 503", "peer closed", "not a chat completion", "text/html, not JSON"):
        assert word in errors


@pytest.mark.parametrize("behave", [llm_server.hang, llm_server.slow_loris], ids=["a hang", "a body that drips"])
def test_a_reply_that_takes_too_long_is_cut_by_time(generating, tmp_path, behave, monkeypatch) -> None:
    too_long = llm_server.ending_time(monkeypatch)
    manifest, server = generating(then(too_long(behave), reply()), count=1, limits={"timeout": PATIENCE, "concurrency": 1})
    assert (manifest["rows_kept"], len(server.asked)) == (2, 3)
    assert f"no complete reply within {PATIENCE} s" in failures(tmp_path)


@pytest.mark.parametrize("behave", [llm_server.endless, llm_server.announced, llm_server.gzip_bomb], ids=lambda behave: behave.__name__)
def test_an_endless_body_is_cut_and_not_retried(generating, tmp_path, behave) -> None:
    manifest, server = generating(then(behave, reply()), count=1, max_dropped=1, limits={"concurrency": 1, "timeout": PATIENCE})
    assert manifest["dropped"] == {"failed": 1}
    assert manifest["rows_kept"] == 1
    assert getattr(server, "sent", 0) < 64 << 20
    assert (tmp_path / "requests.sqlite").stat().st_size < 1 << 20


def test_retry_after_pauses_every_request_to_that_provider(generating, monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(Pace, "pause", lambda pace, seconds: pauses.append(seconds))
    manifest, _ = generating(then(status(429, retry_after="1"), reply()), count=4, limits={"concurrency": 1})
    assert manifest["rows_kept"] == 8
    assert pauses == [1]


def test_half_a_stream_is_not_a_reply(generating, tmp_path) -> None:
    broken = llm_server.streamed(["lo", "ve"], done=False)
    manifest, server = generating(then(broken, llm_server.streamed(["joy", " | hope"])), count=1, provider={"stream": True})
    assert manifest["rows_kept"] == 2
    assert {row["raw_model_output"] for row in rows(tmp_path / "out")} == {"joy | hope"}
    assert server.asked[0]["stream"] is True
    assert used(manifest)["unmetered"] == 2, "the server reported no token counts"


def test_a_redirect_to_another_host_is_refused_and_nothing_is_sent_there(generating) -> None:
    with serving(reply()) as other, pytest.raises(UserError, match="redirects to 127.0.0.1, another host"):
        generating(llm_server.redirect(f"{other.url}/chat/completions"))
    assert other.asked == []


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refused_api_key_is_not_retried(generating, code: int) -> None:
    with pytest.raises(UserError, match=f"status {code}: no such key"):
        generating(status(code, "no such key"), limits={"concurrency": 1})


def test_an_unreachable_provider_is_abandoned(generating) -> None:
    with pytest.raises(UserError, match="10 requests in a row failed"):
        generating(status(500, "down"), count=20, limits={"retries": 0})


def test_refused_and_empty_replies_are_retried_with_another_seed(generating, tmp_path, section, questions) -> None:
    def behave(exchange):
        first = exchange.body["seed"] < 1000
        replies = {"第0句话": "", "第1句话": "I'm sorry, but I can't help with that."}
        key = exchange.prompt.removeprefix("Emotions in ").removesuffix("?")
        reply(replies.get(key, "x | y") if first or key == "第1句话" else "love")(exchange)

    story = {"task": "rewrite", "options": {"read": "chinese", "write": "story"}}
    with pytest.raises(GateError, match="1 of 3 rows cannot be used"):
        generating(behave, max_dropped=0.1, limits={"attempts": 2}, **story)
    manifest, server = generating(behave, max_dropped=0.4, limits={"attempts": 2}, **story)
    assert manifest["dropped"] == {"refused": 1}
    assert (used(manifest)["kept"], used(manifest)["refused"], used(manifest)["asked_again"]) == (2, 1, 2)
    assert server.asked == [], "the log held every reply of the first time"


def test_a_spending_limit_stops_cleanly_and_keeps_the_replies(generating, tmp_path) -> None:
    with pytest.raises(GateError, match="limits.max_requests: 4") as stopped:
        generating(reply(), limits={"max_requests": 4, "concurrency": 3})
    assert stopped.value.exit_code == 3
    assert not (tmp_path / "out").exists()
    manifest, server = generating(reply())
    assert manifest["rows_kept"] == 6
    assert len(server.asked) == 2


def test_tokens_and_money_are_never_spent_beyond_their_limits(generating, tmp_path) -> None:
    price = {"price": {"input": 1_000_000, "output": 1_000_000, "currency": "USD"}}
    sampling = {"max_new_tokens": 5}
    for name, limit in (("max_tokens", 100), ("max_cost", 100)):
        (tmp_path / "requests.sqlite").unlink(missing_ok=True)
        with pytest.raises(GateError, match=f"limits.{name}: 100"):
            generating(reply(), provider=price, sampling=sampling, limits={name: limit, "concurrency": 4}, count=40)
        with sqlite3.connect(tmp_path / "requests.sqlite") as log:
            tokens, cost = log.execute("select sum(prompt_tokens + completion_tokens), sum(cost) from replies").fetchone()
        log.close()
        assert 0 < tokens <= 100
        assert cost == pytest.approx(tokens)


def test_the_cost_is_reported_only_where_a_price_is_given(generating) -> None:
    manifest, _ = generating(reply(), provider={"price": {"input": 2, "output": 4, "currency": "CNY"}})
    assert used(manifest)["cost"] == {"CNY": round(6 * (7 * 2 + 5 * 4) / 1e6, 6)}


def test_without_a_price_there_is_no_cost(generating) -> None:
    manifest, _ = generating(reply())
    assert "cost" not in used(manifest)


def test_providers_share_requests_by_weight(tmp_path, section, questions, quiet, planted) -> None:
    questions(60)
    with serving(reply()) as server:
        one = {"provider": "openai_compatible", "base_url": server.url, "key_name": "PLANTED_API_KEY"}
        several = section(server.url, providers=[one | {"model": "a", "weight": 3}, one | {"model": "b"}])
        manifest = generate_rows(several, tmp_path / "out", tmp_path / "log.sqlite", tmp_path, quiet, "key")
        asked = len(server.asked)
        generate_rows(several, tmp_path / "out", tmp_path / "log.sqlite", tmp_path, quiet, "key")
        assert len(server.asked) == asked == 120
    shares = {name.rpartition("/")[2]: facts["requests"] for name, facts in manifest["providers"].items()}
    assert sum(shares.values()) == 120
    assert 70 <= shares["a"] <= 110
    assert {row["generated_by"]["model"] for row in rows(tmp_path / "out")} == {"a", "b"}


def test_a_key_is_sent_only_to_its_provider(generating, tmp_path, quiet) -> None:
    """The server throws the key back in its errors; no file, message or line of the display repeats it."""
    seen = []

    def behave(exchange):
        seen.append(exchange.headers["authorization"])
        then(status(500, f"bad thing with {KEY}"), status(400, f"Bearer {KEY} is odd"), reply())(exchange)

    with pytest.raises(UserError) as error:
        generating(behave, limits={"concurrency": 1})
    with pytest.raises(UserError) as ended:
        generating(status(401, f"wrong key {KEY}"), provider={"model": "other"})
    assert set(seen) == {f"Bearer {KEY}"}
    assert "[redacted]" in str(ended.value)
    texts = [str(error.value), str(ended.value), repr(ended.value), str(quiet.lines)]
    assert not any(KEY in text for text in texts)
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_without_its_key_nothing_is_asked_and_the_name_is_reported(generating, monkeypatch) -> None:
    monkeypatch.delenv("PLANTED_API_KEY")
    with pytest.raises(UserError, match="PLANTED_API_KEY is not set"):
        generating(reply(), provider={"key_name": "PLANTED_API_KEY"})


SCRIPT = """
import sys
from pathlib import Path
from recipekit.runner.generate.generate import generate_rows
from recipekit.runner.runtime.console import Display
from recipekit.schemas.generate_sections import Generate
from recipekit.schemas.values import built
import json
folder, values = Path(sys.argv[1]), json.loads(sys.argv[2])
with Display() as display:
    generate_rows(built(Generate, values), folder / "out", folder / "requests.sqlite", folder, display, "key")
"""


class Killable:
    """A job in a process of its own."""

    def __init__(self, folder: Path, url: str, prompt: Path, source: Path, runs: int):
        provider = {"provider": "openai_compatible", "model": "m", "base_url": url}
        self.folder = folder
        self.values = {"task": "ask", "prompt": str(prompt), "input": str(source), "providers": [provider], "options": {"runs": runs},
                       "limits": {"concurrency": 8, "timeout": PATIENCE, "retries": 2, "attempts": 1}}  # fmt: skip

    def start(self) -> subprocess.Popen:
        argv = [sys.executable, "-c", SCRIPT, str(self.folder), json.dumps(self.values)]
        return subprocess.Popen(argv, stderr=subprocess.PIPE, start_new_session=True)

    def wait_for(self, count: int) -> None:
        wait_until(lambda: self.answered() >= count)

    def answered(self) -> int:
        try:
            with closing(sqlite3.connect(f"file:{self.folder / 'requests.sqlite'}?mode=ro", uri=True)) as log:
                return log.execute("select count(*) from replies").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def named(exchange) -> str:
    return f"love | word{exchange.body['seed']} | {exchange.prompt[12:-1]}"


def test_sigkill_repeats_no_answered_request(tmp_path, questions, section) -> None:
    gate = {"open": 13}

    def behave(exchange):
        with exchange.server.lock:
            allowed = gate["open"] > 0
            gate["open"] -= 1
        (reply(named) if allowed else llm_server.hang)(exchange)

    section("http://127.0.0.1/v1")  # writes the prompt
    with serving(behave) as server:
        job = Killable(tmp_path / "a", server.url, tmp_path / "prompt.yml", questions(10), runs=4)
        job.folder.mkdir()
        process = job.start()
        job.wait_for(13)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        first = [json.dumps(body) for body in server.answered]
        gate["open"] = 10**9
        assert len(first) == 13
        again = job.start()
        _, output = again.communicate(timeout=PATIENCE)
        assert again.returncode == 0, output.decode()
        assert len(server.answered) == 40
        assert sorted(map(json.dumps, server.answered)) == sorted({json.dumps(body) for body in server.answered}), "none was answered twice"
        whole = Killable(tmp_path / "b", server.url, tmp_path / "prompt.yml", tmp_path / "subtitles.csv", runs=4)
        whole.folder.mkdir()
        undisturbed = whole.start()
        undisturbed.communicate()
    assert (job.folder / "out" / "rows.jsonl").read_bytes() == (whole.folder / "out" / "rows.jsonl").read_bytes()


def test_repeated_kills_repeat_only_open_requests(tmp_path, questions, section) -> None:
    gate = {"open": 0}

    def behave(exchange):
        with exchange.server.lock:
            allowed = gate["open"] > 0
            gate["open"] -= 1
        time.sleep(0.03)
        (reply(named) if allowed else llm_server.hang)(exchange)

    section("http://127.0.0.1/v1")
    chance = random.Random(7)
    with serving(behave) as server:
        job = Killable(tmp_path, server.url, tmp_path / "prompt.yml", questions(30), runs=4)
        for _ in range(3):
            gate["open"] = 30  # however late the kill comes, there is something left to ask for
            process = job.start()
            job.wait_for(job.answered() + chance.randint(5, 25))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        gate["open"] = 10**9
        last = job.start()
        _, output = last.communicate()
        assert last.returncode == 0, output.decode()
    assert len(rows(tmp_path / "out")) == 120
    assert len(server.asked) <= 120 + 3 * 8, "at most the eight under way at each kill are asked again"


def test_ctrl_c_waits_for_the_replies_in_flight_and_keeps_them(tmp_path, questions, section) -> None:
    stopping = threading.Event()

    def behave(exchange):
        stopping.wait(PATIENCE)
        reply(named)(exchange)

    section("http://127.0.0.1/v1")
    with serving(behave) as server:
        job = Killable(tmp_path, server.url, tmp_path / "prompt.yml", questions(30), runs=4)
        process = job.start()
        wait_until(lambda: len(server.asked) >= 8, process)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: has_taken(process.pid, signal.SIGINT), process)
        stopping.set()
        _, output = process.communicate(timeout=PATIENCE)
        assert b"stopped by SIGINT" in output
        assert job.answered() == len(server.asked) == len(server.answered) < 120


def test_a_second_ctrl_c_does_not_wait_for_replies(generating, monkeypatch) -> None:
    heeded, stop = [], Dispatcher._stop
    monkeypatch.setattr(Dispatcher, "_stop", lambda self, why: heeded.append(stop(self, why)))

    def behave(exchange):
        for count, number in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGINT), 1):
            os.kill(os.getpid(), number)
            wait_until(lambda: len(heeded) == count)  # noqa: B023 - waited for here; two at once would be one
        llm_server.hang(exchange)

    with pytest.raises(Interrupted, match="stopped by"):
        generating(behave, limits={"concurrency": 1, "timeout": PATIENCE})


def test_a_full_disk_stops_requests_and_keeps_replies(generating, tmp_path, monkeypatch) -> None:
    connect = sqlite3.connect

    def on_a_full_disk(path, **options):
        database = connect(path, **options)
        database.execute("pragma max_page_count = 30")
        return database

    long_reply = reply("love | " * 2000)
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", on_a_full_disk)
        with pytest.raises(UserError, match="requests.sqlite: cannot be used as the request log: database or disk is full"):
            generating(long_reply, count=30, limits={"concurrency": 3})
    assert not (tmp_path / "out").exists()
    with sqlite3.connect(tmp_path / "requests.sqlite") as log:
        (kept,) = log.execute("select count(*) from replies").fetchone()
    log.close()
    manifest, server = generating(long_reply, count=30)
    assert kept > 0
    assert (manifest["rows_kept"], len(server.asked)) == (60, 60 - kept)


def test_two_processes_do_not_share_a_log(tmp_path, questions, section, quiet, planted) -> None:
    questions()
    with serving(llm_server.hang) as server:
        job = Killable(tmp_path, server.url, tmp_path / "prompt.yml", tmp_path / "subtitles.csv", runs=1)
        generate = section(server.url)
        process = job.start()
        wait_until(lambda: server.asked, process)
        with pytest.raises(UserError, match="in use by another process"):
            generate_rows(generate, tmp_path / "out", tmp_path / "requests.sqlite", tmp_path, quiet, "key")
        process.kill()
        process.communicate()


def test_two_rows_that_ask_the_same_are_asked_once(generating, tmp_path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("name,chinese\na,一样\nb,一样\n", encoding="utf-8")
    manifest, server = generating(reply(), input=str(path))
    assert manifest["rows_kept"] == 4
    assert len(server.asked) == 2


def test_a_reply_that_was_cut_is_left_out_unless_the_recipe_keeps_it(generating) -> None:
    manifest, _ = generating(reply("love", finish="length"), max_dropped=1)
    assert manifest["dropped"] == {"cut": 6}
    kept, _ = generating(reply("love", finish="length"), filters={"keep_cut": True})
    assert kept["rows_kept"] == 6


def test_a_content_filter_is_a_refusal_without_a_retry(generating) -> None:
    answer = {"error": {"message": "Input data may contain inappropriate content", "code": "data_inspection_failed"}}
    manifest, server = generating(lambda exchange: exchange.send("HTTP/1.1 400 X", answer), count=1, max_dropped=1)
    assert manifest["dropped"] == {"refused": 2}
    assert len(server.asked) == 2
    _, again = generating(lambda exchange: exchange.send(OK, {}), count=1, max_dropped=1)
    assert again.asked == []
