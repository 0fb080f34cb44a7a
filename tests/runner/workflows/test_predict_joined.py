"""Binary models of the letters of a type predict one type for each row of a file."""

import json
from pathlib import Path

import orjson
import pytest
from recipekit.converters.building.unanswered import Reading
from recipekit.runner.evaluation.label_schemes import SCHEMES
from recipekit.runner.models.reference import ModelReference
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.workflows.predict import Job, joined_rows, predict_joined
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Source

from ...support.jsonl import write_jsonl
from ...support.llm_server import Quiet
from ...support.tiny import write_classification

(MBTI,) = SCHEMES


def work(folder: Path, pair: str, chances: list[float | None]) -> RunFolder:
    """A complete prediction of one letter; None is a row that has none."""
    rows = [{"id": f"f:{n}", "columns": {"posts": f"text {n}"}, "fields": {"text": "x"}, "fault": ""} for n in range(len(chances))]
    predicted = [
        [n, {"error": "too long"} if chance is None else
         {"label": max(pair, key=(found := {pair[0]: chance, pair[1]: 1 - chance}).__getitem__), "probability": max(found.values()),
          "probabilities": found, "tokens": 3}]
        for n, chance in enumerate(chances)
    ]  # fmt: skip
    run = RunFolder(folder / pair)
    write_jsonl(run / "rows.jsonl", rows)
    (run / "predicted.jsonl").write_bytes(orjson.dumps({"rows": predicted}) + b"\n")
    return run


def test_a_type_has_the_likeliest_letters_and_the_product_of_their_probabilities(tmp_path) -> None:
    works = {pair: work(tmp_path, pair, [0.25, 0.9]) for pair in reversed(MBTI.pairs)}
    (row, first), (_, second) = joined_rows(MBTI, works)
    assert row["columns"] == {"posts": "text 0"}
    assert (first["label"], first["probability"]) == ("ISTP", round(0.75**4, 6))
    assert first["letters"]["EI"] == {"label": "I", "probability": 0.75}
    assert len(first["probabilities"]) == 16 and sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert second["label"] == "ENFJ"


def test_a_row_that_lacks_a_letter_has_an_error_instead_of_a_type(tmp_path) -> None:
    works = {pair: work(tmp_path, pair, [None if pair == "FT" else 0.9, 0.9]) for pair in MBTI.pairs}
    found = [prediction for _, prediction in joined_rows(MBTI, works)]
    assert found[0] == {"error": "FT: too long"} and found[1]["label"] == "ENFJ"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (("EI", "NS", "FT"), "no run predicts JP"),
        (("EI", "NS", "FT", "JP", "EI"), "two models predict EI"),
        (("EI", ("no", "yes")), "has labels that are not the letters of a type: no, yes"),
    ],
)
def test_models_of_other_letters_are_refused_before_anything_is_loaded(tmp_path, pairs, message) -> None:
    reading = Reading(Source("none.csv", "mbti"), "classification")
    models = [ModelReference("m", "", "", "", "", "", kind="classification", labels=tuple(pair)) for pair in pairs]
    with pytest.raises(UserError, match=message):
        predict_joined([Job(model, reading, {}) for model in models], tmp_path / "out.jsonl", Quiet())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.train
@pytest.mark.long
def test_four_trained_models_predict_one_type_in_one_command(tmp_path, tiny_model, recipe) -> None:
    write_classification(tmp_path, tiny_model)
    runs = []
    for pair in MBTI.pairs:
        settings = (f"name={pair.lower()}", f"data.sources.0.options.dimension={pair}", f"data.labels=[{pair[0]}, {pair[1]}]",
                    "training.max_steps=2", "training.eval_steps=1", "training.save_steps=1", "training.warmup_steps=0")  # fmt: skip
        done = recipe("run", "types.yml", "--json", *(part for setting in settings for part in ("--set", setting)), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout)["run"])
    done = recipe("predict", *runs, "types.jsonl", "--out", "joined.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "joined.csv").read_text().splitlines()
    assert "prediction.label" in lines[0] and "prediction.letters.EI.label" in lines[0]
    assert len(lines) - 1 == len((tmp_path / "types.jsonl").read_text().splitlines())
    assert not list(tmp_path.glob("*.part"))
    again = recipe("predict", *runs, "types.jsonl", "--out", "again.jsonl", cwd=tmp_path)
    assert again.returncode == 0 and all(
        MBTI.are_whole([json.loads(line)["prediction"]["label"]]) for line in (tmp_path / "again.jsonl").read_text().splitlines()
    )
