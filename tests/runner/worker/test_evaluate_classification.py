"""Classifying held-out rows with a real tiny model: each row once, long rows as in training, an interrupted evaluation continued."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.runtime.progress import Progress, read_lines
from recipekit.runner.worker.classification import tokenise_rows
from recipekit.runner.worker.evaluate_classification import classify
from recipekit.runner.worker.generation import label_probabilities
from recipekit.runner.worker.loading import load, reference_of

from ...support.jsonl import write_jsonl

LABELS = ["glad", "sad"]
ROWS, REQUEST = Path("evaluating"), {"generation": {"batch_size": 2}, "bits": 0}
RECORDS = [
    {"id": str(n), "text": text, "label": LABELS[n % 2]}
    for n, text in enumerate(["the cat sleeps", "no", "where does the old dog sleep", "a bee", "the owl sleeps in the barn"])
]


@pytest.fixture
def folder(tmp_path, tiny_model, monkeypatch):
    """A run's directory with a model of two labels, training rows and rows to evaluate."""
    shutil.copytree(tiny_model, tmp_path / "model")
    write_jsonl(tmp_path / "evaluating" / "rows.jsonl", RECORDS)
    write_jsonl(tmp_path / "data" / "train.jsonl", RECORDS)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return tmp_path


@pytest.fixture
def tokenizer(tiny_model):
    return transformers.AutoTokenizer.from_pretrained(tiny_model)


def settings(**changes):
    values = {
        "labels": LABELS, "sequence_len": 64, "excess_length_strategy": "raise", "class_weights": None, "adapter": None, "base_model": "model",
        "revision_of_model": None, "trust_remote_code": False, "record_type": "classification", "attn_implementation": None, "eot_tokens": None,
        "load_in_4bit": None, "load_in_8bit": None,
    }  # fmt: skip
    return SimpleNamespace(**values | changes)


def test_every_row_is_answered_once_by_the_model_and_by_each_baseline(folder, tokenizer):
    classify(ROWS, REQUEST, settings(), tokenizer, Progress(folder / "progress.jsonl"))
    lines = read_lines(folder / "evaluating" / "predictions.jsonl")
    assert sorted((line["model"], line["id"]) for line in lines) == sorted(
        (model, record["id"]) for model in ("tuned", "majority", "mentioned", "tfidf") for record in RECORDS
    )
    assert read_lines(folder / "progress.jsonl")[-1]["done"] == 20


def test_a_killed_evaluation_resumes_with_the_missing_rows(folder, tokenizer):
    before = [{"model": "tuned", "id": n, "label": "glad", "predicted": "glad", "probabilities": {"glad": 1.0, "sad": 0.0}} for n in "024"]
    write_jsonl(folder / "evaluating" / "predictions.jsonl", before)
    classify(ROWS, REQUEST, settings(), tokenizer, Progress(folder / "progress.jsonl"))
    lines = read_lines(folder / "evaluating" / "predictions.jsonl")
    assert lines[:3] == before
    assert sorted(line["id"] for line in lines if line["model"] == "tuned") == list("01234")


def test_a_long_row_is_refused_by_its_name(folder, tokenizer):
    with pytest.raises(SystemExit):
        classify(ROWS, REQUEST, settings(sequence_len=8), tokenizer, Progress(folder / "progress.jsonl"))
    (event,) = [line for line in read_lines(folder / "progress.jsonl") if line["event"] == "refused"]
    assert "1 evaluation row is longer than training.sequence_len (8)" in event["what"]
    assert not (folder / "evaluating" / "predictions.jsonl").exists()


@pytest.mark.parametrize(("strategy", "rows"), [("drop", 4), ("truncate", 5)])
def test_a_long_row_is_left_out_or_cut_as_the_recipe_says(folder, tokenizer, strategy, rows):
    classify(ROWS, REQUEST, settings(sequence_len=8, excess_length_strategy=strategy), tokenizer, Progress(folder / "progress.jsonl"))
    lines = read_lines(folder / "evaluating" / "predictions.jsonl")
    assert len([line for line in lines if line["model"] == "tuned"]) == rows


def test_a_row_gets_the_same_probabilities_alone_and_in_a_batch(folder, tokenizer):
    rows = tokenise_rows(RECORDS, tokenizer, LABELS, 64, "raise").rows
    ids = [row["input_ids"] for row in rows]
    loaded = load(reference_of(settings()), "classification")
    together = label_probabilities(loaded, ids)
    alone = [label_probabilities(loaded, [row])[0] for row in ids]
    assert torch.allclose(torch.tensor(together), torch.tensor(alone), atol=1e-5)
    assert json.loads(json.dumps(together)) == together, "plain numbers"
