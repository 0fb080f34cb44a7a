"""`recipe data validate`: as people and as pre-commit call it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Recipe = Callable[..., Any]
GOOD = '{"id": "1", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
BAD = '{"id": "2", "messages": [{"role": "user", "content": "a"}]}\n'


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(GOOD * 3)
    bad.write_text(GOOD + BAD * 30)
    return good, bad


def test_valid_files_end_with_0(command_line: Recipe, files: tuple[Path, Path]) -> None:
    assert command_line("data", "validate", files[0]) == (0, "", f"{files[0]}: 3 chat records, all valid\n")


def test_bad_rows_end_with_1_and_are_reported_up_to_the_limit(command_line: Recipe, files: tuple[Path, Path]) -> None:
    outcome = command_line("data", "validate", *files, "--limit", "5")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.count("needs at least 2 items") == 5
    assert f"{files[1]}:2: messages: needs at least 2 items" in outcome.err
    assert outcome.err.endswith(f"{files[0]}: 3 chat records, all valid\n{files[1]}: 31 chat records, 30 invalid, first 5 shown\n")


def test_one_missing_file_does_not_hide_the_others(command_line: Recipe, files: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = command_line("data", "validate", tmp_path / "nowhere.jsonl", files[0])
    assert outcome.code == 1
    assert "nowhere.jsonl: no such file" in outcome.err
    assert "3 chat records, all valid" in outcome.err


def test_json_is_one_object(command_line: Recipe, files: tuple[Path, Path]) -> None:
    outcome = command_line("data", "validate", *files, "--json", "--limit", "1")
    assert (outcome.code, outcome.err) == (1, "")
    output = json.loads(outcome.out)
    assert output["valid"] is False
    assert output["files"][1] == {"file": str(files[1]), "type": "chat", "rows": 31, "bad": 30}
    assert output["problems"] == [
        {"file": str(files[1]), "line": 2, "column": 0, "what": "messages: needs at least 2 items", "hint": "", "rule": "minitems"}
    ]


def test_the_schema_can_be_named(command_line: Recipe, files: tuple[Path, Path]) -> None:
    assert command_line("data", "validate", files[0], "--schema", "text").code == 1
    assert command_line("data", "validate", files[0], "--schema", "nonsense").code == 2


def test_of_a_folder_every_jsonl_file_is_checked(command_line: Recipe, files: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = command_line("data", "validate", tmp_path, "--json")
    output = json.loads(outcome.out)
    assert (outcome.code, [(file["file"], file["bad"]) for file in output["files"]]) == (1, [(str(files[1]), 30), (str(files[0]), 0)])
    (tmp_path / "empty").mkdir()
    outcome = command_line("data", "validate", tmp_path / "empty")
    assert outcome.code == 1 and "no record files in this folder" in outcome.err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("text;label\ngut;1\nschlecht;0\n" * 30, "a CSV table"),
        ("text\tlabel\ngood\t1\n", "a TSV table"),
        (json.dumps([{"text": "a"}, {"text": "b"}], indent=1), "a JSON document"),
        ("Once upon a time\nthere was a fox.\n", "plain text"),
    ],
)
def test_a_file_in_another_format_is_reported_once(command_line: Recipe, tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "rows").write_text(text)
    outcome = command_line("data", "validate", tmp_path / "rows")
    assert outcome.code == 1 and what in outcome.err and outcome.err.count(f"{tmp_path / 'rows'}") == 1 and "recipe new" in outcome.err


def test_records_after_a_damaged_first_line_are_still_checked(command_line: Recipe, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('"messages": [\n' + GOOD)
    outcome = command_line("data", "validate", tmp_path / "rows.jsonl")
    assert outcome.code == 1 and "rows.jsonl:1: not JSON" in outcome.err and "2 chat records, 1 invalid" in outcome.err
