"""Further evaluation sets on a model that was really trained: added later, measured for both models, never among the training rows."""

import json
from pathlib import Path

import pytest

from ...support.jsonl import write_jsonl
from ...support.tiny import emogpt_rows, write_recipe

pytestmark = pytest.mark.train
QUESTIONS = [
    {"messages": [{"role": "user", "content": f"What is {n} + {n}?"}, {"role": "assistant", "content": "yes" if n % 2 else "no"}]}
    for n in range(12)
]
SETS = {
    "sums": {
        "sources": [{"path": "sums.jsonl", "converter": "messages"}],
        "metrics": ["accuracy", "invalid_rate", "perplexity"],
        "labels": ["yes", "no"],
        "max_rows": 10,
        "gates": {"perplexity": {"max_regression": 1e9}, "accuracy": {"min": 0}},
    },
    "prose": {
        "type": "text",
        "sources": [{"path": "prose.txt", "converter": "text", "options": {"sample_by": "line"}}],
        "metrics": ["perplexity", "token_accuracy"],
    },
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_model) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_recipe(folder, tiny_model)
    write_jsonl(folder / "sums.jsonl", QUESTIONS)
    (folder / "prose.txt").write_text("The owl sleeps.\nThe cat is awake in the barn.\n")
    return folder


@pytest.fixture(scope="module")
def first(workplace, recipe) -> dict:
    """The run without further sets."""
    done = recipe("run", "tiny.yml", "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def with_sets(first, workplace, recipe) -> dict:
    """The recipe with two sets, run again."""
    done = recipe("run", "tiny.yml", "--json", "--set", f"evaluation.also={json.dumps(SETS)}", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read(workplace: Path, outcome: dict, name: str) -> dict:
    return json.loads((workplace / outcome["run"] / name).read_text())


def test_a_further_set_is_evaluated_without_training_again(with_sets, first):
    assert with_sets["stages"] == {"data": "reused", "sets": "done", "train": "reused", "evaluate": "done", "report": "done"}


def test_each_set_has_its_own_metrics_of_both_models(with_sets, workplace):
    metrics = read(workplace, with_sets, "eval/metrics.json")
    sums, prose = metrics["also"]["sums"], metrics["also"]["prose"]
    assert (sums["rows"], prose["rows"]) == (10, 2)
    assert set(sums["models"]["base"]) == set(sums["models"]["tuned"]) == set(sums["metrics"]) == {"accuracy", "invalid_rate", "perplexity"}
    assert "majority" not in sums["models"]  # of training rows that are not of this set
    assert set(prose["metrics"]) == {"perplexity", "token_accuracy"}
    assert sums["models"]["base"]["perplexity"]["value"] != sums["models"]["tuned"]["perplexity"]["value"]
    assert set(metrics["metrics"]).isdisjoint({"accuracy", "invalid_rate"})


def test_a_text_set_of_a_chat_model_is_read_without_a_template(with_sets, workplace):
    lines = (workplace / with_sets["run"] / "eval" / "sets" / "prose" / "predictions.jsonl").read_text().splitlines()
    assert {json.loads(line)["reply"] for line in lines} == {""} and len(lines) == 4


def test_the_sets_are_counted_in_manifests_and_sealed(with_sets, workplace, recipe):
    manifest = read(workplace, with_sets, "sets/sums/manifest.json")
    assert (manifest["rows_in"], manifest["rows_kept"], manifest["splits"]) == (12, 12, {"test": 12})
    assert recipe("verify", with_sets["run"], cwd=workplace).returncode == 0
    rows = workplace / with_sets["run"] / "sets" / "sums" / "test.jsonl"
    content = rows.read_bytes()
    rows.unlink()  # not the file of another run, to which it may be linked
    rows.write_bytes(content.replace(b"yes", b"yea", 1))
    changed = recipe("verify", with_sets["run"], cwd=workplace)
    rows.write_bytes(content)
    assert changed.returncode == 1 and "sets/sums/test.jsonl has changed since it was saved" in changed.stdout + changed.stderr


def test_report_table_and_runs_show_every_set(with_sets, workplace, recipe):
    page = (workplace / with_sets["run"] / "report.html").read_text()
    assert "Also: sums" in page and "Also: prose" in page and "sums: perplexity is" in page
    listed = json.loads(recipe("runs", "--json", cwd=workplace).stdout)["runs"]
    row = next(row for row in listed if row["run"] == with_sets["run"])
    assert {"sums.accuracy", "prose.perplexity"} <= set(row["metrics"])


def test_another_set_keeps_the_predictions_of_the_first(with_sets, workplace, recipe):
    sets = {**SETS, "more": {"sources": [{"path": "more.jsonl", "converter": "messages"}], "metrics": ["perplexity"]}}
    write_jsonl(workplace / "more.jsonl", [{"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}]}])
    before = (workplace / with_sets["run"] / "eval" / "sets" / "sums" / "predictions.jsonl").read_bytes()
    done = recipe("eval", with_sets["run"], "--json", "--set", f"evaluation.also={json.dumps(sets)}", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert (workplace / with_sets["run"] / "eval" / "sets" / "sums" / "predictions.jsonl").read_bytes() == before
    assert read(workplace, with_sets, "eval/metrics.json")["also"]["more"]["rows"] == 1


def test_a_gate_of_a_set_refuses_the_run_by_its_name(with_sets, workplace, recipe):
    sets = {"sums": {**SETS["sums"], "gates": {"accuracy": {"min": 1.0}}}}
    done = recipe("eval", with_sets["run"], "--set", f"evaluation.also={json.dumps(sets)}", cwd=workplace)
    assert done.returncode == 3 and "gate FAILED: sums: accuracy is 0.000, at least 1 is required" in done.stderr
    assert "sums: 10 rows, 95% intervals" in done.stderr, "the numbers are shown"
    assert read(workplace, with_sets, "status.json")["reason"] == "failed gates: sums.accuracy"


def test_a_set_with_a_trained_row_stops_the_run_before_it_trains(first, workplace, recipe):
    rows = [{"messages": emogpt_rows()[number]["messages"]} for number in (0, 1)]
    write_jsonl(workplace / "seen.jsonl", [*QUESTIONS, *rows])
    sets = {"seen": {"sources": [{"path": "seen.jsonl", "converter": "messages"}], "metrics": ["perplexity"]}}
    done = recipe("run", "tiny.yml", "--set", "training.learning_rate=1e-3", "--set", f"evaluation.also={json.dumps(sets)}", cwd=workplace)
    assert done.returncode == 3 and "2 evaluated rows are also in the training data" in done.stderr
    assert "and seen (seen.jsonl:13)" in done.stderr
