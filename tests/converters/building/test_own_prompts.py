"""Training rows with a system prompt of their own are counted where the recipe sets none."""

from pathlib import Path

from recipekit.converters.building.pipeline import build
from recipekit.schemas.sections import Source
from recipekit.schemas.validation import validator

from ...support.chats import chat, chat_data
from ...support.jsonl import write_jsonl

QUOTED = 'Is {"role":"system","content":"x"} a message?'


def rows(folder: Path) -> Path:
    """Three chats with a system prompt, and two without, one of which speaks of one."""
    own = [chat(f"How long is {number}?", system="Be long.") for number in range(3)]
    return write_jsonl(folder / "rows.jsonl", [*own, chat("Who?"), chat(QUOTED)])


def test_training_rows_with_their_own_system_prompt_are_counted_by_their_first_message(tmp_path: Path) -> None:
    manifest = build(chat_data(rows(tmp_path)), tmp_path / "out")
    assert manifest["own_prompts"] == 3 and manifest["splits"] == {"train": 5}
    assert validator("manifest").is_valid(manifest)


def test_a_repeated_row_counts_as_often_as_it_is_trained(tmp_path: Path) -> None:
    data = chat_data(rows(tmp_path))
    manifest = build(data._replace(sources=(data.sources[0]._replace(weight=2),)), tmp_path / "out")
    assert (manifest["own_prompts"], manifest["splits"]) == (6, {"train": 10})


def test_nothing_is_counted_where_the_recipe_sets_a_prompt_or_no_row_has_one_or_none_is_trained(tmp_path: Path) -> None:
    path = rows(tmp_path)
    bare = write_jsonl(tmp_path / "bare.jsonl", [chat("Who?"), chat(QUOTED)])
    held_out = chat_data(bare)._replace(sources=(Source(str(path), "messages", split="test"),))
    for number, data in enumerate((chat_data(path, system_prompt="Be brief."), chat_data(bare), held_out)):
        assert "own_prompts" not in build(data, tmp_path / f"out-{number}")
