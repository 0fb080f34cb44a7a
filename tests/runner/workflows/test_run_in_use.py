"""A run that a process is working on: no command changes it, and those that would are refused."""

import shutil

import pytest
from recipekit.runner.evaluation.human_review import make_review
from recipekit.runner.reporting.report import write_report
from recipekit.runner.runtime.run_files import METRICS, ORIGINS
from recipekit.runner.runtime.seals import seal_files, write_seal
from recipekit.schemas.yaml_writing import to_yaml

from ...support.corruption import calls, files_of
from ...support.finished_runs import write_chat_run

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
CHANGING = [
    "report", "review", "review --votes votes.json", "review --out page.html", "verify --accept", "eval", "eval --set evaluation.max_rows=1", "merge",
    "merge --out merged", "resume",
]  # fmt: skip

LOADING = ("run", "eval", "mask", "predict", "merge", "reproduce", "verify-resume", "chat", "serve", "export", "generate")


@pytest.fixture
def run(tmp_path, minimal, monkeypatch):
    """A finished run of which a file was edited, so that each command has something to do."""
    monkeypatch.chdir(tmp_path)
    run = write_chat_run(tmp_path, ["some text", "another", "a third"])
    (run / "recipe.yml").write_text(to_yaml(minimal()), encoding="utf-8")
    run.write(ORIGINS, {"training.learning_rate": "small.yml:9:3"})
    run.update(stages={"data": "1", "train": "1", "evaluate": "1"})
    (run / "model").mkdir(exist_ok=True)
    (run / "model" / "adapter_config.json").write_text("{}")
    (run / "model" / "adapter_model.safetensors").write_bytes(b"weights")
    for folder in ("model", "eval"):
        write_seal(run / folder)
    write_report(run)
    review = make_review(run, 1, 1).name
    (tmp_path / "votes.json").write_text(f'{{"review": "{review}", "rater": "Ada", "votes": [{{"item": 1, "preference": "A"}}]}}')
    seal_files(run.path, ["recipe.yml", ORIGINS.name, "model/sealed.json", "eval/sealed.json"])
    return run


def contents(run) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in files_of(run.path) if name != "lock"}


@pytest.mark.parametrize("words", CHANGING)
def test_a_command_that_would_change_it_is_refused(run, command_line, words) -> None:
    command, *more = words.split()
    run.update(state="interrupted" if command == "resume" else "done")
    before = contents(run)
    with run.locked():
        refused = command_line(command, run.path, *more)
    assert refused.code == 1 and "is in use by process" in refused.err, refused
    assert contents(run) == before


@pytest.mark.parametrize("words", ["resume", "push me/tiny --dry-run", "reproduce", "verify"])
def test_an_unfinished_run_is_running_only_while_a_process_works_on_it(run, command_line, words) -> None:
    command, *more = words.split()
    run.update(state="running", stages={})
    shutil.rmtree(run / "eval")
    (run / "sealed.json").unlink()
    killed = command_line(command, run.path, *more)
    with run.locked(), (run / "lock").open("r+") as lock:
        lock.write("process 1 on another machine")
        lock.flush()
        working = command_line(command, run.path, *more)
    assert killed.code and ("killed" in killed.err or f"recipe resume {run.path}" in killed.err) and "running" not in killed.err, killed
    assert working.code and "killed" not in working.err and "recipe resume" not in working.err, working.err


def test_no_command_changes_it(run, tmp_path, command_line) -> None:
    """Every command of the command line that loads no model, with the run as each of its arguments."""
    other = write_chat_run(tmp_path / "other", ["some text"])
    before = contents(run)
    tried = {name: words for name, words in calls(run.path, other.path, tmp_path / "out").items() if name not in LOADING}
    assert len(tried) > 20
    for name, arguments in tried.items():
        with run.locked():
            outcome = command_line(*arguments)
        assert outcome.code in (0, 1, 2, 3), (name, outcome.err)
        assert contents(run) == before, name


def test_files_that_differ_while_it_is_in_use_are_not_called_changed(run, command_line) -> None:
    run.write(METRICS, run.read(METRICS) | {"rows": 99})
    with run.locked():
        during = command_line("verify", run.path)
    after = command_line("verify", run.path)
    assert during.code == after.code == 1
    assert "may be replacing the files that differ" in during.err and "changed since" not in during.err
    assert "metrics.json has changed since it was saved" in after.err
