"""Rows of every task, as `recipe generate` writes them, converted without a word about what it wrote for its own use."""

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.converters.reading.records import Row
from recipekit.runner.generate.assemble import signed
from recipekit.runner.generate.outcomes import Passthrough, Rows
from recipekit.runner.generate.tasks import TASKS, task
from recipekit.runner.providers.requests import Request
from recipekit.schemas.prompts import Prompt
from recipekit.schemas.sections import Data, Source, Split

from ...support.jsonl import write_jsonl

TEXT = "I could not believe that they had kept the kitten for me all that time."
CHAT = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "Download it, then run the installer."}]
ALPACA = {"instruction": "Boil water?", "input": "", "output": "At 100 degrees."}
SIGNATURE = {"provider": "local", "model": "m", "request": "0123456789abcdef", "judge": "j", "judge_score": 4}

# name -> task, a row of its input, its options, a reply; converter and record type that read the result
CASES = {
    "ask": ("ask", {"name": "s1", "chinese": "你好"}, {}, "joy | fear", "introspection", "chat"),
    "label": ("label", {"text": TEXT}, {}, '{"joy": 0.9}', "babylm", "text"),
    "a story": ("rewrite", {"text": TEXT, "emotion": "joy"}, {}, "Mia pushed the door and it hummed.", "babylm", "text"),
    "a story of a label": ("rewrite", {"text": TEXT, "emotion": "joy", "label_0": "joy", "score_0": 0.9, "generated_by": SIGNATURE},
                           {}, "Mia pushed the door and it hummed.", "babylm", "text"),
    "an answer": ("rewrite", ALPACA, {"read": "output", "write": "rewritten_output", "emotions": ["joy"]}, "At a glorious 100!",
                  "alpaca_emotion", "chat"),
    "a chat": ("rewrite", {"messages": CHAT, "metadata": {"tree_id": "t"}}, {"read": "messages"}, "Get it 💻.", "emogpt", "chat"),
    "scenarios": ("scenarios", None, {"areas": ["work"], "emotions": ["joy"]}, "病人：工作很累。\n医生：先休息。", "emollm", "chat"),
    "self_cognition": ("self_cognition", {"question": "你是谁？", "answer": "我是小助手。"}, {"paraphrases": 1}, "你叫什么？", "emollm", "chat"),
}  # fmt: skip


def test_every_task_has_a_case() -> None:
    assert {name for name, *_ in CASES.values()} == {*TASKS}


@pytest.mark.parametrize("case", CASES)
def test_what_generate_writes_for_its_own_use_is_not_listed_as_unread(case, tmp_path) -> None:
    name, given, options, reply, converter, kind = CASES[case]
    made = task(name)
    rows = []
    for item in made.requests([Row(given, "rows.jsonl", 1)] if given else [], Prompt("p", "Write."), 42, **options):
        assert isinstance(item, Request | Passthrough)
        found = item if isinstance(item, Passthrough) else made.parse_reply(item, reply, **options)
        assert isinstance(found, Rows | Passthrough), found
        rows += [signed(row, SIGNATURE) if isinstance(found, Rows) else row for row in found.rows]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    manifest = build(Data(kind, (Source(str(path), converter),), split=Split(validation=0)), tmp_path / "out")
    assert manifest["rows_kept"] >= 1
    assert manifest["sources"][0]["unread_keys"] == {}
