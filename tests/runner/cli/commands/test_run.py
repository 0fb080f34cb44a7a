"""What `recipe run` prints when a run has finished."""

from pathlib import Path

import pytest
from recipekit.runner.cli.commands.run import print_outcome
from recipekit.runner.runtime.run_files import METRICS
from recipekit.runner.workflows.run import Outcome

from ....support.finished_runs import write_chat_run, write_classification_run


@pytest.mark.parametrize(("write", "has_base"), [(lambda folder: write_chat_run(folder, ["x"]), True), (write_classification_run, False)])
def test_the_base_is_offered_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], write, has_base: bool) -> None:
    run = write(tmp_path)
    print_outcome(Outcome(run, {}, run.read(METRICS)), as_json=False)
    assert (f"recipe chat {run.path} --with-base" in capsys.readouterr().err) is has_base
