"""Rows in the layouts of well-known public corpora: `recipe new` reads them right, or says what makes them readable."""

import json
import shutil
import subprocess

import pytest
from recipekit.runner.importing.recognise import recognise
from recipekit.schemas.base.errors import UserError

from ...support.jsonl import write_jsonl

ASKED = [f"When do you open on day {n} of May?" for n in range(12)]
ANSWERED = [f"We open at ten and close at {n}." for n in range(12)]


def found_in(tmp_path, row, name="data.jsonl"):
    rows = [row(n, asked, answered) for n, (asked, answered) in enumerate(zip(ASKED, ANSWERED, strict=True))]
    write_jsonl(tmp_path / name, rows)
    return recognise([str(tmp_path / name)])


def refused(tmp_path, row):
    with pytest.raises(UserError) as error:
        found_in(tmp_path, row)
    return error.value.problems[0]


def chat(found):
    return [message["content"] for message in found.records[0].fields["messages"]]


def mended(tmp_path, hint):
    """What is read when the hint's command was run."""
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    command = hint[hint.index("jq ") :].replace("FILE", "data.jsonl").partition("; or ")[0]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    return recognise([str(tmp_path / command.rpartition("> ")[2])])


def message(n, number, parent, role, text, **more):
    return {
        "user_id": f"u{(n + number) % 10}", "message_id": f"{n}-{number}", "parent_id": parent, "text": text, "role": role, "rank": None, "message_tree_id": f"{n}-0", **more
    }  # fmt: skip


def test_the_messages_of_a_tree_are_no_question_and_answer(tmp_path):
    """OASST's trees: the first question was the answer to the second."""

    def row(n, asked, answered):
        best = message(n, 1, f"{n}-0", "assistant", answered, replies=[], rank=0)
        other = message(n, 2, f"{n}-0", "assistant", "Ask at the desk.", replies=[], rank=1)
        return {"message_tree_id": f"{n}-0", "prompt": message(n, 0, None, "prompter", asked, replies=[other, best])}

    problem = refused(tmp_path, row)
    assert "holds trees: 'replies'" in problem.what
    found = mended(tmp_path, problem.hint)
    assert (found.choice.options["conversation_key"], found.choice.options["best_branch"]) == ("message_tree_id", True)
    assert (chat(found), len(found.records), found.groups) == ([ASKED[0], ANSWERED[0]], 12, [])


def test_no_message_of_a_tree_is_left_out_by_its_command(tmp_path):
    """Comments, of which the last have no replies."""
    last = {"author": "ann", "text": "Thanks."}
    row = lambda n, asked, answered: {"author": "tom", "text": asked, "replies": [{"author": "eve", "text": answered, "replies": [last]}]}  # noqa: E731
    mended(tmp_path, refused(tmp_path, row).hint)
    texts = [json.loads(line)["text"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert texts[:3] == [ASKED[0], ANSWERED[0], "Thanks."] and len(texts) == 36


@pytest.mark.parametrize("more", [{"parsed": {"children": [{"children": [{"tag": "NN"}]}]}}, {"body": {"content": [{"content": []}]}}])
def test_a_parsed_sentence_and_a_formatted_text_are_no_trees_of_messages(tmp_path, more):
    assert chat(found_in(tmp_path, lambda n, asked, answered: {"question": asked, "answer": answered, **more})) == [ASKED[0], ANSWERED[0]]


def test_of_two_columns_of_answers_in_lists_each_is_an_alternative(tmp_path):
    """HC3: the answers of a chatbot were text."""
    found = found_in(
        tmp_path, lambda n, asked, answered: {"question": asked, "human_answers": [answered], "chatgpt_answers": ["Ten o'clock."]}
    )
    assert [one.options["assistant_key"] for one in (found.choice, *found.alternatives)] == ["human_answers[]", "chatgpt_answers[]"]


@pytest.mark.parametrize(
    "answers",
    [
        lambda answered: [{"answer_text": answered, "has_label": False}, {"answer_text": "Ask at the desk.", "has_label": False}],
        lambda answered: [{"author": "ann", "text": answered, "selected": True}, {"author": "tom", "text": "Ask us.", "selected": False}],
        lambda answered: {"a_id": ["x", "y"], "text": [answered, "Ask at the desk, please."], "score": [3, 1]},
        lambda answered: [answered, "Ask at the desk."],
    ],
    ids=["psyqa", "stackexchange", "eli5", "huatuo"],
)
def test_several_answers_to_a_question_are_rows_of_their_own_and_no_turns(tmp_path, answers):
    hint = refused(tmp_path, lambda n, asked, answered: {"question": asked, "answers": answers(answered)}).hint
    found = mended(tmp_path, hint)
    assert (len(found.records), chat(found)) == (24, [ASKED[0], ANSWERED[0]])


def test_where_a_row_is_from_is_no_question(tmp_path):
    """ProsocialDialog."""
    row = lambda n, asked, answered: {"context": asked, "response": answered, "source": "socialchemistry", "dialogue_id": n}  # noqa: E731
    assert chat(found_in(tmp_path, row)) == [ASKED[0], ANSWERED[0]]


def test_a_word_and_its_translation_are_a_pair(tmp_path):
    assert chat(found_in(tmp_path, lambda n, asked, answered: {"source": f"day {n}", "target": f"Tag {n}"})) == ["day 0", "Tag 0"]


def test_the_title_of_a_post_is_no_answer_to_it(tmp_path):
    """OpenAI's TL;DR comparisons."""
    info = lambda n, asked, answered: {"post": f"{asked} {asked}", "title": f"How my friend came to be late {n} times"}  # noqa: E731
    assert found_in(tmp_path, info).choice.record_type == "text"
    summaries = [{"text": "He was late."}, {"text": "He came late again."}]
    row = lambda n, *texts: {"info": info(n, *texts), "summaries": summaries, "choice": n % 2}  # noqa: E731
    assert "no converter reads these rows" in refused(tmp_path, row).what


def test_the_first_of_numbered_turns_is_not_read_without_the_others(tmp_path):
    """MOSS."""
    turn = lambda asked, answered: {"Human": asked, "Bot": answered}  # noqa: E731
    row = lambda n, asked, answered: {"chat": {"turn_1": turn(asked, answered), "turn_2": turn(asked[::-1], answered)}}  # noqa: E731
    assert "no converter reads these rows" in refused(tmp_path, row).what


def test_the_instances_of_a_task_are_read_and_not_its_definition(tmp_path):
    """Natural Instructions."""
    instances = [
        {"id": str(n), "input": asked, "output": [answered]} for n, (asked, answered) in enumerate(zip(ASKED, ANSWERED, strict=True))
    ]
    (tmp_path / "task.json").write_text(json.dumps({"Definition": ["Answer the question that a visitor asks."], "Instances": instances}))
    found = recognise([str(tmp_path / "task.json")])
    assert (found.files[0].field, chat(found)) == ("Instances", [ASKED[0], ANSWERED[0]])


def test_a_conversation_that_was_flagged_as_toxic_is_not_trained(tmp_path):
    """WildChat."""

    def row(n, asked, answered):
        says = lambda role, text: {"content": text, "role": role, "toxic": n == 3, "language": "English", "turn_identifier": n}  # noqa: E731
        return {"conversation_hash": f"{n}", "conversation": [says("user", asked), says("assistant", answered)], "toxic": n == 3}

    found = found_in(tmp_path, row)
    assert (len(found.records), [drop.detail for drop in found.unusable]) == (11, ["a message has toxic: True (a reply that was flagged)"])


def test_reasoning_beside_an_answer_that_names_its_model_is_not_left_out(tmp_path):
    """OpenThoughts and s1K: the reply was trained without its reasoning."""
    row = lambda n, asked, answered: {"problem": asked, "deepseek_reasoning": f"Let me see {asked}", "deepseek_solution": answered}  # noqa: E731
    assert chat(found_in(tmp_path, row)) == [ASKED[0], f"<think>\nLet me see {ASKED[0]}\n</think>\n\n{ANSWERED[0]}"]
    row = lambda n, asked, answered: {"question": asked, "reasoning": f"See {asked}", "answer": f"<think>\n{asked}</think>\n{answered}"}  # noqa: E731
    assert "'reasoning' (reasoning before the reply) is not read" in refused(tmp_path, row).what  # it would be trained twice
    row = lambda n, asked, answered: {"question": asked, "thinking_trajectories": [f"Let me see {asked}"], "solution": answered}  # noqa: E731
    assert "'thinking_trajectories' (reasoning before the reply) is not read" in refused(tmp_path, row).what


def test_what_a_judge_thought_of_a_reply_is_not_trained_before_it(tmp_path):
    row = lambda n, asked, answered: {"prompt": asked, "response": answered, "score_rationale": f"It is right that day {n} was named."}  # noqa: E731
    assert chat(found_in(tmp_path, row)) == [ASKED[0], ANSWERED[0]]


@pytest.mark.parametrize(
    ("choices", "listed"),
    [
        ({"choices": ["ten", "nine"], "answer": 1}, "A. ten\nB. nine"),
        ({"choices": {"text": ["ten", "nine"], "label": ["1", "2"]}, "answerKey": "2"}, "1. ten\n2. nine"),
        ({"options": {"A": "ten", "B": "nine"}, "answer": "nine"}, "A. ten\nB. nine"),
        ({"options": ["A)ten", "B)nine"], "correct": "B"}, "A)ten\nB)nine"),
    ],
    ids=["mmlu", "arc", "medqa", "aqua"],
)
def test_the_choices_of_a_question_are_written_below_it(tmp_path, choices, listed):
    answers = {"answer": choices.get("answer", ""), "answerKey": "", "correct": ""}
    other = {
        key: {"answer": 0 if value == 1 else "ten", "answerKey": "1", "correct": "A"}[key]
        for key, value in choices.items()
        if key in answers
    }
    problem = refused(tmp_path, lambda n, asked, answered: {"question": asked, **choices, **(other if n % 2 else {})})
    found = mended(tmp_path, problem.hint)
    first = found.records[0].fields
    assert (first["messages"][0]["content"] if "messages" in first else first["text"]) == f"{ASKED[0]}\n\n{listed}"
    said = first["messages"][1]["content"] if "messages" in first else first["label"]
    assert said == {"1": "B", "nine": "nine", "2": "2", "B": "B"}[str([*choices.values()][1])]


@pytest.mark.parametrize(
    ("choices", "answer", "names", "letter"),
    [
        ([f"choice {n}" for n in range(12)], 11, ("question", "answer"), "L"),
        (["ten", "nine", "six"], 3, ("question", "answer"), "C"),  # counted from 1
        (["goes", "stays"], "1", ("ctx", "label"), "B"),  # HellaSwag
        (["12", "13"], "13", ("question", "answer"), "13"),
        (["ten", "nine"], 1, ("问题", "答案"), "B"),
    ],
)
def test_an_answer_that_is_the_number_of_a_choice_becomes_its_letter(tmp_path, choices, answer, names, letter):
    asking, answering = names
    other = {11: 0, 3: 1, "1": "0", "13": "12", 1: 0}[answer]
    row = lambda n, asked, answered: {asking: asked, "endings": choices, answering: other if n % 2 else answer}  # noqa: E731
    found = mended(tmp_path, refused(tmp_path, row).hint)
    first = found.records[0].fields
    assert (first["messages"][1]["content"] if "messages" in first else first["label"]) == letter


def test_choices_in_columns_of_their_own_are_not_left_out(tmp_path):
    """CaseHOLD and SWAG."""
    row = lambda n, asked, answered: {"citing_prompt": asked, **{f"holding_{one}": answered for one in range(5)}, "label": n % 5}  # noqa: E731
    assert "'holding_0' (the choices of the question) is not read" in refused(tmp_path, row).what


def test_a_command_for_json_comes_after_the_one_that_writes_a_parquet_file_so(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [{"question": asked, "choices": ["ten", "nine"], "answer": n % 2} for n, asked in enumerate(ASKED)]
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "data.parquet"))
    with pytest.raises(UserError) as error:
        recognise([str(tmp_path / "data.parquet")])
    hint = error.value.problems[0].hint
    assert """from_parquet(sys.argv[1]).to_json('FILE')" data.parquet; then""" in hint and hint.index("from_parquet") < hint.index("jq -c")


def test_turns_in_an_object_of_lists_are_messages(tmp_path):
    """ToolBench, MultiWOZ: as `datasets` writes a list of objects."""
    row = lambda n, asked, answered: {"conversations": {"from": ["human", "gpt"], "value": [asked, answered]}}  # noqa: E731
    assert (found := found_in(tmp_path, row)).choice.converter == "sharegpt" and chat(found) == [ASKED[0], ANSWERED[0]]
    found = found_in(tmp_path, lambda n, asked, answered: {"turns": {"speaker": [0, 1], "utterance": [asked, answered]}})
    assert (found.choice.options["roles"], chat(found)) == ({"0": "user", "1": "assistant"}, [ASKED[0], ANSWERED[0]])


def test_messages_that_say_whether_a_person_wrote_them_have_roles(tmp_path):
    """PIPPA, whose characters speak first."""
    says = lambda text, is_human: {"message": text, "is_human": is_human}  # noqa: E731
    problem = refused(
        tmp_path, lambda n, asked, answered: {"conversation": [says("Hello!", False), says(asked, True), says(answered, False)]}
    )
    assert "True is the user, False is the assistant" in problem.what
    assert chat(mended(tmp_path, problem.hint)) == [ASKED[0], ANSWERED[0]]


def test_a_command_holds_whatever_a_column_is_called(tmp_path):
    turns = lambda n, asked, answered: {"the chat's turns": [[asked, answered], [asked, "Bye for now."]]}  # noqa: E731
    found = mended(tmp_path, refused(tmp_path, turns).hint)
    assert chat(found)[:2] == [ASKED[0], ANSWERED[0]]


def test_who_helps_is_the_assistant_whoever_speaks_first(tmp_path):
    """AnnoMI and ESConv: the therapist was the user where he spoke first."""
    says = lambda who, text: {"speaker": who, "content": text}  # noqa: E731
    turns = lambda n, asked, answered: {"dialog": [says("therapist", "Hello."), says("client", asked), says("therapist", answered)]}  # noqa: E731
    problem = refused(tmp_path, turns)
    assert "client is the user, therapist is the assistant" in problem.what
    assert chat(mended(tmp_path, problem.hint)) == [ASKED[0], ANSWERED[0]]


def test_a_context_may_have_a_longer_name(tmp_path):
    """Gretel's text-to-SQL."""

    def row(n, asked, answered):
        return {
            "sql_prompt": asked,
            "sql_context": f"CREATE TABLE t{n} (a INT);",
            "sql": f"SELECT a FROM t{n} WHERE a > 1",
        }

    assert chat(found_in(tmp_path, row))[0] == f"CREATE TABLE t0 (a INT);\n\n{ASKED[0]}"
    row = lambda n, asked, answered: {"query": asked, "negative_passage": "No.", "positive_passage": "Yes.", "answer": answered}  # noqa: E731
    assert chat(found_in(tmp_path, row))[0] == ASKED[0]  # one of several may be a wrong one


def test_texts_within_rows_are_named_by_their_paths(tmp_path):
    """WMT."""
    row = lambda n, asked, answered: {"translation": {"en": asked, "de": f"Wann öffnen Sie am Tag {n} im Mai?"}}  # noqa: E731
    assert "translation.en, translation.de" in refused(tmp_path, row).hint


@pytest.mark.parametrize("is_flat", [True, False])
def test_questions_and_answers_in_lists_are_turns_about_one_text(tmp_path, is_flat):
    """CoQA, as the hub has it and as its authors wrote it."""

    def row(n, asked, answered):
        questions, answers = [asked, "And when do you close?"], [answered, f"At {n} at night."]
        if is_flat:
            return {"story": f"This is shop {n}.", "questions": questions, "answers": {"input_text": answers, "answer_start": [1, 2]}}
        lists = {"questions": questions, "answers": answers}
        return {
            "story": f"This is shop {n}.",
            **{key: [{"input_text": text, "turn_id": 1} for text in texts] for key, texts in lists.items()},
        }

    found = mended(tmp_path, refused(tmp_path, row).hint)
    assert (found.choice.converter, len(found.records)) == ("messages", 12)
    assert chat(found) == [f"This is shop 0.\n\n{ASKED[0]}", ANSWERED[0], "And when do you close?", "At 0 at night."]
