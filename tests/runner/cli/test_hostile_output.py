"""Whatever data, recipes and runs hold, no command prints or writes a character that a terminal obeys, nor a formula, nor markup."""

import csv
import json
import shutil
import unicodedata

import orjson
import pytest
from recipekit.runner.cli.commands.mask import show
from recipekit.runner.cli.main import COMMANDS
from recipekit.schemas.base.terminal import TerminalStream

from ...support.finished_runs import write_chat_run
from ...support.jsonl import write_jsonl

EVIL = ["\x1b[2J", "\x1b[1;31m", "\x1b]0;title\x07", "\x1b[3A\r", "\x9b2K", "\u202eabc\u2066", "\x7f\x08\x08", "[bold red]x[/bold red]", "[/nothing]",
        "=1+1", "@SUM(1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "<script>alert(1)</script>", ":smiley:"]  # fmt: skip
ALL = " ".join(EVIL)


def obeyed(text: str) -> set[str]:
    """The characters that a terminal would obey, or that reorder text."""
    return {
        c
        for c in text
        if c not in "\t\n" and (unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of rows, recipes and runs in which every text that can be chosen is hostile; the working directory."""
    monkeypatch.chdir(tmp_path)
    chats = [{"id": f"{n}{evil}", "messages": [{"role": "user", "content": f"{evil} {n}"}, {"role": "assistant", "content": evil}], f"key{evil}": 1}
             for n, evil in enumerate(EVIL * 2)]  # fmt: skip
    write_jsonl(tmp_path / "rows\x1b[2J\u202e.jsonl", [*chats, {ALL: ALL}, ALL])
    write_jsonl(tmp_path / "labels.jsonl", [{"text": f"{evil} {n % 3}", "label": evil} for n, evil in enumerate(EVIL * 4)])
    for name, rows in (("a", EVIL), ("b", EVIL[::-1])):
        records = [{"id": f"x{n}{evil}", "text": f"{evil} said {n}", "label": evil, "meta": {ALL: ALL}} for n, evil in enumerate(rows)]
        write_jsonl(tmp_path / f"{name}\x1b[31m.jsonl", records)
    quoted = orjson.dumps(ALL).decode()
    recipe = {
        "recipe": 1, "name": "tiny", "description": ALL, "model": {"base_model": "some/model"}, "training": {"adapter": "lora", "learning_rate": 1e-4},
        "data": {"type": "chat", "sources": [{"path": "rows\x1b[2J\u202e.jsonl", "converter": "messages"}], "max_dropped": 1.0},
    }  # fmt: skip
    (tmp_path / "good.yml").write_text(json.dumps(recipe))
    (tmp_path / "other.yml").write_text(json.dumps({**recipe, "description": "other"}))
    (tmp_path / "bad.yml").write_text(f"recipe: 1\nname: {quoted}\n{quoted}: 1\nmodel: {quoted}\ntraining: {{{quoted}: {quoted}}}\n")
    (tmp_path / "torn\x1b[2J.yml").write_text("a: \x1b[2J\n")
    (tmp_path / "axolotl.yml").write_text(
        f"base_model: {quoted}\nadapter: lora\ndatasets: [{{path: {quoted}, type: {quoted}}}]\n{quoted}: 1\n"
    )
    run = write_chat_run(tmp_path, EVIL)
    (run / "recipe.yml").write_text(json.dumps({**recipe, "description": ALL}))
    shutil.copytree(run.path, tmp_path / OTHER)
    (run / "recipe.yml").write_text(json.dumps({**recipe, "description": f"other {ALL}"}))
    return tmp_path


RUN, OTHER = "runs/tiny/20250101-000000-abcdef", "runs/tiny/20250102-000000-abcdef"
ROWS, LEFT, RIGHT = "rows\x1b[2J\u202e.jsonl", "a\x1b[31m.jsonl", "b\x1b[31m.jsonl"
CALLS = [
    ["check", "good.yml", "bad.yml", "torn\x1b[2J.yml"], ["check", "bad.yml", "--format", "github"], ["convert", "--converter", "messages", ROWS, "--out", "o"],
    ["convert", "--converter", "table", "labels.jsonl", "--type", "classification", "--out", "o"], ["data", "validate", LEFT, ROWS],
    ["data", "inspect", LEFT, "--out", "page"], ["data", "inspect", ROWS], ["data", "leaks", LEFT, RIGHT], ["show", "good.yml"], ["show", "bad.yml"],
    ["explain", "good.yml", "description"], ["explain", "good.yml", ALL], ["diff", "good.yml", "other.yml"], ["plan", "good.yml"], ["render", "good.yml"],
    ["new", "fresh", "--data", ROWS], ["new", "fresh2", "--data", "labels.jsonl"], ["import", "axolotl.yml", "--out", "imported.yml"], ["runs"],
    ["report", RUN], ["compare", RUN, OTHER, "--html", "compared.html"], ["run", "good.yml", "--dry-run"], ["run", "good.yml", "--set", f"training.{ALL}=1"],
    ["review", RUN, "--out", "review.html"], ["predict", RUN, ROWS], ["benchmarks", LEFT], ["ls"], [ALL],
]  # fmt: skip
CALLS += [[verb, ALL] for verb in COMMANDS]


def name_of(call: list[str]) -> str:
    return " ".join(call)[:24].encode("ascii", "replace").decode().replace("\x1b", "?")


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_no_command_prints_control_sequences(folder, command_line, monkeypatch, call) -> None:
    monkeypatch.setattr(TerminalStream, "isatty", lambda stream: True, raising=False)  # click takes escape sequences away where it is none
    done = command_line(*call)
    assert done.code in (0, 1, 2, 3), done.err
    assert "Traceback" not in done.err
    assert obeyed(done.out + done.err) == set()


def test_files_hold_no_formula_no_markup_and_no_control_character(folder, command_line) -> None:
    assert command_line("data", "inspect", LEFT, "--out", "page").code == 0
    assert command_line("compare", RUN, OTHER, "--html", "compared.html").code == 0
    assert command_line("report", RUN).code == 0
    tables = sorted((folder / "page").glob("*.csv"))
    texts = [*tables, *(folder / "page").glob("*.txt"), *folder.rglob("*.html")]
    assert len(tables) >= 5 and len(texts) >= 8
    for path in texts:
        text = path.read_bytes().decode()
        assert obeyed(text) == set(), path.name
        assert "<script>alert" not in text or path.suffix != ".html"
    cells = [cell for path in tables for row in csv.reader(path.read_text("utf-8").splitlines(keepends=True)) for cell in row]
    assert "'@SUM(1)" in cells
    assert [cell for cell in cells if cell.lstrip()[:1] in ("=", "+", "-", "@") and not cell.lstrip("-").replace(".", "").isdigit()] == []


def test_a_masked_row_is_printed_as_text(capsys) -> None:
    show(
        {
            "id": ALL,
            "labels": [1],
            "input_ids": [1],
            "segments": [{"text": ALL, "trained": True}, {"text": ALL, "trained": False}],
            "left_out": {},
        }
    )
    assert obeyed(capsys.readouterr().out) == set()
