"""`recipe data inspect`: as people call it."""

import json

import pytest

from ....support.jsonl import write_jsonl
from ....support.records import chat


def test_a_file_becomes_a_folder_with_a_page(command_line, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [chat(n) for n in range(5)])
    outcome = command_line("data", "inspect", path, "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (0, "")
    assert "5 chat records of" in outcome.err
    assert (tmp_path / "out" / "index.html").is_file()


def test_json_is_one_object_and_stderr_is_silent(command_line, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [chat(n) for n in range(5)])
    outcome = command_line("data", "inspect", path, "--out", tmp_path / "out", "--json", "--no-near", "--no-languages")
    assert (outcome.code, outcome.err) == (0, "")
    output = json.loads(outcome.out)
    assert (output["valid"], output["out"]) == (5, str(tmp_path / "out"))
    assert output["repeats"] == {"equal": {"pairs": 0, "rows": 0}, "same_input_other_output": {"pairs": 0, "rows": 0}}


def test_a_shipped_recipe_can_be_inspected(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command_line("data", "inspect", "quickstart", "--json")
    output = json.loads(outcome.out)
    assert output["conversion"]["rows_kept"] == output["valid"] > 100
    assert (tmp_path / "inspection" / "quickstart" / "inspection.json").is_file()


def test_a_recipe_shows_its_rows_as_trained_with_their_places_in_the_source(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    facts = json.loads(command_line("data", "inspect", "quickstart", "--json", "--no-near", "--no-languages").out)
    folder = tmp_path / "inspection" / "quickstart"
    first = (folder / "first_rows.txt").read_text()
    assert first.startswith("=== 1: emogpt_small.jsonl:") and "<|im_start|>system" in first
    assert "its own chat template" in facts["how"]["tokens"]
    tokens = facts["lengths"]["tokens"]
    assert tokens["row as trained"]["sum"] > tokens["row"]["sum"]
    assert {file["path"] for file in facts["files"]} == {""}, "a converted file is not kept"
    sample = json.loads((folder / "samples" / "all_rows.jsonl").read_text().splitlines()[0])
    assert (sample["file"], sample["line"]) == tuple(sample["record"]["meta"]["origin"][key] for key in ("file", "line"))


def test_without_the_recipes_model_the_tokens_are_cl100ks_and_that_is_printed(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command_line("data", "inspect", "alpaca_gpt2", "--no-near", "--no-languages")
    assert outcome.code == 0
    assert "run:babylm_gpt2: has no finished full-parameter run" in outcome.err and "recipe run babylm_gpt2" in outcome.err
    assert "counting with cl100k, without the recipe's tokenizer and chat template" in outcome.err
    facts = json.loads((tmp_path / "inspection" / "alpaca_gpt2" / "inspection.json").read_bytes())
    assert facts["how"]["tokens"].startswith("cl100k_base")


def test_a_model_that_the_hub_does_not_give_is_explained_with_what_to_do(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command_line("data", "inspect", "introspection_llama3_qlora", "--no-near", "--no-languages")
    lines = outcome.err.splitlines()
    assert lines[0].startswith("meta-llama/Meta-Llama-3-8B-Instruct: the hub cannot be reached") and "hint: check the network" in lines[1]
    assert lines[2].startswith("counting with cl100k")


@pytest.mark.parametrize("name", ["rows.jsonl", "."])
def test_settings_are_for_recipes_alone(command_line, tmp_path, name):
    write_jsonl(tmp_path / "rows.jsonl", [chat(n) for n in range(5)])
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
    output = json.loads(command_line("data", "inspect", tmp_path / "data", "--out", tmp_path / "out", "--json", "--no-near").out)
    assert output["chat"]["answers"] == counts
    assert output["conversion"]["dropped"] == {"empty_text": 23}
    percentage = output["meta"]["percentage"]["numbers"] if "percentage" in output["meta"] else None
    assert percentage is None or percentage["max"] == 100
