"""Progress moves while a batch of replies is generated, of which no row is complete yet."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.models.reference import resolve_target
from recipekit.runner.runtime.progress import Progress
from recipekit.runner.worker import batch_progress, evaluate, predict
from recipekit.runner.worker.batch_progress import BatchProgress
from recipekit.runner.worker.loading import load
from recipekit.runner.worker.packing import Piece

SETTINGS = {"max_new_tokens": 6, "temperature": 1.5, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 3, "batch_size": 2}


@pytest.fixture
def answered(tmp_path, monkeypatch):
    """Progress of four rows that reports every token, and how to read its events."""
    monkeypatch.setattr(batch_progress, "EVERY_S", 0.0)
    path = tmp_path / "progress.jsonl"
    return BatchProgress(Progress(path), "evaluate", 4), lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def loaded(tuned_run):
    return load(resolve_target(str(tuned_run), tuned_run))


def test_a_prediction_reports_the_tokens_of_all_replies_of_its_batch(answered, loaded):
    progress, events = answered
    ids = loaded.prompt_ids([{"role": "user", "content": "Where does the owl sleep?"}])
    replies = predict.replies_to(loaded, [{"id": "a", "ids": ids}, {"id": "b", "ids": ids}], SETTINGS, progress.watch)
    progress.add(2)
    *during, after = events()
    written = [event["written"] for event in during]
    assert written == sorted(written) and written[-1] == sum(reply["reply_tokens"] for reply in replies) > 0
    assert all((event["event"], event["done"], event["total"]) == ("evaluate", 0, 4) for event in during)
    assert (after["done"], after["total"]) == (2, 4) and "written" not in after


def test_an_evaluation_reports_the_tokens_of_each_batch_and_then_its_rows(answered, loaded, tmp_path):
    progress, events = answered
    progress.facts = {"model": "tuned"}
    ids = loaded.prompt_ids([{"role": "user", "content": "Where does the owl sleep?"}])
    row = {"prompt_ids": ids, "pieces": [Piece(ids, ids)], "reference": "", "original_tokens": None}
    asked = {"key": "", "record_type": "chat", "generate": True, "generation": SETTINGS}
    part = evaluate.HeldOut(tmp_path / "predictions.jsonl", [{**row, "id": name} for name in "abcd"], asked)
    evaluate._answer(loaded, part, progress)
    found = events()
    assert [event["done"] for event in found if "written" not in event] == [0, 2, 4]
    assert {event["done"] for event in found if "written" in event} == {0, 2} and {event["model"] for event in found} == {"tuned"}
    tokens = [json.loads(line)["reply_tokens"] for line in part.predictions.read_text().splitlines()]
    assert {sum(tokens[:2]), sum(tokens[2:])} <= {event["written"] for event in found if "written" in event}


def test_a_batch_is_reported_every_few_seconds_only(answered, loaded, monkeypatch):
    progress, events = answered
    monkeypatch.setattr(batch_progress, "EVERY_S", 1e9)
    ids = loaded.prompt_ids([{"role": "user", "content": "Where does the owl sleep?"}])
    predict.replies_to(loaded, [{"id": "a", "ids": ids}], SETTINGS, progress.watch)
    progress.add(1)
    assert [event["done"] for event in events()] == [1]
