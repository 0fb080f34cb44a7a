"""`recipe data leaks A B`: pairs on stdout, the account on stderr, exit 3 when there are any."""

import json

from ....support.jsonl import write_jsonl
from ....support.records import chat


def test_leaks_end_with_3_and_stand_on_stdout_as_pairs_of_places(command_line, tmp_path):
    a, b = (
        write_jsonl(tmp_path / "a.jsonl", [chat(n) for n in range(30)]),
        write_jsonl(tmp_path / "b.jsonl", [chat(n) for n in range(20, 40)]),
    )
    outcome = command_line("data", "leaks", a, b, "--no-near", "--limit", "2")
    assert outcome.code == 3
    assert outcome.out.splitlines()[0].startswith(f"{b}:1 = {a}:21  identical row: user: Question 20")
    assert len(outcome.out.splitlines()) == 2
    assert "10 of 20 rows of B: identical row in A (first 2 shown)" in outcome.err
    assert "groups were not compared" in outcome.err


def test_no_leaks_end_with_0_and_print_no_pair(command_line, tmp_path):
    a, b = write_jsonl(tmp_path / "a.jsonl", [chat(1, author="x")]), write_jsonl(tmp_path / "b.jsonl", [chat(2, author="y")])
    outcome = command_line("data", "leaks", a, b, "--no-near", "--group-by", "author")
    assert (outcome.code, outcome.out) == (0, "")
    assert "0 of 1 row of B: same group in A" in outcome.err


def test_json_is_one_object(command_line, tmp_path):
    a, b = write_jsonl(tmp_path / "a.jsonl", [chat(1), "{"]), write_jsonl(tmp_path / "b.jsonl", [chat(1)])
    outcome = command_line("data", "leaks", a, b, "--json")
    assert (outcome.code, outcome.err) == (3, "")
    output = json.loads(outcome.out)
    assert output["leaks"] is True
    assert output["rows"] == {"a": 2, "b": 1}
    assert output["not_records"] == {"a": 1, "b": 0}
    assert output["leaking_rows"] == {"equal": 1, "nearly_equal": 0, "same_input": 0}
    assert (output["pairs"][0]["first"]["line"], output["pairs"][0]["second"]["file"]) == (1, str(b))


def test_values_on_one_line_are_distinguished(command_line, tmp_path):
    path = tmp_path / "arr.json"
    path.write_text(json.dumps([chat(n) for n in range(3)]))
    other = write_jsonl(tmp_path / "b.jsonl", [chat(9, question="Nothing like the others"), chat(2), chat(1)])
    outcome = command_line("data", "leaks", path, other, "--no-near")
    assert [line.partition("  ")[0] for line in outcome.out.splitlines()] == [f"{other}:2 = {path}:1.3", f"{other}:3 = {path}:1.2"]
    assert "Question 2:" in outcome.out.splitlines()[0]
    pair = json.loads(command_line("data", "leaks", path, other, "--no-near", "--json").out)["pairs"][0]
    assert (pair["first"]["line"], pair["first"]["item"]) == (1, 3)


def test_rows_of_a_recipe_are_reported_where_they_were_read(command_line, tmp_path, minimal, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{key: value for key, value in chat(n).items() if key == "messages"} for n in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join("\n" + json.dumps(row) + "\n" for row in rows))
    (tmp_path / "small.yml").write_text(json.dumps(minimal()))
    outcome = command_line("data", "leaks", "small.yml", write_jsonl(tmp_path / "b.jsonl", [chat(3)]), "--no-near")
    assert (outcome.code, outcome.out.partition("  ")[0]) == (3, f"{tmp_path / 'b.jsonl'}:1 = rows.jsonl:8")
