"""The hint for unusable rows is given once, and works."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.pipeline import build
from recipekit.converters.building.unusable_rows import share_of
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split


def hint(path, data, **source):
    path.write_bytes(data)
    options = {"text_key": "text", "label_key": "label"}
    with pytest.raises(UserError) as caught:
        build(Data("classification", (Source(str(path), "table", options, **source),), split=Split(0)), path.parent / "out")
    return caught.value.problems[-1].hint


def test_a_table_without_a_header_gets_the_hint_to_name_its_columns(tmp_path):
    rows = "My favourite food is anything\t27\teebbqej\nNow if he does\t14\ted00q6i\nWhy?\t2\teezlygj\n"
    assert "columns: [text, label]" in hint(tmp_path / "a.tsv", rows.encode())
    assert "columns: [text, label]" not in hint(tmp_path / "b.tsv", b"body\tstars\nfine\t2\n"), "that is a header with other names"


def test_a_table_in_another_encoding_gets_a_hint(tmp_path):
    pytest.importorskip("charset_normalizer")
    table = "text,label\nCafé très bon à l'hôtel,joy\nMauvais goût,anger\n".encode("cp1252")
    assert "cp1252 if" in hint(tmp_path / "a.csv", table)
    header = "texte,étiquette\nbon,joy\n".encode("cp1252")
    assert "cp1252 if" in hint(tmp_path / "b.csv", header)


def test_rows_of_other_lengths_than_the_declared_columns_are_refused(tmp_path):
    assert "columns" in hint(tmp_path / "a.csv", b"good,1\nbad,2\n", columns=("text", "label", "id"))


def test_tool_calls_get_the_hint_that_trains_them_as_text(tmp_path):
    turns = [[("human", "Hi?"), ("function_call", "{}"), ("observation", "1"), ("gpt", "Yes.")], *[[("human", "Hi"), ("gpt", "Ho")]] * 3]
    rows = [{"conversations": [{"from": name, "value": value} for name, value in chat]} for chat in turns]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    source = Source(str(tmp_path / "a.json"), "sharegpt")
    with pytest.raises(UserError) as caught:
        build(Data("chat", (source,), split=Split(0)), tmp_path / "out")
    roles = {"function_call": "assistant", "observation": "tool"}
    assert f"options: {{roles: {str(roles).replace(chr(39), '')}}}" in caught.value.problems[-1].hint
    mapped = source._replace(options={"roles": roles})
    assert build(Data("chat", (mapped,), split=Split(0), dedup="none"), tmp_path / "out")["rows_kept"] == 4


@pytest.mark.parametrize(("roles", "named"), [(("用户", "助手"), "map '用户' with"), (("пользователь", "gpt"), "map 'пользователь' with")])
def test_unknown_roles_get_the_hint_to_map_them(tmp_path, roles, named):
    (tmp_path / "a.json").write_text(json.dumps([{"messages": [{"role": role, "content": "Hi"} for role in roles]}]))
    with pytest.raises(UserError) as caught:
        build(Data("chat", (Source(str(tmp_path / "a.json"), "messages"),), split=Split(0)), tmp_path / "out")
    assert named in caught.value.problems[-1].hint


COLUMNS, ROWS = {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}, [{"text": "a", "label": "x"}]


@pytest.mark.parametrize(
    ("whole", "word"),
    [
        (COLUMNS, "orient='records'"),
        ({key: [*values.values()] for key, values in COLUMNS.items()}, "orient='records'"),
        ({"columns": ["text", "label"], "index": [0], "data": [["a", "x"]]}, "orient='records'"),
        ({"0": ROWS[0]}, "orient='records'"),
        ({"version": 1, "data": ROWS}, "under 'data'"),
        ({"train": ROWS, "test": ROWS}, "under 'train'"),
    ],
)
def test_a_file_that_is_one_object_of_rows_gets_the_hint_to_write_them_as_rows(tmp_path, whole, word):
    assert word in hint(tmp_path / "a.json", json.dumps(whole, indent=1).encode())


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_the_proposed_share_allows_the_rows_and_few_more(rows, others):
    share, exact = share_of(rows, rows + others), rows / (rows + others)
    assert rows <= float(f"{share:g}") * (rows + others) and share <= min(1, exact * 1.11)
