"""`recipe predict` says before a model is loaded what it cannot do."""

import json

import pytest

CASES = {
    "another record type": (("rows.jsonl", "--converter", "mbti"), "the converter mbti makes classification records"),
    "an option of another converter": (("rows.jsonl", "--converter", "messages", "--option", "text_key=x"), "text_key"),
    "an option without its converter": (("rows.jsonl", "--option", "last_only=true"), "--option needs --converter"),
    "several files": (("rows.jsonl", "other.jsonl"), "rows.jsonl is a file, not a model"),
    "no such file": (("none.jsonl",), "no such file"),
    "rows of another form": (("other.jsonl",), "no row can be predicted"),
    "an empty file": (("empty.jsonl",), "holds no rows"),
    "sampling without temperature": (("rows.jsonl", "--top-p", "0.5"), "--top-p has no effect at temperature 0"),
    "its own input": (("rows.jsonl", "--out", "rows.jsonl"), "is an input"),
}


@pytest.mark.parametrize("case", CASES)
def test_unpredictable_input_is_one_message(command_line, tuned_run, tmp_path, monkeypatch, case) -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    arguments, message = CASES[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}) + "\n")
    (tmp_path / "other.jsonl").write_text(json.dumps({"question": "Hi"}) + "\n")
    (tmp_path / "empty.jsonl").write_text("")
    done = command_line("predict", str(tuned_run), *arguments)
    assert done.code == 1 and message in done.err, done.err
    assert "Traceback" not in done.err and not list(tmp_path.glob("*.part"))
