"""What a model is asked about a file's rows: every row comes out, and an answer that it has stays behind."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.unanswered import Reading, Unanswered, read_unanswered
from recipekit.schemas.sections import RecordType, Source

from ...support.jsonl import write_jsonl


def read(path: Path, converter: str, record_type: RecordType, system: str | None = None, **options: Any) -> list[Unanswered]:
    return list(read_unanswered(Reading(Source(str(path), converter, options), record_type, system)))


def test_a_table_needs_no_label_and_keeps_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text('review,id,label\n"Great fun",7,\n"Dull",8,bad\n')
    rows = read(path, "table", "classification", text_key="review", label_names={"good": "g", "bad": "b"})
    assert [row.fields for row in rows] == [{"text": "Great fun"}, {"text": "Dull"}]
    assert [row.columns for row in rows] == [
        {"review": "Great fun", "id": "7", "label": ""},
        {"review": "Dull", "id": "8", "label": "bad"},
    ]


def test_rows_that_training_leaves_out_are_asked_too(tmp_path: Path) -> None:
    cancelled = {"annotations": [{"was_cancelled": True, "result": ["b"]}]}
    given = [{"text": "One"}, {"text": "Two", "answer": "reject"}, {"text": "Three", "answer": "accept", **cancelled}]
    path = write_jsonl(tmp_path / "rows.jsonl", given)
    rows = read(path, "table", "classification", label_key="annotations[].result[]", keep_rows={"answer": ["accept"]})
    assert [(row.fields, row.fault) for row in rows] == [({"text": text}, "") for text in ("One", "Two", "Three")]
    assert [row.columns for row in rows] == given


def test_posts_need_no_type_and_are_converted_as_in_training(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text('posts\n"so INFJ, today|||second"\n')
    (tmp_path / "set.csv").write_text('type,posts\nINTP,"so INFJ, today|||second"\n')
    for name, columns in (("new.csv", {}), ("set.csv", {"type": "INTP"})):
        (row,) = read(tmp_path / name, "mbti", "classification", dimension="EI")
        assert row.fields == {"text": "1. so [TYPE], today\n2. second"}
        assert row.columns == {**columns, "posts": "so INFJ, today|||second"}


@pytest.mark.parametrize(
    ("converter", "row"),
    [
        ("prompt_completion", {"prompt": "Hi"}),
        ("prompt_completion", {"prompt": "Hi", "completion": None}),
        ("alpaca", {"instruction": "Hi", "input": ""}),
        ("alpaca", {"instruction": "Hi", "output": "Hello."}),
        ("table", {"user": "Hi"}),
        ("messages", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("messages", {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "Hi"}]}),
    ],
)
def test_a_chat_ends_where_the_reply_begins(tmp_path: Path, converter: str, row: dict[str, Any]) -> None:
    (asked,) = read(write_jsonl(tmp_path / "rows.jsonl", [row]), converter, "chat", "Be brief.")
    assert asked.fields == {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}
    assert asked.columns == row


def test_lines_of_text_are_prompts(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("One?\n\nTwo?\n")
    rows = read(tmp_path / "prompts.txt", "text", "chat", sample_by="line")
    assert [row.fields["messages"] for row in rows] == [[{"role": "user", "content": text}] for text in ("One?", "Two?")]


def test_rows_of_several_files_name_their_file(tmp_path: Path) -> None:
    for name, text in (("one.txt", b"It rained."), ("two.txt", b"It snowed."), ("bad.txt", b"It rained in M\xfcnchen.")):
        (tmp_path / name).write_bytes(text)
    rows = read(tmp_path / "*.txt", "text", "text")
    named = [{"file": "bad.txt"}, {"file": "one.txt", "text": "It rained."}, {"file": "two.txt", "text": "It snowed."}]
    assert [row.columns for row in rows] == named and [bool(row.fault) for row in rows] == [True, False, False]
    assert read(tmp_path / "one.txt", "text", "text")[0].columns == {"text": "It rained."}
    for name in ("a", "b"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": "Hi"}, {"prompt": "Ho", "file": "mine"}])
    rows = read(tmp_path / "*.jsonl", "prompt_completion", "chat")
    assert [row.columns["file"] for row in rows] == ["a.jsonl", "mine", "b.jsonl", "mine"]


def test_a_row_that_cannot_be_asked_comes_out_with_its_reason_in_its_place(tmp_path: Path) -> None:
    good = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
    with_tools = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "tools": [{"name": "search"}]})
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([good, "{", '{"messages": []}', with_tools, good]) + "\n")
    faults = [row.fault for row in read(path, "messages", "chat")]
    assert [bool(fault) for fault in faults] == [False, True, True, True, False]
    assert faults[1].startswith("invalid json") and faults[2].startswith("no messages") and "'tools'" in faults[3]


@given(st.lists(st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["messages", "role", "content", "user", "prompt", "text", "x"]), inner, max_size=4)
), max_leaves=12), max_size=6))  # fmt: skip
@pytest.mark.parametrize(("converter", "record_type"), [("messages", "chat"), ("table", "classification"), ("prompt_completion", "chat")])
def test_every_row_is_written_once_with_its_columns(
    tmp_path_factory: pytest.TempPathFactory, converter: str, record_type: RecordType, rows: list[Any]
) -> None:
    path = write_jsonl(tmp_path_factory.mktemp("rows") / "rows.jsonl", map(json.dumps, [{"n": 0}, *rows]))
    found = read(path, converter, record_type)
    assert [row.id for row in found] == [f"rows.jsonl:{number}" for number in range(1, len(rows) + 2)]
    assert [row.columns for row in found[1:] if isinstance(row.columns, dict)][: len(rows)] == [
        row if isinstance(row, dict) else {} if row is None else {"text" if isinstance(row, str) else "value": row} for row in rows
    ]
    assert all(bool(row.fields) != bool(row.fault) for row in found)
