"""Emotional Alpaca: every set of keys, the labels that the model repeated, and the project's own counts."""

import json
import re

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.alpaca_emotion import convert, without_labels
from recipekit.schemas.sections import Data, Source, Split

ASK, ANSWER = "Where is she?", "With love, she is present there."


def found(value, **options) -> list[Record | Drop]:
    return list(convert([Row(value, "f.json", 3)], **options))


def one(value, **options) -> Record:
    (record,) = found(value, **options)
    assert isinstance(record, Record), record
    return record


def reason(value, **options) -> str:
    (drop,) = found(value, **options)
    assert isinstance(drop, Drop), drop
    return drop.reason


# Keys.

ROW = {"instruction": ASK, "input": ""}


@pytest.mark.parametrize(
    ("value", "meta"),
    [
        (ROW | {"rewritten_output": ANSWER}, {"instruction_source": "alpaca"}),
        (ROW | {"output": ANSWER}, {"instruction_source": "alpaca"}),
        (ROW | {"emotion": "love", "new-output": ANSWER}, {"emotion": "love", "instruction_source": "alpaca"}),
        ({"love": [ROW | {"old_output": "There.", "new_output": ANSWER}]}, {"emotion": "love", "instruction_source": "emotion_seed_task"}),
        (
            {
                "id": "seed_task_7",
                "name": "n",
                "instruction": ASK,
                "instances": [{"input": "", "output": ANSWER}],
                "is_classification": False,
            },
            {"instruction_source": "seed_task_7"},
        ),
        (
            ROW | {"output": ANSWER, "most_similar_instructions": {"a": 0.3}, "avg_similarity_score": 0.1},
            {"instruction_source": "self_instruct"},
        ),
        (
            ROW | {"output": ANSWER, "most_similar_instructions": {"a": 0.3}, "emotion_label": "caring"},
            {"emotion": "caring", "instruction_source": "self_instruct"},
        ),
        (
            f"Write an appropriate response to the instruction. Instruction: {ASK}\nResponse: {ANSWER}",
            {"instruction_source": "google_form"},
        ),
    ],
)
def test_every_set_of_keys_gives_a_chat_of_two_messages(value, meta):
    record = one(value)
    assert record.fields == {"messages": [{"role": "user", "content": ASK}, {"role": "assistant", "content": ANSWER}]}
    assert record.meta == {"instruction": ASK, **meta}
    assert record.fixed == ()


@pytest.mark.parametrize(
    ("given", "question"),
    [
        ("4/16", f"{ASK}\n\n4/16"),
        ("", ASK),
        (" \n", ASK),
        (None, ASK),
        ("<noinput>", ASK),
        ("[noinput]", ASK),
        ("No input needed", f"{ASK}\n\nNo input needed"),
    ],
)
def test_an_input_follows_the_instruction_after_a_blank_line(given, question):
    assert one({"instruction": ASK, "input": given, "output": ANSWER}).fields["messages"][0]["content"] == question


def test_an_embedded_prompt_is_split_at_its_first_response():
    text = (
        "Write an appropriate response to the instruction. Instruction: Complete it.\nInput: Maya:\nHi\nResponse: Hello.\nResponse: again"
    )
    messages = one(text).fields["messages"]
    assert [message["content"] for message in messages] == ["Complete it.\n\nMaya:\nHi", "Hello.\nResponse: again"]


def test_seeds_by_emotion_give_a_record_each():
    seeds = {"joy": [ROW | {"new_output": f"{n}"} for n in range(3)], "pride": [ROW | {"new_output": "p"}]}
    assert [record.meta["emotion"] for record in found(seeds) if isinstance(record, Record)] == ["joy"] * 3 + ["pride"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"question": "a"}, "no_instruction"),
        ({"instruction": " ", "output": "a"}, "no_instruction"),
        ({"instruction": ASK}, "no_output"),
        ({"instruction": ASK, "output": 7}, "no_output"),
        ({"instruction": ASK, "instances": ["a"]}, "no_output"),
        ({"instruction": ASK, "instances": []}, "no_instruction"),
        ({"joy": ["Instruction: Write a joke."]}, "no_output"),
        ("no prompt at all", "no_instruction"),
        ([1], "no_instruction"),
        (None, "no_instruction"),
    ],
)
def test_a_row_without_question_or_answer_is_unusable(value, why):
    assert reason(value) == why
    assert not [drop for drop in found(value) if isinstance(drop, Drop) and drop.filtered]


# Labels.


@pytest.mark.parametrize(
    ("output", "emotion"),
    [
        (f"Rewritten Output:\n{ANSWER}", None),
        (f"Rewritten Output: {ANSWER}", None),
        (f"rewritten output:\n\n{ANSWER}\n", None),
        (f"[Rewritten Output]: {ANSWER}", None),
        (f"[Rewritten Output] {ANSWER}", None),
        (f"Rewritten Output (Relief): {ANSWER}", "relief"),
        (f"[Rewritten Output (Love)]\n{ANSWER}", "love"),
    ],
)
def test_the_label_of_the_prompt_is_removed(output, emotion):
    assert without_labels(output) == (ANSWER, ("rewritten_label_removed",), emotion)


@pytest.mark.parametrize(
    ("output", "emotion"),
    [
        (f"Desired Emotion: joy\nRewritten Output: {ANSWER}", "joy"),
        (f"Desire: Curiosity\nRewritten Output:\n{ANSWER}", "curiosity"),
        (f"[Desired Emotion: Relief]\n\n{ANSWER}", "relief"),
        (f"[Desired Emotion] {ANSWER}", None),
        (f"Original Output: She is there.\n\nRewritten Output: {ANSWER}", None),
        (f"Original Input:<noinput>\n\n[Rewritten Output (Joy)]: {ANSWER}", None),
        (f"Desired Emotion: joy\nOriginal Output: There.\nRewritten Output: {ANSWER}", "joy"),
        (f"Explanation:\n\n{ANSWER}", None),
        (f"Explanation: {ANSWER}", None),
    ],
)
def test_other_labels_of_the_prompt_are_removed(output, emotion):
    assert without_labels(output) == (ANSWER, ("prompt_label_removed",), emotion)


@pytest.mark.parametrize(
    "output",
    [
        ANSWER,
        "The rewritten output is better.",
        "Input devices include: a mouse.",
        "Desire is strong.",
        "An explanation: none.",
        "**Rewritten Output**",
    ],
)
def test_an_answer_that_mentions_a_refusal_is_kept(output):
    assert without_labels(output) == (output, (), None)
    assert one(ROW | {"output": output}).fields["messages"][1]["content"] == output


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("", "empty_output"),
        (" \n", "empty_output"),
        ("Rewritten Output:\n", "empty_output"),
        ("[Rewritten Output (Joy)]:", "empty_output"),
        ("Desire: Explain it.", "empty_output"),
        ("Original Output: She is there.", "prompt_echo"),
        ("Desired Emotion: joy\nOriginal Output: There.", "prompt_echo"),
        ("Instruction: Name a fruit.\nRewritten Output: A pear!", "prompt_echo"),
        ("[Instruction: Name a fruit.]\nOutput: 0", "prompt_echo"),
        ("Example 16:\nInstruction: Name a fruit.\nRewritten Output: A pear!", "prompt_echo"),
        ("[Input + desired emotional aspect]: However,", "prompt_echo"),
    ],
)
def test_an_output_without_an_answer_is_dropped_as_the_option_asks(output, why):
    (drop,) = found(ROW | {"output": output})
    assert isinstance(drop, Drop) and (drop.reason, drop.filtered) == (why, True)


def test_labels_are_kept_with_the_option():
    output = f"Rewritten Output: {ANSWER}"
    assert one(ROW | {"output": output}, remove_labels=False).fields["messages"][1]["content"] == output
    assert reason(ROW | {"output": " "}, remove_labels=False) == "empty_output"


@pytest.mark.parametrize(
    "more",
    [
        "\n\n[Alternative Rewritten Output]\nBy love.",
        "\n\n[1. Instruction: Name it.]",
        "\nDesired Emotion: joy",
        "\n1. Rewritten Output (Correct): x",
    ],
)
def test_an_answer_that_continues_with_another_example_can_be_dropped(more):
    assert one(ROW | {"output": ANSWER + more}).fields["messages"][1]["content"] == ANSWER + more
    assert reason(ROW | {"output": ANSWER + more}, drop_run_on=True) == "run_on"
    assert one(ROW | {"output": ANSWER}, drop_run_on=True)


# The project's own files.


def converted(tmp_path, path) -> dict:
    return build(Data("chat", (Source(str(path), "alpaca_emotion"),), split=Split(0, 0)), tmp_path / "out")


COUNTS = [
    ("alpaca-instruction/emotion_alpaca_v2.json", 1000, 307),
    ("alpaca-instruction/emotion_alpaca_temp12e-1.json", 100, 9),
    ("alpaca-instruction/emotion_alpaca_temp3e-1.json", 100, 15),
    ("alpaca-instruction/emotion_seed_task.json", 15 * 6, 0),
    ("alpaca-instruction/seed_tasks.jsonl", 175, 0),
    ("history/emotion_alpaca_5_human_reviewed.json", 2053, 0),
    ("history/regen.json", 305, 0),
    ("samples/emotion_alpaca_pkl.first40.json", 40, 16),
    ("samples/google_form_instructions.first60.json", 60, 0),
    ("google_form", 8 * 30, 0),
]


@pytest.mark.parametrize(("name", "rows", "labels"), COUNTS)
def test_every_file_is_accounted_for_and_its_labels_are_counted(tmp_path, realdata, name, rows, labels):
    manifest = converted(tmp_path, realdata / "babylm_alpaca" / name)
    assert manifest["rows_in"] == rows
    assert set(manifest["dropped"]) <= {"prompt_echo", "empty_output"}
    assert manifest["fixed"].get("rewritten_label_removed", 0) == labels
    written = (tmp_path / "out/train.jsonl").read_text()
    assert not re.search(r'"role":"assistant","content":"\[?(Rewritten Output|Desired Emotion|Original Output|Explanation:)', written)


def test_the_drops_of_v2_are_the_outputs_that_repeat_the_prompt(tmp_path, realdata):
    manifest = converted(tmp_path, realdata / "babylm_alpaca/alpaca-instruction/emotion_alpaca_v2.json")
    assert manifest["dropped"] == {"empty_output": 1, "prompt_echo": 15}
    assert manifest["fixed"] == {"prompt_label_removed": 18, "rewritten_label_removed": 307}


def test_the_829_prompts_have_no_answers(realdata):
    prompts = json.loads((realdata / "babylm_alpaca/quantitative_analysis/emotion_prompts.json").read_text())
    drops = found(prompts)
    assert len(drops) == 829
    assert {drop.reason for drop in drops if isinstance(drop, Drop)} == {"no_output"}
