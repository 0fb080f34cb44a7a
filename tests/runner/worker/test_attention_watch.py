"""What attention really runs is observed, and a training without the kernel that was rendered is refused."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker import attention_watch as module
from recipekit.runner.worker.attention_watch import PART, VARLEN, AttentionWatch, watch_first_batch, without_varlen
from recipekit.runner.worker.varlen import in_the_type_of_autocast

DEFAULTS = {"torch_compile": None, "attn_implementation": "sdpa", "flatten_batches": True, "sdpa_varlen": True}
TWO_ROWS, ONE_ROW = torch.tensor([[0, 1, 2, 0, 1]]), torch.tensor([[0, 1, 2, 3, 4]])


@pytest.fixture
def model():
    config = transformers.LlamaConfig(vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
                                      use_cache=False)  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def trainer_of(model):
    return SimpleNamespace(
        compute_loss=lambda model, inputs: model(input_ids=torch.arange(5)[None], **inputs).logits.sum(),
        is_world_process_zero=lambda: True,
    )


def run(model, folder, monkeypatch, positions, on_gpu=False, **keys):
    """Two batches of a trainer that is watched: the refusals, and the kernels in the report."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: on_gpu)
    (folder / "kernels.json").write_text(json.dumps({"kernels": []}))
    refusals, trainer = [], trainer_of(model)
    cfg = SimpleNamespace(**DEFAULTS | keys)
    watch_first_batch(cfg, trainer, refusals.append)
    for batch in positions:
        trainer.compute_loss(model, {"position_ids": batch}).backward()
    return refusals, json.loads((folder / "kernels.json").read_text())["kernels"]


def test_every_layers_operation_is_counted_with_its_mask(model, tmp_path, monkeypatch):
    refusals, [kernel] = run(model, tmp_path, monkeypatch, [TWO_ROWS])
    assert refusals == [] and kernel["part"] == PART
    assert kernel["used"] == "aten::_scaled_dot_product_flash_attention_for_cpu (mask) in 3 layers"


def test_on_a_gpu_rows_without_the_rendered_kernel_are_refused(model, tmp_path, monkeypatch):
    [refusal], _ = run(model, tmp_path, monkeypatch, [TWO_ROWS, TWO_ROWS], on_gpu=True)
    assert "sdpa_varlen: rendered, but attention ran aten::_scaled_dot_product" in refusal and "set training.kernels: off" in refusal


def test_a_single_row_needs_no_varlen_kernel_and_the_next_batch_is_watched(model, tmp_path, monkeypatch):
    assert run(model, tmp_path, monkeypatch, [ONE_ROW], on_gpu=True) == ([], [])
    assert len(run(model, tmp_path, monkeypatch, [ONE_ROW, TWO_ROWS], on_gpu=True)[0]) == 1


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@torch.no_grad()
def test_flex_attention_trains_unwatched():
    """It must be compiled, which nothing is under a watch, and uncompiled torch refuses it there."""
    from torch.nn.attention.flex_attention import flex_attention

    rows = torch.ones(1, 2, 16, 16)
    with AttentionWatch(), pytest.raises(NotImplementedError, match="flex_attention and mode"):
        flex_attention(rows, rows, rows)
    trainer = SimpleNamespace(compute_loss=lambda: 0)
    unwatched = trainer.compute_loss
    watch_first_batch(SimpleNamespace(**DEFAULTS | {"attn_implementation": "flex_attention", "sdpa_varlen": None}), trainer, pytest.fail)
    assert trainer.compute_loss is unwatched


def test_attention_with_torchs_kernel_in_every_layer_is_in_force():
    assert without_varlen(Counter({VARLEN: 28})) == ""
    assert "in 1 layer" in without_varlen(Counter({VARLEN: 27, "aten::_scaled_dot_product_efficient_attention": 1}))
    assert without_varlen(Counter()) != ""


def test_torchs_own_name_of_the_varlen_kernel_is_watched():
    """The operation needs a GPU: its shape function is enough to see its name pass."""
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), AttentionWatch() as seen:
        rows = torch.empty(8, 2, 16, device="cuda", dtype=torch.bfloat16)
        ends = torch.empty(3, device="cuda", dtype=torch.int32)
        varlen.varlen_attn(rows, rows, rows, ends, ends, 4, 4)
    assert seen.calls == {VARLEN: 1}


@pytest.mark.parametrize("converted", [True, False])
def test_fp32_queries_reach_torchs_kernel_through_axolotls_attention_once_they_are_converted(monkeypatch, converted):
    """As in a full training on a GPU. Nothing has values here, so the ends of rows are given."""
    varlen = pytest.importorskip("axolotl.monkeypatch.attention.sdpa_varlen", reason="needs the extra [train]: axolotl")
    from torch._subclasses.fake_tensor import FakeTensorMode

    monkeypatch.setattr(varlen, "_is_packed", lambda positions: True)
    monkeypatch.setattr(varlen, "_block_diagonal_causal_mask", lambda *_: None)
    monkeypatch.setattr("torch.is_autocast_enabled", lambda kind: True)  # without CUDA it cannot be
    monkeypatch.setattr("torch.get_autocast_dtype", lambda kind: torch.bfloat16)
    with FakeTensorMode(), AttentionWatch() as seen:
        ends = torch.empty(3, device="cuda", dtype=torch.int32)
        monkeypatch.setattr(
            "transformers.modeling_flash_attention_utils.prepare_fa_kwargs_from_position_ids", lambda _: ((ends, ends), (3, 3))
        )
        attention = varlen._build_varlen_forward(lambda *_, **__: (None, "with a mask"))
        query, key, value = (torch.empty(1, heads, 5, 16, device="cuda") for heads in (4, 2, 2))
        positions = torch.empty(1, 5, device="cuda", dtype=torch.long)
        attend = in_the_type_of_autocast(attention) if converted else attention
        out, how = attend(SimpleNamespace(), query, key, value, None, scaling=0.25, position_ids=positions)
    assert (how, seen.calls[VARLEN]) == ((None, 1) if converted else ("with a mask", 0))
    assert not converted or (out.shape, out.dtype) == ((1, 5, 4, 16), torch.bfloat16)


def test_the_result_is_that_of_the_trainer(model):
    with AttentionWatch():
        watched = model(input_ids=torch.arange(5)[None]).logits
    assert torch.equal(watched, model(input_ids=torch.arange(5)[None]).logits)
    assert module.in_words(Counter()) == "no operation of torch's"
