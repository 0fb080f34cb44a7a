"""What README and CONTRIBUTING say is true: examples give the output shown, files that are named exist."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from recipekit.runner.cli.commands.check import command

from .support.paths import ROOT


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_readmes_recipe_gives_the_readmes_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = blocks("README.md", "yaml")[0]
    shown = next(block for block in blocks("README.md", "console") if block.startswith("$ recipe check"))
    name = shown.splitlines()[0].removeprefix("$ recipe check ")
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(recipe, "utf-8")
    assert CliRunner().invoke(command, [name]).output == shown.partition("\n")[2]


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "README.md"])
def test_every_file_that_is_named_exists(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    named = re.findall(r"`((?:schemas|converters|runner|recipes|tests|benchmarks|docs|\.ci)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
