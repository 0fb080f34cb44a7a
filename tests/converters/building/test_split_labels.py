"""The labels of the splits."""

from recipekit.converters.building.pipeline import build
from recipekit.runner.reporting.ledger_table import source_notes
from recipekit.schemas.sections import Data, Source, Split
from recipekit.schemas.validation import validator


def manifest(folder, lines):
    (folder / "rows.csv").write_text("text,label\n" + lines, encoding="utf-8")
    data = Data("classification", (Source(str(folder / "rows.csv"), "table"),), split=Split(validation=0))
    return build(data, folder / "out")


def test_a_text_with_two_labels_in_one_split_is_counted(tmp_path):
    found = manifest(tmp_path, "café,good\ncafe\u0301 ,bad\nother,good\nother,good\ncafé,bad\n")
    assert found["label_conflicts"]["rows"] == {"train": 1}
    (note,) = [note for note in source_notes(found) if "labels differently" in note]
    assert note == "1 train row with a text that an earlier row labels differently, e.g. rows.csv:3 and rows.csv:2"


def test_texts_with_one_label_each_are_not_mentioned(tmp_path):
    assert "label_conflicts" not in manifest(tmp_path, "a,good\nb,bad\na,good\n")


def test_a_label_that_only_evaluated_rows_have_is_named(tmp_path):
    for split, rows in {"train": "a,good\nb,bad\n", "validation": "c,mixed\nd,good\n", "test": "e,mixed\n"}.items():
        (tmp_path / f"{split}.csv").write_text(f"text,label\n{rows}")
    sources = tuple(Source(str(tmp_path / f"{split}.csv"), "table", split=split) for split in ("train", "validation", "test"))
    found = build(Data("classification", sources), tmp_path / "out")
    assert found["untrained_labels"] == {"mixed": 2} and validator("manifest").is_valid(found)
    assert "labels without a training row: mixed (2 rows)" in source_notes(found)
