"""The same question several times."""

from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.introspection import convert
from recipekit.runner.generate.outcomes import Rows
from recipekit.runner.generate.tasks.ask import parse_reply, requests
from recipekit.runner.providers.requests import Request
from recipekit.schemas.prompts import load_prompt

PROMPT = load_prompt("introspection")
ROWS = [
    Row({"name": "s1", "chinese": "你好，你吃饭了吗？", "english": ""}, "subtitles.csv", 2),
    Row({"name": "s2", "chinese": "", "english": ""}, "subtitles.csv", 3),
    Row({"name": "s1", "chinese": "又是我。", "english": ""}, "subtitles.csv", 4),
    Row({"chinese": "没有名字。"}, "subtitles.csv", 5),
    Row(["not", "a", "row"], "subtitles.csv", 6),
]


def test_nothing_is_asked_about_a_row_without_a_text_or_a_name_of_its_own() -> None:
    found = list(requests(ROWS, PROMPT, 42, runs=3))
    assert [item.repetition for item in found if isinstance(item, Request)] == [0, 1, 2]
    drops = [(item.reason, item.filtered) for item in found if isinstance(item, Drop)]
    assert drops == [("empty_text", True), ("name_twice", False), ("no_name", False), ("no_name", False)]


def test_the_prompt_is_the_sources_own() -> None:
    request = next(iter(requests(ROWS, PROMPT, 42)))
    assert request.messages == (
        {"role": "system", "content": "You are an expert emotion analyst. Respond with English emotion words only."},
        {
            "role": "user",
            "content": "Analyze the emotions in this Chinese text: 你好，你吃饭了吗？\n\nEnglish emotion words only, separated by pipes:",
        },
    )


def test_the_runs_of_a_question_are_merged_by_the_introspection_converter() -> None:
    asked = [item for item in requests(ROWS[:1], PROMPT, 42, runs=4) if isinstance(item, Request)]
    replies = ["love | joy", "Love|Hope", "1. love, joy", "I'm sorry, I cannot see the text."]
    rows = []
    for request, reply in zip(asked, replies, strict=True):
        found = parse_reply(request, reply)
        assert isinstance(found, Rows)
        rows += found.rows
    assert [row["run_number"] for row in rows] == [1, 2, 3, 4]
    assert rows[3]["parsed_emotions"] == []
    records = [item for item in convert([Row(row, "rows.jsonl", n) for n, row in enumerate(rows, 1)]) if isinstance(item, Record)]
    assert {r.meta["word"]: (r.meta["count"], r.meta["total_runs"]) for r in records} == {"Love": (3, 4), "Joy": (2, 4), "Hope": (1, 4)}
    assert {r.meta["word"]: r.fields["messages"][-1]["content"] for r in records} == {"Love": "high", "Joy": "medium", "Hope": "low"}
