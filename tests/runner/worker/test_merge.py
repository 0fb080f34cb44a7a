"""Where a model is merged and in which type, and the comparison that it must pass. Merging itself, in a real run: test_run.py."""

import json
import math
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.models.architecture import Architecture
from recipekit.runner.models.size import model_size
from recipekit.runner.worker import merge
from recipekit.runner.worker.loading import attention_for
from recipekit.runner.worker.merge import LARGEST, ROOM, device_of, largest_difference, load_tuned

LLAMA = Architecture("llama", 64, False)
LOGITS = [torch.tensor([[1.0, -8.0]]), torch.tensor([[2.0, 4.0]])]


def test_the_same_answers_have_no_difference():
    assert largest_difference(LOGITS, LOGITS) == 0


def test_the_difference_is_reported_as_a_share_of_the_rows_largest_logit():
    assert largest_difference(LOGITS, [torch.tensor([[1.0, -8.4]]), torch.tensor([[2.0, 4.0]])]) == pytest.approx(0.05)
    assert largest_difference(LOGITS, [LOGITS[0], torch.tensor([[2.0, 5.0]])]) == pytest.approx(0.25)


def test_an_answer_that_is_not_a_number_never_passes():
    found = largest_difference(LOGITS, [LOGITS[0], torch.tensor([[math.nan, 4.0]])])
    assert not any(found <= largest for largest in LARGEST.values())


@pytest.mark.parametrize(
    ("stored", "wide"), [({"dtype": "bfloat16"}, 2), ({"torch_dtype": "float16"}, 2), ({"dtype": "float32"}, 4), ({}, 4)]
)
@pytest.mark.parametrize(("room", "device"), [(1.01, "cuda"), (0.99, "cpu")])
def test_a_model_is_merged_on_the_gpu_if_its_weights_fit_as_they_are_stored_into_what_is_free(
    tiny_model, tmp_path, monkeypatch, room, device, stored, wide
):
    """torch's answers are replaced, as there may be no GPU."""
    config = json.loads((tiny_model / "config.json").read_text())
    others = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    (tmp_path / "config.json").write_text(json.dumps(others | stored))
    size = model_size(str(tmp_path))
    assert size
    free = int(room * wide * size.parameters / ROOM)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 100 * free))
    cfg = SimpleNamespace(base_model=str(tmp_path), revision_of_model=None)
    assert device_of(cfg) == device
    assert device_of(SimpleNamespace(base_model="nobody/knows", revision_of_model=None)) == "cpu", "of an unknown size"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(cfg) == "cpu"


@pytest.mark.parametrize(
    ("device", "dtype", "attention"),
    [("cuda", torch.bfloat16, "flash_attention_2"), ("cuda", torch.float16, "flash_attention_2"), ("cuda", torch.float32, "sdpa"),
     ("cuda", "auto", "sdpa"), ("cpu", torch.float32, "sdpa")],
)  # fmt: skip
def test_flash_attention_computes_in_16_bits_on_a_gpu_only(device, dtype, attention):
    """A base that is stored in fp32 is merged in fp32, which flash attention refuses."""
    assert attention_for("flash_attention_2", device, dtype, LLAMA) == attention
    assert attention_for("eager", device, dtype, LLAMA) == "eager"


@pytest.mark.parametrize("wanted", ["flash_attention_2", "sdpa"])
def test_a_model_that_caps_its_scores_is_loaded_with_attention_that_does(wanted):
    """As a Gemma 2 that was trained with flash attention and is served on a CPU, or that nothing trained."""
    assert attention_for(wanted, "cpu", torch.float32, LLAMA._replace(caps_scores=True)) == "eager"


@pytest.mark.parametrize(("cuda", "dtype"), [(True, "auto"), (False, torch.float32)])
def test_a_model_is_merged_in_its_own_type_and_never_in_4_or_8_bits(monkeypatch, cuda, dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(merge, "load", lambda reference, head, **options: options)
    cfg = {"adapter": "qlora", "load_in_4bit": True, "base_model": "a/b", "labels": None, "record_type": None}
    asked = SimpleNamespace(
        **cfg, revision_of_model=None, trust_remote_code=False, attn_implementation=None, eot_tokens=None, load_in_8bit=None
    )
    assert load_tuned(asked, "cpu") == {"device": "cpu", "dtype": dtype, "bits": 0}
