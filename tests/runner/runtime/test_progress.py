"""Lines that one process appends and another follows."""

import json
import subprocess
import sys

import pytest
from recipekit.runner.runtime.progress import Follower, Progress, read_lines


def test_an_event_is_a_line_with_its_time(tmp_path):
    Progress(tmp_path / "p.jsonl").event("step", step=3, text="zwei\nZeilen 🌙")
    (line,) = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    event = json.loads(line)
    assert event.pop("time") > 1.7e9
    assert event == {"event": "step", "step": 3, "text": "zwei\nZeilen 🌙"}


def test_only_the_first_of_several_processes_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    Progress(tmp_path / "p.jsonl").event("step")
    assert not (tmp_path / "p.jsonl").exists()
    monkeypatch.setenv("RANK", "0")
    Progress(tmp_path / "p.jsonl").event("step")
    assert (tmp_path / "p.jsonl").exists()


def test_a_follower_returns_only_new_lines(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"n": 0}\n')
    follower = Follower(path)
    assert list(follower.new()) == []
    with path.open("a") as stream:
        for n in (1, 2):
            stream.write(f'{{"n": {n}}}\n')
    assert [event["n"] for event in follower.new()] == [1, 2]
    assert list(follower.new()) == []


def test_a_follower_may_start_before_its_file(tmp_path):
    follower = Follower(tmp_path / "p.jsonl")
    assert list(follower.new()) == []
    (tmp_path / "p.jsonl").write_text('{"n": 1}\n')
    assert [event["n"] for event in follower.new()] == [1]


def test_a_line_that_is_not_complete_waits_even_inside_a_character(tmp_path):
    path, follower = tmp_path / "p.jsonl", Follower(tmp_path / "p.jsonl")
    whole = '{"n": 1, "t": "🌙"}\n'.encode()
    seen = []
    for byte in whole:
        with path.open("ab") as stream:
            stream.write(bytes([byte]))
        seen.append(len(list(follower.new())))
    assert seen == [0] * (len(whole) - 1) + [1]


def test_a_torn_last_line_is_left_out(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"n": 1}\n{"n": 2}\n{"n": 3')
    assert read_lines(tmp_path / "m.jsonl") == [{"n": 1}, {"n": 2}]
    assert read_lines(tmp_path / "absent.jsonl") == []


def test_a_separator_inside_text_does_not_end_a_line(tmp_path):
    (tmp_path / "m.jsonl").write_text(json.dumps({"t": "a\u2028b\x85c"}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_lines(tmp_path / "m.jsonl") == [{"t": "a\u2028b\x85c"}]


def test_lines_of_a_writer_that_is_killed_at_any_moment_are_whole(tmp_path):
    text = (
        "import sys; from pathlib import Path; from recipekit.runner.runtime.progress import Progress\n"
        "p = Progress(Path(sys.argv[1]))\nn = 0\nwhile True: n += 1; p.event('step', n=n, pad='x' * 5000)"
    )
    path = tmp_path / "p.jsonl"
    writer = subprocess.Popen([sys.executable, "-c", text, str(path)])
    follower, seen = Follower(path), []
    while len(seen) < 200:
        seen += [event["n"] for event in follower.new()]
    writer.kill()
    writer.wait()
    seen += [event["n"] for event in follower.new()]
    assert seen == list(range(1, len(seen) + 1)) == [line["n"] for line in read_lines(path)]


@pytest.mark.parametrize(
    ("raised", "events", "shown"), [("UserError('no rows')", ["no rows"], ""), ("KeyError('bug')", [], "KeyError: 'bug'")]
)
def test_a_user_error_that_ends_a_process_is_an_event_and_a_bug_a_traceback(tmp_path, raised, events, shown):
    script = (
        "from pathlib import Path\nfrom recipekit.runner.runtime.progress import Progress, report_user_errors\n"
        f"from recipekit.schemas.base.errors import UserError\nreport_user_errors(Progress(Path('progress.jsonl')))\nraise {raised}"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert [event["what"] for event in read_lines(tmp_path / "progress.jsonl")] == events
    assert ended.stderr.strip().endswith(shown)
    assert bool(ended.stderr) == bool(shown)
