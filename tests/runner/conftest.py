"""Running the command line as a person does."""

import gc
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
from recipekit.runner.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`command_line("check", "x.yml")` in this process: the exit code, stdout and stderr."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["recipe", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        gc.unfreeze()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)

    return run
