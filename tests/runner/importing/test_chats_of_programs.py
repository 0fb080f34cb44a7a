"""Chats as programs and corpora write them: `recipe new` reads whole conversations, or says why it cannot."""

import json
import shutil
import subprocess

import pytest
from recipekit.runner.importing.new_recipe import recognised_lines
from recipekit.runner.importing.recognise import recognise
from recipekit.schemas.base.errors import UserError

from ...support.jsonl import write_jsonl

ASKED = [f"When do you open on day {n} of May?" for n in range(12)]
ANSWERED = [f"We open at ten and close at {n}." for n in range(12)]
PAIRS = [*zip(ASKED, ANSWERED, strict=True)]


def turns(asked, answered, role="role", content="content", names=("user", "assistant"), **more):
    return [{role: name, content: text, **more} for name, text in zip(names, (asked, answered), strict=True)]


def found_in(tmp_path, rows, name="data.jsonl"):
    path = tmp_path / name
    if isinstance(rows, list):
        write_jsonl(path, rows)
    else:
        path.write_text(rows if isinstance(rows, str) else json.dumps(rows), encoding="utf-8")
    return recognise([str(path)])


def refused(tmp_path, rows, name="data.jsonl"):
    with pytest.raises(UserError) as error:
        found_in(tmp_path, rows, name)
    return error.value.problems[0]


def test_messages_within_an_object_are_read_and_not_the_title_beside_it(tmp_path):
    """As in Open WebUI's export."""
    rows = [{"title": asked, "chat": {"title": asked, "messages": turns(asked, answered)}} for asked, answered in PAIRS]
    found = found_in(tmp_path, rows)
    assert (found.choice.options, found.records[0].fields["messages"]) == ({"messages_key": "chat.messages"}, turns(*PAIRS[0]))
    asked = [{"id": n, "body": {"messages": turns(*pair)[:1]}} for n, pair in enumerate(PAIRS)]
    assert "a chat needs a question and an answer; body.messages is a list of messages" in refused(tmp_path, asked).what


@pytest.mark.parametrize(
    "row",
    [
        lambda asked, answered: {"title": f"{asked}", "safeHtmlItem": [{"html": f"<p>{answered} Come then.</p>"}], "time": "2024-05-01"},
        lambda asked, answered: {"summary": "Ann asks about hours.", "utt": [asked, answered], "speaker": ["HOST", "GUEST"]},
        lambda asked, answered: {"description": "hours of the shop", "utterances": [f"patient: {asked}", f"doctor: {answered}"]},
        lambda asked, answered: {
            "greeting": "Hello, I am Luna.",
            "persona": "Luna is kind to all.",
            "said": [{"message": asked}, {"message": answered}],
        },
    ],
)
def test_a_title_or_a_summary_of_texts_is_no_text(tmp_path, row):
    assert "no converter reads these rows" in refused(tmp_path, [row(*pair) for pair in PAIRS]).what


def test_a_text_that_repeats_what_is_beside_it_is_a_text(tmp_path):
    rows = [{"abstract": f"{asked} {answered}", "sentences": [asked, answered], "tags": ["hours"]} for asked, answered in PAIRS]
    assert found_in(tmp_path, rows).choice.options == {"text_key": "abstract"}


@pytest.mark.parametrize(
    "row",
    [
        lambda asked, answered: {"conversation_a": turns(asked, answered), "conversation_b": turns(asked, "No."), "winner": "model_a"},
        lambda asked, answered: {"prompt": asked, "response_a": answered, "response_b": "I do not know that.", "winner_model_a": 1},
        lambda asked, answered: {"history": asked, "human_ref_A": answered, "human_ref_B": "I do not know.", "score_A": 5, "score_B": 3},
        lambda asked, answered: {"prompt": asked, "response_0": answered, "response_1": "I do not know.", "better_response_id": 0},
    ],
    ids=["arena", "kaggle", "SHP", "SafeRLHF"],
)
def test_two_replies_of_which_one_is_better_are_preference_data(tmp_path, row):
    assert "preference data (two replies, and which is better)" in refused(tmp_path, [row(*pair) for pair in PAIRS]).what


def test_of_two_replies_without_a_verdict_each_is_an_alternative(tmp_path):
    """As in Stack Exchange's pairs, and in LIMO, whose answer is the last number of its solution."""
    for keys in (("response_j", "response_k"), ("answer", "solution")):
        rows = [{"question": asked, keys[0]: answered, keys[1]: f"{answered} So I say."} for asked, answered in PAIRS]
        found = found_in(tmp_path, rows)
        assert [one.options["assistant_key"] for one in (found.choice, *found.alternatives)] == [*keys]


def test_the_definition_of_a_task_is_a_part_of_its_question_and_tokens_are_not(tmp_path):
    """As in Natural Instructions, and in the log of Ollama."""
    found = found_in(
        tmp_path, [{"definition": "Say when the shop opens.", "inputs": asked, "targets": answered} for asked, answered in PAIRS]
    )
    assert found.choice.options == {"user_template": "{definition}\n\n{inputs}", "assistant_key": "targets"}
    found = found_in(tmp_path, [{"prompt": asked, "response": answered, "context": [1, 2, 3]} for asked, answered in PAIRS])
    assert (found.choice.options, found.unread) == ({"user_key": "prompt", "assistant_key": "response"}, ["context"])


def test_rows_with_the_roles_of_a_chat_are_no_texts(tmp_path):
    rows = [message for pair in PAIRS for message in turns(*pair)]
    found = found_in(tmp_path, rows)
    assert (found.choice.options, found.records[0].fields["messages"]) == ({"conversation_per_file": True}, rows)
    assert "messages[2] is a system message" in refused(tmp_path, [*rows[:2], {"role": "system", "content": "Be kind."}, *rows[2:]]).what


def test_the_command_for_a_reply_beside_its_messages_adds_it(tmp_path):
    rows = [{"messages": turns(*pair)[:1], "response": pair[1]} for pair in PAIRS]
    hint = refused(tmp_path, rows).hint
    if not shutil.which("jq"):
        pytest.skip("no jq on this machine")
    subprocess.run(["sh", "-c", hint[hint.index("jq") :]], cwd=tmp_path, check=True)
    found = recognise([str(tmp_path / "chats.jsonl")])
    assert [record.fields["messages"] for record in found.records] == [turns(*pair) for pair in PAIRS]


@pytest.mark.parametrize(
    "text",
    [
        "A chat with an assistant. USER: {} ASSISTANT: {}</s>",
        "<|user|>\n{}\n<|assistant|>\n{}",
        "用户：{}\n助手：{}",
        "Patient: {}\nDoctor: {}",
    ],
)
def test_the_turns_in_a_text_are_pointed_out(tmp_path, text):
    found = found_in(tmp_path, [{"text": text.format(*pair)} for pair in PAIRS])
    assert "to train the replies alone, write them as lists of messages" in found.choice.why


def test_earlier_turns_are_not_trained_instead_of_the_reply(tmp_path):
    """As Cohere writes them."""
    earlier = turns("Hello there.", "Hi, what is it?", "role", "message", ("USER", "CHATBOT"))
    rows = [{"message": asked, "chat_history": earlier, "text": answered} for asked, answered in PAIRS]
    assert "'chat_history' (earlier turns) is not read" in refused(tmp_path, rows).what


def test_a_message_that_failed_or_was_rated_as_bad_is_not_trained(tmp_path):
    for key, good, bad in (("error", False, True), ("annotation", {"rating": 1}, {"rating": -1}), ("finish_reason", "stop", "length")):
        rows = [{"messages": [*turns(*pair)[:1], {**turns(*pair)[1], key: bad if n == 5 else good}]} for n, pair in enumerate(PAIRS)]
        found = found_in(tmp_path, rows)
        assert (len(found.records), found.choice.options) == (11, {}) and f"a message has {key}" in found.unusable[0].detail
    noted = [{"messages": [*turns(*pair)[:1], {**turns(*pair)[1], "annotation": {"strategy": "Question"}}]} for pair in PAIRS]
    assert found_in(tmp_path, noted).choice.options == {"ignore_message_keys": ["annotation"]}
    failed = {"id": "x", "messages": [{**turn, "error": True} for turn in turns(*PAIRS[0], "sender", "text")]}
    assert "an error in the place of a reply" in refused(tmp_path, failed, "chat.json").what, "they are not taken for texts either"


def test_the_time_of_a_message_is_no_reply(tmp_path):
    """As SillyTavern and Google Chat write it."""
    for time in ("January 1, 2024 3:{:02}pm", "Monday, January 1, 2024 at 10:{:02}:00 AM UTC", "2024-01-01 @10h {:02}m 00s"):
        rows = [{"name": ("You", "Luna")[n % 2], "mes": text, "send_date": time.format(n)}
                for n, text in enumerate(text for pair in PAIRS for text in pair)]  # fmt: skip
        assert "neither ISO 8601 nor seconds since 1970" in refused(tmp_path, rows).what
    dated = [{**row, "send_date": f"2024/01/01 10:{n:02}:00"} for n, row in enumerate(rows)]
    found = found_in(tmp_path, dated)
    assert (found.choice.converter, found.choice.options["assistant"]) == ("chat_log", "Luna")
    assert [message["content"] for message in found.records[0].fields["messages"]] == [text for pair in PAIRS for text in pair]


def test_what_was_asked_is_no_answer(tmp_path):
    """EmpatheticDialogues: each row is an utterance, the prompt is the situation that it is about."""
    rows = [
        {"conv_id": f"hit:{n // 2}", "utterance_idx": n % 2 + 1, "prompt": "I remember a day with a friend .", "utterance": text}
        for n, text in enumerate(text for pair in PAIRS for text in pair)
    ]
    assert "no column names its speaker" in refused(tmp_path, rows).what


def test_an_article_is_what_a_question_is_about(tmp_path):
    rows = [{"article": "An article on the hours of shops.", "question": asked, "answer": answered} for asked, answered in PAIRS]
    assert found_in(tmp_path, rows).choice.options["user_template"] == "{article}\n\n{question}"


def test_reasoning_in_a_column_is_not_left_out(tmp_path):
    rows = [{"Question": asked, "Complex_CoT": f"Let me look at {asked}", "Response": answered} for asked, answered in PAIRS]
    found = found_in(tmp_path, rows)
    assert found.choice.options["assistant_template"] == "<think>\n{Complex_CoT}\n</think>\n\n{Response}" and not found.unread
    assert found.records[0].fields["messages"][1]["content"] == f"<think>\nLet me look at {ASKED[0]}\n</think>\n\n{ANSWERED[0]}"
    problem = refused(tmp_path, [{**row, "thoughts": "Two columns of reasoning are a choice."} for row in rows])
    assert "(reasoning before the reply) is not read" in problem.what
    assert "assistant_template" in problem.hint and "ignore_keys" in problem.hint


def test_a_system_prompt_of_a_file_is_named(tmp_path):
    rows = {"system_prompt": "You are a pirate.", "version": 2, "chats": [{"messages": turns(*pair)} for pair in PAIRS]}
    said = "".join(what for _, what in recognised_lines(found_in(tmp_path, rows, "data.json")))
    assert "keys beside it that are not read: system_prompt, version; a system prompt is set by data.system_prompt" in said


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (lambda a, b: {"messages": turns(a, b, "type", names=("human", "ai"))}, "LangChain"),
        (lambda a, b: {"turns": turns(a, b, "speaker", "utterance", ("USER", "SYSTEM"))}, "MultiWOZ: SYSTEM is the assistant"),
        (lambda a, b: {"sys-usr": [1, 2], "messages": turns(a, b, names=("usr", "sys"))}, "CrossWOZ"),
        (lambda a, b: {"messages": [{**turn, "content": [{"type": kind, "text": turn["content"], "annotations": []}]}
                                    for turn, kind in zip(turns(a, b), ("input_text", "output_text"), strict=True)]}, "OpenAI's Responses"),
        (lambda a, b: {"messages": [{**turn, "content": [{"type": "text", "text": {"value": turn["content"], "annotations": []}}]}
                                    for turn in turns(a, b)]}, "OpenAI's Assistants, Jan"),
        (lambda a, b: {"messages": [{"role": turn["role"], "contentParts": [{"type": "text", "text": turn["content"]}]} for turn in turns(a, b)]},
         "Chatbox"),
    ],
)  # fmt: skip
def test_chats_in_the_form_of_a_program_are_read(tmp_path, row, message):
    found = found_in(tmp_path, [row(*pair) for pair in PAIRS])
    assert [record.fields["messages"] for record in found.records] == [turns(*pair) for pair in PAIRS], message


def test_a_log_whose_people_take_turns_is_a_log(tmp_path):
    """Telegram's: as one list of messages it would be one conversation, whatever the pauses."""
    said = [text for pair in PAIRS for text in pair]
    messages = [
        {"date": f"2024-01-{1 + n // 2:02}T10:{n % 2:02}:00", "from": ("Tom", "Lena")[n % 2], "text": text} for n, text in enumerate(said)
    ]
    found = found_in(tmp_path, {"name": "Tom", "messages": messages}, "result.json")
    assert (found.choice.converter, len(found.records)) == ("chat_log", 12)


def test_a_speaker_may_be_an_object(tmp_path):
    """As in Teams."""
    said = [text for pair in PAIRS for text in pair]
    messages = [{"sentDateTime": f"2024-01-01T10:{n:02}:00Z", "from": {"user": {"displayName": ("Ann", "Tom")[n % 2]}}, "body": {"content": text}}
                for n, text in enumerate(said)]  # fmt: skip
    assert found_in(tmp_path, {"value": messages}, "teams.json").choice.options["speaker_key"] == "from.user.displayName"


@pytest.mark.parametrize(
    "row",
    [
        lambda text, n: {"type": "item", "payload": {"role": ("user", "assistant")[n % 2], "content": [{"type": "text", "text": text}]}},
        lambda text, n: {"id": n, "result": {"message": {"role": "assistant", "content": [{"type": "text", "text": text}]}}},
        lambda text, n: {
            "title": text,
            "body": f"{text} Please tell me.",
            "answers": [{"body": text, "score": 1}, {"body": "No.", "score": 0}],
        },
    ],
    ids=["Codex", "results of Anthropic's batches", "Stack Exchange"],
)
def test_a_turn_of_a_chat_is_no_text(tmp_path, row):
    said = [text for pair in PAIRS for text in pair]
    assert "no converter reads these rows" in refused(tmp_path, [row(text, n) for n, text in enumerate(said)]).what


@pytest.mark.parametrize(
    "keys",
    [("u.username", "msg", "ts"), ("sender_full_name", "content", "timestamp"), ("direction", "text", "createdAt")],
    ids=["Rocket.Chat", "Zulip", "Botpress"],
)
def test_logs_name_their_people_in_many_ways(tmp_path, keys):
    speaker, text, time = keys
    rows = []
    for number, said in enumerate(text for pair in PAIRS for text in pair):
        name = ("incoming", "outgoing")[number % 2]
        rows.append(
            {text: said, time: f"2026-01-01T10:{number:02}:00Z"} | ({"u": {"username": name}} if "." in speaker else {speaker: name})
        )
    found = found_in(tmp_path, rows)
    assert (found.choice.converter, found.choice.options["speaker_key"]) == ("chat_log", speaker)


def test_messages_of_messenger_in_reverse_order_are_refused_as_such(tmp_path):
    said = [text for pair in PAIRS for text in pair]
    messages = [
        {"sender_name": ("Ann", "Tom")[n % 2], "timestamp_ms": 1704103200000 + 60000 * n, "content": text} for n, text in enumerate(said)
    ]
    assert "in reverse order" in refused(tmp_path, {"title": "Ann", "messages": messages[::-1]}, "message_1.json").what
    messages[4]["is_unsent"] = True
    found = found_in(tmp_path, {"title": "Ann", "messages": messages}, "message_1.json")
    assert said[4] not in str(found.records[0].fields)


def test_a_text_with_the_marks_of_a_chat_template_is_no_table(tmp_path):
    text = "".join(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{answered}<|im_end|>\n" for asked, answered in PAIRS)
    assert "turns with the marks of a chat template" in refused(tmp_path, text, "chats.txt").what


def test_a_question_and_its_answer_are_no_header(tmp_path):
    assert (
        "the first row reads like data" in refused(tmp_path, "".join(f"{asked}\t{answered}\n" for asked, answered in PAIRS), "qa.tsv").what
    )


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"**You:**\n{asked}\n\n**ChatGPT:**\n{answered}\n\n" for asked, answered in PAIRS),
        "".join(f"<s>[INST] {asked} [/INST] {answered} </s>\n" for asked, answered in PAIRS),
        "".join(f"[10:{n:02}] <{('ann', 'tom')[n % 2]}> It is the text {n}.\n" for n in range(12)),
        "[LINE] Chat history with Ann\nSaved on: 2024/01/01\n\n"
        + "".join(f"10:{n:02}\t{('Ann', 'Tom')[n % 2]}\tIt is {n}.\n" for n in range(12)),
    ],
    ids=["Markdown", "Llama 2", "IRC", "LINE"],
)
def test_a_log_that_is_read_as_text_is_pointed_out(tmp_path, text):
    assert "as a list of messages" in (why := found_in(tmp_path, text, "log.txt").choice.why) or "as lists of messages" in why


@pytest.mark.parametrize(
    "row",
    [
        lambda asked, answered: {"id": 1, "data": [asked, answered]},
        lambda asked, answered: {"dialog": [[asked, answered]] * 2},
        lambda asked, answered: {"log": [{"text": asked, "metadata": {}}, {"text": answered, "metadata": {}}]},
        lambda asked, answered: {"context": [asked, answered, asked], "response": answered},
    ],
    ids=["UltraChat", "pairs", "MultiWOZ", "SoulChat"],
)
@pytest.mark.parametrize("is_array", [False, True])
def test_the_command_for_turns_without_speakers_writes_chats(tmp_path, row, is_array):
    rows = [row(*pair) for pair in PAIRS]
    if is_array:
        (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
        rows = (tmp_path / "data.json").read_text(encoding="utf-8")
    hint = refused(tmp_path, rows, "data.json").hint
    command = hint[hint.index("jq") :]
    if not shutil.which("jq"):
        pytest.skip("no jq on this machine")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    found = recognise([str(tmp_path / "chats.jsonl")])
    messages = found.records[0].fields["messages"]
    assert len(found.records) == 12 and messages[:2] == turns(*PAIRS[0]) and messages[-1] == turns(*PAIRS[0])[1]


@pytest.mark.parametrize("system", [[], [{"from": "system", "value": "Be brief."}]])
def test_the_command_for_a_greeting_leaves_it_out(tmp_path, system):
    greeting = {"from": "gpt", "value": "Hello! How can I help?"}
    said = [turns(*pair, "from", "value", ("human", "gpt")) for pair in PAIRS]
    problem = refused(tmp_path, [{"conversations": [*system, greeting, *chat]} for chat in said])
    command = problem.hint.partition("greeting, ")[2].partition("; or")[0]
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    chats = [json.loads(line)["conversations"] for line in (tmp_path / "chats.jsonl").read_text().splitlines()]
    assert chats == [[*system, *chat] for chat in said]


def test_a_prompt_that_every_row_has_is_no_text(tmp_path):
    """As `meta_instruction` in MOSS, whose chats are objects of turns."""
    chat = {"turn_1": {"Human": "<|Human|>: Hi<eoh>", "MOSS": "<|MOSS|>: Hello<eom>"}}
    rows = [{"meta_instruction": "You are MOSS, a helpful and honest assistant.", "chat": chat, "id": n} for n in range(12)]
    assert "no converter reads these rows" in refused(tmp_path, rows).what


def test_an_object_of_questions_and_answers_is_not_one_row(tmp_path):
    problem = refused(tmp_path, dict(PAIRS), "faq.json")
    assert "questions and answers" in problem.what and "to_entries" in problem.hint


def test_a_log_of_telegram_may_begin_with_a_link(tmp_path):
    messages = [
        {"type": "message", "date": f"2023-01-01T10:{n:02}:00", "from": "AB"[n % 2], "text": [text, {"type": "link", "text": "http://a.b"}]}
        if n == 0
        else {"type": "message", "date": f"2023-01-01T10:{n:02}:00", "from": "AB"[n % 2], "text": text}
        for n, text in enumerate(ASKED)
    ]
    found = found_in(tmp_path, {"name": "A", "type": "personal_chat", "id": 1, "messages": messages}, "result.json")
    assert found.choice.converter == "chat_log" and "text_key" not in found.choice.options
    assert found.records[0].fields["messages"][0]["content"] == f"{ASKED[0]}http://a.b"


def test_who_asks_in_efaqa_is_the_owner_whoever_begins(tmp_path):
    said = [{"sender": "audience", "value": "How are you?"}, {"sender": "owner", "value": "Sad, since May."}]
    rows = [{"chats": [*said[::-1], *said[::-1]], "title": f"{n}"} for n in range(12)]
    assert found_in(tmp_path, rows).choice.options["roles"] == {"owner": "user", "audience": "assistant"}
    assert "assistant after the start" in refused(tmp_path, [{"chats": [*said, said[0]]} for _ in range(12)]).what


def test_rows_of_capybara_are_read_with_their_key_of_the_source(tmp_path):
    rows = [{"source": "Airoboros", "conversation": [{"input": asked, "output": answered}]} for asked, answered in PAIRS]
    found = found_in(tmp_path, rows)
    assert (len(found.records), found.unread) == (12, ["source"])


def test_the_command_for_pairs_of_a_question_and_an_answer_writes_chats(tmp_path):
    """As Firefly and MOSS write their chats."""
    said = [(pair, PAIRS[number - 1]) for number, pair in enumerate(PAIRS)]
    rows = [{"conversation": [{"human": asked, "assistant": answered} for asked, answered in pairs]} for pairs in said]
    command = refused(tmp_path, rows).hint.partition("messages: ")[2]
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    chats = [json.loads(line)["messages"] for line in (tmp_path / "chats.jsonl").read_text().splitlines()]
    assert chats == [[*turns(*first), *turns(*second)] for first, second in said]


@pytest.mark.parametrize("shorter", ["summary", "highlights", "code"])
def test_a_text_beside_what_it_may_become_is_one_of_several_ways(tmp_path, shorter):
    found = found_in(tmp_path, [{"article": f"{answered} " * 9, shorter: answered} for answered in ANSWERED])
    assert found.choice.record_type == "text"
    assert {"user_key": "article", "assistant_key": shorter} in [other.options for other in found.alternatives]


@pytest.mark.parametrize("text", ["<human>: {}\n<bot>: {}", "<HUMAN>: {}\n<ASSISTANT>: {}", "Instruct: {}\nOutput: {}"])
def test_the_turns_in_a_text_are_pointed_out_however_they_are_marked(tmp_path, text):
    found = found_in(tmp_path, [{"text": text.format(*pair)} for pair in PAIRS])
    assert "with the turns of chats" in found.choice.why
    found = found_in(tmp_path, [{"instruction": f"Human:{asked}\nAssistant:", "output": answered} for asked, answered in PAIRS])
    assert found.choice.converter == "alpaca" and "holds the turns of chats" in found.choice.why


def test_a_reply_that_is_marked_as_unsafe_is_not_trained(tmp_path):
    """As half of BeaverTails is."""
    rows = [{"prompt": asked, "response": answered, "is_safe": n % 3 > 0} for n, (asked, answered) in enumerate(PAIRS)]
    found = found_in(tmp_path, rows)
    assert (len(found.records), [drop.reason for drop in found.unusable]) == (8, ["key_not_read"] * 4)
