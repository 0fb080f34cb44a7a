"""Four binary runs as one of 16 types, against a run of 16 labels. By hand; no model is needed."""

import json

import pytest
from recipekit.runner.runtime.run_files import MANIFEST, METRICS, STATUS
from recipekit.runner.runtime.run_folder import RunFolder

from ...support.jsonl import write_jsonl
from ...support.run_files import manifest_with, metrics_with

for package in ("numpy", "sklearn"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")

TRUTH = ["INTJ", "ENFP", "ISTP", "ESFJ"]
GIVEN = {"EI": "IEII", "NS": "NNSS", "FT": "TFTF", "JP": "JPPJ"}  # only the last row's E is missed
SIXTEEN = ["INTJ", "ENFP", "INTJ", "ENFP"]


@pytest.fixture
def runs(tmp_path):
    """Writes the five runs and gives their paths by name."""

    def write(name, labels, truth, predicted, ids=range(4)):
        run = RunFolder(tmp_path / "runs" / "mbti" / name)
        run.write(STATUS, {"recipe": "mbti", "state": "done", "stages": {}})
        run.write(MANIFEST, manifest_with(type="classification", labels=labels))
        run.write(METRICS, metrics_with(confidence=0.9))
        lines = [{"model": model, "id": str(i), "label": t, "predicted": p if model == "tuned" else t, "probabilities": {}}
                 for model in ("majority", "tuned") for i, t, p in zip(ids, truth, predicted, strict=True)]  # fmt: skip
        write_jsonl(run / "eval" / "predictions.jsonl", lines)
        return str(run.path)

    found = {
        dimension: write(dimension, sorted(dimension), [label[place] for label in TRUTH], GIVEN[dimension])
        for place, dimension in enumerate(GIVEN)
    }
    return found | {"16": write("sixteen", sorted(TRUTH), TRUTH, SIXTEEN), "other": write("other", ["no", "yes"], ["no"] * 4, ["yes"] * 4),
                    "fewer": write("fewer", ["E", "I"], "IEI", "IEI", range(3))}  # fmt: skip


def test_a_type_is_right_when_all_four_letters_are(command_line, runs):
    outcome = command_line("compare", "--join", *(runs[name] for name in GIVEN), "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert (found["rows"], found["confidence"]) == (4, 0.9) and found["metrics"]["accuracy"]["values"][0]["value"] == 0.75
    letters = found["dimensions"]["joined"]
    assert {name: scores["accuracy"] for name, scores in letters.items()} == {"EI": 0.75, "NS": 1, "FT": 1, "JP": 1, "mean": 0.9375}


def test_a_16_label_model_joins_in_any_order(command_line, runs):
    outcome = command_line("compare", "--join", runs["16"], *(runs[name] for name in reversed(GIVEN)), "--json")
    found = json.loads(outcome.out)
    assert found["runs"] == ["joined", "mbti/sixteen"]
    assert [value["value"] for value in found["metrics"]["accuracy"]["values"]] == [0.75, 0.5]
    assert found["metrics"]["accuracy"]["changes"][0]["value"] == -0.25
    assert found["dimensions"]["mbti/sixteen"]["EI"]["accuracy"] == 1


def test_the_table_names_each_letters_accuracy(command_line, runs):
    outcome = command_line("compare", "--join", *(runs[name] for name in (*GIVEN, "16")))
    assert outcome.code == 0, outcome.err
    assert "joined: EI 0.750, NS 1.000, FT 1.000, JP 1.000, mean 0.938" in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("EI", "NS", "FT"), "no run predicts JP"),
        (("fewer", "NS", "FT", "JP"), "different rows: 4 and 3 rows, 3 in common"),
        (("EI", "NS", "FT", "JP", "other"), "has labels that are neither types nor their letters: no, yes"),
    ],
)
def test_incompatible_runs_are_not_joined(command_line, runs, names, message):
    refused = command_line("compare", "--join", *(runs[name] for name in names))
    assert refused.code == 1 and message in " ".join(refused.err.split())
