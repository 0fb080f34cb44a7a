"""Keys and values that a source names and no row has."""

import pytest
from recipekit.converters.building.named_in_rows import LISTS, absent_note
from recipekit.converters.building.pipeline import build
from recipekit.converters.sources.registry import CONVERTERS, converter
from recipekit.runner.reporting.ledger_table import source_notes
from recipekit.schemas.options import options_schema
from recipekit.schemas.sections import Data, Source, Split

from ...support.jsonl import write_jsonl

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
ROWS = [{"messages": [{**TURNS[0], "content": f"question {n}"}, TURNS[1]], "topic": "x", "about": {"id": n}} for n in range(30)]


def manifest(folder, options=None, ignore_keys=(), rows=ROWS, name="messages", **how):
    write_jsonl(folder / "rows.jsonl", rows)
    source = Source(str(folder / "rows.jsonl"), name, options or {}, ignore_keys=ignore_keys)
    kind = {"table": "classification", "text": "text"}.get(name, "chat")
    return build(Data(kind, (source,), split=Split(validation=0)), folder / "out", **how)


@pytest.mark.parametrize("how", [{}, {"processes": 2}, {"batch_bytes": 100}])
def test_a_key_that_no_row_has_is_named_with_the_one_that_may_be_meant(tmp_path, how):
    found = manifest(tmp_path, {"keep_meta": ["topik"], "system_key": "systm"}, ("abuot.id",), **how)
    assert found["sources"][0]["absent"] == [
        ["ignore_keys", "abuot.id"],
        ["options.keep_meta", "topik"],
        ["options.system_key", "systm"],
    ]
    assert "messages: no row has the key 'topik' that options.keep_meta names: did you mean 'topic'?" in source_notes(found)


@pytest.mark.parametrize("how", [{}, {"batch_bytes": 100}])
def test_a_key_that_one_row_has_is_not_named(tmp_path, how):
    rows = [*ROWS, {**ROWS[0], "rare": 1, "messages": [{**TURNS[0], "content": "another"}, TURNS[1]]}]
    found = manifest(tmp_path, {"keep_meta": ["rare", "topic"]}, ("about", "about.id", "messages[].role"), rows, **how)
    assert "absent" not in found["sources"][0]


def test_a_key_like_no_other_has_no_suggestion():
    assert absent_note("ignore_keys", "zzz", ["topic"]) == "no row has the key 'zzz' that ignore_keys names"


LMSYS = {"conversation": TURNS, "conversation_id": "1", "openai_moderation": [], "redacted": False}
VALUES = [
    ("messages", {"roles": {"Client": "user", "helper": "assistant"}}, {"messages": [{"role": "client", "content": "a"}, TURNS[1]]}, "helper"),
    ("sharegpt", {"roles": {"client": "user", "Human": "user"}},
     {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, "client"),
    ("table", {"label_names": {"0": "bad", "1": "good"}}, {"text": "a", "label": 1}, "0"),
    ("table", {"keep_rows": {"answer": ["accept", "maybe"]}}, {"text": "a", "label": "good", "answer": "accept"}, "answer: maybe"),
    ("lmsys", {"languages": ["English", "german"]}, LMSYS | {"language": "English"}, "german"),
    ("text", {"separators": ["|", "<|endoftext|>"]}, "One day.|Two.", "<|endoftext|>"),
    ("lmsys", {"models": ["a", "b"]}, LMSYS | {"model": "b"}, "a"),
]  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"processes": 2}])
@pytest.mark.parametrize(("name", "options", "row", "absent"), VALUES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_value_that_an_option_names_and_no_row_has_is_named(tmp_path, name, options, row, absent, how):
    found, setting = manifest(tmp_path, options, rows=[row], name=name, **how), f"options.{next(iter(options))}"
    assert found["sources"][0]["absent"] == [[setting, absent]]
    assert f"{name}: no row has {absent!r}, which {setting} names" in source_notes(found)


def test_every_option_that_names_values_of_rows_is_tried():
    """A converter that copies such an option would make every value of it absent."""
    named = {(name, option) for name in CONVERTERS for option, field in options_schema(converter(name).convert)["properties"].items()
             if field.get("type") == "object" or field.get("items", {}).get("type") == "string" and option not in LISTS}  # fmt: skip
    assert named == {(name, option) for name, options, _, _ in VALUES for option in options}
