"""`recipe data inspect`: as people call it."""

import json

import pytest

from ....support.records import chat, write


def test_a_file_becomes_a_folder_with_a_page(command_line, tmp_path):
    path = write(tmp_path / "rows.jsonl", [chat(n) for n in range(5)])
    outcome = command_line("data", "inspect", path, "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (0, "")
    assert "5 chat records of" in outcome.err
    assert (tmp_path / "out" / "index.html").is_file()


def test_json_is_one_object_and_stderr_is_silent(command_line, tmp_path):
    path = write(tmp_path / "rows.jsonl", [chat(n) for n in range(5)])
    outcome = command_line("data", "inspect", path, "--out", tmp_path / "out", "--json", "--no-near", "--no-languages")
    assert (outcome.code, outcome.err) == (0, "")
    told = json.loads(outcome.out)
    assert (told["valid"], told["out"]) == (5, str(tmp_path / "out"))
    assert told["repeats"] == {"equal": {"pairs": 0, "rows": 0}, "same_input_other_output": {"pairs": 0, "rows": 0}}


def test_a_shipped_recipe_can_be_inspected(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command_line("data", "inspect", "quickstart", "--json")
    told = json.loads(outcome.out)
    assert told["conversion"]["rows_kept"] == told["valid"] > 100
    assert (tmp_path / "inspection" / "quickstart" / "inspection.json").is_file()


@pytest.mark.parametrize("name", ["rows.jsonl", "."])
def test_settings_are_for_recipes_alone(command_line, tmp_path, name):
    write(tmp_path / "rows.jsonl", [chat(n) for n in range(5)])
    outcome = command_line("data", "inspect", tmp_path / name, "--out", tmp_path / "out", "--set", "x=1")
    assert outcome.code == 2
    assert "--set: only with a RECIPE" in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_similarity_is_a_number(command_line, tmp_path):
    outcome = command_line("data", "inspect", tmp_path, "--threshold", "nan")
    assert outcome.code == 2
    assert "nan is not in the range 0.5<=x<=1" in " ".join(outcome.err.split())


@pytest.mark.parametrize("counts", [{"low": 536, "medium": 115, "high": 156}])
def test_the_introspection_systems_real_questions_give_its_own_statistics(command_line, tmp_path, realdata, counts):
    source = realdata / "introspection" / "inference_results" / "merged_results"
    command_line("convert", "--converter", "introspection", source, "--out", tmp_path / "data", "--max-dropped", "0.1")
    told = json.loads(command_line("data", "inspect", tmp_path / "data", "--out", tmp_path / "out", "--json", "--no-near").out)
    assert told["chat"]["answers"] == counts
    assert told["conversion"]["dropped"] == {"empty_text": 23}
    percentage = told["meta"]["percentage"]["numbers"] if "percentage" in told["meta"] else None
    assert percentage is None or percentage["max"] == 100
