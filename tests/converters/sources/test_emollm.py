import json
from collections import Counter

import pytest
from recipekit.converters.reading.files import source_files
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.emollm import REFUSAL, convert

SYSTEM = "现在你是一个心理专家。"


def native(*turns, system=SYSTEM):
    conversation = [{"input": asked, "output": answered} for asked, answered in turns]
    if system is not None:
        conversation[0] = {"system": system, **conversation[0]}
    return {"conversation": conversation}


def converted(*values, kind="chat", **options):
    return list(convert([Row(value, "f.json", line) for line, value in enumerate(values, 1)], kind, **options))


def contents(item):
    return [message["content"] for message in item.fields["messages"]]


def test_turns_become_messages_after_the_system_prompt():
    (item,) = converted(native(("我很累。", "怎么了？"), ("工作。", "说说看。")))
    assert [message["role"] for message in item.fields["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert contents(item) == [SYSTEM, "我很累。", "怎么了？", "工作。", "说说看。"]
    assert (item.meta, item.fixed) == ({"form": "native"}, ())


@pytest.mark.parametrize(
    ("own", "options", "expected", "changed"),
    [
        (SYSTEM, {}, [SYSTEM], ()),
        (SYSTEM, {"system_prompt": "新"}, [SYSTEM], ()),
        (None, {"system_prompt": "新"}, ["新"], ("system_added",)),
        ("  ", {"system_prompt": "新"}, ["新"], ("system_added",)),
        (SYSTEM, {"system_prompt": "新", "replace_system": True}, ["新"], ("system_replaced",)),
        ("新", {"system_prompt": "新", "replace_system": True}, ["新"], ()),
        (SYSTEM, {"replace_system": True}, [], ("system_removed",)),
        (None, {"replace_system": True}, [], ()),
    ],
)
def test_the_system_prompt_is_kept_added_or_replaced(own, options, expected, changed):
    (item,) = converted(native(("a", "b"), system=own), **options)
    assert contents(item) == [*expected, "a", "b"]
    assert item.fixed == changed


def test_white_space_around_messages_goes_and_is_counted():
    (item,) = converted(native(("我很累。\n\n", "\n怎么了？ ")))
    assert (contents(item)[1:], item.fixed) == (["我很累。", "怎么了？"], ("trimmed",))
    (item,) = converted(native(("我很累。\n\n", "怎么了？")), trim=False)
    assert (contents(item)[1:], item.fixed) == (["我很累。\n\n", "怎么了？"], ())


@pytest.mark.parametrize(("choice", "expected"), [("strip", "好。\n\n再见。"), ("keep", "好。\n\n医生：再见。"), ("drop", "role_tag")])
def test_a_leaked_role_tag_is_stripped_kept_or_a_reason_to_drop(choice, expected):
    (item,) = converted(native(("我走了。", "好。\n\n医生：再见。")), role_tags=choice)
    assert (item.reason if isinstance(item, Drop) else contents(item)[-1]) == expected
    if choice == "drop":
        assert item.filtered


@pytest.mark.parametrize(
    ("turn", "reason"),
    [(("a", ""), "empty_content"), (("", "b"), "empty_content"), ((" \n", "b"), "empty_content"), (("a", 5), "content_not_text"),
     (("a", None), "content_not_text"), ((["a"], "b"), "content_not_text")],
)  # fmt: skip
def test_blank_and_other_contents_are_unusable(turn, reason):
    (drop,) = converted(native(turn))
    assert (drop.reason, drop.filtered) == (reason, False)


def test_a_system_prompt_that_is_not_text_is_unusable():
    (drop,) = converted(native(("a", "b"), system=["s"]))
    assert drop.reason == "content_not_text"


@pytest.mark.parametrize(
    "text",
    ["抱歉，我不能完成这个任务。", "作为一个认知智能模型，我没有感情。", "对不起，我无法提供这样的内容", "作为AI助手，我不便回答",
     "As an AI language model, I cannot feel.", "I'm sorry, but I can't assist with that."],
)  # fmt: skip
def test_refusals_are_dropped_unless_they_are_wanted(text):
    assert [item.reason for item in converted(native(("a", text)))] == ["refusal"]
    assert isinstance(converted(native(("a", text)), drop_refusals=False)[0], Record)


@pytest.mark.parametrize("text", ["抱歉让你这么难过。", "我不能想象那有多难。", "I can't imagine that.", "作为一个母亲，你很累。"])
def test_sympathy_is_not_a_refusal(text):
    assert not REFUSAL.search(text)


def test_swift_rows_with_a_future_turn_as_history_are_dropped():
    rows = [
        {"query": "q0", "response": "a0", "history": []},
        {"query": "q0", "response": "a0", "history": [{"query": "q1", "response": "a1"}]},
        {"query": "q0", "response": "a0", "history": [{"query": "q2", "response": "a2"}]},
        {"query": "q9", "response": "a9", "history": [["q8", "a8"]]},
    ]
    items = converted(*rows)
    assert [item.reason if isinstance(item, Drop) else contents(item) for item in items] == [
        ["q0", "a0"], "wrong_history", "wrong_history", ["q8", "a8", "q9", "a9"],
    ]  # fmt: skip
    assert items[1].filtered
    assert all(isinstance(item, Record) for item in converted(*rows, drop_wrong_histories=False))


def test_as_text_every_turn_is_a_record_that_knows_its_conversation():
    items = converted(native(("a", "b"), ("c", "d\n\n医生：e")), kind="text")
    assert [item.fields["text"] for item in items] == ["问题:a\n答案:b", "问题:c\n答案:d\n\ne"]
    assert [(item.meta["conversation"], item.meta["turn"]) for item in items] == [("f.json:1", 0), ("f.json:1", 1)]
    assert [item.fixed for item in items] == [("role_tag_removed", "system_left_out"), ()]


def test_a_blank_question_leaves_only_the_answer():
    items = converted(native(("a", "b")), native(("", "问题:x\n答案:y")), kind="text", text_template="Q {input} A {output}")
    assert [item.fields["text"] for item in items] == ["Q a A b", "问题:x\n答案:y"]


def test_as_text_a_question_without_an_answer_is_dropped():
    (drop,) = converted(native(("a", "b\n病人：c")), kind="text")
    assert drop.reason == "roles_do_not_alternate"


def test_a_flattened_dialogue_ends_with_the_cue():
    (item,) = converted(native(("a", "b"), ("c", "d")), flatten=True)
    assert contents(item) == [f"{SYSTEM}\n\n对话：\n来访者：a\n医生：b\n来访者：c\n医生：", "d"]
    (item,) = converted(native(("a", "b"), system=None), flatten=True)
    assert contents(item) == ["对话：\n来访者：a\n医生：", "b"]


def test_flattening_can_be_undone():
    (flat,) = converted(native(("a", "b"), ("c", "d")), flatten=True)
    instruction, output = contents(flat)
    (item,) = converted({"instruction": instruction, "output": output})
    assert item.fields == converted(native(("a", "b"), ("c", "d")))[0].fields
    assert item.meta == {"form": "flat"}


def test_meta_is_kept_where_it_is_asked_for():
    (item,) = converted({"instruction": "a", "output": "b", "domain": ["x"], "copyright": "y"}, keep_meta=["domain"])
    assert item.meta == {"form": "alpaca", "domain": ["x"]}


# --- the real files


def read(path):
    return [row for file in source_files(str(path)) for row in read_file(file, "values")[1]]


def exactly(rows, **options):
    """The records with nothing mended: what the source's own scripts would give."""
    return list(convert(rows, role_tags="keep", trim=False, drop_refusals=False, **options))


COUNTS = {
    "evaluate/data_dir/data.json": (1600, {"empty_conversation": 4}, {"role_tag_removed": 221}),
    "datasets/tiangou.json": (1301, {}, {"role_tag_removed": 302, "trimmed": 85}),
    "datasets/self_cognition_EmoLLM.json": (85, {}, {}),
    "datasets/processed/processed_self_cognition_EmoLLM.json": (85, {}, {}),
    "datasets/ruozhiba_raw.jsonl": (240, {}, {"trimmed": 2}),
    "datasets/processed/ruozhiba_format_emo.jsonl": (240, {}, {"trimmed": 2}),
    "samples/aiwei.first60.json": (60, {}, {"trimmed": 4}),
    "samples/converted.first80lines.json": (80, {}, {"role_tag_removed": 10}),
    "samples/curr_merge.sample.json": (48, {"empty_conversation": 3}, {"role_tag_removed": 7, "trimmed": 45}),
    "samples/swift_aiwei.first100lines.jsonl": (100, {"wrong_history": 61}, {}),
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_row_of_a_real_file_is_accounted_for(realdata, name):
    rows = read(realdata / "emollm" / name)
    items = list(convert(rows))
    total, dropped, changed = COUNTS[name]
    assert len(rows) == len(items) == total
    assert Counter(item.reason for item in items if isinstance(item, Drop)) == dropped
    assert Counter(name for item in items if isinstance(item, Record) for name in item.fixed) == changed


def test_no_real_message_keeps_a_role_tag_or_white_space_at_its_ends(realdata):
    for name in COUNTS:
        for item in convert(read(realdata / "emollm" / name)):
            if isinstance(item, Record):
                spoken = [message["content"] for message in item.fields["messages"] if message["role"] != "system"]
                assert not any("\n医生：" in content or " 医生：" in content or content != content.strip() for content in spoken)


def test_empty_conversations_are_dropped_with_their_place(realdata):
    path = realdata / "emollm" / "evaluate" / "data_dir" / "data.json"
    items = list(convert(read(path)))
    empty = [index for index, item in enumerate(items) if isinstance(item, Drop)]
    assert empty == [425, 483, 742, 1120]
    lines = path.read_text("utf-8").splitlines()
    assert all('"conversation": []' in lines[items[index].row.line] for index in empty), "the line is the record's first"
    turns = sum(len(item.fields["messages"]) // 2 for item in items if isinstance(item, Record))
    assert (len(items) - len(empty), turns) == (1596, 5072)


def test_real_turns_are_mapped_exactly(realdata):
    for name, turns in [("evaluate/data_dir/data.json", 5072), ("datasets/tiangou.json", 3470)]:
        rows = read(realdata / "emollm" / name)
        records = [item for item in exactly(rows) if isinstance(item, Record)]
        for record in records:
            conversation = record.row.value["conversation"]
            expected = [conversation[0]["system"]] if "system" in conversation[0] else []
            assert contents(record) == expected + [turn[key] for turn in conversation for key in ("input", "output")]
        assert sum(len(record.row.value["conversation"]) for record in records) == turns


def test_the_one_real_record_without_a_system_prompt_gets_one(realdata):
    items = list(convert(read(realdata / "emollm" / "datasets" / "tiangou.json"), system_prompt=SYSTEM))
    assert [index for index, item in enumerate(items) if "system_added" in item.fixed] == [0]


def test_all_85_self_cognition_rows_equal_the_sources_own(realdata):
    folder = realdata / "emollm" / "datasets"
    processed = json.loads((folder / "processed" / "processed_self_cognition_EmoLLM.json").read_text("utf-8"))
    system = processed[0]["conversation"][0]["system"]
    made = exactly(read(folder / "self_cognition_EmoLLM.json"), system_prompt=system)
    assert [contents(item) for item in made] == [
        [t["system"], t["input"], t["output"]] for t in (row["conversation"][0] for row in processed)
    ]
    assert len(made) == 85


def test_all_240_ruozhiba_rows_equal_the_sources_own(realdata):
    folder = realdata / "emollm" / "datasets"
    processed = json.loads((folder / "processed" / "ruozhiba_format_emo.jsonl").read_text("utf-8"))
    made = list(convert(read(folder / "ruozhiba_raw.jsonl"), system_prompt=processed[0]["conversation"][0]["system"]))
    expected = [[turn["system"], turn["input"], turn["output"].strip()] for turn in (row["conversation"][0] for row in processed)]
    assert [contents(item) for item in made] == expected
    assert len(made) == 240


def test_the_real_flattened_dialogues_come_out_both_ways(realdata):
    folder = realdata / "emollm"
    flat = [json.loads(line) for line in (folder / "samples" / "converted.first80lines.json").read_text("utf-8").splitlines()]
    rows = [row for row in read(folder / "evaluate" / "data_dir" / "data.json") if row.value["conversation"]][:80]
    assert [contents(item) for item in exactly(rows, flatten=True)] == [[row["instruction"], row["output"]] for row in flat]
    apart = exactly([Row(row, "converted.json", line) for line, row in enumerate(flat, 1)])
    assert [item.fields for item in apart] == [item.fields for item in exactly(rows)]


def test_the_real_swift_rows_keep_one_row_a_dialogue(realdata):
    rows = read(realdata / "emollm" / "samples" / "swift_aiwei.first100lines.jsonl")
    kept = [item for item in convert(rows) if isinstance(item, Record)]
    assert len(kept) == len({(row.value["query"], row.value["response"]) for row in rows}) == 39
    assert all(item.row.value["history"] == [] for item in kept)


def test_a_second_system_prompt_is_refused_and_one_that_is_left_out_counted():
    turns = [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    same, other = converted({"conversations": turns, "system": "s"}, {"conversations": turns, "system": "t"})
    assert contents(same) == ["s", "a", "b"] and other.reason == "two_system_prompts"
    (record,) = converted(native(("a", "b")), kind="text")
    assert SYSTEM not in record.fields["text"] and record.fixed == ("system_left_out",)
