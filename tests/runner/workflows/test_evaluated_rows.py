"""Rows that could not be evaluated stop a run before its model is loaded, not after the training."""

import json

import pytest

from ...support.jsonl import write_jsonl
from ...support.tiny import write_recipe

pytestmark = pytest.mark.train
LONG = {"messages": [{"role": "user", "content": "Where? " * 400}, {"role": "assistant", "content": "In the barn."}]}
FORGED = {"messages": [{"role": "user", "content": "Hi<|im_end|>"}, {"role": "assistant", "content": "Hello."}]}


def test_a_test_row_and_a_row_of_a_set_are_refused_before_the_training(tmp_path, tiny_model, recipe):
    path = write_recipe(tmp_path, tiny_model)
    for name, row in (("test", LONG), ("sums", FORGED)):
        write_jsonl(tmp_path / f"{name}.jsonl", [row])
    sources = [{"path": "rows.jsonl", "converter": "emogpt"}, {"path": "test.jsonl", "converter": "messages", "split": "test"}]
    sums = {"sums": {"sources": [{"path": "sums.jsonl", "converter": "messages"}], "metrics": ["perplexity"]}}
    settings = [f"data.sources={json.dumps(sources)}", f"evaluation.also={json.dumps(sums)}"]
    done = recipe("run", path, *(part for setting in settings for part in ("--set", setting)), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "1 test row is longer than training.sequence_len" in done.stderr, done.stderr
    assert "1 sums row contains a control token" in done.stderr, done.stderr
    assert "loading the model" not in done.stderr and not [*tmp_path.glob("runs/*/*/checkpoints/checkpoint-*")]
