"""The scenario matrix."""

from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.emollm import convert
from recipekit.runner.generate.outcomes import Rejected, Rows
from recipekit.runner.generate.tasks.scenarios import AREAS, EMOTIONS, SYSTEM, parse_reply, requests
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
