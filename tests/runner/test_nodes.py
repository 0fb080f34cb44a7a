"""Several machines in one run: what the first leaves for the others, and who may join."""

import os
import sys

import pytest
from recipekit.runner import nodes as module
from recipekit.runner.display import Display
from recipekit.runner.nodes import announce, join
from recipekit.runner.run_folder import create
from recipekit.schemas.errors import UserError
from recipekit.schemas.sections import Launch


def test_what_the_first_machine_starts_is_left_for_the_others_as_any_interpreter_can_start_it(tmp_path):
    run = create("small", "abcdef", tmp_path)
    with run.locked():
        announce(run, Launch("torchrun", 2), (sys.executable, "-m", "x"), {})
        assert not (run / "launch.json").exists()
        announce(run, Launch("torchrun", 2, 2, "h:1"), (sys.executable, "-m", "x", "--node_rank", "0"), {"A": "1"})
    facts = run.read("launch.json")
    assert facts["argv"] == ["python", "-m", "x", "--node_rank", "0"] and facts["env"] == {"A": "1"} and facts["nodes"] == 2
    assert facts["holder"].startswith(f"process {os.getpid()} on ")


def test_nobody_joins_a_run_whose_first_machine_is_gone_or_that_has_no_such_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1)
    run = create("small", "abcdef", tmp_path)
    run.update(state="running")
    with pytest.raises(UserError, match="nothing has begun to train here"):
        join(run, 1, Display())
    with run.locked():
        announce(run, Launch("torchrun", 2, 2, "h:1"), (sys.executable, "--node_rank", "0"), {})
        with pytest.raises(UserError, match="one of 1 to 1"):
            join(run, 2, Display())
    (run / "lock").write_text("process 1 on elsewhere")
    with pytest.raises(UserError, match="nothing has begun to train here"):
        join(run, 1, Display())
