"""Classified texts as tensors: what happens to long rows, and what a run must not start with."""

from types import SimpleNamespace

import pytest
from recipekit.runner.worker.classification import prepare, split_facts, split_faults, tokenise_rows, weight_faults

from ...support.jsonl import write_jsonl

LABELS = ["sad", "glad"]


class Words:
    """A tokenizer of whole words that begins each text with token 1, as Llama's does, and cuts on the right."""

    bos_token, eos_token, all_special_tokens = "<s>", None, ("<s>",)

    def __init__(self):
        self.spelled = {}

    def __call__(self, text, truncation=False, max_length=None):
        ids = [1, *(len(word) + 1 for word in text.split())]
        self.spelled[tuple(ids)] = text
        return {"input_ids": ids[:max_length] if truncation else ids}

    def decode(self, ids, **_):
        """Spell what was tokenised."""
        return self.spelled[tuple(ids)]


RECORDS = [
    {"id": "a", "text": "I am so glad", "label": "glad"},
    {"id": "b", "text": "a very very very long sad day", "label": "sad"},
    {"id": "c", "text": "no", "label": "sad"},
]


def settings(tmp_path=None, **changes):
    values = {"labels": LABELS, "sequence_len": 6, "excess_length_strategy": "raise", "class_weights": None, "test_datasets": None}
    if tmp_path:
        path = tmp_path / "train.jsonl"
        write_jsonl(path, RECORDS)
        values["datasets"] = [{"path": str(path)}]
    return SimpleNamespace(**values | changes)


@pytest.mark.parametrize(("strategy", "ids"), [("raise", ["a", "c"]), ("drop", ["a", "c"]), ("truncate", ["a", "b", "c"])])
def test_a_long_row_is_always_named_and_kept_only_where_it_is_cut(strategy, ids):
    tokenised = tokenise_rows(RECORDS, Words(), LABELS, 6, strategy)
    assert [row["id"] for row in tokenised.rows] == ids
    assert tokenised.long == {"b": 8}
    assert all(len(row["input_ids"]) == len(row["attention_mask"]) <= 6 for row in tokenised.rows)


def test_a_label_is_its_place_in_the_list_of_labels():
    assert [row["labels"] for row in tokenise_rows(RECORDS, Words(), LABELS, 9, "raise").rows] == [1, 0, 0]


def test_the_token_counts_have_rows_by_label():
    facts = split_facts(tokenise_rows(RECORDS, Words(), LABELS, 6, "truncate"), 3, LABELS)
    assert facts == {
        "rows": 3,
        "trained_rows": 3,
        "labels": {"sad": 2, "glad": 1},
        "tokens": 5 + 6 + 2,
        "longest": 6,
        "long_rows": {"b": 8},
    }


def test_a_long_row_stops_the_run_by_name_unless_the_recipe_says_otherwise():
    facts = split_facts(tokenise_rows(RECORDS, Words(), LABELS, 6, "raise"), 3, LABELS)
    (fault,) = split_faults("train", facts, settings())
    assert fault.startswith("1 train row is longer than training.sequence_len (6): b (8 tokens): increase it to 8, ")
    assert split_faults("train", facts, settings(excess_length_strategy="drop")) == []


def test_a_label_that_no_training_row_has_cannot_be_learnt():
    facts = split_facts(tokenise_rows(RECORDS[1:], Words(), LABELS, 9, "raise"), 2, LABELS)
    assert split_faults("train", facts, settings()) == ["1 label has no training row and cannot be learned: glad"]
    assert split_faults("validation", facts, settings()) == []


def test_one_label_alone_is_refused():
    facts = split_facts(tokenise_rows(RECORDS[1:], Words(), ["sad"], 9, "raise"), 2, ["sad"])
    assert split_faults("train", facts, settings()) == ["every train row has the label 'sad': a classifier needs two"]


def test_an_empty_split_stops_the_run():
    facts = split_facts(tokenise_rows(RECORDS, Words(), LABELS, 1, "drop"), 3, LABELS)
    assert split_faults("validation", facts, settings(excess_length_strategy="drop")) == ["no validation rows are left"]


@pytest.mark.parametrize(
    ("weights", "faulty"), [({"sad": 1, "glad": 2}, 0), ("balanced", 0), (None, 0), ({"sad": 1}, 1), ({"sad": 1, "mad": 2}, 1)]
)
def test_class_weights_are_for_the_labels_of_the_data(weights, faulty):
    assert len(weight_faults(settings(class_weights=weights))) == faulty


def test_a_recipes_rows_become_a_data_set_without_their_ids(tmp_path):
    pytest.importorskip("datasets", reason="needs the extra [train]")
    prepared = prepare(settings(tmp_path, excess_length_strategy="drop"), Words())
    assert prepared.faults == []
    assert prepared.train.column_names == ["input_ids", "attention_mask", "labels"]
    assert list(prepared.train["labels"]) == [1, 0]
    assert prepared.report["train"]["long_rows"] == {"b": 8}
    assert prepared.validation is None
