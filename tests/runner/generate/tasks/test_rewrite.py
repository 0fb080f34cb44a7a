"""Given rows, one text of each written anew."""

from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources import alpaca_emotion, babylm, emogpt
from recipekit.runner.generate.outcomes import Rejected, Rows
from recipekit.runner.generate.tasks.rewrite import parse_reply, requests
from recipekit.runner.providers.requests import Request
from recipekit.schemas.prompts import Prompt, load_prompt

STORY = load_prompt("babylm_story")
ALPACA = {"read": "output", "write": "rewritten_output"}
CHAT = {
    "messages": [
        {"role": "user", "content": "How do I install Python?"},
        {"role": "assistant", "content": "Download it, then run the installer."},
    ],
    "metadata": {"tree_id": "t1", "augmented": False},
}


def asked(value, prompt=STORY, **options) -> list:
    return list(requests([Row(value, "rows.jsonl", 1)], prompt, 42, **options))


def test_a_row_is_asked_about_once_with_its_own_emotion_or_once_with_each() -> None:
    row = {"text": "There was a small door.", "emotion": ["curiosity", "joy"], "source": "cbt"}
    (one,) = asked(row, examples=2)
    assert "Emotion: curiosity, joy\nSentence: There was a small door." in one.messages[0]["content"]
    several = asked(row, emotions=["joy", "sadness"], examples=1)
    assert [item.about["emotion"] for item in several] == ["joy", "sadness"]
    assert "Example (joy): The rain had stopped" in several[0].messages[0]["content"]


def test_rows_without_a_text_or_an_emotion_are_dropped() -> None:
    for value in ({"emotion": "joy"}, {"text": " ", "emotion": "joy"}, "text"):
        (drop,) = asked(value)
        assert isinstance(drop, Drop)
        assert drop.reason == "no_text"
    (drop,) = asked({"text": "There was a door."})
    assert drop.reason == "no_emotion"


def test_a_story_keeps_its_original_and_the_tokens_of_both() -> None:
    (request,) = asked({"text": "There was a small door.", "emotion": "curiosity", "source": "cbt"})
    found = parse_reply(request, 'Rewritten Output:\n"Mia pushed the door and it hummed like a cat."</s> Next one')
    assert isinstance(found, Rows)
    (row,) = found.rows
    assert row["augmented_text"] == "Mia pushed the door and it hummed like a cat."
    assert row["generated_by"] == {"original": "There was a small door.", "original_tokens": 6, "augmented_tokens": 13}
    assert set(found.fixed) == {"end_mark_removed", "rewritten_label_removed", "quotes_removed"}
    (record,) = babylm.convert([Row(row | {"reader": "Ann"}, "rows.jsonl", 1)], keep_meta=["reader", "generated_by", "nothing"])
    assert isinstance(record, Record)
    assert record.fields["text"].startswith("Mia")
    assert (record.meta["reader"], record.meta["generated_by"], "nothing" in record.meta) == ("Ann", row["generated_by"], False)


def test_an_answer_is_rewritten_for_the_alpaca_converter() -> None:
    prompt = load_prompt("alpaca_emotion")
    (request,) = asked({"instruction": "Boil water?", "input": "", "output": "At 100 degrees."}, prompt, emotions=["joy"], **ALPACA)
    assert "Answer: At 100 degrees.\nRewritten with joy:" in request.messages[0]["content"]
    found = parse_reply(request, "[Rewritten Output (Joy)]: At a glorious 100 degrees!", **ALPACA)
    assert isinstance(found, Rows)
    (record,) = alpaca_emotion.convert([Row(found.rows[0], "rows.jsonl", 1)], keep_meta=["generated_by", "reader"])
    assert isinstance(record, Record)
    assert record.fields["messages"][-1]["content"] == "At a glorious 100 degrees!"
    assert (record.meta["emotion"], record.meta["generated_by"]["original"], "reader" in record.meta) == ("joy", "At 100 degrees.", False)


def test_a_chats_last_reply_is_replaced_with_the_figures_that_emogpt_counts() -> None:
    (request,) = asked(CHAT, load_prompt("emogpt_compress"), read="messages")
    found = parse_reply(request, "Download it 💻, run it ✅.", read="messages")
    assert isinstance(found, Rows)
    (row,) = found.rows
    facts = row["metadata"]
    assert facts["generated_by"]["original"] == "Download it, then run the installer."
    assert facts["token_reduction"] == facts["original_tokens"] - facts["augmented_tokens"]
    assert (facts["augmented"], facts["turns"], facts["tree_id"]) == (True, 1, "t1")
    (record,) = emogpt.convert([Row(row, "rows.jsonl", 1)], require_emoji=True, keep_meta=["generated_by"])
    assert isinstance(record, Record)
    assert record.meta["generated_by"] == facts["generated_by"]
    assert record.meta["original_tokens"] == facts["original_tokens"]
    assert asked({"messages": [{"role": "user", "content": "hi"}]}, Prompt("p", "{text}"), read="messages")[0].reason == "no_text"


def test_the_original_or_nothing_but_labels_is_not_a_rewrite() -> None:
    (request,) = asked({"text": "There was a small door.", "emotion": "joy"})
    assert isinstance(request, Request)
    for reply, reason in (("There was a small door.", "unchanged"), ("Rewritten Output:", "empty")):
        found = parse_reply(request, reply)
        assert isinstance(found, Rejected)
        assert found.reason == reason
    kept = parse_reply(request, "Rewritten Output: x", clean=False)
    assert isinstance(kept, Rows)
    assert kept.text == "Rewritten Output: x"
