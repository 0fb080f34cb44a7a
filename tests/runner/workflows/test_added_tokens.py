"""A classifier with a padding token that its model did not have: training, evaluation, prediction and merged weights agree."""

import json

import pytest

from ...support.tiny import write_classification

pytestmark = [pytest.mark.train, pytest.mark.long]


def test_a_classifier_with_a_new_padding_token_predicts_the_same_everywhere(tmp_path, tiny_model, recipe):
    write_classification(tmp_path, tiny_model)
    run = recipe("run", "types.yml", "--set", "model.pad_token=<|new_pad|>", "--set", "training.max_steps=8", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    folder = tmp_path / json.loads(run.stdout)["run"]
    config, base = (json.loads((path / "config.json").read_text()) for path in (folder / "model", tiny_model))
    assert config["pad_token_id"] == base["vocab_size"], "a token of its own, after those of the model"
    lines = map(json.loads, (folder / "eval" / "predictions.jsonl").read_text().splitlines())
    evaluated = {int(line["id"].rpartition(":")[2]): line for line in lines if line["model"] == "tuned"}
    merged = recipe("merge", folder)
    assert merged.returncode == 0, merged.stderr
    for name, model in {"adapter": folder, "merged": folder / "merged"}.items():
        out = tmp_path / f"{name}.jsonl"
        done = recipe("predict", model, tmp_path / "types.jsonl", "--converter", "mbti", "--out", out)
        assert done.returncode == 0, done.stderr
        predicted = [json.loads(line)["prediction"] for line in out.read_text().splitlines()]
        for number, line in evaluated.items():
            assert predicted[number - 1]["probabilities"] == pytest.approx(line["probabilities"], abs=1e-5), name
    assert len(evaluated) == 16
