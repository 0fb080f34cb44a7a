"""Every command's table at 80 columns: the words of the wide table are all there, whole, and no line is wider or ends in blanks."""

import re

import pytest
from rich.cells import cell_len

from ...support.jsonl import write_jsonl
from ...support.terminal import in_terminal

ROWS = [{"messages": [{"role": "user", "content": f"Hi {n}"}, {"role": "assistant", "content": f"Ho {n}"}]} for n in range(20)]
RECIPE = """\
recipe: 1
name: a_recipe_with_a_name_that_is_long_as_names_of_experiments_are
model: {base_model: meta-llama/Llama-3.2-3B-Instruct}
data:
  type: chat
  max_dropped: 0.2
  sources: [{path: rows.jsonl, converter: messages}]
  split: {validation: 0.2}
training: {adapter: qlora, learning_rate: 1e-4, sequence_len: 256}
evaluation: {metrics: [perplexity]}
"""


@pytest.fixture
def shown(command_line, tmp_path, monkeypatch):
    """What a command prints, at a width."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "rows.jsonl", [*ROWS, ROWS[0], {"messages": ROWS[1]["messages"][:1]}])
    (tmp_path / "mine.yml").write_text(RECIPE)

    def run(verb, width):
        monkeypatch.setenv("COLUMNS", str(width))
        outcome = command_line(*verb)
        assert outcome.code in (0, 1) and (outcome.out or outcome.err)
        return outcome.out + outcome.err

    return run


@pytest.mark.parametrize(
    "verb",
    [("plan", "mine.yml"), ("plan", "mine.yml", "--machine", "gpu"), ("doctor",), ("doctor", "mine.yml"), ("ls",), ("ls", "."),
     ("convert", "mine.yml", "--out", "a folder/with a long name/that would not fit into the title of a narrow table/of/records")],
    ids=" ".join,
)  # fmt: skip
def test_no_word_is_lost_at_80_columns(shown, verb):
    narrow = shown(verb, 80)
    words = {word for word in shown(verb, 500).split() if set(word) != {"─"}}
    assert not [word for word in words - set(narrow.split()) if not word[0].isdigit()], "figures of the machine change"
    assert [line for line in narrow.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("verb", [("plan", "mine.yml"), ("doctor", "mine.yml")])
def test_no_line_of_a_table_is_wider_than_80_columns(shown, verb):
    # The rows of a table are indented. Sentences, such as a warning that memory is tight on this machine, are wrapped by the terminal.
    assert max(len(line) for line in shown(verb, 80).splitlines() if line.startswith(" ")) <= 80


@pytest.mark.parametrize(
    "verb",
    [("plan", "mine.yml"), ("doctor",), ("ls",), ("show", "--converter", "table"), ("diff", "quickstart", "mine.yml"), ("explain", "mine.yml", "training"),
     ("check", "mine.yml", "--data"), ("check", "mine.yml", "--set", "training.lora_rank=8"), ("convert", "mine.yml", "--out", "data"),
     ("mask", "nowhere"), ("new", "mine2", "--data", "rows.jsonl"), ("runs",), ("report", "mine.yml"), ("chat", "nowhere")],
    ids=" ".join,
)  # fmt: skip
def test_no_terminal_cuts_a_word_at_80_columns(shown, tmp_path, verb):
    """What is wider than the terminal is a word by itself, such as a path."""
    _, written = in_terminal(*verb, columns=80, cwd=tmp_path)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "\n").split("\n")
    assert any(lines) and [line for line in lines if cell_len(line) > 80 and len(line.split()) > 1] == []
