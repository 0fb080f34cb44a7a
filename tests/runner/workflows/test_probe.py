"""`recipe plan --probe`: a rate that two real steps have shown here, and the time and cost that follow from it."""

import json

import pytest
from recipekit.runner.cli.commands import plan as plan_command
from recipekit.runner.resources.training_time import Rate
from recipekit.runner.runtime.machine import this_machine
from recipekit.runner.workflows import plan
from recipekit.schemas.recipe import load_recipe

from ...support.tiny import write_recipe

pytestmark = pytest.mark.train


@pytest.fixture
def planned(tmp_path, tiny_model, monkeypatch):
    """The plan of a tiny recipe after a probe that may take so many seconds, and the rate that the probe gave."""

    def build(seconds):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(plan, "PROBE_SECONDS", seconds)
        seen: list[Rate | None] = []
        probe = plan._probe
        monkeypatch.setattr(plan, "_probe", lambda *given: (found := probe(*given), seen.append(found[0]))[0])
        loaded = load_recipe(str(write_recipe(tmp_path, tiny_model)), ("training.num_epochs=3",))
        return plan.plan_recipe(loaded, tmp_path / "runs", this_machine(), True, 3.0), seen[0]

    return build


def test_time_and_cost_follow_from_the_rate_of_two_steps(planned, tmp_path):
    facts, rate = planned(600)  # as long as the imports take on a busy machine
    assert rate and rate.tokens_per_s > 0
    assert facts["time"]["source"] == rate.source == "a probe of 2 steps, without evaluations and checkpoints"
    assert facts["time"]["tokens"] == pytest.approx(3 * rate.tokens_per_byte * facts["data_bytes"], abs=1), "of three epochs"
    assert facts["time"]["seconds"] == pytest.approx(facts["time"]["tokens"] / rate.tokens_per_s, abs=0.1)
    assert facts["time"]["cost"] == pytest.approx(3.0 * facts["time"]["seconds"] / 3600, rel=0.1, abs=1e-3)
    assert facts["steps"] > 2 and not (tmp_path / "runs").exists(), "the probe's own run leaves nothing"
    json.dumps(facts)


def test_a_probe_in_which_no_step_ends_gives_no_time(planned):
    facts, rate = planned(0.5)
    assert rate is None and facts["time"]["seconds"] is None and facts["time"]["cost"] is None
    shown = dict(plan_command._time_figures(facts["time"]))
    assert shown["time"] == "unknown: no earlier run of this method on this machine, and no step of the probe ended in 0.5 s"
    with_earlier_run = facts["time"] | {"seconds": 132.0, "tokens": 9, "source": "1 earlier run on this machine"}
    assert ("", "not by a probe: no step of the probe ended in 0.5 s") in [*plan_command._time_figures(with_earlier_run)]
