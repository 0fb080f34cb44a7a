"""A classifier as a provider: its scores are those of transformers' own pipeline, and an interrupted labelling resumes."""

import json
import subprocess

import pytest
from recipekit.runner.generate.generate import generate_rows
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.generate_sections import Generate
from recipekit.schemas.values import built

from ...support.llm_server import Quiet

BUILD = """
import sys, torch
from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification, pipeline
torch.manual_seed(7)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
labels = dict(enumerate(["joy", "fear", "neutral"]))
config = GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=64, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id,
                    id2label=labels, label2id={v: k for k, v in labels.items()}, problem_type="multi_label_classification",
                    initializer_range=0.6)
GPT2ForSequenceClassification(config).save_pretrained(sys.argv[2])
tokenizer.save_pretrained(sys.argv[2])
import json
texts = json.loads(sys.argv[3])
print(json.dumps(pipeline("text-classification", sys.argv[2], top_k=None)(texts)))
"""
TEXTS = [f"The {animal} {verb} behind the old house." for animal in ("cat", "owl", "fox", "hen") for verb in ("sleeps", "runs", "hides")]


@pytest.fixture(scope="module")
def classifier(tiny_gpt2, warm, tmp_path_factory):
    """The folder of a small model of several labels a text, and what the pipeline says of TEXTS."""
    folder = tmp_path_factory.mktemp("classifier")
    done = warm("-c", BUILD, tiny_gpt2, folder, json.dumps(TEXTS))
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def labelling(tmp_path):
    (tmp_path / "corpus.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), encoding="utf-8")

    def run(model, **changes):
        values = {"task": "label", "input": str(tmp_path / "corpus.jsonl"), "providers": [{"provider": "classifier", "model": str(model)}]}
        section = built(Generate, values | changes)
        return generate_rows(section, tmp_path / "out", tmp_path / "requests.sqlite", tmp_path, Quiet(), "key")

    return run


def test_scores_are_those_of_the_pipeline_and_a_second_run_computes_none(labelling, classifier, tmp_path, monkeypatch):
    folder, expected = classifier
    manifest = labelling(folder, options={"min_score": 0, "leave_out": []})
    rows = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_bytes().splitlines()]
    assert manifest["rows"] == len(TEXTS)
    for row, scores in zip(rows, expected, strict=True):
        assert row["label_0"] == scores[0]["label"]
        assert row["score_0"] == pytest.approx(scores[0]["score"], abs=1e-5)
    monkeypatch.setattr(subprocess, "Popen", None)
    filtered = labelling(folder, options={"min_score": 0.5})
    kept = sum(scores[0]["label"] != "neutral" and scores[0]["score"] > 0.5 for scores in expected)
    assert filtered["rows"] == kept and filtered["rows_in"] == len(TEXTS), "what is left out is counted, and needs no max_dropped"


def test_a_model_that_generates_is_refused_instead_of_scoring_at_random(labelling, tiny_gpt2):
    with pytest.raises(UserError, match="is not a classifier"):
        labelling(tiny_gpt2)
