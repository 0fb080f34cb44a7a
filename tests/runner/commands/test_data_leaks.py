"""`recipe data leaks A B`: pairs on stdout, the account on stderr, exit 3 when there are any."""

import json

from tests.runner.inspection.rows import chat, write


def test_leaks_end_with_3_and_stand_on_stdout_as_pairs_of_places(command_line, tmp_path):
    a, b = write(tmp_path / "a.jsonl", [chat(n) for n in range(30)]), write(tmp_path / "b.jsonl", [chat(n) for n in range(20, 40)])
    outcome = command_line("data", "leaks", a, b, "--no-near", "--limit", "2")
    assert outcome.code == 3
    assert outcome.out.splitlines()[0].startswith(f"{b}:1 = {a}:21  the same row: user: Question 20")
    assert len(outcome.out.splitlines()) == 2
    assert "10 of 20 rows of B: the same row stands in A (the first 2 are listed)" in outcome.err
    assert "groups were not compared" in outcome.err


def test_no_leaks_end_with_0_and_print_no_pair(command_line, tmp_path):
    a, b = write(tmp_path / "a.jsonl", [chat(1, author="x")]), write(tmp_path / "b.jsonl", [chat(2, author="y")])
    outcome = command_line("data", "leaks", a, b, "--no-near", "--group-by", "author")
    assert (outcome.code, outcome.out) == (0, "")
    assert "0 of 1 rows of B: a row of the same group stands in A" in outcome.err


def test_json_is_one_object(command_line, tmp_path):
    a, b = write(tmp_path / "a.jsonl", [chat(1), "{"]), write(tmp_path / "b.jsonl", [chat(1)])
    outcome = command_line("data", "leaks", a, b, "--json")
    assert (outcome.code, outcome.err) == (3, "")
    told = json.loads(outcome.out)
    assert told["leaks"] is True
    assert told["rows"] == {"a": 2, "b": 1}
    assert told["not_records"] == {"a": 1, "b": 0}
    assert told["leaking_rows"] == {"equal": 1, "nearly_equal": 0, "same_input": 0}
    assert (told["pairs"][0]["first"]["line"], told["pairs"][0]["second"]["file"]) == (1, str(b))
