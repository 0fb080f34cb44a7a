"""Every key of a recipe's data section changes what a conversion writes, or refuses: each is set on rows of which it matters to some.

That a key is listed here is checked against the schema, so that a new one cannot be forgotten.
"""

import json

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.findings import NO_EFFECT
from recipekit.schemas.json_schema import resolve, schema
from recipekit.schemas.rules import findings
from recipekit.schemas.sections import Recipe

from ...support.jsonl import write_jsonl

LONG = "The owl sat in the old tree and looked at the moon for a very long time without a word, night after night, and {}"
CHATS = [
    *({"messages": [{"role": "user", "content": LONG.format(n)}, {"role": "assistant", "content": f"a {n}"}], "topic": n // 10, "x": 1} for n in range(30)),
    {"messages": [{"role": "user", "content": "again"}, {"role": "assistant", "content": "again"}], "topic": 1},
    {"messages": [{"role": "user", "content": "again"}, {"role": "assistant", "content": "again"}], "topic": 1},
    {"messages": [{"role": "user", "content": "cafÃ©"}, {"role": "assistant", "content": "naÃ¯ve"}], "topic": 2},
]  # fmt: skip
DATA = {"type": "chat", "sources": [{"path": "chats.jsonl", "converter": "messages", "options": {"keep_meta": ["topic"]}}]}
BAD = {"sources": [{"path": "bad.jsonl", "converter": "messages"}]}
TABLE = {"type": "classification", "sources": [{"path": "table.csv", "converter": "table"}]}
LEAK = {"sources": [{"path": "chats.jsonl", "converter": "messages", "split": "train"}, {"path": "again.jsonl", "converter": "messages", "split": "validation"}],
        "split": {"validation": 0}, "dedup": "none"}  # fmt: skip
# Key -> the other keys that it needs, and its value.
TRIED = {
    "type": (TABLE, "text"),
    "sources": ({}, [{"path": "again.jsonl", "converter": "messages"}]),
    "system_prompt": ({}, "Be brief."),
    "labels": (TABLE, ["good"]),
    "split": ({}, {"validation": 0.5}),
    "dedup": ({}, "none"),
    "near_threshold": ({"dedup": "near"}, 0.999),
    "max_dropped": (BAD, 0.9),
    "check_leaks": (LEAK, "none"),
    "fix_mojibake": ({}, False),
}
OF_SPLIT = {"validation": 0.5, "test": 0.5, "seed": 7, "group_by": ["topic"], "stratify_by": "topic"}
OF_SOURCE = {
    "path": ({}, "again.jsonl"),
    "converter": ({"path": "qa.jsonl", "converter": "alpaca", "options": {}}, "prompt_completion"),
    "options": ({}, {"last_only": True}),
    "weight": ({}, 2),
    "split": ({}, "validation"),
    "limit": ({}, 3),
    "max_words": ({}, 100),
    "ignore_keys": ({"path": "tools.jsonl"}, ["tools"]),
    "encoding": ({"path": "latin.jsonl"}, "latin-1"),
    "columns": ({"path": "plain.csv", "converter": "table", "options": {"user_key": "q", "assistant_key": "a"}}, ["q", "a"]),
    "skip_lines": ({"path": "titled.csv", "converter": "table", "options": {"user_key": "q", "assistant_key": "a"}}, 1),
    "field": ({"path": "object.json"}, "rows"),
}
# Read by the training, where test_every_key.py in tests/runner/launch compares; read from the hub: test_hub_datasets.py.
ELSEWHERE = {"system_role", "reasoning", "whitespace"}
OF_HUB = {"revision", "subset", "hub_split"}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = {"chats": CHATS, "again": CHATS[-2:], "bad": [{"messages": []}, *CHATS], "tools": [CHATS[0] | {"tools": [{"name": "t"}]}],
            "qa": [{"instruction": "q", "output": "a", "prompt": "p", "completion": "c"}]}  # fmt: skip
    for name, rows in made.items():
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    (tmp_path / "latin.jsonl").write_bytes(json.dumps(CHATS[0] | {"topic": "é"}, ensure_ascii=False).encode("latin-1"))
    (tmp_path / "table.csv").write_text("text,label\none,good\ntwo,bad\n")
    (tmp_path / "titled.csv").write_text("Our questions\nq,a\nhow?,so\nwhy?,thus\n")
    (tmp_path / "object.json").write_text(json.dumps({"rows": CHATS}))
    (tmp_path / "plain.csv").write_text("how?,so\nwhy?,thus\n")
    return tmp_path


def recipe(data):
    return {"name": "r", "model": {"base_model": "m"}, "data": data, "training": {"adapter": "lora", "learning_rate": 1}}


def is_refused(data, *path):
    """Whether the rules say that the key has no effect."""
    return any(found.rule == NO_EFFECT and found.path == ("data", *path) for found in findings(recipe(data)))


def outcome(data, out):
    """The files that the section makes, byte for byte; why it is refused, where it is."""
    try:
        build(Recipe.from_values(recipe(data)).data, out)
    except UserError as error:
        return str(error)
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "manifest.json"}


def test_no_key_of_the_section_is_left_out():
    root = schema("recipe")
    section = resolve(root, root["properties"]["data"])["properties"]
    assert {*TRIED} | ELSEWHERE == {*section}
    assert {*OF_SPLIT} == {*resolve(root, section["split"])["properties"]}
    assert {*OF_SOURCE} | OF_HUB == {*resolve(root, section["sources"]["items"])["properties"]}


@pytest.mark.parametrize("key", TRIED)
def test_a_key_of_the_section_changes_what_is_written(key, files):
    beside, value = TRIED[key]
    before = DATA | beside
    assert outcome(before, files / "before") != outcome(before | {key: value}, files / "after")


@pytest.mark.parametrize("key", OF_SPLIT)
def test_a_key_of_the_split_changes_what_is_written(key, files):
    assert outcome(DATA, files / "before") != outcome(DATA | {"split": {key: OF_SPLIT[key]}}, files / "after")


@pytest.mark.parametrize("key", OF_SOURCE)
def test_a_key_of_a_source_changes_what_is_written(key, files):
    beside, value = OF_SOURCE[key]
    source = DATA["sources"][0] | beside
    before, after = DATA | {"sources": [source]}, DATA | {"sources": [source | {key: value}]}
    assert outcome(before, files / "before") != outcome(after, files / "after")


SHARES = pytest.mark.parametrize("share", [{}, {"validation": 0.4}, {"test": 0.4}], ids=repr)


@SHARES
@pytest.mark.parametrize("source", [{}, {"weight": 2}, {"weight": 1.5}, {"max_words": 300}], ids=repr)
def test_a_seed_is_refused_where_no_row_is_chosen_by_chance(share, source, files):
    seeded = [DATA | {"sources": [DATA["sources"][0] | source], "split": {"validation": 0, "seed": seed} | share} for seed in range(4)]
    outcomes = [outcome(data, files / "out") for data in seeded]
    assert is_refused(seeded[0], "split", "seed") == all(found == outcomes[0] for found in outcomes)


@SHARES
def test_stratify_by_is_refused_where_no_row_is_chosen_by_chance(share, files):
    plain, stratified = (DATA | {"split": {"validation": 0} | share | more} for more in ({}, {"stratify_by": "topic"}))
    assert is_refused(stratified, "split", "stratify_by") == (outcome(plain, files / "out") == outcome(stratified, files / "out"))


@pytest.mark.parametrize("split", [None, "train", "validation", "test"])
def test_a_weight_is_refused_where_no_row_is_repeated(split, files):
    training = {"path": "qa.jsonl", "converter": "alpaca", "split": "train"}
    once, thrice = ({"sources": [training, DATA["sources"][0] | {"split": split, "weight": weight}]} for weight in (1, 3))
    once, thrice = (DATA | {"split": {"validation": 0}} | data for data in (once, thrice))
    assert is_refused(thrice, "sources", 1, "weight") == (outcome(once, files / "out") == outcome(thrice, files / "out"))
