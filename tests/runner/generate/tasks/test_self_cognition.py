"""Questions about the model itself, in several wordings."""

from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.emollm import convert
from recipekit.runner.generate.outcomes import Passthrough, Rejected, Rows
from recipekit.runner.generate.tasks.self_cognition import parse_reply, requests
from recipekit.runner.providers.requests import Request
from recipekit.schemas.prompts import load_prompt

PROMPT = load_prompt("self_cognition")
NAMES = {"name": "小助手", "maker": "我们"}
GOOD = {"question": "你是谁？", "answer": "我是{name}，由{maker}开发。", "paraphrases": ["你叫什么？", "介绍一下你自己"]}


def items(*values, **options):
    return list(requests([Row(value, "self.json", n) for n, value in enumerate(values, 1)], PROMPT, 42, **options))


def test_every_template_becomes_a_conversation() -> None:
    (given,) = items(GOOD, names=NAMES)
    assert isinstance(given, Passthrough)
    assert [row["conversation"][0]["input"] for row in given.rows] == ["你是谁？", "你叫什么？", "介绍一下你自己"]
    assert {row["conversation"][0]["output"] for row in given.rows} == {"我是小助手，由我们开发。"}
    (record, *_) = convert([Row(row, "r", n) for n, row in enumerate(given.rows)], keep_meta=["generated_by"])
    assert isinstance(record, Record)
    assert record.meta["generated_by"] == {"wording": "list", "question": "你是谁？"}


def test_the_projects_own_forms_are_read_too() -> None:
    native = {"conversation": [{"input": "请介绍一下你自己", "output": "我是大佬的emo小助手"}]}
    alpaca = {"instruction": "你是谁", "input": "", "output": "我是小助手"}
    assert [type(item) for item in items(native, alpaca)] == [Passthrough, Passthrough]


def test_rows_without_question_and_answer_are_dropped() -> None:
    found = items(
        {"question": "你是谁？"}, {"question": "你是谁？", "answer": " "}, GOOD, GOOD | {"paraphrases": "x"},
        {"conversation": [{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]},
    )  # fmt: skip
    assert [item.reason for item in found if isinstance(item, Drop)] == [
        "unknown_form",
        "not_text",
        "name_left_open",
        "not_text",
        "several_turns",
    ]
    again = items(GOOD, GOOD, names=NAMES)
    assert [getattr(item, "reason", None) for item in again] == [None, "duplicate"]


def test_new_wordings_are_distinct_questions() -> None:
    given, request = items(GOOD, names=NAMES, paraphrases=3)
    assert isinstance(given, Passthrough)
    assert isinstance(request, Request)
    reply = (
        "以下是不同的说法：\n1. 你是谁呀？\n2、请问您怎么称呼？\n- 你叫什么？\n“能说说你是谁吗？”\n你是谁\n"
        + "我是小助手，" * 20
        + "\n你到底是谁？\n多余的一行？"
    )
    found = parse_reply(request, reply)
    assert isinstance(found, Rows)
    assert [row["conversation"][0]["input"] for row in found.rows] == ["你是谁呀？", "请问您怎么称呼？", "能说说你是谁吗？"]
    assert {row["generated_by"]["wording"] for row in found.rows} == {"model"}
    assert isinstance(parse_reply(request, "你是谁？\n你叫什么？"), Rejected)
