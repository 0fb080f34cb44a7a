"""Lines classified by a real tiny classifier."""

import json
import shutil
from pathlib import Path

import pytest

from ...support.run_files import manifest_with

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.inference.classify import Classifier
from recipekit.runner.models.reference import resolve_target
from recipekit.runner.worker.loading import load
from recipekit.schemas.base.errors import UserError

from ...support.tiny import CLASSIFICATION, write_run

LABELS = ["ENFP", "ESFJ", "INTJ", "ISTP"]


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path) -> Path:
    """A run whose model is the tiny Llama as a classifier of four labels; its head is drawn anew each time that it is loaded."""
    folder = write_run(tmp_path / "types" / "20260101-000000-aaaaaa", CLASSIFICATION.format(model=tiny_model), tiny_model, tiny_model)
    config = json.loads((folder / "model" / "config.json").read_text())
    config |= {"architectures": ["LlamaForSequenceClassification"], "id2label": dict(enumerate("wxyz"))}
    (folder / "model" / "config.json").write_text(json.dumps(config))
    (folder / "data").mkdir()
    (folder / "data" / "manifest.json").write_text(json.dumps(manifest_with(type="classification", labels=LABELS)))
    torch.manual_seed(0)
    return folder


def test_a_line_gets_its_likeliest_label_and_the_probability_of_every_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier = Classifier(resolve_target(str(run), run.parent), as_json=True)
    classifier.respond("day 1: chess and a library")
    capsys_out = capsys.readouterr().out
    found = json.loads(capsys_out)
    assert sorted(found["probabilities"]) == LABELS
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert found["label"] == max(found["probabilities"], key=found["probabilities"].__getitem__)
    assert found["tokens"] == found["tokens_seen"] > 3


def test_a_line_longer_than_in_training_is_truncated_with_a_message(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier = Classifier(resolve_target(str(run), run.parent), as_json=False)
    classifier.respond("chess " * 200)
    shown = capsys.readouterr()
    assert "only the first 64 of its" in shown.err
    names = shown.out.split()[::2]
    chances = [float(chance) for chance in shown.out.split()[1::2]]
    assert sorted(names) == LABELS and chances == sorted(chances, reverse=True)


def test_a_folder_with_a_classifier_names_its_labels_itself(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "model", tmp_path / "merged")
    classifier = Classifier(resolve_target(str(tmp_path / "merged"), tmp_path), as_json=True)
    assert classifier.labels == list("wxyz") and classifier.sequence_len == 512


def test_a_classifier_cannot_chat(run: Path) -> None:
    target = resolve_target(str(run), run.parent)
    with pytest.raises(UserError, match="has a classification head"):
        load(target)
    with pytest.raises(UserError, match="takes no system prompt"):
        Classifier(target, as_json=False).set_system("x")


def test_a_text_is_read_as_the_rows_of_the_training(run: Path) -> None:
    classifier = Classifier(resolve_target(str(run), run.parent), as_json=False)
    assert classifier.reads == "converted as the rows of the training: mbti"
    raw, trained = classifier.classify_all(["an INFJ plays chess|||a library", "1. an [TYPE] plays chess\n2. a library"])
    assert raw["tokens"] == trained["tokens"] and raw["probabilities"] == pytest.approx(trained["probabilities"], abs=1e-6)
    with pytest.raises(UserError, match="every post is blank"):
        classifier.respond("|||")


def test_a_folder_without_a_recipe_reads_texts_as_they_are_and_says_so(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "model", tmp_path / "merged")
    classifier = Classifier(resolve_target(str(tmp_path / "merged"), tmp_path), as_json=True)
    assert classifier.reads.startswith("read as they are: no recipe says")
    assert classifier.classify("chess|||a library")["tokens"] != classifier.classify("1. chess\n2. a library")["tokens"]
