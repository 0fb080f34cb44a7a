"""Texts that an annotator accepted, rejected or skipped: what was not accepted is no label, and is counted."""

import json

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.importing.new_recipe import NewRecipe, recipe_for, recognised_lines
from recipekit.runner.importing.recognise import recognise
from recipekit.schemas.recipe import check_recipe, load_recipe

ANSWERS = ("accept", "accept", "accept", "reject", "ignore")


def task(number, label, answer, **more):
    text = f"Parcel number {number} is late again"
    return {
        "text": text,
        "_input_hash": number,
        "_task_hash": number,
        "options": [{"id": "A", "text": "A"}],
        **label,
        "answer": answer,
        **more,
    }


@pytest.fixture
def converted(tmp_path):
    """How rows are recognised, the recipe's problems, the manifest and the records that the recipe makes."""

    def run(rows):
        path = tmp_path / "annotations.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        found = recognise([str(path)], "classification")
        recipe = tmp_path / "mine.yml"
        recipe.write_text("recipe: 1\nname: mine\n" + recipe_for(NewRecipe("mine", found, [str(path)], tmp_path)), encoding="utf-8")
        assert not check_recipe(recipe)
        data = load_recipe(str(recipe)).recipe.data._replace(dedup="none")
        manifest = build(data, tmp_path / "data")
        records = [
            json.loads(line) for name in manifest["splits"] for line in (tmp_path / "data" / f"{name}.jsonl").read_text().splitlines()
        ]
        return found, manifest, records

    return run


@pytest.mark.parametrize(
    ("label", "options"),
    [(lambda n: {"label": "ABC"[n % 3]}, {}), (lambda n: {"accept": ["ABC"[n % 3]]}, {"label_key": "accept[]"})],
    ids=["binary", "choice"],
)
def test_accepted_rows_have_their_label_and_the_others_are_counted(converted, label, options):
    rows = [task(n, label(n), ANSWERS[n % 5]) for n in range(60)]
    found, manifest, records = converted(rows)
    assert found.choice.options == {**options, "keep_rows": {"answer": ["accept"]}}
    assert not found.unusable and not found.alternatives
    assert "left out: 12 reject, 12 ignore" in dict(recognised_lines(found))["read"]
    assert manifest["dropped"] == {"other_answer": 24} and manifest["rows_kept"] == len(records) == 36
    wanted = {row["text"]: "ABC"[n % 3] for n, row in enumerate(rows) if row["answer"] == "accept"}
    assert {record["text"]: record["label"] for record in records} == wanted


def test_with_one_label_a_rejected_row_is_its_opposite(converted):
    found, manifest, records = converted([task(n, {"label": "SPAM"}, ANSWERS[n % 5]) for n in range(60)])
    assert found.choice.options["label_names"] == {"accept": "SPAM", "reject": "not SPAM"}
    assert [record["label"] for record in records].count("not SPAM") == 12 and len(records) == 48
    assert manifest["dropped"] == {"other_answer": 12}


def test_an_answer_in_words_is_no_annotation(converted):
    rows = [{"text": f"Parcel {n} is late again", "label": "AB"[n % 2], "answer": f"We look for {n} today"} for n in range(30)]
    found, *_ = converted(rows)
    assert "keep_rows" not in found.choice.options
