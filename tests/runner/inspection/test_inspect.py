"""One pass tells everything about files of records; every number is one that can be counted by hand."""

import pytest
from recipekit.runner.inspection.inputs import Inputs
from recipekit.runner.inspection.inspect import Options, inspect
from recipekit.runner.inspection.repeats import Position
from recipekit.runner.worker.tokenizers import Tokenizer
from recipekit.schemas.base.errors import UserError

from ...support.jsonl import write_jsonl
from ...support.records import LONG, chat, labelled

WORDS = Tokenizer("words", str.split, str)  # pyright: ignore[reportArgumentType] - words for ids


def inspected(tmp_path, files, **options):
    paths = {name: write_jsonl(tmp_path / f"{name}.jsonl", rows) for name, rows in files.items()}
    return inspect(Inputs("rows", paths, {}), Options(WORDS, **options), tmp_path)


def test_lengths_roles_shapes_and_answers_of_chats(tmp_path):
    system = {"id": "s", "messages": [{"role": "system", "content": "Be brief."}, *chat(3)["messages"], *chat(4, "high")["messages"]]}
    facts = inspected(tmp_path, {"train": [chat(1), chat(2, "high")], "test": [system]}).facts
    assert (facts["type"], facts["rows"], facts["valid"], facts["bad"]) == ("chat", 3, 3, {})
    assert [file["rows"] for file in facts["files"]] == [2, 1]
    assert facts["chat"]["roles"] == {"user": 4, "assistant": 4, "system": 1}
    assert facts["chat"]["shapes"]["counts"] == {"1 x (user, assistant)": 2, "system, 2 x (user, assistant)": 1}
    assert facts["chat"]["answers"] == {"high": 2, "low": 1}
    assert facts["lengths"]["tokens"]["user"]["sum"] == 4 * 11
    assert facts["lengths"]["tokens"]["row"]["max"] == 2 * 12 + 2
    assert facts["lengths"]["characters"]["assistant"]["sum"] == len("low" + "high" + "low" + "high")
    assert facts["sources"]["counts"] == {"rows.json": 2}
    assert facts["languages"]["counts"] == {"en": 3}
    assert facts["scripts"]["counts"] == {"Latin": 3}


def test_invalid_rows_are_counted_and_excluded(tmp_path):
    blank = {"id": "x", "messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}]}
    facts = inspected(tmp_path, {"train": [chat(1), "{broken", blank, "[1]", chat(2)]}).facts
    assert (facts["rows"], facts["valid"]) == (5, 2)
    assert facts["bad"] == {"invalid_json": 1, "empty_content": 1, "not_an_object": 1}
    assert [(row["line"], row["reason"]) for row in facts["bad_listed"]] == [
        (2, "invalid_json"),
        (3, "empty_content"),
        (4, "not_an_object"),
    ]
    assert facts["lengths"]["tokens"]["row"]["count"] == 2


def test_labels_are_counted_by_file_and_samples_stand_by_label(tmp_path):
    files = {"train": [labelled(n, "ab"[n % 2]) for n in range(20)], "test": [labelled(99, "a")]}
    found = inspected(tmp_path, files, samples=3)
    assert found.facts["labels"] == {"train": {"a": 10, "b": 10}, "test": {"a": 1}}
    assert {label: len(rows) for label, rows in found.samples.items()} == {"a": 3, "b": 3}
    assert all(row["record"]["label"] == label for label, rows in found.samples.items() for row in rows)


def test_the_same_rows_give_the_same_samples_in_any_order(tmp_path):
    rows = [labelled(n, "a") for n in range(50)]
    first, second = (inspected(tmp_path / name, {"train": order}) for name, order in (("x", rows), ("y", rows[::-1])))
    ids = [[row["record"]["id"] for row in found.samples["a"]] for found in (first, second)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5


def test_chats_with_few_answers_are_sampled_by_answer_and_others_as_a_whole(tmp_path):
    assert set(inspected(tmp_path, {"train": [chat(1, "low"), chat(2, "high")]}).samples) == {"low", "high"}
    long = [chat(n, f"an answer of its own, which goes on for more than sixty letters: {n}") for n in range(3)]
    assert set(inspected(tmp_path, {"train": [chat(9), *long]}).samples) == {"all rows"}
    assert set(inspected(tmp_path, {"train": [chat(1, theme="sea"), chat(2)]}, by="theme").samples) == {"theme: sea", "no theme"}


def test_repeats_are_reported_with_both_places(tmp_path):
    near = [chat(8, question=LONG + " Ann"), chat(9, question=LONG + " Bob")]
    found = inspected(tmp_path, {"train": [chat(1), chat(1, "high"), near[0]], "test": [chat(1), near[1]]})
    assert found.facts["repeats"] == {
        "equal": {"pairs": 1, "rows": 1}, "same_input_other_output": {"pairs": 1, "rows": 1}, "nearly_equal": {"pairs": 3, "rows": 3},
    }  # fmt: skip
    assert found.pairs["equal"].listed == [(Position(0, 1), Position(1, 1))]
    assert found.pairs["same_input_other_output"].listed == [(Position(0, 1), Position(0, 2))]
    assert (Position(0, 3), Position(1, 2)) in found.pairs["nearly_equal"].listed
    without = inspected(tmp_path, {"train": [chat(1)]}, near=None, languages=False).facts
    assert "nearly_equal" not in without["repeats"]
    assert "languages" not in without
    assert (without["how"]["near_duplicates"], without["how"]["languages"]) == ("not searched for", "not detected")


def test_meta_is_reported_by_field_type_and_value(tmp_path):
    rows = [chat(1, score=2, kind="a"), chat(2, score=4.5, kind="b"), chat(3, score=None, kind="a", tags=["x", "y"])]
    meta = inspected(tmp_path, {"train": rows}).facts["meta"]
    assert set(meta) == {"score", "kind", "tags"}
    assert meta["score"]["types"] == {"number": 2, "null": 1}
    assert (meta["score"]["numbers"]["min"], meta["score"]["numbers"]["max"]) == (2, 4.5)
    assert meta["kind"]["most_common"]["counts"] == {"a": 2, "b": 1}
    assert meta["tags"]["most_common"]["counts"] == {'["x","y"]': 1}


def test_arrays_of_records_are_read_too(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text("[\n" + ",\n".join(str(labelled(n, "a")).replace("'", '"') for n in range(3)) + "\n]")
    assert inspect(Inputs("rows", {"rows": path}, {}), Options(WORDS), tmp_path).facts["valid"] == 3


@pytest.mark.parametrize(("text", "message"), [("a,b\n1,2\n", "is csv"), ('{"a": 1}\n', "no record of a known type"), ("[]", "no record")])
def test_a_path_without_records_is_refused_with_a_hint(tmp_path, text, message):
    path = tmp_path / "rows"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        inspect(Inputs("rows", {"rows": path}, {}), Options(WORDS), tmp_path)
    assert "recipe convert" in caught.value.problems[0].hint
