"""The account of a conversion as people see it."""

import pytest
from recipekit.runner.reporting.ledger_table import leaks_line, ledger_table

MANIFEST = {
    "type": "chat", "rows_in": 12345, "rows_kept": 12000, "dropped": {"not_augmented": 300, "duplicate": 45}, "fixed": {"[b]mojibake": 7},
    "splits": {"train": 11000, "validation": 1000},
    "sources": [{"converter": "messages", "unread_keys": {"id": 12345, "od\x1b[31md": 3}, "artifacts": {"{{name}}": 2}, "files": [{"name": name, "format": "text, not a table: skipped"} for name in ("a.log", "b.log", "c.md", "d.md")]},
                {"converter": "table", "unread_keys": {"": 2}, "artifacts": {}, "absent": [["options.roles", "client"]],
                 "files": [{"name": "rows.csv", "format": "csv"}, {"name": "none.csv", "format": "csv: no rows"}, {"name": "more.csv", "format": "not read"}]}],
}  # fmt: skip


@pytest.fixture
def lines(tmp_path, capsys):
    ledger_table(MANIFEST, tmp_path / "out")
    captured = capsys.readouterr()
    assert captured.out == ""
    return [" ".join(line.replace("│", " ").split()) for line in captured.err.splitlines()]


@pytest.mark.parametrize(
    "line",
    ["12,345 in", "-300 dropped: not augmented", "-45 dropped: duplicate", "12,000 kept", "7 fixed: [b]mojibake", "11,000 train",
     "1,000 validation"],
)  # fmt: skip
def test_every_number_has_its_line(lines, line):
    assert line in lines


def test_files_that_were_not_read_are_named(lines):
    assert "messages: 4 files skipped (not data): a.log, b.log, c.md and 1 more" in lines
    assert "table: 1 file without rows: none.csv" in lines
    assert "table: 1 file beyond the limit: more.csv" in lines


def test_sources_with_the_same_converter_are_named_by_their_places(tmp_path, capsys):
    first, second = MANIFEST["sources"]
    ledger_table({**MANIFEST, "sources": [first, second, {**second, "unread_keys": {"x": 4}, "absent": []}]}, tmp_path / "out")
    told = " ".join(capsys.readouterr().err.split())
    assert "messages: keys not read: id" in told
    assert "sources.1 (table): no row has 'client'" in told and "sources.2 (table): keys not read: x (4 rows)" in told
    assert not [part for part in told.split(" table: ")[1:]]


def test_the_numbers_come_in_the_order_in_which_they_add_up(lines):
    places = [
        next(i for i, line in enumerate(lines) if line.endswith(word)) for word in (" in", "augmented", "duplicate", "kept", " train")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("weights", "train", "line"),
    [
        ({"repeated": 2400}, 13400, "+2,400 training rows repeated by the sources' weights"),
        ({"left_out": 9}, 10991, "-9 training rows left out by the sources' weights"),
    ],
)
def test_rows_that_weights_repeat_or_leave_out_have_their_own_line(tmp_path, capsys, weights, train, line):
    ledger_table({**MANIFEST, "splits": {"train": train, "validation": 1000}, **weights}, tmp_path / "out")
    output = [" ".join(text.replace("│", " ").split()) for text in capsys.readouterr().err.splitlines()]
    assert output.index("12,000 kept") < output.index(line) < output.index(f"{train:,} train")


def test_the_title_says_what_and_where(lines):
    assert lines[0].startswith("chat records in")


def test_unread_keys_and_artifacts_are_named_with_their_rows(lines):
    assert any(line.startswith("messages: keys not read: id (12,345 rows), od\\x1b[31md (3 rows);") for line in lines)
    assert "messages: artifacts in texts, trained unchanged: {{name}} (2 rows)" in lines
    assert any(line.startswith("table: keys not read: '' (2 rows)") for line in lines)
    assert "table: no row has 'client', which options.roles names" in lines


CHECKED = {"identical": True, "group_by": ["author"], "near_duplicates": {"threshold": 0.7, "rows": {}, "examples": []}}
FOUND = {"threshold": 0.7, "rows": {"validation": 12}, "examples": [["a.jsonl:1", "a.jsonl:9"]]}


@pytest.mark.parametrize(
    ("leaks", "words"),
    [
        (CHECKED, ["no identical rows", "no shared author", "no near-duplicates", "at least 0.7"]),
        (CHECKED | {"near_duplicates": FOUND}, ["near-duplicates: 12 of 1,000 validation rows", "a.jsonl:9 of a.jsonl:1"]),
        (CHECKED | {"near_duplicates": {"not_checked": "needs rensa"}}, ["near-duplicates not checked (needs rensa)"]),
        (CHECKED | {"identical": False}, ["not compared (data.check_leaks: none)"]),
    ],
)
def test_the_leak_check_is_described(tmp_path, capsys, leaks, words):
    ledger_table({**MANIFEST, "leaks": leaks}, tmp_path / "out")
    output = capsys.readouterr().err
    assert all(word in output for word in words)


def test_one_split_has_nothing_to_compare():
    assert leaks_line(MANIFEST) == ""
