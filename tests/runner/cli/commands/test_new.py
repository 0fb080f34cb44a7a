"""`recipe new`: what it writes is valid as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipekit.runner.workflows import new
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.json_schema import schema_text
from recipekit.schemas.recipe import check_recipe, load_recipe

from ....support.terminal import in_terminal

Recipe = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_recipe_is_valid_and_its_path_goes_to_stdout(command_line: Recipe) -> None:
    outcome = command_line("new", "mine")
    assert (outcome.code, outcome.out) == (0, "mine.yml\n")
    assert check_recipe(Path("mine.yml")) == []
    assert load_recipe("mine.yml").recipe.name == "mine"


@pytest.mark.parametrize("parent", [path.stem for path in shipped_recipes()])
def test_a_new_recipe_from_another_differs_from_it_in_name_only(command_line: Recipe, parent: str) -> None:
    command_line("new", "mine", "--from", parent)
    made, original = load_recipe("mine.yml").recipe, load_recipe(parent).recipe
    assert made._replace(name=original.name, description=original.description) == original
    assert f"extends: {parent} " in Path("mine.yml").read_text()


def test_a_parent_in_another_folder_is_named_from_the_new_recipe(command_line: Recipe, here: Path) -> None:
    command_line("new", "base", "--folder", "with space")
    assert command_line("new", "mine", "--from", "with space/base.yml", "--folder", "a/b").code == 0
    assert 'extends: "../../with space/base.yml" ' in Path("a/b/mine.yml").read_text()
    assert check_recipe(Path("a/b/mine.yml")) == []


def test_editors_find_the_schema_next_to_the_recipe(command_line: Recipe) -> None:
    """No path of this machine: the recipe and the schema can be committed together."""
    command_line("new", "mine", "--folder", "deep/er")
    line = Path("deep/er/mine.yml").read_text().splitlines()[0]
    assert line == "# yaml-language-server: $schema=.recipe.schema.json"
    assert Path("deep/er/.recipe.schema.json").read_text("utf-8") == schema_text("recipe")
    assert command_line("check", "deep").err.startswith("1 recipe checked: no problems")


def test_in_the_project_itself_editors_find_its_own_schema(command_line: Recipe, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "schemas").mkdir()
    monkeypatch.setattr(new, "SCHEMA_DIR", here / "schemas")
    command_line("new", "mine", "--folder", "recipes")
    assert Path("recipes/mine.yml").read_text().splitlines()[0] == "# yaml-language-server: $schema=../schemas/recipe.schema.json"
    assert [path.name for path in Path("recipes").iterdir()] == ["mine.yml"]


def test_nothing_is_overwritten(command_line: Recipe) -> None:
    Path("mine.yml").write_text("precious")
    outcome = command_line("new", "mine")
    assert outcome.code == 1
    assert outcome.err == "mine.yml: already exists\n    hint: choose another name, or remove it\n"
    assert Path("mine.yml").read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_reported(command_line: Recipe) -> None:
    outcome = command_line("new", "mine", "--folder", "/proc/x")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("/proc/x/mine.yml: cannot be written: ") and "choose another folder with --folder" in outcome.err


@pytest.mark.parametrize("name", ["Mine", "a b", "../x", "", "x" * 64, "-x"])
def test_a_name_of_the_wrong_form_is_refused(command_line: Recipe, here: Path, name: str) -> None:
    assert command_line("new", "--", name).code == 1
    assert list(here.iterdir()) == []


def test_a_missing_parent_is_refused(command_line: Recipe, here: Path) -> None:
    outcome = command_line("new", "mine", "--from", "quikstart")
    assert outcome.code == 1
    assert "did you mean 'quickstart'?" in outcome.err
    assert list(here.iterdir()) == []


def test_a_recipe_for_a_file_is_valid_and_says_what_comes_next(command_line: Recipe, here: Path) -> None:
    (here / "support.csv").write_text("question,answer\n" + "".join(f"Where is order {n}?,On its way.\n" for n in range(20)), "utf-8")
    outcome = command_line("new", "support", "--data", "support.csv")
    assert (outcome.code, outcome.out) == (0, "support.yml\n")
    assert "20 chat records with the converter table" in outcome.err and "recipe plan support.yml" in outcome.err
    assert check_recipe(Path("support.yml")) == []


def test_a_new_recipe_is_written_into_the_folder_of_recipes(command_line: Recipe, here: Path) -> None:
    (here / "recipes").mkdir()
    assert command_line("new", "mine").out == "recipes/mine.yml\n"


def test_from_and_data_cannot_be_combined(command_line: Recipe) -> None:
    assert command_line("new", "mine", "--from", "quickstart", "--data", "a.csv").code == 2


PAIRS = "en,de\n" + "".join(f"Where is the house number {n}?,Wo ist das Haus Nummer {n}?\n" for n in range(20))


def test_open_questions_are_printed_in_a_pipe(command_line: Recipe, here: Path) -> None:
    (here / "pairs.csv").write_text(PAIRS, "utf-8")
    outcome = command_line("new", "pairs", "--data", "pairs.csv")
    assert outcome.code == 0 and outcome.err.startswith("undecided the rows can also be read as follows; choose with --type, or edit")
    assert 'chat: columns en and de are a question and its answer, options: {"user_key": "en", "assistant_key": "de"}' in outcome.err
    assert load_recipe("pairs.yml").recipe.data.type == "text"


def test_a_likely_encoding_is_taken_and_printed(command_line: Recipe, here: Path) -> None:
    rows = "frage;antwort\n" + "".join(f"Wie heißt Gerät {n}?;Es heißt Föhn {n}\n" for n in range(20))
    (here / "old.csv").write_bytes(rows.encode("cp1252"))
    assert "encoding  cp1252, the likeliest for files that are not UTF-8" in command_line("new", "old", "--data", "old.csv").err
    assert load_recipe("old.yml").recipe.data.sources[0].encoding == "cp1252"
    code, _ = in_terminal("new", "asked", "--data", "old.csv", cwd=here, keys="2\n")
    assert code == 0 and load_recipe("asked.yml").recipe.data.sources[0].encoding not in ("cp1252", "utf-8")


def test_open_questions_are_asked_in_a_terminal(here: Path) -> None:
    (here / "pairs.csv").write_text(PAIRS, "utf-8")
    code, written = in_terminal("new", "pairs", "--data", "pairs.csv", cwd=here, keys="2\n")
    assert code == 0 and "2  chat: columns en and de are a question and its answer" in written
    data = load_recipe(str(here / "pairs.yml")).recipe.data
    assert (data.type, data.sources[0].options) == ("chat", {"user_key": "en", "assistant_key": "de"})


def test_the_base_model_can_be_named(command_line: Recipe, here: Path) -> None:
    (here / "pairs.csv").write_text("question,answer\nWhy?,So.\nWho?,Me.\n", "utf-8")
    assert command_line("new", "mine", "--data", "pairs.csv", "--model", "Qwen/Qwen2.5-1.5B-Instruct").code == 0
    assert load_recipe("mine.yml").recipe.model.base_model == "Qwen/Qwen2.5-1.5B-Instruct"
    assert "the model's tokenizer is not on this machine" in Path("mine.yml").read_text()


def test_a_model_folder_without_a_model_is_refused(command_line: Recipe, here: Path) -> None:
    (here / "pairs.csv").write_text("question,answer\n" + "".join(f"What is {n}?,It is {n}\n" for n in range(9)))
    outcome = command_line("new", "mine", "--data", "pairs.csv", "--model", "./nowhere")
    assert outcome.code == 1 and "nowhere: no such model folder" in outcome.err and not (here / "mine.yml").exists()


def test_type_and_model_need_data(command_line: Recipe) -> None:
    assert command_line("new", "mine", "--type", "chat").code == 2


def test_files_that_are_named_after_splits_stay_in_them(command_line: Recipe, here: Path) -> None:
    for name in ("train", "test"):
        (here / f"{name}.csv").write_text("text,label\n" + "".join(f"{name} {n},{n % 2}\n" for n in range(20)))
    outcome = command_line("new", "both", "--data", "train.csv", "--data", "test.csv")
    sources = load_recipe(str(here / "both.yml")).recipe.data.sources
    assert outcome.code == 0 and [source.split for source in sources] == ["train", "test"]
    command_line("new", "one", "--data", "train.csv")
    assert load_recipe(str(here / "one.yml")).recipe.data.sources[0].split is None
    (here / "data").mkdir()
    for name in ("train", "test"):
        (here / f"{name}.csv").rename(here / "data" / f"{name}.csv")
    assert "holds files of several splits: test.csv and train.csv" in command_line("new", "folder", "--data", "data").err


def test_unusable_rows_are_counted_by_reason(command_line: Recipe, here: Path) -> None:
    rows = [f"Where is order {n}?,On its way {n}." for n in range(20)] + ["Why?,", ",Because.", "How?,"]
    (here / "rows.csv").write_text("question,answer\n" + "\n".join(rows) + "\n", "utf-8")
    assert "unusable  3 of 23 rows: 3 empty content, e.g. rows.csv:22:" in command_line("new", "rows", "--data", "rows.csv").err


def test_a_folder_of_several_kinds_of_files_is_reported(command_line: Recipe, here: Path) -> None:
    (here / "texts").mkdir()
    for name in ("one.txt", "two.txt", "notes.md"):
        (here / "texts" / name).write_text("Once there was a fox.\n", "utf-8")
    assert "files     2 .txt, 1 .md; to read only some, use a glob" in command_line("new", "fox", "--data", "texts").err


def test_a_misspelt_file_is_found(command_line: Recipe, here: Path) -> None:
    (here / "support.csv").write_text("question,answer\n", "utf-8")
    assert "did you mean 'support.csv'?" in command_line("new", "mine", "--data", "suport.csv").err
