"""Each file of a finished run, damaged in turn: every command that reads it says so, or does not need it, and never gives a traceback."""

from collections.abc import Callable

import pytest
from recipekit.runner.runtime.run_files import ORIGINS
from recipekit.schemas.yaml_writing import to_yaml

from ...support.finished_runs import write_chat_run

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "flipped byte": lambda content: content[: len(content) // 3] + bytes([content[len(content) // 3] ^ 0xFF]) + content[len(content) // 3 + 1 :],
    "another type": lambda content: b"[1]\n",
    "a number": lambda content: b"3\n",
    "lines missing": lambda content: b"".join(content.splitlines(keepends=True)[1::2]),
}  # fmt: skip
FILES = ["status.json", "lock.json", "tokens.json", "memory.json", "origins.json", "recipe.yml", "metrics.jsonl", "data/manifest.json",
         "eval/metrics.json", "eval/rows.jsonl", "eval/predictions.jsonl", "eval/masks.jsonl"]  # fmt: skip


@pytest.fixture
def run(tmp_path, minimal, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_chat_run(tmp_path, ["some text"])
    (run / "recipe.yml").write_text(to_yaml(minimal()), encoding="utf-8")
    run.write(ORIGINS, {"training.learning_rate": "small.yml:9:3"})
    return run


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_never_gives_a_traceback(run, tmp_path, command_line, name, damage):
    whole = write_chat_run(tmp_path / "other", ["some text"])
    path = run / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    for arguments in (["runs"], ["report", run.path], ["eval", run.path], ["compare", whole.path, run.path], ["merge", run.path],
                      ["export", run.path, "--gguf"], ["resume", run.path], ["reproduce", run.path], ["chat", run.path]):  # fmt: skip
        outcome = command_line(*arguments)
        assert outcome.code in (0, 1, 2, 3), (arguments, outcome.err)
        assert "Traceback" not in outcome.err, (arguments, outcome.err)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["status.json", "metrics.jsonl", "eval/metrics.json", "recipe.yml"])
def test_a_damaged_run_does_not_hide_the_others(run, tmp_path, command_line, name, damage):
    other = write_chat_run(tmp_path / "elsewhere", ["some text"])
    (tmp_path / "elsewhere" / "runs" / "tiny").rename(tmp_path / "runs" / "whole")
    path = run / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    listed = command_line("runs")
    assert (listed.code, other.path.name in listed.out) == (0, True), listed
