"""The measured peak of a training: its own memory, whatever else is on the GPU. torch's answers are replaced, as there may be no GPU."""

import json

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.callback import record_peak

GB = 10**9
MEMORY = {"needed": 4 * GB, "most": 5 * GB, "available": 60 * GB, "processes": 1, "gpus": 1, "tokens": 64, "per": "row", "parts": {},
          "device": "a card", "taken": 40 * GB, "taken_of_first": 0}  # fmt: skip
NONE = {"needed": 0, "available": 0, "parts": {}}


@pytest.fixture
def card(monkeypatch, tmp_path):
    """An 80 GB card on which torch holds 3 GB, had 5 GB at its peak, and CUDA's context takes 1 GB, beside another program's 20 GB."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((80 - 3 - 1 - 20) * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * GB)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 5 * GB)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    return tmp_path


@pytest.mark.parametrize(
    ("taken", "gpus", "peak"),
    [(20 * GB, 1, 6 * GB), (0, 1, 26 * GB), (20 * GB, 2, 6 * GB), (30 * GB, 8, 5 * GB)],
    ids=["another-program", "not-known", "on-the-first-of-two", "it-has-ended"],
)
def test_what_another_program_used_of_the_measured_gpu_is_not_the_trainings(card, taken, gpus, peak):
    memory = MEMORY | {"taken_of_first": taken, "gpus": gpus}
    forecast = {"memory": memory, "disk": NONE, "trained_parameters": 1, "evaluation": 0, "main_memory": NONE}
    (card / "fit.json").write_text(json.dumps(forecast))
    record_peak(torch.device("cuda", 0))
    found = json.loads((card / "memory.json").read_text())
    assert (found["device"], found["peak"], found["predicted"]["needed"]) == ("a card", peak, 4 * GB)


def test_without_a_prediction_the_peak_is_recorded_alone(card):
    record_peak(torch.device("cuda", 0))
    assert json.loads((card / "memory.json").read_text()) == {"device": "a card", "peak": 26 * GB, "predicted": None}
