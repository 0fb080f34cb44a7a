"""What Tab completes, by the program that the shell asks."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ...support.recipe_process import COMMAND

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(tmp_path: Path) -> Complete:
    """Returns the completions of a command line as `kind,value`, in a folder with recipes and runs."""
    for name in ("mine.yml", "rows.jsonl", "runs/mine/1/status.json", "runs/other/2/status.json", "elsewhere/third/3/status.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")

    def shown(*words: str) -> list[str]:
        program = "import sys; sys.argv[0] = 'recipe'; from recipekit.runner.cli.main import main; main()"
        line = {"COMP_WORDS": " ".join(("recipe", *words)), "COMP_CWORD": str(len(words)), "_RECIPE_COMPLETE": "bash_complete"}
        asked = subprocess.run([COMMAND[0], "-c", program], cwd=tmp_path, env=os.environ | line, capture_output=True, text=True, check=True)
        return asked.stdout.split()

    return shown


def test_a_recipe_is_a_file_or_a_shipped_name(complete: Complete) -> None:
    assert complete("run", "mi") == ["file,mi", "plain,mine.yml"]
    assert complete("check", "quick") == ["file,quick", "plain,quickstart"]
    assert complete("diff", "quickstart", "mi") == ["file,mi", "plain,mine.yml"]


def test_where_no_recipe_fits_the_shell_completes_files(complete: Complete) -> None:
    assert complete("convert", "ro") == ["file,ro"]


def test_a_run_is_a_recipes_name_or_a_directory(complete: Complete) -> None:
    assert complete("chat", "") == ["file,", "plain,mine", "plain,other"]
    assert complete("report", "runs/o") == ["file,runs/o", "plain,runs/other/2"]
    assert complete("compare", "mine", "o") == ["file,o", "plain,other"]
    assert complete("verify", "--runs-dir", "elsewhere", "") == ["file,", "plain,third"]


def test_keys_are_those_of_the_schema(complete: Complete) -> None:
    assert complete("run", "mine.yml", "--set", "training.max_s") == ["plain,training.max_steps"]
    assert complete("explain", "mine.yml", "data.split.s") == ["plain,data.split.seed", "plain,data.split.stratify_by"]
    assert complete("explain", "training.lora_r") == ["file,training.lora_r", "plain,training.lora_r"]
