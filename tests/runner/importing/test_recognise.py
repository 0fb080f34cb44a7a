"""`recipe new --data`: files are recognised by their content, and what is proposed converts."""

import json

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.importing.file_forms import undeclared_encoding
from recipekit.runner.importing.new_recipe import NewRecipe, recipe_for, recognised_lines, sequence_len
from recipekit.runner.importing.recognise import recognise, sum_row
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import check_recipe, load_recipe

from ...support.converter_examples import CASES
from ...support.jsonl import write_jsonl

RECOGNISED = [case for case in CASES if not (case / "not_recognised").exists()]  # the file says why


def inputs(case):
    return [str(path) for path in sorted(case.glob("input*"))]


@pytest.mark.parametrize("case", RECOGNISED, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_the_converter_of_an_example_is_recognised(case):
    try:
        found = recognise(inputs(case))
    except UserError as error:
        pytest.fail(f"{error}\nadd SIGNATURES to the converter, or a file not_recognised to the example: see CONTRIBUTING.md")
    assert found.choice.converter == case.parent.name, "name the keys that only this source has in its SIGNATURES"
    assert found.records


def test_at_least_nine_of_ten_examples_are_recognised():
    assert len(RECOGNISED) >= 0.9 * len(CASES)


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def table(header, rows):
    return "\n".join([header, *rows]) + "\n"


QUESTIONS = [f"What is {n} and why?,It is {n}" for n in range(8)]
REVIEWS = [f"This film number {n} was long,{('good', 'bad')[n % 2]}" for n in range(12)]
MAILS = [f"{('ham', 'spam')[n % 3 == 0]},Dear friend number {n} of mine" for n in range(60)]
SORTED = [f"This film number {n} was long,{n // 400}" for n in range(800)]
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def dolly(context):
    return {"instruction": "Who wrote it?", "context": context, "response": "Ann did.", "category": "qa"}


@pytest.mark.parametrize(
    ("text", "converter", "record_type", "options"),
    [
        (table("Question,Answer", QUESTIONS), "table", "chat", {"user_key": "Question", "assistant_key": "Answer"}),
        (table("Question Text,answer_text", QUESTIONS), "table", "chat", {"user_key": "Question Text", "assistant_key": "answer_text"}),
        (table("Context,Response", QUESTIONS), "table", "chat", {"user_key": "Context", "assistant_key": "Response"}),
        (table("source,target", QUESTIONS), "table", "chat", {"user_key": "source", "assistant_key": "target"}),
        (table("review,stars", REVIEWS), "table", "classification", {"text_key": "review", "label_key": "stars"}),
        (table("v1,v2", MAILS), "table", "classification", {"text_key": "v2", "label_key": "v1"}),
        (table("text,label", SORTED), "table", "classification", {}),
        (table("id,notes,mood", [f"{n},{row}" for n, row in enumerate(REVIEWS)]), "table", "classification",
         {"text_key": "notes", "label_key": "mood"}),
        (lines({"messages": TURNS}), "messages", "chat", {}),
        (lines({"prompt": "Hi", "prompt_id": "a", "messages": TURNS}), "messages", "chat", {}),
        (lines({"conversation": TURNS, "language": "English"}), "messages", "chat", {"messages_key": "conversation"}),
        (lines({"chat": [{"speaker": "user", "text": "Hi"}, {"speaker": "assistant", "text": "Ho"}]}), "messages", "chat",
         {"messages_key": "chat", "role_key": "speaker", "content_key": "text"}),
        ("id,messages\n" + "".join(f'{n},"{json.dumps(TURNS).replace(chr(34), chr(34) * 2)}"\n' for n in range(4)), "messages", "chat", {}),
        (lines(*({"conversation_id": n // 2, **TURNS[n % 2]} for n in range(60))), "messages", "chat",
         {"conversation_key": "conversation_id"}),
        (lines({"dialogue": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}), "sharegpt", "chat",
         {"conversations_key": "dialogue"}),
        (lines(*(dolly(context) for context in ("", "A book by Ann."))), "table", "chat",
         {"user_template": "{instruction}\n\n{context}", "assistant_key": "response"}),
        (lines({"query": "Hi", "response": "Ho", "history": [["Hey", "Yes?"]]}), "alpaca", "chat",
         {"instruction_key": "query", "output_key": "response"}),
        (lines({"prompt": "Hi", "completion": "Ho"}), "prompt_completion", "chat", {}),
        (lines({"text": "It rained for three days.", "url": "http://a", "timestamp": "2020"}), "table", "text", {}),
        (lines({"title": "Rain", "body": "It rained for three days."}), "table", "text", {"text_key": "body"}),
        ("Once there was a fox.\n\nIt was red.\n", "text", "text", {"sample_by": "paragraph"}),
        ("Once there was a fox.\nIt was red.\n", "text", "text", {"sample_by": "line"}),
        ("A fox came.\n\nIt was red.\n<|endoftext|>\nA dog came.\n", "text", "text", {"separators": ["<|endoftext|>"]}),
    ],
)  # fmt: skip
def test_columns_are_recognised(tmp_path, text, converter, record_type, options):
    choice = recognise([written(tmp_path, "data", text)]).choice
    assert (choice.converter, choice.record_type, choice.options) == (converter, record_type, options)


def turns(*spoken, role="from", content="value"):
    return lines(
        *({"conversations": [{role: name, content: f"Said {n}.{m}"} for n, name in enumerate(names)]} for m, names in enumerate(spoken))
    )


@pytest.mark.parametrize(
    ("spoken", "roles"),
    [
        ([("customer", "agent"), ("system", "customer", "agent", "customer", "agent")], {"customer": "user", "agent": "assistant"}),
        ([("Zoe", "adam"), ("zoe", "Adam")], {"Zoe": "user", "adam": "assistant"}),
        ([("human", "Ada")], {"Ada": "assistant"}),
        ([("caller", "gpt")], {"caller": "user"}),
        ([("developer", "human", "gpt")], {"developer": "system"}),
    ],
)  # fmt: skip
def test_speakers_with_other_names_are_given_roles(tmp_path, spoken, roles):
    found = recognise([written(tmp_path, "data.jsonl", turns(*spoken))])
    assert found.choice.options == {"roles": roles} and len(found.records) == len(spoken)
    assert [message["role"] for message in found.records[0].fields["messages"]][-2:] == ["user", "assistant"]


def test_speakers_in_messages_are_given_roles_too(tmp_path):
    found = recognise([written(tmp_path, "data.jsonl", turns(("User", "bot"), role="role", content="content"))])
    assert found.choice.options == {"messages_key": "conversations", "roles": {"bot": "assistant"}}


def test_system_prompts_are_pointed_out(tmp_path):
    """They may be what a program wrote: a chat that was started."""
    chats = turns(("system", "user", "assistant"), ("user", "assistant"), role="role", content="content")
    assert recognise([written(tmp_path, "data.jsonl", chats)]).choice.why.endswith("; system prompts (1), e.g. 'Said 0.0'")


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [("You are Pia, the assistant of the Larkhill bicycle workshop.", "'You are Pia, the assistant of the …'"), ("你" * 90, f"'{'你' * 40} …'")],
)  # fmt: skip
def test_a_long_system_prompt_is_cut_between_words(tmp_path, prompt, shown):
    chats = turns(("system", "user", "assistant"), role="role", content="content").replace("Said 0.0", prompt)
    assert recognise([written(tmp_path, "data.jsonl", chats)]).choice.why.endswith(f"; system prompts (1), e.g. {shown}")


def test_speakers_that_nothing_decides_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="unknown role: messages.0..role is 'customer'"):
        recognise([written(tmp_path, "data.jsonl", turns(("customer", "agent", "customer", "supervisor")))])
    with pytest.raises(UserError, match="unknown role"):
        recognise([written(tmp_path, "data.jsonl", turns(("ann", "bob"), ("bob", "ann")))])


def test_the_last_word_of_a_column_says_what_it_is_for(tmp_path):
    rows = [
        f"{n},Toaster,It smells in week {n} of burning,Please unplug it and wait {n} minutes,{('low', 'high')[n % 2]}" for n in range(60)
    ]
    found = recognise([written(tmp_path, "data.csv", table("ticket_id,product,customer_question,agent_reply,priority", rows))])
    assert found.choice.options == {"user_key": "customer_question", "assistant_key": "agent_reply"} and not found.alternatives


def test_of_several_answers_each_is_an_alternative(tmp_path):
    rows = [f"Where is it in case {n}?,I think here {n},It is there in case {n}" for n in range(60)]
    found = recognise([written(tmp_path, "data.csv", table("question,student_answer,correct_answer", rows))])
    assert [one.options["assistant_key"] for one in (found.choice, *found.alternatives)] == ["student_answer", "correct_answer"]


def german(n):
    return f"{n},Versand,Die Ware {n} ist defekt und laut,Guten Tag wir tauschen Gerät {n} gerne um"


@pytest.mark.parametrize("names", ["Anfrage,Antwort", "Вопрос,Ответ", "Pregunta,Respuesta", "質問,回答"])
def test_columns_may_be_named_in_another_language(tmp_path, names):
    found = recognise([written(tmp_path, "data.csv", table(f"Nr,Kategorie,{names}", [german(n) for n in range(40)]))])
    assert [found.choice.options["user_key"], found.choice.options["assistant_key"]] == names.split(",") and not found.alternatives


def test_the_column_that_asks_is_the_question(tmp_path):
    rows = [f"{'AB'[n % 2]},It is there in case {n} of course,Where is it in case {n}?" for n in range(60)]
    found = recognise([written(tmp_path, "data.csv", table("kind,x,y", rows))])
    assert found.choice.options == {"user_key": "y", "assistant_key": "x"} and not found.alternatives


def test_of_reviews_the_rating_is_the_label(tmp_path):
    rows = [f"R{n},P{n % 7},{n % 5 + 1},Great fit,I bought it for the {n}th time,{'YN'[n % 2]}" for n in range(100)]
    text = table("review_id,product,star_rating,review_headline,review_body,verified", rows)
    found = recognise([written(tmp_path, "data.csv", text)])
    assert found.choice.options == {"text_key": "review_body", "label_key": "star_rating"} and not found.alternatives


def test_chats_that_call_tools_are_refused_and_not_read_as_text(tmp_path):
    spoken = [{"from": name, "value": "said"} for name in ("human", "function_call", "observation", "gpt")]
    row = {"conversations": spoken, "tools": "a tool that tells the weather of a city"}
    with pytest.raises(UserError, match="'tools' .*not read by the converter sharegpt.*\n.*tool calls cannot be trained"):
        recognise([written(tmp_path, "data.jsonl", lines(row, row))])


def test_encodings_are_proposed_only_where_no_file_is_utf8(tmp_path):
    text = table("question,answer", [f"Wie heißt Gerät {n}?,Es heißt Föhn {n}" for n in range(8)])
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_bytes(text.encode("cp1252"))
    new.write_text(text, "utf-8")
    assert next(iter(undeclared_encoding([str(old)]).values())) == "cp1252"
    assert undeclared_encoding([str(new)]) == undeclared_encoding([str(old), str(new)]) == {}


def test_a_transcript_is_text_with_a_note(tmp_path):
    text = "".join(f"**Customer:** My order {n} is late.\n\n**Agent:** It ships tomorrow.\n\n" for n in range(4))
    assert "a conversation of Agent and Customer" in recognise([written(tmp_path, "data.md", text)]).choice.why
    assert "conversation" not in recognise([written(tmp_path, "story.md", "Once there was a fox.\n\nNote: it was red.\n")]).choice.why


def log(*speakers, gap=7200, pair=60):
    """Conversations of two messages each: a question, and after `pair` seconds its reply."""
    return [{"from": who, "date": 1_790_000_000 + gap * (n // 2) + pair * (n % 2), "text": f"Said {n}"} for n, who in enumerate(speakers)]


def test_the_assistant_of_a_log_is_who_replies(tmp_path):
    write_jsonl(tmp_path / "log.jsonl", log(*["Zoe", "Adam"] * 30))
    found = recognise([str(tmp_path / "log.jsonl")])
    assert found.choice.converter == "chat_log" and found.choice.options == {"assistant": "Adam"} and not found.alternatives
    write_jsonl(tmp_path / "log.jsonl", log(*["Zoe", "Adam", "Adam", "Zoe", "Zoe", "Adam"] * 10))
    assert [one.options for one in recognise([str(tmp_path / "log.jsonl")]).alternatives] == [{"assistant": "Zoe"}]
    write_jsonl(tmp_path / "log.jsonl", log(*["Zoe", "help desk"] * 30, gap=60, pair=1))
    assert recognise([str(tmp_path / "log.jsonl")]).choice.options == {"assistant": "help desk"}


def test_a_log_of_slow_replies_has_longer_pauses(tmp_path):
    write_jsonl(tmp_path / "log.jsonl", log(*["Zoe", "Adam"] * 30, gap=90_000, pair=9000))
    found = recognise([str(tmp_path / "log.jsonl")])
    assert found.choice.options == {"assistant": "Adam", "gap_minutes": 240} and "a pause of 4 hours" in found.choice.why


def test_the_threads_of_slack_are_conversations(tmp_path):
    write_jsonl(tmp_path / "log.jsonl", [{"user": row["from"], "ts": row["date"], "text": row["text"], "thread_ts": n // 2}
                                         for n, row in enumerate(log(*["Zoe", "Adam"] * 30))])  # fmt: skip
    found = recognise([str(tmp_path / "log.jsonl")])
    assert found.choice.options == {"assistant": "Adam", "speaker_key": "user", "time_key": "ts", "thread_key": "thread_ts"}
    assert len(found.records) == 30


def test_a_message_with_its_text_and_its_parts_is_read_by_the_text(tmp_path):
    parts = {"type": "text", "citations": [], "start_timestamp": "2026-01-01T00:00:00Z"}
    turns = [{"sender": who, "text": text, "content": [parts | {"text": text}]} for who, text in (("human", "Hi"), ("assistant", "Ho"))]
    found = recognise([written(tmp_path, "data.json", json.dumps([{"chat_messages": turns}] * 3))])
    assert found.choice.options["content_key"] == "text" and len(found.records) == 3


def test_rows_that_cannot_be_used_are_allowed_by_a_line_to_uncomment(tmp_path):
    path = written(tmp_path, "data.csv", table("question,answer", [*QUESTIONS, "Why?,"]))
    text = recipe_for(NewRecipe("mine", recognise([path]), [path], tmp_path))
    assert "  # max_dropped: 0.12 # 1 of 9 rows cannot be used" in text
    recipe = tmp_path / "mine.yml"
    recipe.write_text("recipe: 1\nname: mine\n" + text.replace("# max_dropped", "max_dropped"), encoding="utf-8")
    assert build(load_recipe(str(recipe)).recipe.data, tmp_path / "data")["dropped"] == {"empty_content": 1}


def test_ambiguous_columns_have_alternatives(tmp_path):
    pairs = [f"Where is the house number {n}?,Wo ist das Haus Nummer {n}?" for n in range(20)]
    found = recognise([written(tmp_path, "data.csv", table("en,de", pairs))])
    asked = [one for one in found.alternatives if one.record_type == "chat"]
    assert found.choice.record_type == "text"
    assert [one.options["user_key"] for one in asked] == ["en", "de"]


def test_a_clear_file_has_no_alternatives(tmp_path):
    for text in (table("question,answer", QUESTIONS), table("review,stars", REVIEWS), lines({"messages": TURNS})):
        assert recognise([written(tmp_path, "data", text)]).alternatives == []


def test_a_record_type_can_be_asked_for(tmp_path):
    path = written(tmp_path, "data.csv", table("review,stars", REVIEWS))
    assert recognise([path], "text").choice.record_type == "text"
    with pytest.raises(UserError, match=r"cannot be read as chat records \(keys: review, stars\)"):
        recognise([path], "chat")


def test_an_id_that_comes_back_groups_the_split(tmp_path):
    rows = [f"{n},{n // 3},Why is {n} there?,It is {n}" for n in range(60)]
    path = written(tmp_path, "data.csv", table("id,thread_id,question,answer", rows))
    found = recognise([path])
    text = recipe_for(NewRecipe("mine", found, [path], tmp_path))
    assert found.groups == ["thread_id"]
    assert 'group_by: ["thread_id"]' in text and '"keep_meta": ["thread_id"]' in text and 'ignore_keys: ["id"]' in text


def test_rows_that_a_conversion_would_refuse_are_not_taken(tmp_path):
    """A recipe that reads question and answer alone would stop at every row: the documents would be lost."""
    row = {"question": "Who?", "answer": "Ann.", "documents": ["Ann wrote it."]}
    with pytest.raises(UserError, match="no converter reads these rows"):
        recognise([written(tmp_path, "data.jsonl", lines(row))], "chat")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (lines({"prompt": "a", "completion": "b", "label": False}), "preference data"),
        ('["one text", "another text"]', "its rows have no keys: each is a text"),
        (json.dumps({"faq-1": {"question": "a", "answer": "b"}, "faq-2": {"question": "c", "answer": "d"}}), "the file is one object"),
        (json.dumps([{"mapping": {"a": {"parts": [f"A long text of node {n}"]}, "b": {"parts": ["Another text of the chat"]}}} for n in range(20)]),
         "no converter reads these rows"),
        (json.dumps({"about": "All chats.", "chats": {"list": [{"messages": []}]}}), "all chats of a Telegram account"),
        ("__label__good It was a good film\n__label__bad It was a bad film\n", "labels in the form of fastText"),
        ("0 no movement , no yuks .\n1 a fine film .\n" * 9, "its lines begin with labels"),
        ("DESC:manner How did it rain ?\nHUM:ind Who was wet ?\n" * 9, "its lines begin with labels"),
        ("Profit rose to EUR 4 mn .@positive\nIt fell .@negative\n" * 9, "its lines end with labels after @"),
        ("-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n", "as CoNLL has them"),
        ("It/PRP rained/VBD today/NN ./.\nThe/DT dog/NN came/VBD ./.\n", "words with their tags"),
        ("# text = It rains\n1\tIt\tit\tPRON\tPRP\t_\t2\tnsubj\t_\t_\n2\trains\train\tVERB\tVBZ\t_\t0\troot\t_\t_\n", "as CoNLL-U has them"),
        ("L1 +++$+++ u0 +++$+++ They do not!\nL2 +++$+++ u1 +++$+++ They do!\n", "between them"),
        ("From ann@b.org Thu Jan  1 00:00:00 2026\nSubject: Order\n\nWhere is it?\n", "a mailbox"),
        ("INTP\nENFP\nINTP\n", "no converter reads this file"),
        ("1::It rained for days.::bad\n2::The sun was out.::good\n", "between them"),
        ("It rained for days.~bad\nThe sun was out!~good\n", "between them"),
        ('"text" "label"\n"1" "It rained for days." "bad"\n"2" "The sun was out." "good"\n', "have cells in quotes"),
        ("'text','label'\n'It rained, for days.','bad'\n'The sun was out.','good'\n", "have cells in quotes"),
        ("text                  label\nIt rained for days.   bad\nThe sun was out.      good\n", "blanks between them"),
        ("- text: It rained for days.\n  label: bad\n- text: The sun was out.\n  label: good\n", "holds YAML"),
        ("@UTF8\n@Begin\n@Languages:\teng\n*MOT:\tit rained for days .\n*CHI:\tyes .\n*MOT:\twe were wet .\n@End\n", "CHILDES"),
        ("+1 3:0.5 7:1.25\n-1 2:1 9:0.5\n", "holds vectors of features"),
        ("% 1. Title: rain\n%\n@RELATION rain\n@DATA\n'It rained, alas.',bad\n'The sun was out.',good\n", "holds ARFF"),
    ],
)  # fmt: skip
def test_other_kinds_of_files_are_refused(tmp_path, text, what):
    with pytest.raises(UserError, match=what):
        recognise([written(tmp_path, "data", text)])


@pytest.mark.parametrize(
    "line",
    ["{n} And it rained for many days.", "It rained said Ann@home{n}", "@ann It rained.", "{one} cups of water", "It rained on day {one}"],
)
def test_lines_without_labels_are_text(tmp_path, line):
    text = "".join(line.format(n=n % 40, one=n % 3 or "Some") + "\n" for n in range(200))
    assert recognise([written(tmp_path, "data.txt", text)]).choice.converter == "text"


def test_the_reason_why_rows_cannot_be_used_is_in_the_message(tmp_path):
    rows = [
        {"text": f"It rained for {n} days.", "label": "ab"[n % 2], "Usage": ("PublicTest", "PrivateTest", "Training")[n % 3]}
        for n in range(60)
    ]
    with pytest.raises(UserError, match=r"keys: text, label, Usage\); data.jsonl:1: key_not_read: 'Usage' \(a row of a test"):
        recognise([written(tmp_path, "data.jsonl", lines(*rows))])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (lambda n: {"chat_id": n // 4, "turn": (3, 4, 1, 2)[n % 4], **TURNS[n % 2]}, "not in the order of 'turn'"),
        (lambda n: {"from": "AB"[n % 2], "date": f"2026-01-01T10:{59 - n // 2}:00", "text": f"It is number {n}"}, "newest first"),
    ],
)
def test_messages_out_of_order_are_not_taken_for_texts(tmp_path, row, why):
    with pytest.raises(UserError, match=why):
        recognise([written(tmp_path, "data.jsonl", lines(*map(row, range(40))))])


def test_of_two_conversations_each_is_an_alternative(tmp_path):
    rows = [{"conversation_a": TURNS, "conversation_b": TURNS} for _ in range(5)]
    found = recognise([written(tmp_path, "data.jsonl", lines(*rows))])
    assert [one.options for one in (found.choice, *found.alternatives)] == [{"messages_key": f"conversation_{one}"} for one in "ab"]


def test_messages_in_a_cell_may_be_indented_and_are_refused_as_python_prints_them(tmp_path):
    def cells(text):
        return "id,messages\n" + "".join('{},"{}"\n'.format(n, text.replace('"', '""')) for n in range(4))

    found = recognise([written(tmp_path, "data.csv", cells(json.dumps(TURNS, indent=2)))])
    assert (found.choice.converter, found.records[0].fields["messages"]) == ("messages", TURNS)
    with pytest.raises(UserError, match="as Python prints it: write it as JSON"):
        recognise([written(tmp_path, "data.csv", cells(str(TURNS)))])


def test_predictions_beside_annotations_and_labels_of_parts_are_no_labels(tmp_path):
    guessed = [
        {"predictions": [{"result": [{"value": {"choices": ["Guess", "Other"][n % 2 :][:1]}}]}]} | label_studio(*remark)
        for n, remark in enumerate(REMARKS)
    ]
    guessed = [{**row, "predictions": row["annotations"]} for row in guessed]
    found = recognise([written(tmp_path, "data.json", json.dumps(guessed))])
    assert found.choice.options["label_key"] == "annotations[].result[].value.choices[]"
    parts = [{"text": text, "spans": [{"start": 0, "end": 6, "label": label}]} for text, label in REMARKS]
    assert recognise([written(tmp_path, "data.jsonl", lines(*parts))]).choice.record_type == "text"


def test_lists_of_a_file_that_are_not_read_are_named(tmp_path):
    rows = [{"question": f"What is {n}?", "answer": f"It is the number {n}."} for n in range(8)]
    path = written(tmp_path, "data.json", json.dumps({"train": rows, "test": rows[:2]}))
    assert ("rows", "the list 'train' in the file's object (field); lists that are not read: 'test' (2 objects)") in recognised_lines(
        recognise([path])
    )


def test_columns_that_are_not_read_are_reported(tmp_path):
    rows = [f"{n},{row}" for n, row in enumerate(QUESTIONS)]
    assert recognise([written(tmp_path, "data.csv", table("id,question,answer", rows))]).unread == ["id"]


@pytest.mark.parametrize(
    "keys",
    [
        ("chosen_response", "rejected_response"),
        ("answer_chosen", "answer_rejected"),
        ("Preferred", "Dispreferred"),
        ("preferred_output", "non_preferred_output"),
    ],
)
def test_preference_data_with_longer_names_is_refused(tmp_path, keys):
    rows = [{"prompt": f"What is {n}?", keys[0]: f"It is the number {n}.", keys[1]: f"It may be {n}, or so."} for n in range(9)]
    with pytest.raises(UserError, match="preference data"):
        recognise([written(tmp_path, "data.jsonl", lines(*rows))])


def test_questions_that_hold_the_turns_of_chats_are_pointed_out(tmp_path):
    rows = [{"prompt": f"\n\nHuman: What is {n}?\n\nAssistant:", "completion": " It is a number."} for n in range(9)]
    assert "prompt holds the turns of chats" in recognise([written(tmp_path, "data.jsonl", lines(*rows))]).choice.why


def test_a_table_of_any_name_has_a_header(tmp_path):
    text = "".join(f"{('pos', 'neg')[n % 2]}, this film number {n} was long\n" for n in range(30))
    with pytest.raises(UserError, match="the first row reads like data"):
        recognise([written(tmp_path, "data.txt", text)])


def test_a_long_chat_on_the_first_line_is_a_row_as_the_others(tmp_path):
    rows = [[{"role": "user", "content": "Hi " * (1 << (15 if number == 0 else 1))}, TURNS[1]] for number in range(3)]
    found = recognise([written(tmp_path, "data.jsonl", lines(*rows))])
    assert (found.choice.converter, len(found.records)) == ("messages", 3)


def test_replies_within_rows_are_no_texts(tmp_path):
    """As in the results of OpenAI's batches, whose questions are in another file."""
    rows = [
        {"id": n, "response": {"body": {"choices": [{"message": {"role": "assistant", "content": f"It is the number {n}."}}]}}}
        for n in range(9)
    ]
    with pytest.raises(UserError, match="no converter reads these rows"):
        recognise([written(tmp_path, "data.jsonl", lines(*rows))])


def test_a_prompt_of_messages_is_read_with_its_completion(tmp_path):
    found = recognise([written(tmp_path, "data.jsonl", lines({"prompt": TURNS, "completion": TURNS}))])
    assert found.choice.converter == "prompt_completion" and len(found.records[0].fields["messages"]) == 4


def test_preference_data_is_refused(tmp_path):
    text = json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n"
    with pytest.raises(UserError, match="preference data"):
        recognise([written(tmp_path, "data.jsonl", text)])


def test_rows_that_no_converter_reads_are_refused_with_their_keys(tmp_path):
    with pytest.raises(UserError, match=r"no converter reads these rows \(keys: a, b\)"):
        recognise([written(tmp_path, "data.jsonl", '{"a": 1, "b": 2}\n')])


@pytest.mark.parametrize("case", RECOGNISED, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_proposed_recipe_is_valid_and_converts_the_sampled_rows(case, tmp_path):
    paths = inputs(case)
    found = recognise(paths)
    recipe = tmp_path / "mine.yml"
    recipe.write_text("recipe: 1\nname: mine\n\n" + recipe_for(NewRecipe("mine", found, paths, tmp_path)), encoding="utf-8")
    assert check_recipe(recipe) == []
    data = load_recipe(str(recipe)).recipe.data
    manifest = build(data._replace(max_dropped=1, dedup="none", check_leaks="none"), tmp_path / "data")
    assert 0 < manifest["rows_kept"] <= len(found.records)


@pytest.mark.parametrize(("characters", "length"), [(40, 64), (400, 192), (4000, 1408)])
def test_sequence_len_holds_the_longest_row(tmp_path, characters, length):
    path = written(tmp_path, "data.csv", table("question,answer", [*QUESTIONS, f"Why?,{'a ' * (characters // 2)}"]))
    text = recipe_for(NewRecipe("mine", recognise([path]), [path], tmp_path, "nobody/nothing"))
    assert f"sequence_len: {length} # the longest of 9 rows has {characters + 4:,} bytes" in text
    assert "the model's tokenizer is not on this machine" in text


def test_rows_beyond_those_looked_at_get_a_margin(tmp_path):
    path = written(tmp_path, "data.csv", table("question,answer", [*QUESTIONS, f"Why?,{'a ' * 500}"]))
    found = recognise([path])
    assert sequence_len(found._replace(is_whole=False), "nobody/nothing")[0] > sequence_len(found, "nobody/nothing")[0]


# Files of five source systems -> converter and record type; None where they are no training data, which is said.
REAL = {
    "babylm_alpaca/alpaca-instruction/*.json*": ("alpaca_emotion", "chat"),
    "babylm_alpaca/babylm_augment*/*.pkl": ("babylm", "text"),
    "babylm_alpaca/history/babylm_*.csv": ("babylm", "text"),
    "babylm_alpaca/history/*.json": ("alpaca", "chat"),
    "babylm_alpaca/samples/emotion_alpaca_pkl*": ("alpaca_emotion", "chat"),
    "babylm_alpaca/samples/google_form*": ("alpaca", "chat"),
    "babylm_alpaca/google_form/*": None,
    "babylm_alpaca/quantitative_analysis/*.json": None,
    "emogpt/*.jsonl": ("emogpt", "chat"),
    "emollm/datasets/processed/*": ("emollm", "chat"),
    "emollm/datasets/tiangou.json": ("emollm", "chat"),
    "emollm/datasets/ruozhiba_raw.jsonl": ("alpaca", "chat"),
    "emollm/datasets/self_cognition*": ("alpaca", "chat"),
    "emollm/evaluate/data_dir/data.json": ("emollm", "chat"),
    "emollm/samples/aiwei*": ("emollm", "chat"),
    "emollm/samples/curr_merge*": ("emollm", "chat"),
    "emollm/samples/converted*": ("alpaca", "chat"),
    "emollm/samples/swift*": ("alpaca", "chat"),
    "introspection/introspection_dataset.json": ("table", "chat"),
    "introspection/dataset_inspection/introspection_dataset.json": ("table", "chat"),
    "introspection/dataset_inspection/*.csv": ("table", "chat"),
    "introspection/dataset_inspection/formatted_for_training.json": ("table", "text"),
    "introspection/inference_results/raw_outputs": ("introspection", "chat"),
    "introspection/inference_results/merged_results": ("introspection", "chat"),
    "mbti/results/*": None,
    "mbti/self_assessment_test/*.json": None,
}


def test_nine_of_ten_real_files_are_recognised_at_once(realdata):
    wrong = []
    cases = [(path, meant) for pattern, meant in REAL.items() for path in sorted(realdata.glob(pattern))]
    for path, meant in cases:
        try:
            choice = recognise([str(path)]).choice
        except UserError:
            taken = None
        else:
            taken = choice.converter, choice.record_type
        if taken != meant:
            wrong.append((str(path.relative_to(realdata)), taken, meant))
    assert len(cases) > 40 and len(wrong) <= 0.1 * len(cases), wrong


def test_a_table_without_a_header_is_proposed_with_its_columns(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"Remark number {n} on the food here\t{n % 3}\tid{n}\n" for n in range(30)))
    with pytest.raises(UserError, match="a.tsv:1: the first row reads like data"):
        recognise([str(path)])
    columns = ("text", "label", "id")
    found = recognise([str(path)], columns=columns)
    (tmp_path / "r.yml").write_text(
        "recipe: 1\nname: r\n" + recipe_for(NewRecipe("r", found, [str(path)], tmp_path, declared={"columns": [*columns]}))
    )
    assert found.choice.record_type == "classification" and load_recipe(str(tmp_path / "r.yml")).recipe.data.sources[0].columns == columns


def test_a_file_that_is_not_utf8_is_refused_with_its_likely_encoding(tmp_path):
    pytest.importorskip("charset_normalizer")
    path = tmp_path / "a.csv"
    path.write_bytes("question,answer\nOù est l'hôtel ?,À côté du café.\n".encode("cp1252"))
    with pytest.raises(UserError, match="cp1252 if"):
        recognise([str(path)])
    assert recognise([str(path)], encoding="cp1252").records[0].fields["messages"][0]["content"] == "Où est l'hôtel ?"


def test_a_context_is_never_taken_for_the_answer(tmp_path):
    rows = [{"title": "T", "context": f"Paris is in France, said {n}.", "question": f"Where is Paris, {n}?"} for n in range(20)]
    squad = [{**row, "answers": {"text": ["France"], "answer_start": [12]}} for row in rows]
    found = recognise([written(tmp_path, "squad.jsonl", lines(*squad))])
    assert found.choice.options == {"user_template": "{context}\n\n{question}", "assistant_key": "answers.text[]"}
    write_jsonl(tmp_path / "rows.jsonl", rows)
    chosen = recognise([str(tmp_path / "rows.jsonl")]).choice
    assert (chosen.record_type, chosen.options, chosen.doubt) == ("text", {"text_key": "context"}, True)


@pytest.mark.parametrize(
    "text", ["<s>[INST] Hi {n} [/INST] Hello! </s>", "### Human: Hi {n}### Assistant: Hello!", "Human: Hi {n}\n\nAssistant: Hello!"]
)
def test_texts_that_hold_the_turns_of_chats_are_pointed_out(tmp_path, text):
    write_jsonl(tmp_path / "rows.jsonl", [{"text": text.format(n=n)} for n in range(20)])
    assert "with the turns of chats" in recognise([str(tmp_path / "rows.jsonl")]).choice.why
    write_jsonl(tmp_path / "rows.jsonl", [{"text": f"It rained for {n} days in the valley."} for n in range(20)])
    assert recognise([str(tmp_path / "rows.jsonl")]).choice.why == "column text is text"


def test_labels_in_several_spellings_are_read_as_the_most_frequent(tmp_path):
    labels = ["Rückgabe"] * 20 + ["Versand"] * 20 + ["versand", "Versand ", "VERSAND"]
    path = written(tmp_path, "data.csv", table("text,label", [f"Das Paket {n} kam nicht an,{label}" for n, label in enumerate(labels)]))
    found = recognise([path])
    assert found.respelt == {"versand": "Versand", "Versand ": "Versand", "VERSAND": "Versand"} and not found.unusable
    recipe = written(tmp_path, "r.yml", "recipe: 1\nname: r\n" + recipe_for(NewRecipe("r", found, [path], tmp_path)))
    manifest = build(load_recipe(recipe).recipe.data, tmp_path / "data")
    assert manifest["labels"] == ["Rückgabe", "Versand"] and manifest["rows_kept"] == len(labels)


def test_a_file_in_another_encoding_than_its_neighbours_is_to_be_saved_as_utf8(tmp_path):
    pytest.importorskip("charset_normalizer")
    (tmp_path / "one.txt").write_text("Der Müller schläft.\n" * 9, "utf-8")
    (tmp_path / "two.txt").write_bytes(("Die Mühle steht am Fluß.\n" * 9).encode("cp1252"))
    with pytest.raises(UserError, match=r"two.txt: is not UTF-8\n.*iconv -f cp1252"):
        recognise([str(tmp_path)])


KINDS = ("Bug", "Praise", "Question")
REMARKS = [(f"Remark number {n} on the new app", KINDS[n % 3]) for n in range(60)]
MAILS_OF_SUPPORT = [(f"My kettle {n} leaks. What now?", f"Please send kettle {n} back to us.") for n in range(30)]


def comments(asked, answered):
    return [{"id": 1, "author": "customer", "body": asked, "at": "09:00"}, {"id": 2, "author": "agent", "body": answered, "at": "09:05"}]


def label_studio(text, label):
    result = [{"value": {"choices": [label]}, "from_name": "kind", "type": "choices"}]
    return {"id": 1, "annotations": [{"id": 2, "result": result}], "data": {"text": text}, "predictions": []}


# What people export from other programs -> how it is read.
EXPORTS = {
    "a sheet with a title": (
        "Mails of October;;;\nfrom the help desk;;;\n;;;\nNo;Kind;Customer message;Our reply\n"
        + "".join(f"{n};;{asked};{answered}\n" for n, (asked, answered) in enumerate(MAILS_OF_SUPPORT)),
        ("table", "chat", {"user_key": "Customer message", "assistant_key": "Our reply"}),
    ),
    "Excel's separator line": (
        "sep=;\nFrage;Antwort\n" + "".join(f"{asked};{answered}\n" for asked, answered in MAILS_OF_SUPPORT),
        ("table", "chat", {"user_key": "Frage", "assistant_key": "Antwort"}),
    ),
    "rows in an object": (
        json.dumps({"version": 1, "data": [{"q": asked, "a": answered} for asked, answered in MAILS_OF_SUPPORT]}),
        ("table", "chat", {"user_key": "q", "assistant_key": "a"}),
    ),
    "tickets with comments": (
        lines(*({"id": n, "subject": "Kettle", "comments": comments(*mail)} for n, mail in enumerate(MAILS_OF_SUPPORT))),
        ("messages", "chat", {"messages_key": "comments", "role_key": "author", "content_key": "body",
                              "roles": {"customer": "user", "agent": "assistant"}, "ignore_message_keys": ["id", "at"]}),
    ),
    "a live chat": (
        table("chat_id,sent,sender_type,message", [f"C{n // 2},2026-05-01 09:00,{('Visitor', 'Agent')[n % 2]},It is number {n}" for n in range(60)]),
        ("messages", "chat", {"conversation_key": "chat_id", "role_key": "sender_type", "content_key": "message",
                              "roles": {"Visitor": "user", "Agent": "assistant"}}),
    ),
    "Gemini": (
        lines(*({"systemInstruction": {"parts": [{"text": "Be brief."}]},
                 "contents": [{"role": "user", "parts": [{"text": asked}]}, {"role": "model", "parts": [{"text": answered}]}]}
                for asked, answered in MAILS_OF_SUPPORT)),
        ("messages", "chat", {"messages_key": "contents", "content_key": "parts", "roles": {"model": "assistant"}, "system_key": "systemInstruction"}),
    ),
    "numbered answers": (
        table("question,answer_1,answer_2", [f"{asked},{answered},{answered if n % 2 else ''}" for n, (asked, answered) in enumerate(MAILS_OF_SUPPORT)]),
        ("table", "chat", {"user_key": "question", "assistant_key": "answer_1"}),
    ),
    "doccano": (
        lines(*({"id": n, "text": text, "label": [label]} for n, (text, label) in enumerate(REMARKS))),
        ("table", "classification", {"label_key": "label[]"}),
    ),
    "Argilla": (
        lines(*({"id": f"{n}", "status": "completed", "fields": {"text": text}, "responses": {"label": [{"value": label, "user_id": "u"}]}}
                for n, (text, label) in enumerate(REMARKS))),
        ("table", "classification", {"text_key": "fields.text", "label_key": "responses.label[].value"}),
    ),
    "Label Studio": (
        json.dumps([label_studio(*remark) for remark in REMARKS]),
        ("table", "classification", {"text_key": "data.text", "label_key": "annotations[].result[].value.choices[]"}),
    ),
    "pairs of sentences": (
        lines(*({"premise": text, "hypothesis": f"Nobody said {n} words", "label": n % 3} for n, (text, _) in enumerate(REMARKS))),
        ("table", "classification", {"text_template": "{premise}\n\n{hypothesis}"}),
    ),
    "numbered sentences": (
        table("id,sentence1,sentence2,quality", [f"{n},{text},Nobody said {n} words,{n % 2}" for n, (text, _) in enumerate(REMARKS)]),
        ("table", "classification", {"label_key": "quality", "text_template": "{sentence1}\n\n{sentence2}"}),
    ),
    "dated reviews": (
        "Datum;Artikel;Bewertungstext;Sterne\n" + "".join(f"{n % 28 + 1:02}.09.2026;A-{n % 7};Das Gerät {n} läuft leise;{n % 5 + 1},0\n" for n in range(90)),
        ("table", "classification", {"text_key": "Bewertungstext", "label_key": "Sterne"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_what_other_programs_export_is_recognised_at_once(tmp_path, name):
    text, way = EXPORTS[name]
    path = written(
        tmp_path, "export.csv" if ";" in text.split("\n")[0] or text.startswith(("question", "chat", "id,")) else "export.json", text
    )
    found = recognise([path])
    assert (found.choice.converter, found.choice.record_type, found.choice.options) == way
    assert not found.unusable
    recipe = written(tmp_path, "mine.yml", "recipe: 1\nname: mine\n" + recipe_for(NewRecipe("mine", found, [path], tmp_path)))
    manifest = build(load_recipe(recipe).recipe.data._replace(dedup="none"), tmp_path / "data")
    assert manifest["rows_kept"] == len(found.records) and not manifest["dropped"]


def test_what_a_source_must_declare_is_written_into_the_recipe(tmp_path):
    for name, key in (("a sheet with a title", "skip_lines: 3 #"), ("rows in an object", "field: data #")):
        path = written(tmp_path, "export.csv", EXPORTS[name][0])
        assert key in recipe_for(NewRecipe("mine", recognise([path]), [path], tmp_path))


def test_files_with_different_lines_above_their_tables_are_refused(tmp_path):
    written(tmp_path, "a.csv", "A title\nquestion,answer\nWhy?,So.\nHow?,So.\n")
    written(tmp_path, "b.csv", "question,answer\nWhy?,So.\nHow?,So.\n")
    with pytest.raises(UserError, match="a.csv: has 1 line above its header, and b.csv has 0"):
        recognise([str(tmp_path)])


def test_keys_of_messages_that_hold_text_are_never_ignored(tmp_path):
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "thought": "they seem to greet me here"}]
    with pytest.raises(UserError, match="a message has 'thought'"):
        recognise([written(tmp_path, "data.jsonl", lines({"messages": messages}))])
    called = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]
    with pytest.raises(UserError, match="a message has 'tool_calls'"):
        recognise([written(tmp_path, "data.jsonl", lines({"messages": called}))])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reasoning_details", [{"type": "reasoning.text", "text": "They seem to greet me here."}]),
        ("thinking_blocks", [{"type": "thinking", "thinking": "They seem to greet me here."}]),
        ("toolCalls", [{"name": "greet"}]),
        ("train_detail", [{"begin_offset": 0, "end_offset": 1, "train": False}]),
        ("masked", True),
    ],
)
def test_keys_of_messages_that_hold_more_than_who_and_when_are_never_ignored(tmp_path, key, value):
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", key: value}]
    with pytest.raises(UserError, match=f"a message has '{key}'"):
        recognise([written(tmp_path, "data.jsonl", lines({"messages": messages}))])


def test_parts_that_hold_more_than_the_text_of_their_message_are_never_ignored(tmp_path):
    thought = {"type": "thinking", "thinking": "They seem to greet me here."}
    turns = [
        {"sender": who, "text": text, "content": [{"type": "text", "text": text}]} for who, text in (("human", "Hi"), ("assistant", "Ho"))
    ]
    turns[1]["content"].insert(0, thought)
    with pytest.raises(UserError, match="a message has 'content'"):
        recognise([written(tmp_path, "data.json", json.dumps([{"chat_messages": turns}] * 3))])


@pytest.mark.parametrize("key", ["system_message", "systemPrompt", "System Message"])
def test_a_system_prompt_may_have_other_names(tmp_path, key):
    for row in ({"messages": TURNS}, {"question": "What is it for?", "response": "It is a fish."}):
        found = recognise([written(tmp_path, "data.jsonl", lines(*({key: "Be brief.", **row} for _ in range(3))))])
        assert found.records[0].fields["messages"][0] == {"role": "system", "content": "Be brief."} and not found.unread


def test_keys_of_messages_that_are_not_read_have_their_own_heading(tmp_path):
    turns = [{**turn, "id": 1} for turn in TURNS]
    said = [*recognised_lines(recognise([written(tmp_path, "data.jsonl", lines({"messages": turns}))]))]
    assert said[-1] == ("not read", "of messages: keys id")


@pytest.mark.parametrize("row", [{"choices": ["one", "two"]}, {"options": {"A": "one", "B": "two"}}])
def test_a_question_is_not_asked_without_its_choices(tmp_path, row):
    with pytest.raises(UserError, match=r"no converter reads these rows \(keys: question"):
        recognise(
            [written(tmp_path, "data.jsonl", lines(*({"question": f"Which is {n}?", **row, "answer": "A"} for n in range(20))))], "chat"
        )


def test_folders_of_texts_are_labels_and_front_matter_is_left_out(tmp_path):
    for n in range(10):
        folder = tmp_path / ("pos", "neg")[n % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{n}.md").write_text(f"---\ntitle: {n}\n---\nFilm number {n} was long.\n")
    found = recognise([str(tmp_path)])
    assert (found.choice.record_type, found.choice.options) == ("classification", {"front_matter": False})
    assert found.records[0].fields == {"text": "Film number 1 was long.", "label": "neg"}
    assert [one.record_type for one in found.alternatives] == ["text"]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"0{n}.09.26, 08:0{n} - {('Ayşe', 'Tom')[n % 2]}: It is {n}\n" for n in range(8)),
        "".join(f"[0{n}/09/26, 08:0{n}:22] {('Ayşe', 'Tom')[n % 2]}: It is {n}\n" for n in range(8)),
    ],
)
def test_the_log_of_a_messenger_is_a_conversation(tmp_path, text):
    assert "a conversation of Ayşe and Tom" in recognise([written(tmp_path, "chat.txt", text)]).choice.why


@pytest.mark.parametrize(("names", "assistant"), [(("U1", "U2", "U2"), "U2"), (("Lena", "Lena", "Support Bot"), "Support Bot")])
def test_a_log_of_dated_messages_is_cut_into_conversations(tmp_path, names, assistant):
    log = [{"user": names[n % 3], "text": f"It is number {n}", "ts": f"{1790000000 + n * 700}.5", "type": "message"} for n in range(60)]
    choice = recognise([written(tmp_path, "log.json", json.dumps({"channel": "a", "messages": log}))]).choice
    assert (choice.converter, choice.options) == ("chat_log", {"assistant": assistant, "speaker_key": "user", "time_key": "ts"})
    nested = [
        {"author": {"name": row["user"]}, "content": row["text"], "at": f"2026-10-01T{n // 60:02}:{n % 60:02}:00"}
        for n, row in enumerate(log)
    ]
    choice = recognise([written(tmp_path, "nested.json", json.dumps(nested))]).choice
    assert choice.options == {"assistant": assistant, "speaker_key": "author.name", "text_key": "content", "time_key": "at"}


def test_several_answers_in_a_cell_are_pointed_out(tmp_path):
    rows = [f"How often for model {n}?,Once a month.|Every {n} weeks." for n in range(20)]
    assert "several answers" in recognise([written(tmp_path, "data.csv", table("question,answers", rows))]).choice.why


@pytest.mark.parametrize(("cell", "is_sum"), [("Total", True), ("Summe:", True), ("9", False)])
def test_the_sum_at_the_end_of_a_sheet_is_pointed_out(tmp_path, cell, is_sum):
    rows = [f"{n},Why is {n} there?,It is {n}" for n in range(8)]
    found = recognise([written(tmp_path, "data.csv", table("id,question,answer", [*rows, f"{cell},8,8"]))])
    assert (str(sum_row(found)) == "data.csv:10") is is_sum


def test_a_system_prompt_is_no_answer(tmp_path):
    chats = [
        {"system": "You are a helpful assistant", "chat": f"USER: What is the number {n}?\n\nASSISTANT: It is {n}."} for n in range(40)
    ]
    with pytest.raises(UserError, match="no converter reads these rows"):
        recognise([str(write_jsonl(tmp_path / "rows.jsonl", chats))])


def test_an_empty_file_is_called_empty(tmp_path):
    with pytest.raises(UserError, match=r"rows\.csv: is empty$"):
        recognise([written(tmp_path, "rows.csv", "")])


@pytest.mark.parametrize("header", [",text,label", "text,label,", "text,label,,", ",text,label,,"])
def test_a_header_may_have_columns_without_a_name_at_its_ends(tmp_path, header):
    before, after = header.split("text,label")
    index = "{}," if before else ""
    table = header + "\n" + "".join(f"{index.format(n)}It was the number {n} again,l{n % 2}{after}\n" for n in range(40))
    assert recognise([written(tmp_path, "rows.csv", table)]).choice.record_type == "classification"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\n" + "".join(f"It rained for {n} days,good,\n" for n in range(9)), "2: ragged row: 3 cells, 2 columns"),
        ("text,label\n" + "".join(f"It rained\\, for {n} days,good\n" for n in range(9)), "2: ragged row: 3 cells, 2 columns"),
        ("text,label," + ",".join(map(str, range(20_000))) + "\na,b\n", "1: the header has 20,002 columns; at most 10,000 are read"),
    ],
)
def test_a_table_whose_rows_do_not_fit_is_refused_as_one(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        recognise([written(tmp_path, "data.csv", text)])


def test_columns_whose_names_have_several_lines_are_read(tmp_path):
    head = '"What happened?\n(describe it)","Mood\n(one word)"'
    data = written(tmp_path, "data.csv", table(head, [f"It rained for {n} days and more,{('good', 'bad')[n % 2]}" for n in range(12)]))
    found = recognise([data])
    recipe = tmp_path / "r.yml"
    recipe.write_text("recipe: 1\nname: r\n" + recipe_for(NewRecipe("r", found, [data], tmp_path)), encoding="utf-8")
    assert load_recipe(str(recipe)).recipe.data.sources[0].options == {
        "text_key": "What happened?\n(describe it)", "label_key": "Mood\n(one word)"
    }  # fmt: skip


def emotions(*columns, rows=60):
    """Return rows with a text and cells that depend on their number."""
    return [[f"It rained for {n} days and then some more.", *(column(n) for column in columns)] for n in range(rows)]


def as_csv(header, rows):
    return table(header, [",".join(map(str, row)) for row in rows])


def emotion(n):
    return ("joy", "anger", "fear")[n % 3]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (as_csv("question_text,target", emotions(lambda n: n % 2)), {"text_key": "question_text", "label_key": "target"}),
        (as_csv("text,target", emotions(lambda n: n % 2)), {"label_key": "target"}),
        (lines(*({"question": f"Is it {n} there now", "passage": f"It is said to be {n} or more.", "answer": n % 2 == 0} for n in range(60))),
         {"text_template": "{question}\n\n{passage}", "label_key": "answer"}),
        (as_csv("reviewText,overall", emotions(lambda n: float(n % 5 + 1))), {"text_key": "reviewText", "label_key": "overall"}),
        (lines(*({"gold_label": emotion(n), "sentence1": f"It rained {n} days", "sentence1_parse": f"(ROOT (S (NP It) (VP rained {n} days)))",
                  "sentence2": f"It was {n} days ago"} for n in range(60))),
         {"text_template": "{sentence1}\n\n{sentence2}", "label_key": "gold_label"}),
    ],
)  # fmt: skip
def test_numbers_are_labels_and_no_answers_and_trees_are_no_texts(tmp_path, text, options):
    choice = recognise([written(tmp_path, "data", text)]).choice
    assert (choice.record_type, choice.options) == ("classification", options)


def test_each_column_that_is_named_as_a_label_is_a_way(tmp_path):
    data = written(tmp_path, "data.csv", as_csv("Utterance,Emotion,Sentiment", emotions(emotion, lambda n: ("good", "bad")[n % 2])))
    found = recognise([data])
    assert [one.options["label_key"] for one in (found.choice, *found.alternatives)] == ["Sentiment", "Emotion"]


def test_a_label_within_the_rows_is_a_way(tmp_path):
    rows = [{"content": text, "classifications": [{"classname": name, "annotator": "bo"}]} for text, name in emotions(emotion)]
    (other,) = recognise([written(tmp_path, "data.jsonl", lines(*rows))]).alternatives
    assert other.options == {"text_key": "content", "label_key": "classifications[].classname"}
    web = [{"text": text, "meta": {"type": name}} for text, name in emotions(emotion)]
    assert not recognise([written(tmp_path, "web.jsonl", lines(*web))]).alternatives


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (as_csv("text,score", emotions(lambda n: n * 37 % 100 / 20, rows=600)), "score is no label of it: 100 different values in 600 rows"),
        (lines(*({"text": text, "label": {"joy": n / 60}} for n, (text,) in enumerate(emotions()))), "label is no label of it: lists or objects"),
        (as_csv("text,joy,anger,fear", emotions(*(lambda n, k=k: int(n % 4 == k) for k in range(3)))), "joy, anger, fear are 0 or 1"),
        (as_csv("label,text", [(emotion(n) if n % 4 == 0 else "", text) for n, (text,) in enumerate(emotions())]),
         "as classification (column label has few different values: labels of text) most rows cannot be used, e.g. data:3: empty_label"),
    ],
)  # fmt: skip
def test_what_seemed_to_be_a_label_and_is_none_is_told(tmp_path, text, why):
    choice = recognise([written(tmp_path, "data", text)]).choice
    assert choice.record_type == "text" and why in choice.why


def test_ids_may_be_named_in_camel_case(tmp_path):
    rows = [[n // 3, *row] for n, row in enumerate(emotions(emotion))]
    assert recognise([written(tmp_path, "data.csv", as_csv("SentenceId,Phrase,Sentiment", rows))]).groups == ["SentenceId"]


def test_a_column_in_the_names_of_folders_is_not_left_out(tmp_path):
    for name in ("joy", "fear"):
        (tmp_path / f"label={name}").mkdir()
        written(tmp_path / f"label={name}", "part-0.csv", as_csv("id,text", [[n, text] for n, (text,) in enumerate(emotions())]))
    with pytest.raises(UserError, match="has the column 'label' in the name of its folder") as error:
        recognise([str(tmp_path)])
    assert "format='csv', partitioning='hive'" in str(error.value)
    assert recognise([str(tmp_path / "**" / "*.csv")]).choice.options == {}


@pytest.mark.parametrize(
    ("whole", "hint"),
    [
        ({"text": {"0": "It rained.", "1": "It snowed."}, "label": {"0": "a", "1": "b"}}, "orient='records'"),
        ({"text": ["It rained.", "It snowed."], "label": ["a", "b"]}, "orient='records'"),
        ({"columns": ["text", "label"], "data": [["It rained.", "a"], ["It snowed.", "b"]]}, "orient='records'"),
        ({"nlu": {"version": 2, "examples": [{"text": "It rained.", "intent": "a"}]}}, """jq -c '."nlu"."examples"[]' FILE"""),
        ({"train": [["It rained.", "a"]], "test": [["It snowed.", "b"]]}, """jq -c '.["train"][] |"""),
    ],
)
def test_an_object_that_holds_all_rows_gets_a_hint_that_works(tmp_path, whole, hint):
    with pytest.raises(UserError) as error:
        recognise([written(tmp_path, "data.json", json.dumps(whole))])
    assert hint in str(error.value)


def test_lines_with_a_comma_each_are_text(tmp_path):
    poem = "It rained for three days, then not\nThe sun was out, we left\nHe came, too late for us\n"
    found = recognise([written(tmp_path, "poem.txt", poem)])
    assert (found.choice.converter, len(found.records)) == ("text", 3)


def test_the_choices_of_a_question_that_have_a_column_each_are_asked(tmp_path):
    rows = [f"Who is number {n} there?,Ann {n},Bo,Cy,Di,{'ABCD'[n % 4]}" for n in range(20)]
    found = recognise([written(tmp_path, "data.csv", table("question,A,B,C,D,answer", rows))])
    asked, answer = found.records[1].fields["messages"]
    assert (asked["content"], answer["content"]) == ("Who is number 1 there?\n\nA. Ann 1\nB. Bo\nC. Cy\nD. Di", "B")
    assert not found.unread


def test_a_label_that_was_predicted_and_a_year_come_last(tmp_path):
    rows = emotions(emotion, lambda n: emotion(n + 1))
    found = recognise([written(tmp_path, "data.csv", as_csv("sentence,pred_label,gold_label", rows))])
    assert [one.options["label_key"] for one in (found.choice, *found.alternatives)] == ["gold_label", "pred_label"]
    years = as_csv("headline,year", emotions(lambda n: 2000 + n % 5))
    assert recognise([written(tmp_path, "years.csv", years)]).choice.record_type == "text"
    days = as_csv("note,day", emotions(lambda n: ("Mon", "Tue")[n % 2]))
    assert recognise([written(tmp_path, "days.csv", days)]).choice.options == {"text_key": "note", "label_key": "day"}


def test_a_suggestion_beside_responses_is_no_label(tmp_path):
    rows = [
        {
            "fields": {"text": text},
            "suggestions": {"label": {"value": other}},
            "responses": {"label": [{"value": name, "status": "submitted"}]},
        }
        for text, name, other in emotions(emotion, lambda n: emotion(n + 1))
    ]
    found = recognise([written(tmp_path, "data.jsonl", lines(*rows))])
    assert found.choice.options == {"text_key": "fields.text", "label_key": "responses.label[].value"} and not found.alternatives
