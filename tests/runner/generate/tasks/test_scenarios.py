"""The scenario matrix."""

import json

import pytest
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.emollm import convert
from recipekit.runner.generate.outcomes import Rejected, Rows
from recipekit.runner.generate.tasks.scenarios import AREAS, EMOTIONS, SYSTEM, Dialogue, parse_dialogue, parse_reply, requests
from recipekit.runner.providers.requests import Request
from recipekit.schemas.prompts import load_prompt

PROMPT = load_prompt("emollm_multi_turn")


def test_the_source_names_448_scenarios_of_which_432_are_distinct() -> None:
    assert (len(AREAS), len(EMOTIONS), EMOTIONS.count("同情")) == (16, 28, 2)
    items = list(requests([], PROMPT, 42))
    asked = [item for item in items if isinstance(item, Request)]
    twice = [item for item in items if isinstance(item, Drop)]
    assert (len(items), len(asked), len(twice)) == (448, 432, 16)
    assert {drop.reason for drop in twice} == {"scenario_named_twice"}
    assert all(drop.filtered and "同情" in drop.detail for drop in twice)
    assert len({request.messages[-1]["content"] for request in asked}) == 432


def test_every_scenario_is_requested_once_before_any_is_again() -> None:
    found = list(requests([], PROMPT, 42, areas=["工作"], emotions=["焦虑", "悲伤"], count=3))
    assert [(item.about["emotion"], item.repetition) for item in found] == [(e, n) for n in range(3) for e in ("焦虑", "悲伤")]
    assert "“工作”" in found[0].messages[-1]["content"]


def test_a_reply_becomes_a_row_that_the_converter_reads() -> None:
    request = next(iter(requests([], PROMPT, 42)))
    found = parse_reply(request, "病人：工作很累。\n医生：辛苦了。\n病人：怎么办？\n医生：先休息。\n医生：再谈。")
    assert isinstance(found, Rows)
    (row,) = found.rows
    assert row["conversation"][0] == {"system": SYSTEM, "input": "工作很累。", "output": "辛苦了。"}
    assert (row["area"], row["emotion"], found.fixed) == ("工作", "钦佩", ("spoke_twice",))
    (record,) = convert([Row(row, "rows.jsonl", 1)], keep_meta=["area", "emotion", "generated_by"])
    assert isinstance(record, Record)
    assert [message["role"] for message in record.fields["messages"]] == ["system", *["user", "assistant"] * 2]
    assert record.meta["area"] == "工作"


def test_a_reply_without_a_dialogue_is_reported() -> None:
    request = next(iter(requests([], PROMPT, 42)))
    assert isinstance(parse_reply(request, "ERROR"), Rejected)


TWO = [("我很焦虑。", "谢谢你告诉我。"), ("是考试。", "我理解。")]
FORMS = {
    "as asked for": ("病人：我很焦虑。\n医生：谢谢你告诉我。\n病人：是考试。\n医生：我理解。", TWO, ()),
    "half-width colons": ("病人: 我很焦虑。\n医生: 谢谢你告诉我。\n病人: 是考试。\n医生: 我理解。", TWO, ()),
    "on one line": ("病人：我很焦虑。 医生：谢谢你告诉我。 病人：是考试。 医生：我理解。", TWO, ()),
    "bold": ("**病人：** 我很焦虑。\n**医生：**谢谢你告诉我。\n**病人**：是考试。\n**医生**：我理解。", TWO, ()),
    "numbered headings": ("1. 病人：我很焦虑。\n\n2. 医生：谢谢你告诉我。\n\n### 病人：是考试。\n- 医生：我理解。", TWO, ()),
    "with a mood": ("病人（低声）：我很焦虑。\n医生（点头）：谢谢你告诉我。\n病人：是考试。\n医生：我理解。", TWO, ()),
    "other names": ("来访者：我很焦虑。\n心理咨询师：谢谢你告诉我。\n求助者：是考试。\n咨询师：我理解。", TWO, ()),
    "English": ("Patient: I worry.\nDoctor: Thank you.\nCLIENT: Exams.\nTherapist: I see.", [("I worry.", "Thank you."), ("Exams.", "I see.")], ()),
    "the doctor speaks twice": ("病人：我很焦虑。\n医生：谢谢你告诉我。\n\n医生：另外，深呼吸。", [("我很焦虑。", "谢谢你告诉我。\n\n另外，深呼吸。")], ("spoke_twice",)),
    "no closing line": ("病人：我很焦虑。\n医生：谢谢你告诉我。\n病人：谢谢医生！", TWO[:1], ("closing_line_missing",)),
    "an empty closing line": ("病人：我很焦虑。\n医生：谢谢你告诉我。\n病人：是考试。\n医生：", TWO[:1], ("blank_line_left_out", "closing_line_missing")),
    "a preamble": ("好的，以下是对话：\n\n病人：我很焦虑。\n医生：谢谢你告诉我。", TWO[:1], ("preamble_left_out",)),
    "a greeting": ("医生：你好，请坐。\n病人：我很焦虑。\n医生：谢谢你告诉我。", TWO[:1], ("greeting_left_out",)),
    "lines within what is said": ("病人：我很\n焦虑。\n医生：第一，休息；\n第二：运动。", [("我很\n焦虑。", "第一，休息；\n第二：运动。")], ()),
    "an address within a sentence": ("病人：我的医生：王医生说没事。\n医生：好。", [("我的医生：王医生说没事。", "好。")], ()),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_dialogue_is_parsed_in_every_form(name: str) -> None:
    text, pairs, fixed = FORMS[name]
    assert parse_dialogue(text) == Dialogue(pairs, fixed)


@pytest.mark.parametrize("text", ["", "ERROR", "我不知道。", "病人：我很焦虑。", "医生：你好。", "医生：\n病人："])
def test_a_text_without_question_and_answer_is_not_a_dialogue(text: str) -> None:
    found = parse_dialogue(text)
    assert isinstance(found, Rejected)
    assert found.reason == "no_dialogue"


def test_a_dialogue_is_cut_to_the_wanted_turns() -> None:
    assert parse_dialogue(FORMS["as asked for"][0], 1) == Dialogue(TWO[:1], ("shortened",))


def test_every_real_conversation_survives_being_written_out_and_read_again(realdata) -> None:
    """1,596 conversations of EmoLLM; those whose turns hold a speaker's tag of their own are what the parser exists for."""
    conversations = json.loads((realdata / "emollm/evaluate/data_dir/data.json").read_bytes())
    same = differ = 0
    for conversation in conversations:
        turns = conversation["conversation"]
        if not turns:
            continue
        text = "\n".join(f"病人：{turn['input']}\n医生：{turn['output']}" for turn in turns)
        found = parse_dialogue(text)
        assert isinstance(found, Dialogue)
        if found.pairs == [(turn["input"].strip(), turn["output"].strip()) for turn in turns]:
            same += 1
        else:
            differ += 1
            assert "spoke_twice" in found.fixed or len(found.pairs) > len(turns)
            assert not any(tag in answer for _, answer in found.pairs for tag in ("\n医生：", "\n病人："))
    assert same + differ == 1596
    assert same > 1300
