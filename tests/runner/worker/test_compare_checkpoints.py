"""Two checkpoints are the same, or the first difference is named: the comparison behind `recipe verify-resume` must be able to fail."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.compare_checkpoints import differences, first_other_line
from safetensors.torch import save_file


@pytest.fixture
def checkpoints(tmp_path):
    """Two folders with the same state."""
    one = tmp_path / "one"
    one.mkdir()
    save_file({"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([float("nan"), 1.0])}, one / "model.safetensors")
    moments = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.95)}]}
    torch.save(moments, one / "optimizer.pt")
    torch.save({"last_epoch": 3}, one / "scheduler.pt")
    torch.save({"cpu": torch.get_rng_state()}, one / "rng_state.pth")
    other = tmp_path / "other"
    shutil.copytree(one, other)
    return one, other


def test_the_same_files_have_no_difference(checkpoints):
    assert set(differences(*checkpoints).values()) == {""}


def test_the_same_values_written_another_way_are_the_same(checkpoints):
    one, other = checkpoints
    torch.save(torch.load(one / "scheduler.pt", weights_only=True), other / "scheduler.pt", _use_new_zipfile_serialization=False)
    assert (one / "scheduler.pt").read_bytes() != (other / "scheduler.pt").read_bytes()
    assert set(differences(one, other).values()) == {""}


def test_one_bit_of_one_weight_is_found_and_named(checkpoints):
    one, other = checkpoints
    weights = torch.arange(6.0).reshape(2, 3)
    weights[1, 1] = torch.nextafter(weights[1, 1], torch.tensor(9.0))
    save_file({"a.weight": weights, "b": torch.tensor([float("nan"), 1.0])}, other / "model.safetensors")
    found = differences(one, other)
    assert found["weights"].startswith("model.safetensors[a.weight][4] is 4.0 and 4.00000")
    assert found["optimizer"] == found["schedule"] == found["random numbers"] == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["state"][0].update(exp_avg=torch.zeros(4)), "optimizer.pt[state][0][exp_avg][0] is 1.0 and 0.0"),
        (lambda s: s["state"][0].update(exp_avg=torch.ones(5)), "[exp_avg] is torch.float32 of (4,) and torch.float32 of (5,)"),
        (lambda s: s["state"].update({1: {}}), "optimizer.pt[state] has the keys [0] and [0, 1]"),
        (lambda s: s["param_groups"][0].update(lr=0.2), "[lr] is 0.1 and 0.2"),
        (lambda s: s["param_groups"][0].update(lr=1), "[lr] is float and int"),
        (lambda s: s["param_groups"].append({}), "has 1 entries and 2"),
    ],
    ids=["a moment", "a shape", "a parameter", "a rate", "a type", "a group"],
)
def test_another_optimizer_state_is_reported_with_its_place(checkpoints, change, message):
    one, other = checkpoints
    state = torch.load(other / "optimizer.pt", weights_only=True)
    change(state)
    torch.save(state, other / "optimizer.pt")
    assert message in differences(one, other)["optimizer"]


def test_a_part_that_is_missing_is_a_difference(checkpoints):
    one, other = checkpoints
    (other / "rng_state.pth").unlink()
    assert differences(one, other)["random numbers"] == "the files are rng_state.pth and none"
    (one / "rng_state.pth").unlink()
    assert differences(one, other)["random numbers"] == "there is no rng_state*.pth"


def test_the_first_line_that_differs_is_named():
    one = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}, {"step": 3, "loss": 1.0}]
    assert first_other_line(one, one) == ""
    assert first_other_line(one, [one[0], {"step": 2, "loss": 1.4}, one[2]]) == "step 2: loss is 1.5 and 1.4"
    assert first_other_line(one, one[:2]) == "3 lines and 2"


def test_with_a_tolerance_losses_may_differ_a_little_and_steps_may_not():
    one = [{"step": 1, "loss": 2.0, "grad_norm": 1.0, "learning_rate": 1e-4}, {"step": 2, "eval_loss": 3.0}]
    near = [{"step": 1, "loss": 2.01, "grad_norm": 1.9, "learning_rate": 1e-4}, {"step": 2, "eval_loss": 3.01}]
    assert first_other_line(one, near, 0.01) == ""
    assert first_other_line(one, near) == "step 1: loss is 2.0 and 2.01"
    assert first_other_line(one, near, 0.001) == "step 1: loss is 2.0 and 2.01"
    assert first_other_line(one, [near[0] | {"learning_rate": 2e-4}, near[1]], 0.01) == "step 1: learning_rate is 0.0001 and 0.0002"
    assert first_other_line(one, [near[0], {"step": 2}], 0.01) == "step 2: eval_loss is 3.0 and None"
    assert first_other_line(one, near[:1], 0.01) == "2 lines and 1"
