"""JSONL files of records, line by line."""

import gzip
import json
import resource
from pathlib import Path
from typing import Any

import pytest
from recipekit.runner.inspection.validate import check_file
from recipekit.schemas.base.errors import UserError

CHAT = {"id": "1", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
LABELLED = {"id": "1", "text": "a", "label": "x"}
TEXT = {"id": "1", "text": "a", "meta": {"n": 1}}


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def messages(path: Path, kind: Any = None, limit: int = 20) -> list[str]:
    return [f"{p.location.line}: {p.what}" for p in check_file(path, kind, limit).problems]


@pytest.mark.parametrize(("row", "kind"), [(CHAT, "chat"), (LABELLED, "classification"), (TEXT, "text")])
def test_the_first_record_tells_the_type(tmp_path: Path, row: dict, kind: str) -> None:
    checked = check_file(written(tmp_path / "r.jsonl", row, row), None, 20)
    assert checked == (str(tmp_path / "r.jsonl"), kind, 2, 0, [])


def chat(*roles: str, **more: Any) -> dict:
    return {"id": "1", "messages": [{"role": role, "content": "x", **more} for role in roles]}


BAD_CHATS = {
    "system_last": (chat("user", "system", "assistant"), "system not first: messages[1] is a system message"),
    "two users": (chat("user", "user", "assistant"), "roles do not alternate: messages[1]: user after user"),
    "no reply": (chat("user", "assistant", "user"), "last not assistant: the last message is from user"),
    "nothing trained": (chat("user", "assistant", train=False), "nothing trained: every message has train: false"),
    "one message": (chat("user"), "messages: needs at least 2 items"),
    "a blank message": (
        {"id": "1", "messages": [{"role": "user", "content": " "}, CHAT["messages"][1]]},
        "messages.0.content: ' ' has the wrong format",
    ),
    "a foreign role": (chat("human", "assistant"), "messages.0.role: 'human' is not allowed here"),
    "no id": ({"messages": CHAT["messages"]}, "missing key 'id'"),
    "an unknown key": ({**CHAT, "model": "x"}, "unknown key 'model'"),
    "a message that is a number": ({"id": "1", "messages": [7, CHAT["messages"][1]]}, "messages.0: expected a mapping, got 7"),
    "a list": ([1], "expected a mapping, got a list"),
    "not JSON": ("{'id': 1}", "not JSON: column 2: unexpected character"),
    "half a line": ('{"id": "1", "messages": [', "not JSON: column 1: unexpected end of data"),
    "NaN": ('{"id": NaN}', "not JSON: column 8: NaN is not JSON: write null"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CHATS)
def test_a_bad_row_is_reported_with_its_line_and_reason(tmp_path: Path, name: str) -> None:
    row, what = BAD_CHATS[name]
    (problem,) = messages(written(tmp_path / "r.jsonl", CHAT, row, CHAT))
    assert problem.startswith(f"2: {what}")


def test_a_row_of_another_type_is_bad(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", LABELLED, CHAT)
    assert messages(path) == ["2: missing key 'label'", "2: missing key 'text'", "2: unknown key 'messages'"]


def test_the_type_can_be_named(tmp_path: Path) -> None:
    assert messages(written(tmp_path / "r.jsonl", TEXT), "classification") == ["1: missing key 'label'"]


def test_rows_of_no_known_type_are_reported(tmp_path: Path) -> None:
    assert messages(written(tmp_path / "r.jsonl", {"prompt": "a"}, CHAT)) == ["1: no record of a known type"]


def test_all_bad_rows_are_counted_and_the_first_are_reported(tmp_path: Path) -> None:
    checked = check_file(written(tmp_path / "r.jsonl", *[CHAT, {"id": 3}] * 500), "chat", 3)
    assert (checked.rows, checked.bad) == (1000, 500)
    assert {p.location.line for p in checked.problems} == {2, 4, 6}


def test_blank_lines_do_not_count_but_keep_their_numbers(tmp_path: Path) -> None:
    checked = check_file(written(tmp_path / "r.jsonl", CHAT, "", "  ", {"id": 3, "messages": []}), None, 20)
    assert checked.rows == 2
    assert {p.location.line for p in checked.problems} == {4}


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_records_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.jsonl").write_text(text)
    assert messages(tmp_path / "r.jsonl") == ["0: no records in this file"]


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(CHAT).encode() + b"\n"))
    assert check_file(path, None, 20).rows == 1


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_a_file_that_is_not_there_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_file(tmp_path / name, None, 20)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    line = json.dumps({**CHAT, "meta": {"padding": "x" * 1000}}) + "\n"
    path = tmp_path / "r.jsonl"
    path.write_text(line * 60_000)  # 66 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert check_file(path, None, 20).rows == 60_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KB
