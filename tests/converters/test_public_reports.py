"""Small inputs that show what public reports of comparable tools are about; docs/found-cases.md has the table."""

import gzip
import json
import re
from pathlib import Path

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.reporting.ledger_table import source_notes
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split

ROOT = Path(__file__).parents[2]
TURNS = [{"from": "human", "value": "What is 2+2?"}, {"from": "gpt", "value": "4"}]
HI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


@pytest.fixture
def records(tmp_path):
    """The records that files of the given bytes become."""

    def run(converter, *files, kind="chat", **options):
        paths = [tmp_path / f"{number}" for number in range(len(files))]
        for path, content in zip(paths, files, strict=True):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        sources = tuple(Source(str(path), converter, options) for path in paths)
        build(Data(kind, sources, split=Split(0)), tmp_path / "out")
        return [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text("utf-8").split("\n")[:-1]]

    return run


def rows(*values):
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def roles(record):
    return [message["role"] for message in record["messages"]]


def test_a_system_turn_in_sharegpt_is_the_system_message(records):
    (record,) = records("sharegpt", rows({"conversations": [{"from": "system", "value": "Be brief."}, *TURNS]}))
    assert roles(record) == ["system", "user", "assistant"]


def test_sharegpt_takes_the_role_names_of_other_formats(records):
    (record,) = records("sharegpt", rows({"conversations": [{"from": "user", "value": "Hi"}, {"from": "Assistant", "value": "Hello!"}]}))
    assert roles(record) == ["user", "assistant"]


def test_an_unknown_speaker_is_refused_by_name(records):
    for name in ("function_call", "User "):
        with pytest.raises(UserError, match=f"role is {name!r}"):
            records("sharegpt", rows({"conversations": [*TURNS, {"from": name, "value": "{}"}, TURNS[1]]}))


def test_a_loss_of_a_turn_says_whether_it_is_trained(records):
    turns = [{**TURNS[0], "loss": None}, {**TURNS[1], "loss": False}, TURNS[0], {**TURNS[1], "loss": True}]
    (record,) = records("sharegpt", rows({"conversations": turns}))
    assert [message.get("train") for message in record["messages"]] == [None, False, None, True]
    with pytest.raises(UserError, match="loss is 0.43"):
        records("sharegpt", rows({"conversations": [TURNS[0], {**TURNS[1], "loss": 0.43}]}))


def test_rows_without_messages_are_counted_and_stop_the_run(records):
    for nothing in (None, []):
        with pytest.raises(UserError, match="1 of 2 rows cannot be used"):
            records("messages", rows({"messages": HI}, {"messages": nothing}))


def test_tool_calls_are_refused_rather_than_lost(records):
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    with pytest.raises(UserError, match="tool_calls"):
        records("messages", rows({"messages": [HI[0], call, {"role": "tool", "content": "3"}, HI[1]]}))


def test_a_weight_of_0_masks_its_message(records):
    (record,) = records("messages", rows({"messages": [HI[0], {**HI[1], "weight": 0}, *HI]}))
    assert [message.get("train") for message in record["messages"]] == [None, False, None, None]


def test_a_column_may_be_null_in_one_file_and_text_in_another(records):
    found = records("messages", rows({"messages": HI, "system": None}), rows({"messages": HI, "system": "Be brief."}))
    assert [roles(record)[0] for record in found] == ["user", "system"]


def test_rows_may_lack_a_key_that_others_have(records):
    found = records("alpaca", rows({"instruction": "a", "input": "b", "output": "c"}, {"instruction": "d", "output": "e"}))
    assert len(found) == 2


@pytest.mark.parametrize("word", ["null", "NA", "None", "nan", "007", "1e5"])
def test_a_cell_is_not_changed(records, word):
    (record,) = records("table", f"text,label\n{word},x\n", kind="classification")
    assert record["text"] == word


def test_several_values_on_a_line_are_all_read(records):
    values = [{"messages": [{"role": "user", "content": str(n)}, HI[1]]} for n in range(3)]
    assert len(records("messages", "".join(map(json.dumps, values)))) == 3


def test_line_separators_within_a_text_split_no_row(records):
    text = "a\u2028b\u2029c\u0085d\x0be"
    (record,) = records("messages", rows({"messages": [{"role": "user", "content": text}, HI[1]]}))
    assert record["messages"][0]["content"] == text


def test_rows_with_equal_questions_keep_their_roles(records):
    found = records("table", "q,a\nsame,0\nsame,1\n", user_key="q", assistant_key="a")
    assert [roles(record) for record in found] == [["user", "assistant"]] * 2 and found[1]["messages"][1]["content"] == "1"


def test_a_gzipped_file_is_read_whatever_it_is_called(records):
    assert len(records("messages", gzip.compress(rows({"messages": HI}).encode()))) == 1


def test_a_first_row_of_data_is_not_lost_as_a_header(records):
    with pytest.raises(UserError, match="columns: "):
        records("table", "I liked it very much,1\nAwful,0\n", kind="classification")


def test_nulls_in_a_list_keep_their_places(records):
    (record,) = records("messages", rows({"messages": HI, "baselines": [None, ["x"], []]}), keep_meta=["baselines"])
    assert record["meta"]["baselines"] == [None, ["x"], []]


def test_a_value_of_another_type_after_many_rows_loses_no_row(records):
    found = records("table", "text,label\n" + "".join(f"t{n},{n % 3}\n" for n in range(150)) + "last,other\n", kind="classification")
    assert len(found) == 151 and found[-1]["label"] == "other"


def test_a_column_that_occurs_twice_is_refused(records):
    with pytest.raises(UserError, match="the same column twice"):
        records("table", "text,label,label\nhello,a,b\n", kind="classification")


def test_earlier_turns_next_to_an_instruction_come_before_it(records):
    (record,) = records("alpaca", rows({"instruction": "c", "output": "d", "history": [["a", "b"]]}))
    assert [message["content"] for message in record["messages"]] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("key", "value"), [("chat_template_kwargs", {"enable_thinking": False}), ("weight", 0.5), ("tools", "[{}]")])
def test_an_unread_key_that_changes_training_is_refused(records, key, value):
    with pytest.raises(UserError, match=f"key not read: '{key}'"):
        records("messages", rows({"messages": HI, key: value}))


def test_reasoning_next_to_a_reply_is_refused_rather_than_left_out(records):
    for key in ("reasoning_content", "thinking"):
        with pytest.raises(UserError, match=f"a message has '{key}'"):
            records("messages", rows({"messages": [HI[0], {**HI[1], key: "deep"}]}))


def test_a_prompt_given_as_messages_is_not_trained(records):
    (record,) = records("prompt_completion", rows({"prompt": [HI[0]], "completion": [HI[1]]}))
    assert [message.get("train") for message in record["messages"]] == [False, None]


def test_a_key_that_occurs_twice_is_refused(records):
    first, second = (json.dumps({"messages": [{**HI[0], "content": text}, HI[1]]})[1:-1] for text in ("one", "two"))
    for row in (f"{{{first}, {second}}}\n", f"[{{{first}, {second}}}]"):
        with pytest.raises(UserError, match="duplicate key: 'messages'"):
            records("messages", row)
    with pytest.raises(UserError, match="duplicate key: 'role'"):
        records("messages", json.dumps({"messages": '[{"role": "user", "role": "user", "content": "a"}]'}) + "\n")


def test_files_that_were_joined_lose_no_row_to_their_byte_order_marks(records):
    parts = ["\ufeff" + rows({"messages": [{"role": "user", "content": str(n)}, HI[1]]}) for n in range(3)]
    assert len(records("messages", "".join(parts))) == 3


@pytest.mark.parametrize(
    ("key", "value"), [("loss_mask", [0, 1]), ("train", False), ("split", "test"), ("split", "Validation"), ("label", 0),
                      ("answer", "reject"), ("answer", "ignore"), ("status", "Discarded"), ("deleted", True), ("was_cancelled", "True"),
                      ("Split", "Test"), ("partition", "test"), ("SUBSET", "dev"), ("set", "held-out")]
)  # fmt: skip
def test_a_row_marked_as_untrained_is_refused(records, key, value):
    with pytest.raises(UserError, match=f"key not read: '{key}'"):
        records("messages", rows({"messages": HI, key: value}))


def test_a_text_of_the_class_0_is_a_text(records):
    assert len(records("table", rows({"text": "Fine.", "label": 0}, {"text": "Bad.", "label": 1}), kind="text")) == 2


def test_each_line_that_is_a_list_of_messages_is_a_chat_of_its_own(records):
    chats = [[{"role": "user", "content": str(number)}, HI[1]] for number in range(3)]
    for written in (rows(*chats), json.dumps(chats), "\ufeff" + rows(*chats)):
        assert [record["messages"] for record in records("messages", written)] == chats
    shared = [{"from": turn["role"], "value": turn["content"]} for turn in chats[0]]
    assert [record["messages"] for record in records("sharegpt", rows(shared, shared[:1] + [TURNS[1]]))][0] == chats[0]
    with pytest.raises(UserError, match="no conversation"):
        records("messages", rows(*chats), conversation_per_file=True)


def test_a_refused_row_of_a_table_is_left_out_by_keep_rows(records):
    table = rows({"text": "One", "answer": "accept"}, {"text": "Two", "answer": "reject"})
    with pytest.raises(UserError, match="is not read by the converter table; keep_rows leaves such rows out"):
        records("table", table, kind="text")
    assert [row["text"] for row in records("table", table, kind="text", keep_rows={"answer": ["accept"]})] == ["One"]


def test_a_row_of_the_training_split_is_trained(records):
    assert (
        len(records("messages", rows({"messages": HI, "split": "train", "label": 1, "loss": 0.7, "answer": "accept", "deleted": False})))
        == 1
    )


@pytest.mark.parametrize("nothing", ["<noinput>", "nan", " No input"])
def test_a_placeholder_input_is_left_out_of_the_question(records, nothing):
    given = rows(
        {"instruction": "Tell a joke.", "input": nothing, "output": "Knock."},
        {"instruction": "Why?", "input": "Nan Goldin", "output": "So."},
    )
    first, second = records("alpaca", given)
    assert [row["messages"][0]["content"] for row in (first, second)] == ["Tell a joke.", "Why?\n\nNan Goldin"]


def test_a_pointer_of_git_lfs_is_not_data(records):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    for converter, kind in (("messages", "chat"), ("text", "text"), ("table", "classification")):
        with pytest.raises(UserError, match="a Git LFS pointer"):
            records(converter, pointer, kind=kind)


def test_empty_keys_next_to_a_message_are_accepted(records):
    reply = {**HI[1], "refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}
    assert len(records("messages", rows({"messages": [HI[0], reply]}))) == 1


@pytest.mark.parametrize("key", ["tool_calls", "images", "reasoning_content", "rejected", "chat_template_kwargs"])
def test_a_key_that_matters_is_refused_on_a_row_that_is_one_message_too(records, key):
    both = [{"c": 1, **HI[0]}, {"c": 1, **HI[1], key: [{"id": "x"}]}]
    with pytest.raises(UserError, match=f"0:2: key not read: '{key}'"):
        records("messages", rows(*both), conversation_key="c")


def test_a_system_prompt_next_to_any_message_of_a_conversation_is_read(records):
    (record,) = records("messages", rows({"c": 1, **HI[0]}, {"c": 1, **HI[1], "system": "Be brief."}), conversation_key="c")
    assert roles(record) == ["system", "user", "assistant"]
    with pytest.raises(UserError, match="two system prompts"):
        records("messages", rows({"c": 1, **HI[0], "system": "A"}, {"c": 1, **HI[1], "system": "B"}), conversation_key="c")


def test_a_value_of_another_type_in_a_text_column_is_refused_with_its_rows(records):
    with pytest.raises(UserError, match=r"0:1: no text: text is a number .also in line 3"):
        records("table", rows(*({"text": text, "label": "x"} for text in (1, "Nan", 3))), kind="classification")


def test_zeros_before_a_number_are_kept_and_whole_floats_are_written_as_integers(records):
    found = records("table", "text,label\na,007\nb,08\n", kind="classification")
    assert [record["label"] for record in found] == ["007", "08"]
    found = records("table", rows({"text": "a", "label": 0.0}, {"text": "b", "label": 1.0}), kind="classification")
    assert [record["label"] for record in found] == ["0", "1"]


def test_white_space_at_the_ends_of_a_text_is_kept(records):
    (record,) = records("messages", rows({"messages": [HI[0], {"role": "assistant", "content": "\n\n Yes. "}]}))
    assert record["messages"][1]["content"] == "\n\n Yes. "
    (record,) = records("prompt_completion", rows({"prompt": "Q: ", "completion": " A "}), kind="text")
    assert record["text"] == "Q:  A "


@pytest.mark.parametrize("turns", [[HI[0], *HI], [*HI, HI[1]], [HI[1], *HI]], ids=["two questions", "two answers", "an answer first"])
def test_turns_that_do_not_alternate_are_refused_rather_than_joined(records, turns):
    with pytest.raises(UserError, match="roles do not alternate"):
        records("messages", rows({"messages": turns}))


def test_half_of_a_surrogate_pair_is_refused_with_its_column(records):
    with pytest.raises(UserError, match="column 41: no low surrogate"):
        records("messages", '{"messages":[{"role":"user","content":"a\\ud83d"},{"role":"assistant","content":"b"}]}\n')


def test_json_lines_written_over_many_lines_are_read(records):
    values = [{"messages": [{"role": "user", "content": str(n)}, HI[1]]} for n in range(3)]
    assert len(records("messages", "\n".join(json.dumps(value, indent=2) for value in values))) == 3


def test_blanks_around_a_column_name_are_shown(records):
    with pytest.raises(UserError, match="no 'sentence'; the row has ' sentence ', label"):
        records("table", " sentence ,label\nhello,a\n", kind="classification", text_key="sentence")


def test_a_column_of_row_numbers_is_named(tmp_path):
    (tmp_path / "a.csv").write_text(",text,label\n0,hello,a\n1,bye,b\n")
    manifest = build(Data("classification", (Source(str(tmp_path / "a.csv"), "table"),), split=Split(0)), tmp_path / "out")
    assert "table: keys not read: column 1 (2 rows)" in source_notes(manifest)[0]


def test_columns_without_a_name_are_named_by_their_numbers_and_read_where_they_hold_something(tmp_path):
    (tmp_path / "a.csv").write_text('v1,v2,,\nham,hello,,\nspam,"Win now"," call me",\nham,bye,,\n')
    source = Source(str(tmp_path / "a.csv"), "table", {"text_key": "v2", "label_key": "v1"})
    manifest = build(Data("classification", (source,), split=Split(0)), tmp_path / "out")
    assert manifest["rows_kept"] == 3 and "table: keys not read: column 3 (1 row)" in source_notes(manifest)[0]
    (tmp_path / "a.csv").write_text("v1,v2,,\nham,hello,,\nv1,v2,,\nham,bye,,\n")
    with pytest.raises(UserError, match="repeated header"):
        build(Data("classification", (source,), split=Split(0)), tmp_path / "out")


def test_quotes_after_a_blank_do_not_become_a_part_of_the_text(records):
    with pytest.raises(UserError, match="a blank before a quote"):
        records("table", 'id,text,label\n1, "some text",x\n2, "other text",y\n', kind="classification")
    (record,) = records("table", 'id,text,label\n1,"He said, ""no"", and left",x\n', kind="classification")
    assert record["text"] == 'He said, "no", and left'


def test_a_response_that_was_not_submitted_is_not_read(records):
    answers = [[{"value": "x", "status": "submitted"}, {"value": "y", "status": "discarded"}], [{"value": "y", "status": "draft"}]]
    table = rows(*({"text": f"Text {number}", "label": responses} for number, responses in enumerate(answers)))
    (record,) = records("table", table, kind="classification", label_key="label[].value")
    assert record["label"] == "x"


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_number_that_json_has_not_is_named(records, value):
    with pytest.raises(UserError, match=f"column 27: {value} is not JSON: write null"):
        records("table", f'{{"text": "a", "label":    {value}}}\n', kind="classification")


def test_few_rows_are_in_one_split_each(tmp_path):
    for count in range(1, 8):
        (tmp_path / "a.jsonl").write_text(rows(*({"messages": [{"role": "user", "content": str(n)}, HI[1]]} for n in range(count))))
        manifest = build(Data("chat", (Source(str(tmp_path / "a.jsonl"), "messages"),), split=Split(0.2)), tmp_path / "out")
        assert sum(manifest["splits"].values()) == count


def test_an_input_is_part_of_the_question_whatever_the_template_of_the_model(records):
    (record,) = records("alpaca", rows({"instruction": "Translate.", "input": "Ja.", "output": "Yes."}))
    assert record["messages"][0]["content"] == "Translate.\n\nJa."


def test_only_the_last_reply_is_trained_where_the_recipe_says_so(records):
    (record,) = records("messages", rows({"messages": [*HI, *HI]}), last_only=True)
    assert [message["train"] for message in record["messages"]] == [False, False, False, True]


def test_a_system_message_in_the_middle_is_refused(records):
    with pytest.raises(UserError, match="system not first: messages.2. is a system message"):
        records("messages", rows({"messages": [*HI, {"role": "system", "content": "Be brief."}, *HI]}))


def test_every_row_of_the_table_names_a_test_that_exists():
    table = (ROOT / "docs" / "found-cases.md").read_text("utf-8")
    lines = [line for line in table.splitlines() if line.startswith("| ") and "`tests/" in line]
    assert len(lines) >= 30
    for line in lines:
        ((file, name),) = re.findall(r"`(tests/[\w/]+\.py)`: `(\w+)` \|$", line)
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), f"{file}::{name}"
