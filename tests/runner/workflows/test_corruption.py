"""Each file of a finished run, damaged in turn: every command that reads it says so, or does not need it, and never gives a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.runner.reporting.comparison import compare
from recipekit.runner.reporting.report import write_report
from recipekit.runner.reporting.run_summary import run_summary
from recipekit.runner.runtime.run_files import ORIGINS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import seal_files, write_seal
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.yaml_writing import to_yaml

from ...support.corruption import DAMAGES, calls, concerns, copied, files_of
from ...support.corruption_verdict import Ended, verdict
from ...support.finished_runs import write_chat_run, write_classification_run
from ...support.mutation import with_other_types

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
ROOT = Path(__file__).parents[3]
QUICK = ("cut", "a flipped bit", "an object", "missing")
ALL = [*QUICK, *(pytest.param(damage, marks=pytest.mark.long) for damage in DAMAGES if damage not in QUICK)]


@pytest.fixture
def run(tmp_path, minimal, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_chat_run(tmp_path, ["some text"])
    (run / "recipe.yml").write_text(to_yaml(minimal()), encoding="utf-8")
    run.write(ORIGINS, {"training.learning_rate": "small.yml:9:3"})
    write_seal(run / "eval")
    seal_files(
        run.path, [name for name in files_of(run.path) if not name.startswith("eval/") and name != "status.json"] + ["eval/sealed.json"]
    )
    return run


def test_every_command_that_takes_a_run_is_tried(run) -> None:
    tried = calls(run.path, run.path, run.path)
    assert {"report", "eval", "compare", "predict", "chat", "serve", "verify", "data inspect"} <= set(tried) and len(tried) >= 30


@pytest.mark.parametrize("damage", ALL)
def test_a_damaged_file_never_gives_a_traceback(run, tmp_path, command_line, damage) -> None:
    whole = write_chat_run(tmp_path / "other", ["some text"])
    pristine = copied(run.path, tmp_path / "pristine")
    commands, tried = calls(run.path, whole.path, tmp_path / "out"), 0
    for name in files_of(run.path):
        for command, arguments in commands.items():
            is_meant = damage == "a pipe" and str(run / name) in arguments  # somebody who names a pipe waits for it
            if concerns(arguments, run.path, name) and not is_meant:
                copied(pristine, run.path)
                DAMAGES[damage](run / name)
                outcome = command_line(*arguments)
                assert outcome.code in (0, 1, 2, 3), (name, command, outcome.err)
                assert "Traceback" not in outcome.err, (name, command, outcome.err)
                tried += 1
    assert tried > 150


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "missing"])
@pytest.mark.parametrize("name", ["status.json", "metrics.jsonl", "eval/metrics.json", "recipe.yml"])
def test_a_damaged_run_does_not_hide_the_others(run, tmp_path, command_line, name, damage):
    other = write_chat_run(tmp_path / "elsewhere", ["some text"])
    (tmp_path / "elsewhere" / "runs" / "tiny").rename(tmp_path / "runs" / "whole")
    DAMAGES[damage](run / name)
    listed = command_line("runs")
    assert (listed.code, other.path.name in listed.out) == (0, True), listed


@pytest.mark.parametrize("write", [write_chat_run, write_classification_run], ids=["chat", "classification"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "eval/rows.jsonl", "eval/predictions.jsonl", "eval/masks.jsonl"])
def test_values_of_other_types_never_give_a_traceback(tmp_path, minimal, write, name):
    whole, run = (RunFolder(tmp_path / copy / "runs" / "tiny" / "20250101-000000-abcdef") for copy in ("whole", "changed"))
    for made in (whole, run):
        if write is write_chat_run:
            write(made.path.parents[2], ["some text"])
        else:
            write(made.path)
        (made / "recipe.yml").write_text(to_yaml(minimal()), encoding="utf-8")
    path = run / name
    if not path.exists():
        pytest.skip(f"this run has no {name}")
    first, *others = path.read_text().splitlines() if name.endswith("l") else [path.read_text()]
    tried = 0
    for changed in with_other_types(json.loads(first)):
        path.write_text("".join(f"{line}\n" for line in (json.dumps(changed), *others)))
        for read in (write_report, run_summary, *([lambda run: compare([whole, run])] if write is write_chat_run else [])):
            try:
                read(run)
            except UserError:
                continue
            except Exception as error:
                raise AssertionError(f"{name} as {json.dumps(changed)}") from error
        tried += 1
    assert tried >= 10


WHOLE = Ended(0, "resume tiny\nreport.html", results={"eval/metrics.json": {"rows": 4}, "model/x.safetensors": "0a"})


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (WHOLE, ""),
        (WHOLE._replace(output="resume tiny\neval: rows.jsonl has changed since it was saved: not used\nreport.html"), ""),
        (WHOLE._replace(code=1, output="eval/rows.jsonl: is damaged"), ""),
        (WHOLE._replace(output="resume tiny\n8 rows, base and tuned\nreport.html"), "done again without a word"),
        (WHOLE._replace(code=1, output="something is damaged"), "refused without the file's name"),
        (WHOLE._replace(results={**WHOLE.results, "eval/metrics.json": {"rows": 3}}), "other results, believed: eval/metrics.json"),
        (WHOLE._replace(output="rows.jsonl: not used", results={}), "other results, named: eval/metrics.json, model/x.safetensors"),
        (WHOLE._replace(output="Traceback (most recent call last)"), "exit code 0"),
        (WHOLE._replace(code=-14), "did not end"),
    ],
    ids=["the same", "done again", "refused", "in silence", "refused without a name", "believed", "other results", "traceback", "hang"],
)
def test_what_is_done_again_must_be_said_and_come_to_the_same(found, wrong):
    problem = verdict(WHOLE, found, "eval/rows.jsonl")
    assert problem.startswith(wrong) and bool(problem) == bool(wrong)


@pytest.mark.train
@pytest.mark.long
@pytest.mark.parametrize("state", ["training", "evaluation"])
def test_a_damaged_run_that_never_finished_is_resumed_to_the_same(state, tmp_path):
    """A part of what `python -m tests.support.corruption_loop` tries (docs/reliability.md)."""
    argv = [sys.executable, "-m", "tests.support.corruption_loop", "verify", "resume", "--unfinished", state, "--folder", str(tmp_path),
            "--damages", "a flipped bit", "--every", "12", "--seconds", "600"]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    start = done.stdout.rfind('{\n "calls"')
    assert start >= 0, done.stderr[-2000:]
    found = json.loads(done.stdout[start:])
    assert found["calls"] > 5 and found["wrong"] == []
