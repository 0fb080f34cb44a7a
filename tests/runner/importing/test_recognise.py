"""`recipe new --data`: files are recognised by their content, and what is proposed converts."""

import json

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.importing.new_recipe import recipe_for
from recipekit.runner.importing.recognise import recognise
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import check_recipe, load_recipe

from ...support.converter_examples import CASES

# Rows of plain Alpaca in a file of another source, and nine forms of rows in one file: no content tells the source.
NOT_RECOGNISED = {("alpaca_emotion", "reviewed"), ("emollm", "other_forms")}


def inputs(case):
    return [str(path) for path in sorted(case.glob("input*"))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_the_converter_of_an_example_is_recognised(case):
    if (case.parent.name, case.name) in NOT_RECOGNISED:
        return
    found = recognise(inputs(case))
    assert found.choice.converter == case.parent.name and found.records


def test_at_least_nine_of_ten_examples_are_recognised():
    assert len(NOT_RECOGNISED) <= 0.1 * len(CASES)


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def table(header, rows):
    return "\n".join([header, *rows]) + "\n"


QUESTIONS = [f"What is {n} and why?,It is {n}" for n in range(8)]
REVIEWS = [f"This film number {n} was long,{('good', 'bad')[n % 2]}" for n in range(12)]


@pytest.mark.parametrize(
    ("text", "converter", "record_type", "options"),
    [
        (table("Question,Answer", QUESTIONS), "table", "chat", {"user_key": "Question", "assistant_key": "Answer"}),
        (table("review,stars", REVIEWS), "table", "classification", {"text_key": "review", "label_key": "stars"}),
        (table("id,notes,mood", [f"{n},{row}" for n, row in enumerate(REVIEWS)]), "table", "text", {"text_key": "notes"}),
        (json.dumps({"chat": [{"speaker": "user", "text": "Hi"}, {"speaker": "assistant", "text": "Ho"}]}) + "\n", "messages", "chat",
         {"messages_key": "chat", "role_key": "speaker", "content_key": "text"}),
        (json.dumps({"dialogue": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}) + "\n", "sharegpt", "chat",
         {"conversations_key": "dialogue"}),
        ("Once there was a fox.\n\nIt was red.\n", "text", "text", {"sample_by": "paragraph"}),
    ],
)  # fmt: skip
def test_columns_are_recognised(tmp_path, text, converter, record_type, options):
    choice = recognise([written(tmp_path, "data", text)]).choice
    assert (choice.converter, choice.record_type, choice.options) == (converter, record_type, options)


def test_columns_that_are_not_read_are_reported(tmp_path):
    rows = [f"{n},{row}" for n, row in enumerate(QUESTIONS)]
    assert recognise([written(tmp_path, "data.csv", table("id,question,answer", rows))]).unread == ["id"]


def test_preference_data_is_refused(tmp_path):
    text = json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n"
    with pytest.raises(UserError, match="preference data"):
        recognise([written(tmp_path, "data.jsonl", text)])


def test_rows_that_no_converter_reads_are_refused_with_their_keys(tmp_path):
    with pytest.raises(UserError, match=r"no converter reads these rows \(keys: a, b\)"):
        recognise([written(tmp_path, "data.jsonl", '{"a": 1, "b": 2}\n')])


@pytest.mark.parametrize(
    "case", [case for case in CASES if (case.parent.name, case.name) not in NOT_RECOGNISED], ids=lambda c: f"{c.parent.name}-{c.name}"
)
def test_a_proposed_recipe_is_valid_and_converts_the_sampled_rows(case, tmp_path):
    paths = inputs(case)
    found = recognise(paths)
    recipe = tmp_path / "mine.yml"
    recipe.write_text("recipe: 1\nname: mine\n\n" + recipe_for(found, paths, tmp_path), encoding="utf-8")
    assert check_recipe(recipe) == []
    data = load_recipe(str(recipe)).recipe.data
    manifest = build(data._replace(max_dropped=1, dedup="none", check_leaks="none"), tmp_path / "data")
    assert 0 < manifest["rows_kept"] <= len(found.records)


@pytest.mark.parametrize("characters", [40, 400, 4000])
def test_sequence_len_exceeds_the_longest_row(tmp_path, characters):
    path = written(tmp_path, "data.csv", table("question,answer", [*QUESTIONS, f"Why?,{'a ' * (characters // 2)}"]))
    text = recipe_for(recognise([path]), [path], tmp_path)
    proposed = int(text.split("sequence_len: ")[1].split()[0])
    assert characters / 3 < proposed <= characters + 128 and proposed % 64 == 0


def test_a_table_without_a_header_is_proposed_with_its_columns(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"Remark number {n} on the food here\t{n % 3}\tid{n}\n" for n in range(30)))
    with pytest.raises(UserError, match="a.tsv:1: the first row reads like data"):
        recognise([str(path)])
    columns = ("text", "label", "id")
    found = recognise([str(path)], columns=columns)
    (tmp_path / "r.yml").write_text("recipe: 1\nname: r\n" + recipe_for(found, [str(path)], tmp_path, {"columns": [*columns]}))
    assert found.choice.record_type == "classification" and load_recipe(str(tmp_path / "r.yml")).recipe.data.sources[0].columns == columns


def test_a_file_that_is_not_utf8_is_refused_with_its_likely_encoding(tmp_path):
    pytest.importorskip("charset_normalizer")
    path = tmp_path / "a.csv"
    path.write_bytes("question,answer\nOù est l'hôtel ?,À côté du café.\n".encode("cp1252"))
    with pytest.raises(UserError, match="cp1252 if"):
        recognise([str(path)])
    assert recognise([str(path)], "cp1252").records[0].fields["messages"][0]["content"] == "Où est l'hôtel ?"
