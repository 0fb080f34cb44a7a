"""Keys that a source names and no row has."""

import json

import pytest
from recipekit.converters.building.named_keys import absent_note
from recipekit.converters.building.pipeline import build
from recipekit.runner.reporting.ledger_table import source_notes
from recipekit.schemas.sections import Data, Source, Split

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
ROWS = [{"messages": [{**TURNS[0], "content": f"question {n}"}, TURNS[1]], "topic": "x", "about": {"id": n}} for n in range(30)]


def manifest(folder, options=None, ignore_keys=(), rows=ROWS, **how):
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(str(folder / "rows.jsonl"), "messages", options or {}, ignore_keys=ignore_keys)
    return build(Data("chat", (source,), split=Split(validation=0)), folder / "out", **how)


@pytest.mark.parametrize("how", [{}, {"processes": 2}, {"batch_bytes": 100}])
def test_a_key_that_no_row_has_is_named_with_the_one_that_may_be_meant(tmp_path, how):
    found = manifest(tmp_path, {"keep_meta": ["topik"], "system_key": "systm"}, ("abuot.id",), **how)
    assert found["sources"][0]["absent_keys"] == [
        ["ignore_keys", "abuot.id"],
        ["options.keep_meta", "topik"],
        ["options.system_key", "systm"],
    ]
    assert "messages: no row has the key 'topik' that options.keep_meta names: did you mean 'topic'?" in source_notes(found)


@pytest.mark.parametrize("how", [{}, {"batch_bytes": 100}])
def test_a_key_that_one_row_has_is_not_named(tmp_path, how):
    rows = [*ROWS, {**ROWS[0], "rare": 1, "messages": [{**TURNS[0], "content": "another"}, TURNS[1]]}]
    found = manifest(tmp_path, {"keep_meta": ["rare", "topic"]}, ("about", "about.id", "messages[].role"), rows, **how)
    assert "absent_keys" not in found["sources"][0]


def test_a_key_like_no_other_has_no_suggestion():
    assert absent_note("ignore_keys", "zzz", ["topic"]) == "no row has the key 'zzz' that ignore_keys names"
