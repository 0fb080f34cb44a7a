"""Chats of a later split that ask what a training row asks are counted."""

from recipekit.converters.building.leaks import count_same_questions
from recipekit.converters.building.pipeline import build
from recipekit.runner.reporting.ledger_table import leaks_line
from recipekit.schemas.sections import Split

from ...support.chats import chat, chat_data
from ...support.jsonl import write_jsonl


def test_a_question_of_an_earlier_split_is_counted_whatever_its_system_prompt(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [chat("Who?"), chat("Why?")])
    asked = {"messages": [{"role": "system", "content": "s"}, *chat("Who? ", "I.")["messages"]]}
    write_jsonl(tmp_path / "validation.jsonl", [asked, chat("How?")])
    write_jsonl(tmp_path / "test.jsonl", [chat("How?", "So."), chat("Where?")])
    assert count_same_questions(tmp_path, {"train": 2, "validation": 2, "test": 2}) == {"validation": 1, "test": 1}


def test_turns_before_the_last_reply_are_part_of_the_question(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [chat("Who?")])
    longer = {"messages": [*chat("Who?")["messages"], *chat("And?")["messages"]]}
    write_jsonl(tmp_path / "test.jsonl", [longer])
    assert count_same_questions(tmp_path, {"train": 1, "test": 1}) == {}


def test_a_conversion_says_how_many_there_are(tmp_path):
    rows = [chat(f"Tell me of {number // 2}.", f"Answer {number}.") for number in range(40)]
    manifest = build(chat_data(write_jsonl(tmp_path / "a.jsonl", rows), split=Split(0.3)), tmp_path / "out")
    count = manifest["leaks"]["same_question"]["validation"]
    assert f"{count} of 12 validation rows have the question of a row of an earlier split, and another answer" in leaks_line(manifest)
