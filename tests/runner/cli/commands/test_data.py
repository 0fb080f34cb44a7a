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
    told = json.loads(outcome.out)
    assert told["valid"] is False
    assert told["files"][1] == {"file": str(files[1]), "type": "chat", "rows": 31, "bad": 30}
    assert told["problems"] == [
        {"file": str(files[1]), "line": 2, "column": 0, "what": "messages: needs at least 2 items", "hint": "", "rule": "minitems"}
    ]


def test_the_schema_can_be_named(command_line: Recipe, files: tuple[Path, Path]) -> None:
    assert command_line("data", "validate", files[0], "--schema", "text").code == 1
    assert command_line("data", "validate", files[0], "--schema", "nonsense").code == 2


def test_of_a_folder_every_jsonl_file_is_checked(command_line: Recipe, files: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = command_line("data", "validate", tmp_path, "--json")
    told = json.loads(outcome.out)
    assert (outcome.code, [(file["file"], file["bad"]) for file in told["files"]]) == (1, [(str(files[1]), 30), (str(files[0]), 0)])
    (tmp_path / "empty").mkdir()
    outcome = command_line("data", "validate", tmp_path / "empty")
    assert outcome.code == 1 and "no record files in this folder" in outcome.err
