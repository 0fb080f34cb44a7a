"""Asking on until enough rows are kept, several prompts, and input that a converter reads."""

import json

import pytest
from recipekit.runner.generate.generate import composition
from recipekit.runner.generate.job import Job
from recipekit.runner.providers.requests import Request
from recipekit.schemas.base.errors import GateError
from recipekit.schemas.generate_sections import Generate
from recipekit.schemas.values import built

from ...support.jsonl import write_jsonl
from ...support.llm_server import reply

DIALOGUE = "Patient: I am worn out, {n}.\nDoctor: That sounds hard, {n}. Rest first."
SCENARIOS = {
    "task": "scenarios",
    "input": None,
    "max_dropped": 1,
    "options": {"areas": ["work", "home"], "emotions": ["joy", "fear", "awe"]},
}


def rows(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_bytes().splitlines()]


@pytest.fixture
def asking(generating, tmp_path):
    """Generates dialogues with two prompts; every third reply is unusable."""
    prompts = []
    for name in ("single", "multi"):
        prompts.append(tmp_path / f"{name}.yml")
        prompts[-1].write_text(f"prompt: 1\nuser: '{name} {{area}} {{emotion}}'\n", encoding="utf-8")

    def run(min_rows, count, **changes):
        answer = reply(lambda exchange: "nothing" if exchange.number % 3 == 0 else DIALOGUE.format(n=exchange.number))
        options = {**SCENARIOS["options"], "count": count}
        return generating(answer, **SCENARIOS | {"prompt": [*map(str, prompts)], "options": options, "min_rows": min_rows} | changes)

    return run


def test_requests_continue_until_enough_rows_are_kept(asking, tmp_path):
    manifest, server = asking(min_rows=9, count=9)
    assert manifest["requests"] > 9, "the first 9 requests gave fewer rows"
    found = rows(tmp_path / "out")
    assert len(found) == manifest["rows"] >= 9
    assert manifest["rows_in"] == manifest["requests"] == len(server.asked) < 2 * 6 * 9
    assert manifest["rows_in"] == manifest["rows_kept"] + sum(manifest["dropped"].values())
    assert {(row["area"], row["emotion"]) for row in found} <= {(a, e) for a in ("work", "home") for e in ("joy", "fear", "awe")}


def test_the_composition_is_of_the_rows_that_are_there(asking, tmp_path):
    manifest, _ = asking(min_rows=None, count=1)
    by_prompt = manifest["composition"]["prompt"]
    assert by_prompt == {name: sum(row["generated_by"]["prompt"] == name for row in rows(tmp_path / "out")) for name in by_prompt}
    assert sum(by_prompt.values()) == sum(manifest["composition"]["turns"].values()) == manifest["rows"] == 8


def test_every_row_names_the_prompt_that_it_was_asked_with(generating, asking, tmp_path):
    asking(min_rows=None, count=1)  # writes the prompts
    prompts = [str(tmp_path / f"{name}.yml") for name in ("single", "multi")]
    echo = reply(lambda exchange: f"Patient: {exchange.number}?\nDoctor: {exchange.body['messages'][-1]['content'].split()[0]}")
    manifest, _ = generating(echo, **SCENARIOS | {"prompt": prompts, "seed": 7})
    found = [(row["generated_by"]["prompt"], row["conversation"][0]["output"]) for row in rows(tmp_path / "out")]
    assert all(named == given for named, given in found)
    assert manifest["composition"]["prompt"] == {"single": 6, "multi": 6}


def test_a_row_with_several_labels_counts_for_the_first(tmp_path):
    labels = {"emotion": "joy, love", "label_0": "joy", "score_0": 0.9, "label_1": "love", "score_1": 0.6}
    lines = [labels, {"emotion": "joy"}, {"emotion": "fear"}, {}]
    write_jsonl(tmp_path / "rows.jsonl", [{"text": "Well!", **line} for line in lines])
    assert composition(tmp_path / "rows.jsonl") == {"emotion": {"joy": 2, "fear": 1}}


def test_too_few_rows_are_an_error_when_everything_has_been_asked(asking, tmp_path):
    with pytest.raises(GateError, match="only 8 of 40 rows: all 12 requests of the task were made; dropped: 4 ") as caught:
        asking(min_rows=40, count=1)
    assert "raise options.count, or lower generate.min_rows" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_limit_stops_before_the_target_and_nothing_is_asked_twice(asking, tmp_path):
    """With a limit of 10 requests 9 rows cannot be reached; a higher limit continues after them."""
    with pytest.raises(GateError, match="limits.max_requests: 10; 10 are used") as caught:
        asking(min_rows=9, count=9, limits={"max_requests": 10})
    assert "raise the limit and start again: answered requests are not repeated" in str(caught.value)
    assert not (tmp_path / "out").exists()
    manifest, server = asking(min_rows=9, count=9, limits={"max_requests": 100})
    assert manifest["rows"] >= 9 and len(server.asked) == manifest["requests"] - 10


def test_the_same_log_gives_the_same_rows_without_asking(asking, tmp_path):
    asking(min_rows=9, count=9)
    before = (tmp_path / "out" / "rows.jsonl").read_bytes()
    _, server = asking(min_rows=9, count=9)
    assert server.asked == [] and (tmp_path / "out" / "rows.jsonl").read_bytes() == before


def test_rows_that_the_converter_leaves_out_are_counted_and_not_asked_about(tmp_path):
    chat = {"conversation": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there."}]}
    lines = [{**chat, "language": "English"}, {**chat, "language": "German"}, {"conversation": [], "language": "English"}]
    (tmp_path / "lmsys.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    values = {"task": "rewrite", "prompt": "emogpt_compress", "input": str(tmp_path / "lmsys.jsonl"), "options": {"read": "messages"},
              "converter": "lmsys", "converter_options": {"languages": ["English"]}}  # fmt: skip
    items = list(Job.of(built(Generate, values)).items())
    assert [type(item) for item in items[:1]] == [Request] and "Hello there." in items[0].messages[-1]["content"]
    assert [(drop.reason, drop.filtered) for drop in items[1:]] == [("other_language", True), ("no_messages", False)]
