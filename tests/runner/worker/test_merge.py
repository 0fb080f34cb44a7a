"""Where a model is merged and in which type, and the comparison that it must pass. Merging itself, in a real run: test_run.py."""

import math
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.models.size import model_size
from recipekit.runner.worker import merge
from recipekit.runner.worker.merge import LARGEST, ROOM, device_of, largest_difference, load_tuned

LOGITS = [torch.tensor([[1.0, -8.0]]), torch.tensor([[2.0, 4.0]])]


def test_the_same_answers_have_no_difference():
    assert largest_difference(LOGITS, LOGITS) == 0


def test_the_difference_is_reported_as_a_share_of_the_rows_largest_logit():
    assert largest_difference(LOGITS, [torch.tensor([[1.0, -8.4]]), torch.tensor([[2.0, 4.0]])]) == pytest.approx(0.05)
    assert largest_difference(LOGITS, [LOGITS[0], torch.tensor([[2.0, 5.0]])]) == pytest.approx(0.25)


def test_an_answer_that_is_not_a_number_never_passes():
    found = largest_difference(LOGITS, [LOGITS[0], torch.tensor([[math.nan, 4.0]])])
    assert not any(found <= largest for largest in LARGEST.values())


@pytest.mark.parametrize(("room", "device"), [(1.01, "cuda"), (0.99, "cpu")])
def test_a_model_is_merged_on_the_gpu_if_its_16_bit_weights_fit_into_what_is_free(tiny_model, monkeypatch, room, device):
    """torch's answers are replaced, as there may be no GPU."""
    size = model_size(str(tiny_model))
    assert size
    free = int(room * 2 * size.parameters / ROOM)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 100 * free))
    cfg = SimpleNamespace(base_model=str(tiny_model), revision_of_model=None)
    assert device_of(cfg) == device
    assert device_of(SimpleNamespace(base_model="nobody/knows", revision_of_model=None)) == "cpu", "of an unknown size"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(cfg) == "cpu"


@pytest.mark.parametrize(("cuda", "dtype"), [(True, "auto"), (False, torch.float32)])
def test_a_model_is_merged_in_its_own_type_and_never_in_4_or_8_bits(monkeypatch, cuda, dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(merge, "load", lambda reference, head, **options: options)
    cfg = {"adapter": "qlora", "load_in_4bit": True, "base_model": "a/b", "labels": None, "record_type": None}
    asked = SimpleNamespace(
        **cfg, revision_of_model=None, trust_remote_code=False, attn_implementation=None, eot_tokens=None, load_in_8bit=None
    )
    assert load_tuned(asked, "cpu") == {"device": "cpu", "dtype": dtype, "bits": 0}
