"""Compared runs: what differs, the paired test, and when they must not be compared. No model is needed."""

import json
from functools import partial
from pathlib import Path

import pytest
from recipekit.runner.evaluation.minimal_pairs import minimal_pair_scores
from recipekit.runner.runtime.run_files import LAST_REQUEST, LOCK, MANIFEST, METRICS, RIGHT_PAIRS, STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.yaml_writing import to_yaml

from ....support.jsonl import write_jsonl
from ....support.run_files import lock_with, manifest_with, metrics_with

for package in ("numpy", "jinja2"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")

FACTS = {"unit": "", "higher_is_better": None}
SOURCES = [{"path": "/data/rows.jsonl", "converter": "messages"}]


@pytest.fixture
def write(tmp_path, minimal):
    """Writes an evaluated run: `nll` of its tuned model for each of 30 rows, and changes to its recipe and facts."""

    def run(name, nll, changes=None, rows=30, lock=None, target_tokens=10, reply="Yes.", recipe="small"):
        folder = RunFolder(tmp_path / "runs" / recipe / name)
        values = minimal(
            {"evaluation": {"metrics": ["perplexity", "stop_rate"]}, "name": recipe, "data.sources": SOURCES, **(changes or {})}
        )
        folder.write(STATUS, {"recipe": recipe, "state": "done", "stages": {}})
        folder.write(LOCK, lock_with(packages={"torch": "2.0"}, model={"path": "", "identity": "m", "note": ""}) | (lock or {}))
        folder.write(MANIFEST, manifest_with(rows_in=rows, rows_kept=rows, splits={"train": 9}))
        evaluation = values["evaluation"]
        names = dict.fromkeys(evaluation["metrics"], FACTS)
        folder.write(METRICS, metrics_with(rows=rows, metrics=names, labels=evaluation.get("labels", [])))
        (folder / "recipe.yml").write_text(to_yaml(values), encoding="utf-8")
        lines = [
            {"model": model, "id": str(n), "reference": "Yes.", "reply": reply, "stopped": True, "reply_tokens": 2,
             "nll": (20.0 if model == "base" else nll) + n % 3, "target_tokens": target_tokens, "correct": 4}
            for model in ("base", "tuned") for n in range(rows)
        ]  # fmt: skip
        for file, content in (("predictions", lines), ("rows", [{"id": str(n)} for n in range(rows)])):
            write_jsonl(folder / "eval" / f"{file}.jsonl", content)
        return str(folder.path)

    return run


def compared(command_line, *runs):
    outcome = command_line("compare", *runs, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_only_what_differs_is_reported(command_line, write):
    one = write("1", 10.0)
    other = write("2", 8.0, {"training.learning_rate": 0.0005}, lock={"packages": {"torch": "2.1"}})
    differences = compared(command_line, one, other)["differences"]
    assert differences == {
        "recipe": {"training.learning_rate": [0.0001, 0.0005]},
        "data": {},
        "environment": {"packages.torch": ["2.0", "2.1"]},
    }


def test_a_smoke_run_is_called_one(command_line, write, tmp_path):
    one, other = write("1", 10.0), write("2", 8.0)
    RunFolder(Path(other)).update(smoke=True)
    page = tmp_path / "comparison.html"
    out = command_line("compare", one, other, "--html", page).out
    assert "small/1  (done)\n" in out and "small/2  (done, a smoke run)\n" in out
    assert page.read_text().count("(done, a smoke run)") == 1


def test_a_change_is_reported_by_the_paired_test(command_line, write):
    found = compared(command_line, write("1", 10.0), write("2", 8.0), write("3", 10.0))
    better, same = found["metrics"]["perplexity"]["changes"]
    assert better["significant"] and better["value"] < 0 and better["high"] < 0
    assert not same["significant"] and same["value"] == 0
    assert found["rows"] == 30 and len(found["metrics"]["perplexity"]["values"]) == 3


def test_runs_of_other_rows_are_refused_with_how_many_they_share(command_line, write):
    refused = command_line("compare", write("1", 10.0), write("2", 8.0, rows=20))
    assert refused.code == 1 and refused.out == ""
    assert "20 and 30 rows, 20 in common" in refused.err and "the same split" in refused.err


def test_metrics_of_tokens_are_not_compared_across_tokenizers(command_line, write):
    found = compared(command_line, write("1", 10.0), write("2", 8.0, target_tokens=14))
    assert list(found["metrics"]) == ["stop_rate"]
    assert found["notes"] == ["Not compared, because the models tokenize the rows differently: perplexity."]


def generated(run: str, **settings) -> str:
    """Says how the run's replies were generated, and those of its set."""
    generation = {"max_new_tokens": 64, "temperature": 0, "top_p": 1, "batch_size": 8, "seed": 42} | settings
    of_set = {"key": "k", "record_type": "chat", "generate": True, "generation": generation}
    asked = {"key": "k", "generate": True, "generation": generation, "bits": 0, "packages": {}, "machine": {}, "sets": {"plain": of_set}}
    RunFolder(Path(run)).write(LAST_REQUEST, asked)
    return run


@pytest.mark.parametrize(
    ("settings", "compared_too"),
    [({"max_new_tokens": 128}, False), ({"temperature": 0.7}, False), ({"batch_size": 1, "seed": 7, "top_p": 0.9}, True)],
    ids=str,
)
def test_replies_that_were_generated_otherwise_are_not_compared(command_line, write, settings, compared_too):
    found = compared(command_line, generated(write("1", 10.0)), generated(write("2", 8.0), **settings))
    assert list(found["metrics"]) == ["perplexity", *["stop_rate"] * compared_too]
    assert found["notes"] == ([] if compared_too else ["Not compared, because the replies were generated with other settings: stop_rate."])


def test_weights_that_were_evaluated_in_other_bits_are_told(command_line, write):
    runs = [write(name, 10.0) for name in "12"]
    folder = RunFolder(Path(runs[1]))
    folder.write(METRICS, folder.read(METRICS) | {"evaluated_with": {"packages": {}, "machine": {}, "bits": 4}})
    (note,) = compared(command_line, *runs)["notes"]
    assert "evaluated in 0 bits and 4 bits" in note


def test_judgements_of_another_judge_are_not_compared(command_line, write):
    judge = {"prompt": "judge_counsellor", "provider": {"provider": "openai", "model": "m"}}
    runs = [write(name, 10.0, {"evaluation": {"metrics": ["perplexity", "safety"], "judge": judge}}) for name in "12"]
    for run, name in zip(runs, ("one", "other"), strict=True):
        folder, counts = RunFolder(Path(run)), {"judged": 30, "unread": 0, "failed": 0, "redacted": 0}
        folder.write(METRICS, folder.read(METRICS) | {"judge": {"model": name, "prompt": "p", "scales": {"safety": [0, 3]}, **counts}})
    found = compared(command_line, *runs)
    assert list(found["metrics"]) == ["perplexity"]
    assert found["notes"] == ["Not compared, because they were judged by another model or with another prompt: safety."]


def test_only_metrics_that_all_runs_measure_are_compared(command_line, write):
    other = write("2", 8.0, {"evaluation": {"metrics": ["stop_rate", "repetition"]}})
    assert list(compared(command_line, write("1", 10.0), other)["metrics"]) == ["stop_rate"]


def add_set(run: str, nll: float, rows: int = 20) -> None:
    """Gives the run a further evaluation set, of which its tuned model has this loss on every row."""
    folder = RunFolder(Path(run))
    (folder / "eval/sets/plain").mkdir(parents=True)
    for file in ("predictions", "rows"):
        lines = (folder / f"eval/{file}.jsonl").read_text().splitlines()
        found = [line | ({"nll": nll + line["nll"]} if "nll" in line else {}) for line in map(json.loads, lines) if int(line["id"]) < rows]
        write_jsonl(folder / f"eval/sets/plain/{file}.jsonl", found)
    scores = metrics_with(split="plain", metrics={"perplexity": FACTS})
    folder.write(METRICS, folder.read(METRICS) | {"also": {"plain": scores}})


def test_further_sets_are_compared(command_line, write, tmp_path):
    runs = [write("1", 10.0), write("2", 10.0)]
    for run, nll in zip(runs, (0.0, 5.0), strict=True):
        add_set(run, nll)
    found = compared(command_line, *runs)
    (change,) = found["also"]["plain"]["metrics"]["perplexity"]["changes"]
    assert change["significant"] and change["value"] > 0 and found["also"]["plain"]["rows"] == 20
    shown = command_line("compare", *runs, "--html", str(tmp_path / "page.html")).out
    assert "plain: 20 rows" in shown and "worse" in shown
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Numbers of plain" in page and "On 20 rows of plain: B is worse on perplexity than A." in page


def add_ratings(run: str, good: int, judge: str = "judge") -> None:
    """Gives the run a rubric whose judge says yes to the tuned model's first rows and no to the others."""
    folder = RunFolder(Path(run))
    lines = [
        {"judge": 0, "model": model, "id": str(n), "scores": {"kind": int(n < good)}} for model in ("base", "tuned") for n in range(30)
    ]
    write_jsonl(folder / "eval/rubric.jsonl", lines)
    rubric = {**metrics_with(metrics={"kind": {"unit": "%", "higher_is_better": True}}), "criteria": {"kind": "Is it kind?"},
              "judges": [{"model": judge, "judged": 60, "unread": 0, "failed": 0, "redacted": 0}], "agreement": {}}  # fmt: skip
    folder.write(METRICS, folder.read(METRICS) | {"rubric": rubric})


def with_pairs(run, right, source="pairs"):
    """Add minimal pairs to a run, of two files: in the first every pair is right, in the second so many of 40."""
    found = {"a": [True] * 20, "b": [True] * right + [False] * (40 - right)}
    folder = RunFolder(Path(run))
    folder.write(RIGHT_PAIRS, {"key": "k", "base": found, "tuned": found})
    folder.write(METRICS, {**folder.read(METRICS), "blimp": {"source": source, **minimal_pair_scores(found, found, 0.95)}})
    return run


def test_minimal_pairs_are_compared_pair_by_pair(command_line, write):
    runs = [with_pairs(write(name, 10.0), right) for name, right in (("1", 20), ("2", 36), ("3", 20))]
    table = compared(command_line, *runs)["also"]["minimal pairs"]
    (numbers,) = table["metrics"].values()
    assert table["rows"] == 60 and [value["value"] for value in numbers["values"]] == [75, 95, 75]
    assert [(change["value"], change["significant"]) for change in numbers["changes"]] == [(20, True), (0, False)]
    shown = command_line("compare", *runs[:2]).out
    assert "minimal pairs: 60 rows, 95% intervals" in shown and "+20.00, better" in shown


def test_other_minimal_pairs_are_not_compared(command_line, write):
    for other in (with_pairs(write("2", 10.0), 20, "others"), write("3", 10.0)):
        found = compared(command_line, with_pairs(write("1", 10.0), 20), other)
        assert (
            found["notes"] == ["The minimal pairs are not compared: not every run has the same."] and "minimal pairs" not in found["also"]
        )


def test_rubrics_of_the_same_judges_are_compared(command_line, write):
    runs = [write("1", 10.0), write("2", 10.0)]
    for run, good in zip(runs, (6, 24), strict=True):
        add_ratings(run, good)
    kind = compared(command_line, *runs)["rubric"]["metrics"]["kind"]
    assert [round(value["value"]) for value in kind["values"]] == [20, 80] and kind["changes"][0]["significant"]


@pytest.mark.parametrize(
    ("first", "second", "note"),
    [
        (
            partial(add_set, nll=0.0),
            partial(add_set, nll=0.0, rows=15),
            "The set plain is not compared: it has different rows in these runs.",
        ),
        (partial(add_set, nll=0.0), None, "The set plain is not compared: not every run has it."),
        (partial(add_ratings, good=6), partial(add_ratings, good=24, judge="other"), "The rubric is not compared: the judges differ."),
        (partial(add_ratings, good=6), None, "The rubric is not compared: not every run was judged."),
    ],
)
def test_sets_and_rubrics_that_differ_are_not_compared(command_line, write, first, second, note):
    runs = [write("1", 10.0), write("2", 8.0)]
    first(runs[0])
    if second:
        second(runs[1])
    found = compared(command_line, *runs)
    assert found["also"] == {} and "rubric" not in found and found["notes"] == [note]


def test_generated_labels_are_compared_as_labels(command_line, write):
    changes = {"evaluation": {"metrics": ["accuracy"], "labels": ["Yes", "No"]}}
    found = compared(command_line, write("1", 10.0, changes, reply="No"), write("2", 8.0, changes))
    assert [value["value"] for value in found["metrics"]["accuracy"]["values"]] == [0, 1]


def test_the_table_is_for_people_and_goes_to_stdout(command_line, write):
    outcome = command_line("compare", write("1", 10.0), write("2", 8.0, {"training.learning_rate": 0.0005}))
    assert outcome.code == 0, outcome.err
    for part in ("A  small/1", "B  small/2", "training.learning_rate", "data: the same", "better"):
        assert part in outcome.out, part


def test_the_page_is_self_contained_and_escapes(command_line, write, tmp_path):
    hostile = "<script>alert(1)</script>"
    runs = (write("1", 10.0, {"description": hostile}), write("2", 8.0))
    outcome = command_line("compare", *runs, "--html", str(tmp_path / "new" / "page.html"))
    assert outcome.code == 0, outcome.err
    page = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert hostile not in page and "&lt;script&gt;" in page
    assert "On 30 rows: B is better on perplexity than A." in page
    assert "default-src 'none'" in page and "http://" not in page and "https://" not in page


@pytest.mark.parametrize("count", [0, 1])
def test_one_run_is_not_a_comparison(command_line, write, count):
    refused = command_line("compare", *[write("1", 10.0)][:count])
    assert refused.code == 2 and refused.out == "" and "RUN" in refused.err


def test_the_same_run_twice_is_not_a_comparison(command_line, write):
    one = write("1", 10.0)
    assert "given twice" in command_line("compare", one, one + "/").err


def test_a_run_without_an_evaluation_is_named(command_line, write, tmp_path):
    one, other = write("1", 10.0), write("2", 8.0)
    (RunFolder(tmp_path / "runs/small/2") / "eval/metrics.json").unlink()
    refused = command_line("compare", one, other)
    assert refused.code == 1 and "has not been evaluated" in refused.err and f"recipe eval {other}" in refused.err
