"""Sequence classification with the real Axolotl on a tiny Llama: LoRA with four labels, QLoRA and every weight with two."""

import json
from pathlib import Path

import pytest
import yaml

from ...support.jsonl import write_jsonl
from ...support.tiny import write_classification

pytestmark = pytest.mark.train
BINARY = [
    "--set", "data.sources.0.options.dimension=EI", "--set", "data.labels=[E, I]", "--set", "training.micro_batch_size=2",
    "--set", "training.gradient_accumulation_steps=2", "--set", "training.class_weights={E: 1, I: 3}", "--set", "training.max_steps=8",
    "--set", "training.load_best_model_at_end=false", "--set", "training.metric_for_best_model=null",
]  # fmt: skip


class Run:
    """A finished run's files."""

    def __init__(self, outcome: dict, workplace: Path) -> None:
        self.outcome, self.path = outcome, workplace / outcome["run"]

    def read(self, name: str):
        return json.loads((self.path / name).read_text())

    def lines(self, name: str) -> list[dict]:
        return [json.loads(line) for line in (self.path / name).read_text().splitlines()]


def trained(recipe, folder: Path, model: Path, *options: str) -> Run:
    write_classification(folder, model)
    done = recipe("run", "types.yml", "--json", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return Run(json.loads(done.stdout), folder)


@pytest.fixture(scope="module")
def four_labels(tmp_path_factory, tiny_model, recipe) -> Run:
    return trained(recipe, tmp_path_factory.mktemp("four"), tiny_model)


@pytest.fixture(scope="module", params=["qlora", "none"])
def two_labels(request, tmp_path_factory, tiny_model, recipe) -> Run:
    every = ["learning_rate=2e-3", *(f"{key}=null" for key in ("lora_r", "lora_alpha", "lora_target_modules"))]
    lora = [f"training.{setting}" for setting in every] if request.param == "none" else []
    adapter = [part for setting in (f"training.adapter={request.param}", *lora) for part in ("--set", setting)]
    return trained(recipe, tmp_path_factory.mktemp(request.param), tiny_model, *BINARY, *adapter)


def test_the_rendered_file_says_that_it_is_a_classification(four_labels):
    rendered = yaml.safe_load((four_labels.path / "rendered" / "axolotl.yml").read_text())
    wanted = {"type_of_model": "AutoModelForSequenceClassification", "num_labels": 4, "record_type": "classification",
              "labels": ["ENFP", "ESFJ", "INTJ", "ISTP"], "class_weights": "balanced"}  # fmt: skip
    assert {key: rendered[key] for key in wanted} == wanted
    assert "type" not in rendered["datasets"][0], "no tokenisation of Axolotl's own is claimed"


def test_the_audit_counts_rows_by_label(four_labels):
    tokens = four_labels.read("tokens.json")
    assert tokens["train"]["labels"] == dict.fromkeys(["ENFP", "ESFJ", "INTJ", "ISTP"], 12)
    assert tokens["validation"]["labels"] == dict.fromkeys(["ENFP", "ESFJ", "INTJ", "ISTP"], 4)
    assert tokens["train"]["longest"] <= 64 and tokens["train"]["long_rows"] == {}


def test_the_saved_model_knows_its_labels_its_padding_and_its_head(four_labels):
    config = four_labels.read("model/config.json")
    assert config["id2label"] == {"0": "ENFP", "1": "ESFJ", "2": "INTJ", "3": "ISTP"}
    assert config["label2id"] == {"ENFP": 0, "ESFJ": 1, "INTJ": 2, "ISTP": 3}
    assert config["pad_token_id"] == 0
    adapter = four_labels.read("model/adapter_config.json")
    assert adapter["task_type"] == "SEQ_CLS"
    assert "score" in adapter["modules_to_save"]


def test_each_evaluation_has_accuracy_macro_f1_and_every_label(four_labels):
    evaluations = [line for line in four_labels.lines("metrics.jsonl") if "eval_loss" in line]
    assert evaluations[-1]["step"] == 24
    assert {f"eval_{key}" for key in ("accuracy", "macro_f1", "f1_ENFP", "f1_ESFJ", "f1_INTJ", "f1_ISTP")} <= set(evaluations[-1])


def test_training_teaches_the_labels(four_labels):
    evaluations = [line["eval_loss"] for line in four_labels.lines("metrics.jsonl") if "eval_loss" in line]
    assert evaluations[-1] < evaluations[0]
    assert four_labels.outcome["metrics"]["models"]["tuned"]["accuracy"]["value"] > 0.5 > 0.25


def test_the_learning_rate_falls_along_a_line(four_labels):
    rates = [line["learning_rate"] for line in four_labels.lines("metrics.jsonl") if "loss" in line]
    assert rates == pytest.approx([1e-2 * (24 - step) / 24 for step in range(24)])


def test_the_checkpoint_with_the_best_macro_f1_is_the_model(four_labels):
    scores = {line["step"]: line["eval_macro_f1"] for line in four_labels.lines("metrics.jsonl") if "eval_loss" in line and line["step"]}
    newest = max(four_labels.path.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    state = json.loads((newest / "trainer_state.json").read_text())
    assert state["best_metric"] == pytest.approx(max(scores.values()))
    assert state["best_global_step"] == max(scores, key=lambda step: (scores[step], -step))
    best = four_labels.path / "checkpoints" / f"checkpoint-{state['best_global_step']}" / "adapter_model.safetensors"
    from safetensors.numpy import load_file

    saved, model = load_file(best), load_file(four_labels.path / "model" / "adapter_model.safetensors")
    assert saved.keys() == model.keys()
    assert all((saved[name] == model[name]).all() for name in saved)


def test_the_evaluator_measures_what_the_trainer_measured_on_the_same_rows(four_labels):
    best = max(line["eval_macro_f1"] for line in four_labels.lines("metrics.jsonl") if "eval_loss" in line and line["step"])
    assert four_labels.outcome["metrics"]["models"]["tuned"]["macro_f1"]["value"] == pytest.approx(best, abs=1e-5)


def test_predictions_have_a_probability_for_each_label_of_every_row(four_labels):
    rows = four_labels.lines("eval/predictions.jsonl")
    assert {row["model"] for row in rows} == {"tuned", "majority", "mentioned", "tfidf"}
    assert len(rows) == 4 * 16
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probabilities"][row["predicted"]] == max(row["probabilities"].values())


def test_predicted_rows_have_the_probabilities_that_were_evaluated(four_labels, recipe):
    folder = four_labels.path.parents[2]
    done = recipe("predict", four_labels.path, folder / "types.jsonl", "--out", folder / "predicted.jsonl")
    assert done.returncode == 0, done.stderr
    predicted = [json.loads(line) for line in (folder / "predicted.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in ("type", "posts")} for row in predicted] == [
        json.loads(line) for line in (folder / "types.jsonl").read_text().splitlines()
    ]
    evaluated = [row for row in four_labels.lines("eval/predictions.jsonl") if row["model"] == "tuned"]
    for row in evaluated:
        found = predicted[int(row["id"].rpartition(":")[2]) - 1]["prediction"]
        assert found["label"] == row["predicted"]
        assert found["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    assert len(evaluated) == 16


def test_a_classifier_is_compared_with_its_baselines(four_labels):
    metrics = four_labels.read("eval/metrics.json")
    assert set(metrics["models"]) == {"tuned", "majority", "mentioned", "tfidf"}
    assert metrics["baseline"] == "tfidf"
    assert "is random before training" in metrics["notes"][0]
    assert sum(map(sum, metrics["confusion"])) == 16


def test_the_report_shows_the_labels_and_what_they_were_taken_for(four_labels):
    page = (four_labels.path / "report.html").read_text()
    assert 'id="confusion"' in page and 'id="by-label"' in page
    assert "TF-IDF + logistic regression" in page and "calibration" in page
    assert page.count('<th scope="row">INTJ</th>') == 2
    assert "Validation scores" in page


def test_two_labels_train_with_quantised_weights_and_with_every_weight(two_labels):
    config = two_labels.read("model/config.json")
    assert config["id2label"] == {"0": "E", "1": "I"}
    losses = [line["loss"] for line in two_labels.lines("metrics.jsonl") if "loss" in line]
    evaluated = [line["eval_loss"] for line in two_labels.lines("metrics.jsonl") if "eval_loss" in line]
    assert len(losses) == 8 and evaluated[-1] < evaluated[0]
    assert set(two_labels.read("eval/metrics.json")["by_label"]) == {"tuned", "majority", "mentioned", "tfidf"}


def test_by_default_the_last_checkpoint_is_the_model(two_labels):
    state = json.loads((two_labels.path / "checkpoints" / "checkpoint-8" / "trainer_state.json").read_text())
    from safetensors.numpy import load_file

    name = "adapter_model.safetensors" if (two_labels.path / "model" / "adapter_config.json").exists() else "model.safetensors"
    last, model = (load_file(two_labels.path / folder / name) for folder in ("checkpoints/checkpoint-8", "model"))
    assert all((last[key] == model[key]).all() for key in last)
    assert state["global_step"] == 8


def test_a_row_that_is_too_long_stops_the_run_by_its_name(tmp_path, tiny_model, recipe):
    write_classification(tmp_path, tiny_model)
    write_jsonl(tmp_path / "long.jsonl", [{"type": "INTJ", "posts": "a long day " * 40}])
    sources = "[{path: types.jsonl, converter: mbti}, {path: long.jsonl, converter: mbti, split: train}]"
    done = recipe("run", "types.yml", "--set", f"data.sources={sources}", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 train row is longer than training.sequence_len (64): 1/long.jsonl:1 (" in done.stderr
