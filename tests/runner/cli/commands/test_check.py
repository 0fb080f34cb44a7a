"""`recipe check`: files, folders and names, many at once, in four formats, with --set."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.yaml_writing import to_yaml

from ....support.chats import chat
from ....support.jsonl import write_jsonl
from ....support.recipe_process import COMMAND

Recipe = Callable[..., Any]
Write = Callable[..., Path]
Minimal = Callable[..., dict[str, Any]]


@pytest.fixture
def good(recipe_file: Write, minimal: Minimal) -> Path:
    return recipe_file(to_yaml(minimal()), "good.yml")


@pytest.fixture
def bad(recipe_file: Write, minimal: Minimal) -> Path:
    return recipe_file(to_yaml(minimal({"training.lora_rank": 8, "training.seed": -1})), "bad: 100%,.yml")


def test_a_valid_recipe_is_reported_as_valid(command_line: Recipe, good: Path) -> None:
    assert command_line("check", good) == (0, "", "1 recipe checked: no problems (data files not read: --data reads them)\n")


def test_shipped_recipes_are_checked_by_name(command_line: Recipe) -> None:
    names = [path.stem for path in shipped_recipes()]
    assert command_line("check", *names) == (0, "", f"{len(names)} recipes checked: no problems (data files not read: --data reads them)\n")


def test_a_folder_means_its_recipes(command_line: Recipe, good: Path, bad: Path) -> None:
    outcome = command_line("check", good.parent)
    assert outcome.code == 1
    assert outcome.err.endswith("\n2 problems in 1 of 2 recipes\n")


def test_recipes_only_skips_other_yaml_files(command_line: Recipe, good: Path, recipe_file: Write) -> None:
    other = recipe_file("services: {}", "compose.yml")
    assert command_line("check", other).code == 1
    skipped = "1 other YAML file not checked: no `recipe:` key\n"
    assert command_line("check", "--recipes-only", good, other).err.endswith(f"--data reads them)\n{skipped}")
    assert command_line("check", "--recipes-only", "nowhere.yml").code == 1


def test_the_same_recipe_twice_is_checked_once(command_line: Recipe, bad: Path) -> None:
    assert command_line("check", bad, bad).err.endswith("\n\n2 problems\n")


def test_every_problem_of_every_file_is_reported_at_once(command_line: Recipe, bad: Path, good: Path, recipe_file: Write) -> None:
    tabbed = recipe_file("a:\n\tb: 1", "tabs.yml")
    outcome = command_line("check", bad, "nowhere.yml", good, tabbed, "no_such_name")
    assert outcome.code == 1
    for message in (
        f"{bad}:13:3: unknown key 'lora_rank' in training\n    hint: did you mean 'lora_r'?",
        f"{bad}:14:9: training.seed: -1 is below the minimum, 0",
        f"{tabbed}:2:1: not YAML",
        "nowhere.yml: no such file",
        "no_such_name: no such recipe",
    ):
        assert message in outcome.err
    assert outcome.err.endswith("\n\n5 problems in 4 of 5 recipes\n")
    assert "Traceback" not in outcome.err


def test_a_folder_without_recipes_is_a_problem(command_line: Recipe, tmp_path: Path) -> None:
    outcome = command_line("check", tmp_path)
    assert outcome.code == 1
    assert "no recipes in this folder" in outcome.err


def test_a_name_is_the_recipes_also_where_a_folder_has_it(command_line: Recipe, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(good.parent)
    folder = good.parent / "quickstart"
    folder.mkdir()
    (folder / "rows.jsonl").write_text("{}\n")
    for name in ("quickstart", good.stem):
        (good.parent / name).mkdir(exist_ok=True)
        outcome = command_line("check", name)
        assert (outcome.code, outcome.err.count("\n")) == (0, 1), "a folder of data is not meant"
    (folder / "mine.yml").write_text("recipe: 1\n")
    outcome = command_line("check", "quickstart")
    assert outcome.code == 0
    assert "quickstart is the recipe " in outcome.err and "for 1 recipe in the folder: recipe check quickstart/" in " ".join(
        outcome.err.split()
    )
    assert command_line("check", "quickstart/").code == 1, "the folder's recipe is incomplete"


def test_set_is_applied_before_checking(command_line: Recipe, good: Path) -> None:
    outcome = command_line("check", good, "--set", "training.lora_rank=8", "--set", "data.sources.0.path=x.jsonl")
    assert outcome.code == 1
    assert outcome.err.startswith("--set training.lora_rank=8: unknown key 'lora_rank' in training\n    hint: did you mean 'lora_r'?")
    assert command_line("check", good, "--set", "training.lora_r=8", "--set", "data.sources.0.converter=emogpt").code == 0


def test_set_can_fix_a_recipe(command_line: Recipe, bad: Path) -> None:
    assert command_line("check", bad, "--set", "training.lora_rank=null", "--set", "training.seed=1").code == 0


def test_set_reaches_into_a_list(command_line: Recipe, good: Path) -> None:
    outcome = command_line("check", good, "--set", "data.sources.0.weight=0")
    assert outcome.err.startswith("--set data.sources.0.weight=0: data.sources.0.weight: 0 must be greater than 0")
    assert "has no item '4'" in command_line("check", good, "--set", "data.sources.4.weight=0").err


def test_only_json_goes_to_stdout(command_line: Recipe, bad: Path, good: Path) -> None:
    outcome = command_line("check", bad, "--json")
    assert (outcome.code, outcome.err) == (1, "")
    output = json.loads(outcome.out)
    assert output["valid"] is False
    assert output["problems"][0] == {
        "file": str(bad), "line": 13, "column": 3, "what": "unknown key 'lora_rank' in training",
        "hint": "did you mean 'lora_r'?", "rule": "unknown-key",
    }  # fmt: skip
    assert command_line("check", bad, "--format", "json").out == outcome.out
    assert json.loads(command_line("check", good, "--json").out) == {"valid": True, "problems": []}


UNMEASURED = "row lengths not checked: the tokenizer is not on this machine (some/model)\n"


def data_recipe(recipe_file: Write, minimal: Minimal, **data: Any) -> Path:
    return recipe_file(to_yaml(minimal({f"data.{key}": value for key, value in data.items()})), "of_data.yml")


def test_rows_beyond_the_first_hundred_are_checked(command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path) -> None:
    """The run would stop at the row: a check that reads the data finds it."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    rows = [json.dumps({"messages": [{"role": "user", "content": f"Hi {n}"}, turns[1]]}) for n in range(300)]
    rows[250] = json.dumps({"messages": turns[:1]})
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(rows) + "\n", encoding="utf-8")
    sources = [{"path": str(source), "converter": "messages"}]
    outcome = command_line("check", "--data", data_recipe(recipe_file, minimal, sources=sources))
    assert outcome.code == 1 and "rows.jsonl:251: one message" in outcome.err
    assert "1 of 300 rows cannot be used" in outcome.err and "data.max_dropped: 0.0034 " in outcome.err
    allowed = data_recipe(recipe_file, minimal, sources=sources, max_dropped=0.0034)
    assert command_line("check", "--data", allowed) == (0, "", f"1 recipe checked, 300 rows read: no problems\n{UNMEASURED}")


def test_ignored_keys_are_accepted(command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": turns, "tools": "[1]"}), encoding="utf-8")
    source = {"path": str(tmp_path / "rows.jsonl"), "converter": "messages"}
    assert command_line("check", "--data", data_recipe(recipe_file, minimal, sources=[source])).code == 1
    assert command_line("check", "--data", data_recipe(recipe_file, minimal, sources=[{**source, "ignore_keys": ["tools"]}])).code == 0


def test_what_a_conversion_would_report_of_keys_and_texts_is_reported(
    command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho &amp; ho"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": turns, "topic": "x"}), encoding="utf-8")
    options = {"keep_meta": ["topik"], "roles": {"client": "user"}}
    source = {"path": str(tmp_path / "rows.jsonl"), "converter": "messages", "options": options}
    outcome = command_line("check", "--data", data_recipe(recipe_file, minimal, sources=[source]))
    assert outcome.code == 0
    assert "no row has the key 'topik' that options.keep_meta names: did you mean 'topic'?" in outcome.err
    assert "no row has 'client', which options.roles names" in outcome.err and "&amp; (1 row)" in outcome.err


def test_files_without_rows_are_named(command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path) -> None:
    for name, text in (("full.txt", "It rained.\n"), ("empty.txt", ""), ("blank.txt", " \n\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    recipe = data_recipe(recipe_file, minimal, type="text", sources=[{"path": str(tmp_path / "*.txt"), "converter": "text"}])
    outcome = command_line("check", "--data", recipe)
    assert "text: 2 files without rows: blank.txt, empty.txt" in outcome.err and outcome.code == 0


def test_notes_name_sources_with_one_converter_by_their_places(
    command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    for name, extra in (("one", "topic"), ("two", "mood")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"messages": turns, extra: "x"}), encoding="utf-8")
    one, two = ({"path": str(tmp_path / f"{name}.jsonl"), "converter": "messages"} for name in ("one", "two"))
    outcome = command_line("check", "--data", data_recipe(recipe_file, minimal, sources=[one, two]))
    assert "\ndata.sources.0 (messages): keys not read: topic" in outcome.err
    assert "\ndata.sources.1 (messages): keys not read: mood" in outcome.err
    assert "\nmessages: keys not read: topic" in command_line("check", "--data", data_recipe(recipe_file, minimal, sources=[one])).err


def test_rows_that_an_option_leaves_out_are_counted(command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path) -> None:
    rows = [{"text": f"It rained on day {n}", "label": "ab"[n % 2], "answer": ("accept", "accept", "reject")[n % 3]} for n in range(30)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = {"path": "rows.jsonl", "converter": "table", "options": {"keep_rows": {"answer": ["accept"]}}}
    recipe = data_recipe(recipe_file, minimal, type="classification", sources=[source])
    outcome = command_line("check", "--data", recipe, "--set", "evaluation.metrics=[accuracy]")
    told = f"1 recipe checked, 30 rows read: no problems\nleft out by the sources' options: 10 other answer\n{UNMEASURED}"
    assert outcome == (0, "", told)


def test_the_line_that_sums_up_unusable_rows_is_no_problem_of_its_own(
    command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    rows = [json.dumps({"messages": found}) for found in (turns, turns[:1], [], turns)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    source = {"path": str(tmp_path / "rows.jsonl"), "converter": "messages"}
    outcome = command_line("check", "--data", data_recipe(recipe_file, minimal, sources=[source]))
    assert outcome.code == 1 and "2 of 4 rows cannot be used" in outcome.err
    assert "\n2 problems\n" in outcome.err


def test_notes_name_the_recipe_if_there_are_several(command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path) -> None:
    row = json.dumps({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]})
    for name, rows in (("one", 2), ("two", 3)):
        (tmp_path / f"{name}.jsonl").write_text(f"{row}\n" * rows, encoding="utf-8")
    sources = {name: [{"path": str(tmp_path / f"{name}.jsonl"), "converter": "messages"}] for name in ("one", "two")}
    one, two = (recipe_file(to_yaml(minimal({"data.sources": sources[name]})), f"{name}.yml") for name in sources)
    outcome = command_line("check", "--data", one, two)
    assert f"\n{one}: duplicates: 1 of 2 rows;" in outcome.err and f"\n{two}: duplicates: 2 of 3 rows;" in outcome.err
    assert "\nduplicates: 2 of 3 rows;" in command_line("check", "--data", two).err


def test_a_folder_that_is_no_model_is_a_problem_with_the_data(
    command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}\n')
    values = {"model.base_model": "./empty", "data.sources": [{"path": str(tmp_path / "rows.jsonl"), "converter": "messages"}]}
    recipe = recipe_file(to_yaml(minimal(values)), "r.yml")
    assert f"{tmp_path / 'empty'}: no such model folder" in command_line("check", "--data", recipe).err
    (tmp_path / "empty").mkdir()
    assert "is not a model: it has no config.json" in command_line("check", "--data", recipe).err


def test_a_check_says_which_sources_it_does_not_read(command_line: Recipe, recipe_file: Write, minimal: Minimal) -> None:
    recipe = data_recipe(recipe_file, minimal, sources=[{"path": "hf://you/rows", "converter": "messages"}])
    assert command_line("check", "--data", recipe).err == "1 recipe checked, 0 rows read: no problems\nnot read: hf://you/rows\n"


def test_github_gets_an_annotation_for_each_problem(command_line: Recipe, bad: Path) -> None:
    outcome = command_line("check", bad, "--format", "github")
    first, second = outcome.out.splitlines()
    escaped = str(bad).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    assert (
        first
        == f"::error file={escaped},line=13,col=3,title=unknown-key::unknown key 'lora_rank' in training (hint: did you mean 'lora_r'?)"
    )
    assert second.startswith(f"::error file={escaped},line=14,col=9,title=minimum::")


def test_sarif_has_the_form_that_code_scanning_takes(command_line: Recipe, bad: Path, good: Path) -> None:
    log = json.loads(command_line("check", bad, "--format", "sarif").out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["minimum", "unknown-key"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 13, "startColumn": 3}
    assert place["artifactLocation"]["uri"].endswith("/bad%3A%20100%25%2C.yml")
    assert json.loads(command_line("check", good, "--format", "sarif").out)["runs"][0]["results"] == []


@pytest.mark.parametrize("style", ["text", "json", "github", "sarif"])
def test_a_name_that_is_not_utf_8_is_reported_with_escapes(command_line: Recipe, style: str) -> None:
    outcome = command_line("check", "r\udcff.yml", "--format", style)
    assert outcome.code == 1
    assert "Traceback" not in outcome.err


def test_the_order_of_the_arguments_does_not_change_what_is_reported(command_line: Recipe, bad: Path, good: Path) -> None:
    one, other = command_line("check", bad, good, "--json"), command_line("check", good, bad, "--json")
    assert one == other


def test_the_working_directory_does_not_matter(command_line: Recipe, bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    first = command_line("check", bad)
    monkeypatch.chdir(bad.parent)
    assert command_line("check", bad) == first


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}, {"LC_ALL": "C"}, {"TZ": "Asia/Kathmandu"}, {"HOME": "/nonexistent"}],
    ids=str,
)
def test_the_environment_does_not_change_a_byte(variables: dict[str, str], tmp_path: Path) -> None:
    examples = Path(__file__).parents[3] / "examples" / "recipes"
    command = [*COMMAND, "check", str(examples), "--json"]
    plain = subprocess.run(command, capture_output=True, cwd=tmp_path)
    other = subprocess.run(command, capture_output=True, cwd="/", env={**os.environ, **variables})
    assert plain.returncode == 1
    assert (other.returncode, other.stdout, other.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_files_of_a_folder_that_are_not_recipes_are_counted(command_line: Recipe, good: Path) -> None:
    (good.parent / "compose.yml").write_text("services: {}\n", "utf-8")
    outcome = command_line("check", good.parent)
    assert outcome.code == 0 and "1 other YAML file not checked" in outcome.err


def test_data_files_are_read_on_request_only(command_line: Recipe, good: Path) -> None:
    assert "data files not read" in command_line("check", good).err
    outcome = command_line("check", good, "--data")
    assert outcome.code == 1 and "no such" in outcome.err and outcome.err.startswith(str(good))


def test_rows_that_the_converter_cannot_use_are_reported_once(command_line: Recipe, good: Path) -> None:
    from recipekit.schemas.recipe import load_recipe

    source = Path(load_recipe(str(good)).recipe.data.sources[0].path)
    source.write_text('{"question": "a", "answer": "b"}\n' * 20, "utf-8")
    outcome = command_line("check", good, "--data")
    assert outcome.code == 1 and outcome.err.count("can use none of the first 20 rows") == 1 and "recipe new NAME --data" in outcome.err


def test_rows_that_are_too_long_are_named_before_a_run_would_stop_at_them(
    command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path, tiny_model: Path
) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [chat("Where is the cat?", "In the barn. " * (90 if number == 2 else 1)) for number in range(4)])
    source = {"path": "rows.jsonl", "converter": "messages"}
    recipe = data_recipe(recipe_file, minimal, sources=[source])
    local = ("--set", f"model.base_model={tiny_model}", "--set", "training.sequence_len=64")
    outcome = command_line("check", "--data", recipe, *local)
    assert outcome.code == 1
    assert re.search(r"1 row is longer than training.sequence_len \(64\): rows.jsonl:3 \(\d\d\d tokens\)\n +hint: increase it", outcome.err)
    outcome = command_line("check", "--data", recipe, *local, "--set", "training.excess_length_strategy=truncate")
    assert outcome.code == 0 and "1 of 4 rows is longer than training.sequence_len (64), and would be truncated" in outcome.err
    outcome = command_line("check", "--data", recipe, "--set", "model.base_model=nobody/nothing")
    assert "row lengths not checked: the tokenizer is not on this machine (nobody/nothing)" in outcome.err


def test_labels_that_are_classes_by_mistake_are_named(command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na,1\nb,0\nc,1.0\nd,nan\n")
    recipe = data_recipe(recipe_file, minimal, type="classification", sources=[{"path": "rows.csv", "converter": "table"}])
    outcome = command_line("check", "--data", recipe, "--set", "evaluation.metrics=[accuracy]")
    assert outcome.code == 1
    assert "'1' (rows.csv:2) and '1.0' (rows.csv:4)" in outcome.err and "'nan' (rows.csv:5)" in outcome.err


def test_duplicates_are_counted_and_every_kind_of_problem_is_listed_at_once(
    command_line: Recipe, recipe_file: Write, minimal: Minimal, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na,good\na,good\nb,bad\nc,Good\nd,\n")
    recipe = data_recipe(recipe_file, minimal, type="classification", sources=[{"path": "rows.csv", "converter": "table"}])
    outcome = command_line("check", "--data", recipe, "--set", "evaluation.metrics=[accuracy]")
    assert "duplicates: 1 of 4 rows; one of each is kept" in outcome.err
    assert "rows.csv:6: empty label" in outcome.err and "'Good' (rows.csv:5) and 'good' (rows.csv:2)" in outcome.err
