"""Child processes, with real ones: followed, stopped, never left behind, and their failures reported with the cause."""

import os
import signal
import subprocess
import sys

import pytest
from recipekit.runner.runtime.child_process import failure, run_child
from recipekit.schemas.base.errors import Interrupted, UserError

from ...support.waiting import PATIENCE, has_taken, is_running, wait_until

EVENT = """import json, time
def tell(kind, **facts):
    with open("progress.jsonl", "a") as stream:
        stream.write(json.dumps({"event": kind, **facts}) + "\\n")
"""
# `recipe wait`: a command that does nothing but run child_process.py, behind the command line's own boundary
RUNNER = """
import sys, types
from pathlib import Path
import click
from recipekit.runner.cli import main
from recipekit.runner.runtime.child_process import run_child
from recipekit.runner.runtime.run_folder import RunFolder

@click.command()
def command():
    with RunFolder(Path.cwd()).locked():
        argv = (sys.executable, "child.py")
        run_child(argv, Path.cwd(), {}, "child.log", "training", lambda event: print(event["event"], event.get("pid", ""), flush=True))

main.COMMANDS["wait"] = ("wait", "")
sys.modules["recipekit.runner.cli.commands.wait"] = types.SimpleNamespace(command=command)
sys.argv = ["recipe", "wait"]
main.main()
"""
OBEDIENT = (
    EVENT
    + """
import os, signal, sys
def stop(number, frame):
    open("checkpoint", "w").write(signal.Signals(number).name)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
tell("ready", pid=os.getpid())
time.sleep(600)
"""
)
DEAF = (
    EVENT
    + """
import os, signal
signal.signal(signal.SIGTERM, lambda number, frame: open("signalled", "w").close())
tell("ready", pid=os.getpid())
while not os.path.exists("signalled"):
    time.sleep(0.01)
"""
)
STUBBORN = (
    EVENT
    + """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda number, frame: open("signalled", "w").close())
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
tell("ready", pid=grandchild.pid)
while True:
    time.sleep(600)
"""
)


@pytest.fixture
def child(tmp_path):
    """Runs a Python text as a child in a folder and gives its events."""

    def run(text, env=None, on_event=None):
        events = []
        run_child((sys.executable, "-c", text), tmp_path, env or {}, "child.log", "training", on_event or events.append)
        return events

    return run


@pytest.fixture
def runner(tmp_path):
    """Starts `recipe wait` with a child and gives the process and the number that the child reported when it was ready."""
    started = []

    def start(text, **options):
        (tmp_path / "child.py").write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"preexec_fn": _heed_signals, **options},
        )
        started.append(process)
        assert process.stdout
        word, _, number = process.stdout.readline().strip().partition(" ")
        assert word == "ready"
        return process, int(number)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _heed_signals() -> None:
    """The tests may themselves run under nohup, whose ignored signals a child inherits."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def gone(pid: int) -> bool:
    return wait_until(lambda: not is_running(pid))


def test_events_come_in_order_and_output_goes_to_the_log(child, tmp_path):
    events = child(EVENT + "import sys\ntell('a')\nprint('said')\nprint('wrong', file=sys.stderr)\ntell('b', n=1)")
    assert events == [{"event": "a"}, {"event": "b", "n": 1}]
    assert set((tmp_path / "child.log").read_text().split()) == {"said", "wrong"}


def test_only_its_own_events_are_reported(child):
    child(EVENT + "tell('first run')")
    assert child(EVENT + "tell('second run')") == [{"event": "second run"}]


def test_the_log_of_an_earlier_attempt_is_kept(child, tmp_path):
    child("print('one')")
    child("print('two')")
    assert (tmp_path / "child.log").read_text() == "one\ntwo\n"


def test_it_has_our_environment_and_what_the_plan_adds(child, tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_OUTSIDE", "1")
    child("import os; print(os.environ['FROM_OUTSIDE'], os.environ['OF_THE_PLAN'])", env={"OF_THE_PLAN": "2"})
    assert (tmp_path / "child.log").read_text() == "1 2\n"


@pytest.mark.parametrize("hostile", ["; touch canary", "$(touch canary)", "`touch canary`", "a\nb", "*"])
def test_no_shell_reads_its_arguments(tmp_path, hostile):
    argv = (sys.executable, "-c", "import sys; print(ascii(sys.argv[1]))", hostile)
    run_child(argv, tmp_path, {}, "child.log", "training", lambda event: None)
    assert (tmp_path / "child.log").read_text() == ascii(hostile) + "\n"
    assert not (tmp_path / "canary").exists()


def test_a_failure_is_reported_with_the_end_of_the_log(child):
    with pytest.raises(UserError) as caught:
        child("import sys\nfor n in range(50): print('line', n)\nsys.exit(3)")
    (problem,) = caught.value.problems
    assert problem.what.startswith("training ended with exit code 3\n")
    assert "| line 49" in problem.what and "line 37" not in problem.what
    assert problem.location.file.endswith("child.log")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("output", "cause", "hint"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "does not fit in memory", "micro_batch_size"),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", "does not fit in memory", "micro_batch_size"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "gated", "hf auth login"),
        ("OSError: x is not a local folder and is not a valid model identifier listed", "no such model", "base_model"),
        ("huggingface_hub.errors.RepositoryNotFoundError: 404", "no such model", "base_model"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load", "cannot be reached", "embedded:"),
        ("OSError: [Errno 28] No space left on device", "no space left", "recipe resume"),
        ("OSError: [Errno 122] Disk quota exceeded", "quota is exhausted", "recipe resume"),
        ("ModuleNotFoundError: No module named 'axolotl'", "a package is missing", "recipekit[train]"),
    ],
)
def test_a_known_cause_is_named_with_what_to_do(child, output, cause, hint):
    with pytest.raises(UserError) as caught:
        child(f"import sys; print({output!r}); print('at the end, something else'); sys.exit(1)")
    (problem,) = caught.value.problems
    assert cause in problem.what.splitlines()[0]
    assert hint in problem.hint
    assert output.split(":")[-1].strip()[:30] in problem.what


def test_memory_that_an_evaluation_lacks_is_no_question_of_the_training(tmp_path):
    (tmp_path / "eval.log").write_text("torch.OutOfMemoryError: CUDA out of memory.\n")
    (problem,) = failure("the evaluation", 1, tmp_path / "eval.log", []).problems
    assert "what was trained is kept" in problem.hint and "micro_batch_size" not in problem.hint


def test_a_childs_message_is_reported_line_by_line(child):
    with pytest.raises(UserError) as caught:
        child(EVENT + "tell('refused', what='2 rows are too long\\n1 row has no trained token')\nraise SystemExit(1)")
    assert [p.what for p in caught.value.problems] == ["2 rows are too long", "1 row has no trained token"]


@pytest.mark.parametrize(
    "secret", ["hf_" + "aB3" * 11, "sk-" + "x1_" * 12, "alice:hunter2-canary"], ids=["hub token", "API key", "password in an address"]
)
def test_secrets_are_masked_in_what_is_reported(child, secret):
    with pytest.raises(UserError) as caught:
        child(f"import sys; print('GET https://{secret}@example.org failed with {secret if ':' not in secret else ''}'); sys.exit(1)")
    assert secret not in str(caught.value)
    assert "[redacted]" in str(caught.value)


def test_secrets_are_taken_out_of_the_log(child, tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", "planted-canary-value")
    child("import os; print('key', os.environ['CANARY_API_KEY']); print('hf_' + 'a' * 30)")
    logs = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"key [redacted]" in logs
    assert b"planted-canary-value" not in logs and b"hf_aaaa" not in logs


@pytest.mark.parametrize(("number", "hint"), [(signal.SIGKILL, "memory"), (signal.SIGSEGV, "")])
def test_a_child_that_a_signal_ended_names_it(child, number, hint):
    with pytest.raises(UserError) as caught:
        child(f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {int(number)})")
    (problem,) = caught.value.problems
    assert f"by signal {number.name}" in problem.what
    assert hint in problem.hint


# Aborts as a thread of C++ does that is destroyed while it runs: after Python has ended.
ABORTS = """
import ctypes
libc = ctypes.CDLL(None)
libc.on_exit(ctypes.cast(libc.abort, ctypes.c_void_p), None)
"""


def test_a_child_that_aborts_once_everything_is_saved_has_succeeded(child, tmp_path):
    with pytest.raises(UserError, match="ended by signal SIGABRT"):
        child(EVENT + ABORTS)
    what = f"training ended by signal SIGABRT after everything was saved: nothing is lost; see {tmp_path / 'child.log'}"
    assert child(EVENT + ABORTS + "tell('saved')") == [{"event": "saved"}, {"event": "log", "what": what}]


def test_a_log_that_is_not_utf8_is_reported_all_the_same(child):
    with pytest.raises(UserError, match="caf\ufffd"):
        child("import sys; sys.stdout.buffer.write(b'caf\\xe9 \\xff\\xfe\\x00\\n'); sys.exit(1)")


def test_a_progress_bar_that_returns_to_its_start_counts_as_lines(tmp_path):
    log = tmp_path / "train.log"
    log.write_bytes(b"\r".join(b"%d%%|####|" % n for n in range(1000)) + b"\rValueError: the cause\n")
    assert "ValueError: the cause" in str(failure("training", 1, log, []))


def test_long_lines_and_a_big_log_are_cut(tmp_path):
    log = tmp_path / "train.log"
    log.write_bytes(b"x" * 10_000_000 + b"\n" + b"last\n")
    message = str(failure("training", 1, log, []))
    assert "last" in message and len(message) < 1000


def test_a_failing_listener_ends_the_child(child):
    pids = []

    def fail(event):
        pids.append(event["pid"])
        raise ValueError("while following")

    with pytest.raises(ValueError, match="while following"):
        child(EVENT + "import os\ntell('ready', pid=os.getpid())\ntime.sleep(60)", on_event=fail)
    assert gone(pids[0])


def test_signals_are_ours_again_when_the_child_has_ended(child):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    child("pass")
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_lets_the_child_checkpoint_and_the_command_exits_130(runner, tmp_path, number):
    process, pid = runner(OBEDIENT)
    process.send_signal(number)
    output = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    assert (tmp_path / "checkpoint").read_text() == "SIGTERM"
    assert f"training was stopped by {number.name}" in output and f"recipe resume {tmp_path}" in output
    assert "Traceback" not in output
    assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_to_the_process_and_its_group_is_one_request(runner, tmp_path, number):
    """As timeout(1) sends it: the second must not kill a trainer that writes its checkpoint."""
    waiting = "    open('asked', 'w')\n    while not os.path.exists('sent'):\n        time.sleep(0.02)\n    open("
    process, pid = runner(OBEDIENT.replace("    open(", waiting))
    process.send_signal(signal.SIGTERM)
    wait_until((tmp_path / "asked").exists, process)
    process.send_signal(number)
    wait_until(lambda: has_taken(process.pid, number), process)
    (tmp_path / "sent").touch()
    assert process.communicate(timeout=PATIENCE) and process.returncode == 130
    assert (tmp_path / "checkpoint").read_text() == "SIGTERM" and gone(pid)


def test_a_second_ctrl_c_ends_the_child_and_its_children_at_once(runner, tmp_path):
    process, grandchild = runner(STUBBORN)
    process.send_signal(signal.SIGINT)
    wait_until((tmp_path / "signalled").exists, process)
    assert process.poll() is None and is_running(grandchild)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert gone(grandchild)


def test_a_child_that_ignores_the_signal_and_finishes_has_succeeded(runner):
    process, _ = runner(DEAF)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_stop_that_came_while_a_child_ended_well_is_heeded_before_the_next_begins(child, tmp_path):
    child("import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.kill(os.getppid(), signal.SIGTERM)")
    with pytest.raises(Interrupted, match="the run was stopped by SIGTERM"):
        child("open('begun', 'w')")
    assert not (tmp_path / "begun").exists()
    child("open('begun', 'w')")
    assert (tmp_path / "begun").exists()


def test_the_child_of_a_killed_runner_stops(runner, tmp_path):
    process, pid = runner(OBEDIENT)
    process.kill()
    process.wait()
    assert gone(pid)
    assert (tmp_path / "checkpoint").read_text() == "SIGTERM"


def test_a_run_stays_locked_until_its_child_has_checkpointed(runner, tmp_path):
    from recipekit.runner.runtime.run_folder import RunFolder

    process, pid = runner(OBEDIENT.replace("    open(", "    while not os.path.exists('looked'):\n        time.sleep(0.02)\n    open("))
    process.kill()
    process.wait()
    assert RunFolder(tmp_path).is_locked() and is_running(pid)
    (tmp_path / "looked").touch()
    assert gone(pid)
    assert not RunFolder(tmp_path).is_locked()


def test_nohup_survives_a_closed_terminal(runner):
    process, pid = runner(OBEDIENT, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    os.kill(process.pid, signal.SIGTERM)
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "SIGTERM" in output and "SIGHUP" not in output
