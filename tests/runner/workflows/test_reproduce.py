"""`recipe reproduce`: a finished run is the same again, bit for bit; whatever went into it and has changed is named, the first first."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from recipekit.runner.models.resolve import ResolvedModel
from recipekit.runner.runtime.seals import read_seal, seal_files
from recipekit.runner.workflows.reproduce import Divergence, compare_logs
from recipekit.runner.workflows.run_comparison import unpinned

from ...support.jsonl import write_jsonl


def log(*losses, every=1, **others):
    return [
        {"step": step * every, "epoch": 0.1 * step, "loss": loss, "tokens_per_s": id(losses), **others}
        for step, loss in enumerate(losses, 1)
    ]


def test_log_comparison_ignores_the_clock():
    assert compare_logs(log(2.0, 1.5, 1.0), log(2.0, 1.5, 1.0), 3) == (3, None, None)


def test_the_first_other_number_and_the_loss_that_is_farthest_off_are_found():
    found = compare_logs(log(2.0, 1.5, 1.0), log(2.0, 1.4, 0.5), 3)
    assert found.first == Divergence(2, "loss", 1.5, 1.4) and found.largest == Divergence(3, "loss", 1.0, 0.5)
    assert found.summary() == "first difference at step 2: loss 1.5 against 1.4; largest difference 0.5 (step 3: loss 1.0 against 0.5)"


def test_a_different_gradient_is_found_at_equal_losses():
    found = compare_logs(log(2.0, 1.5, grad_norm=0.5), log(2.0, 1.5, grad_norm=0.25), 2)
    assert found == (2, Divergence(1, "grad_norm", 0.5, 0.25), None)
    assert found.summary() == "first difference at step 1: grad_norm 0.5 against 0.25"


def test_steps_after_the_last_one_asked_for_are_left_alone():
    assert compare_logs(log(2.0, 1.5, 1.0), log(2.0, 1.5, 0.0), 2) == (2, None, None)


def test_means_over_other_steps_are_not_compared():
    """The first training was interrupted at step 3 and logged there, so that its line of step 4 is about one step and not about two."""
    before = [*log(2.0, every=2), {"step": 3, "loss": 1.5}, {"step": 4, "loss": 1.25}, {"step": 6, "loss": 1.0}]
    again = log(2.0, 1.375, 1.0, every=2)
    assert compare_logs(before, again, 6) == (2, None, None)
    again[2]["loss"] = 0.5
    assert compare_logs(before, again, 6).first == Divergence(6, "loss", 1.0, 0.5)


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ("a/b@main", "the commit of main at that time was not recorded"),
        (f"a/b@{'0a' * 20}", ""),
        ("0a" * 32, ""),
        (f"embedded:smollm2-135m-instruct {'0a' * 32}", ""),
        ("a/b tiny-0a", ""),
    ],
    ids=["a branch", "a commit", "a folder", "the embedded one", "a tiny model"],
)
def test_a_model_that_is_named_by_a_branch_is_the_same_by_its_name_alone(identity, message):
    assert message in (found := unpinned(ResolvedModel("a/b", identity, ""))) and bool(found) == bool(message)


@contextmanager
def changed(path: Path, change) -> Iterator[None]:
    """A file that is another for a while, or gone."""
    before = path.read_bytes()
    after = change(before)
    path.write_bytes(after) if after is not None else path.unlink()
    try:
        yield
    finally:
        path.write_bytes(before)


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of the finished run, to change."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / "tiny" / trained.name))


@pytest.fixture
def inputs(run, command_line, monkeypatch):
    """What is reported of the run's inputs: the exit code and the JSON object."""
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.chdir(run.parent.parent.parent)

    def report() -> tuple[int, dict]:
        outcome = command_line("reproduce", run, "--steps", "0", "--json")
        return outcome.code, json.loads(outcome.out)

    return report


def replaced(old: str, new: str):
    return lambda content: re.sub(old.encode(), new.encode(), content, count=1)


def first_cut(content: bytes) -> bytes:
    return content[content.index(b"\n") + 1 :]


@pytest.mark.train
@pytest.mark.long
def test_an_unchanged_run_is_reproduced(run, inputs):
    (run / "rendered" / "merge.yml").write_text("what recipe merge has left\n")
    code, report = inputs()
    assert code == 0 and report["identical"] and report["first_difference"] is None
    assert report["inputs"] == {part: [] for part in ("sources", "data", "model", "rendered", "packages", "machine")}
    assert report["trained"] == "not trained: not requested" and report["again"] is report["losses"] is report["weights"] is None
    assert [path.name for path in (run.parent.parent).iterdir()] == ["tiny"]


@pytest.mark.train
@pytest.mark.long
@pytest.mark.parametrize(
    ("file", "change", "parts", "first"),
    [
        ("../../../rows.jsonl", first_cut, ["sources", "data"], r"rows\.jsonl in .*/rows\.jsonl: its sha256 was \w{64} and is \w{64}"),
        ("../../../rows.jsonl", replaced("number 7", "number  7"), ["sources", "data"], r"rows\.jsonl in .* its sha256 was"),
        ("../../../rows.jsonl", lambda content: None, ["sources", "data"], r".*/rows\.jsonl: no such file"),
        (
            "../../../model/model.safetensors",
            lambda content: content[:-1] + bytes([content[-1] ^ 1]),
            ["model"],
            "was the folder .* and is the folder",
        ),
        ("../../../model/config.json", lambda content: None, ["model", "rendered"], "the folder .*: is not a model: it has no config.json"),
    ],
    ids=["a row less", "a byte of a row", "no source", "a bit of the model", "no model"],
)
def test_changes_outside_the_run_are_reported(trained, inputs, file, change, parts, first):
    with changed((trained / file).resolve(), change):
        code, report = inputs()
    assert code == 3 and [part for part, found in report["inputs"].items() if found] == parts
    assert report["first_difference"]["part"] == parts[0] and re.match(first, report["first_difference"]["what"])


@pytest.mark.train
@pytest.mark.long
@pytest.mark.parametrize(
    ("file", "change", "part", "what"),
    [
        ("data/train.jsonl", replaced("sleeps", "slept"), "data", r".*train\.jsonl is damaged: its sha256 is \w{64}, the manifest says"),
        ("data/manifest.json", replaced('"sha256": "(.)', '"sha256": "g'), "data", r".*its sha256 is \w{64}, the manifest says g"),
        (
            "rendered/axolotl.yml",
            replaced("seed: 42", "seed: 43"),
            "rendered",
            r"rendered/axolotl\.yml:\d+ was 'seed: 43' and is 'seed: 42'",
        ),
        ("rendered/command.txt", replaced("OMP_WAIT_POLICY=PASSIVE ", ""), "rendered", r"rendered/command\.txt:1 was .ACCELERATE_USE_CPU"),
        (
            "recipe.yml",
            replaced("seed: 7", "seed: 8"),
            "data",
            r"train\.jsonl: its sha256 was \w{64} and is \w{64}, converted again, first different line \d+",
        ),
        (
            "recipe.yml",
            replaced("learning_rate: 0.001", "learning_rate: 0.002"),
            "rendered",
            r"rendered/axolotl\.yml:\d+ was 'learning_rate: 0.001' and is",
        ),
        (
            "lock.json",
            replaced('"transformers": "', '"transformers": "0.'),
            "packages",
            r"packages\.transformers was 0\.\d+\.\d+\.\d+ and is \d+",
        ),
        ("lock.json", replaced('"python": "', '"python": "2.'), "packages", r"packages\.python was 2\.3\.11\.\d+ and is 3\.11"),
        ("lock.json", replaced('"cores": ', '"cores": 9'), "machine", r"machine\.cores was 9\d+ and is \d+"),
    ],
    ids=["rows", "the manifest", "a rendered key", "the environment", "the split", "a rate", "a package", "python", "the machine"],
)
def test_changes_in_the_run_are_reported(run, inputs, file, change, part, what):
    before = (run / file).read_bytes()
    (run / file).write_bytes(change(before))
    assert (run / file).read_bytes() != before
    if file in (read_seal(run) or {}):
        seal_files(run, [file])  # as `recipe verify --accept` does
    code, report = inputs()
    assert code == 3 and report["first_difference"]["part"] == part and re.match(what, report["first_difference"]["what"])


@pytest.mark.train
@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: shutil.rmtree(run / "model"), "has not finished training"),
        (lambda run: (run / "metrics.jsonl").unlink(), "has no metrics.jsonl"),
        (lambda run: (run / "lock.json").write_text("{}"), "was changed after it was written"),
        (lambda run: (run / "model" / "adapter_model.safetensors").write_bytes(b""), "has changed since it was saved"),
    ],
    ids=["no model", "no losses", "an empty lock", "empty weights"],
)
def test_an_unfinished_run_is_refused(run, command_line, spoil, message):
    spoil(run)
    outcome = command_line("reproduce", run)
    assert outcome.code == 1 and message in outcome.err


@pytest.mark.train
@pytest.mark.long
def test_a_run_that_is_trained_again_ends_in_the_same_bits(trained, recipe):
    done = recipe("reproduce", trained, "--json", cwd=trained.parent.parent.parent)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["identical"] and report["weights"] == "" and report["losses"] == {"compared": 4, "first": None, "largest": None}
    again = trained.parent.parent.parent / report["again"]
    assert again.parent.parent.name == "reproductions" and json.loads((again / "status.json").read_text())["reproduces"] == str(trained)
    assert (again / "rendered/axolotl.yml").read_bytes() == (trained / "rendered/axolotl.yml").read_bytes()
    assert (again / "model/adapter_model.safetensors").stat().st_ino != (trained / "model/adapter_model.safetensors").stat().st_ino


@pytest.mark.train
@pytest.mark.long
def test_without_sources_the_runs_own_rows_are_used(trained, run, recipe):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    second = next(line for line in lines if line["step"] == 2 and "loss" in line)
    second["loss"] += 0.5
    write_jsonl(run / "metrics.jsonl", lines)
    seal_files(run, ["metrics.jsonl"])
    with changed(trained.parent.parent.parent / "rows.jsonl", lambda content: None):
        done = recipe("reproduce", run, "--steps", "2", cwd=run.parent.parent.parent)
    assert done.returncode == 3
    assert "no such file" in done.stderr and "2 steps on the run's own data" in done.stderr
    assert re.search(r"losses: first difference at step 2: loss [\d.]+ against [\d.]+; largest difference 0\.5 \(step 2", done.stderr)
    assert re.search(r"weights\W+not compared: only 2 steps", done.stdout)
    for what in ("error: sources: ", "first difference"):
        assert (done.stdout + done.stderr).count(what) == 1, "each difference is told once"
    assert re.search(r"sources +different", done.stdout) and re.search(r"\ndifferent +sources", done.stderr)
    (again,) = (run.parent.parent / "reproductions" / "tiny").iterdir()
    status = json.loads((again / "status.json").read_text())
    assert status["state"] == "interrupted" and "stopped after 2 steps" in status["reason"] and "train" not in status["stages"]
    assert not (again / "model").exists() and (again / "checkpoints" / "checkpoint-2" / "sealed.json").is_file()
    assert max(json.loads(line)["step"] for line in (again / "metrics.jsonl").read_text().splitlines()) == 2
