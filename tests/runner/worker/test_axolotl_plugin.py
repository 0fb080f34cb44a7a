"""What our plugin changes in Axolotl and transformers besides the rendered file."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("axolotl", reason="needs the extra [train]")

from recipekit.runner.worker.axolotl_plugin import RecipekitPlugin
from recipekit.schemas.warm_up import warm_up_steps
from transformers import Trainer, TrainingArguments


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # of what DeepSpeed imports
@pytest.mark.parametrize("deterministic", [True, None])
def test_a_deterministic_training_uses_torchs_deterministic_algorithms(tmp_path, monkeypatch, deterministic):
    """Where torch has none for an operation it raises, and does not only warn."""
    for name in ("CUBLAS_WORKSPACE_CONFIG", "CUDA_LAUNCH_BLOCKING", "ASCEND_LAUNCH_BLOCKING", "HCCL_DETERMINISTIC"):
        monkeypatch.setenv(name, "unchanged")
    monkeypatch.setenv("FLASH_ATTENTION_DETERMINISTIC", "0")
    cfg = SimpleNamespace(load_best_model_at_end=False, warmup_steps=0, warmup_ratio=None, deterministic=deterministic)
    arguments = RecipekitPlugin.get_training_args(SimpleNamespace(), cfg)
    try:
        Trainer(torch.nn.Linear(1, 1), TrainingArguments(str(tmp_path), report_to=[], **arguments))
        assert torch.are_deterministic_algorithms_enabled() == bool(deterministic)
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("steps", "ratio", "of_ten"), [(0, None, 0), (1, None, 1), (None, 0.0, 0), (None, 0.01, 1), (None, 0.1, 1), (None, 0.11, 2)]
)
def test_warm_up_takes_the_steps_that_are_checked(tmp_path, steps, ratio, of_ten):
    """Axolotl makes two steps of one, and rounds a share down, to no warm-up at all in a short run."""
    cfg = SimpleNamespace(load_best_model_at_end=False, warmup_steps=steps, warmup_ratio=ratio, deterministic=None)
    arguments = RecipekitPlugin.get_training_args(SimpleNamespace(), cfg)
    assert TrainingArguments(str(tmp_path), report_to=[], **arguments).get_warmup_steps(10) == of_ten == warm_up_steps(10, ratio, steps)


@pytest.mark.parametrize(("bf16", "types"), [(True, {torch.bfloat16}), (False, {torch.float32})])
def test_rows_that_share_a_sequence_are_tried_in_the_precision_of_a_step(bf16, types):
    """A model for full training has fp32 weights, and flash attention takes no fp32 queries."""
    from axolotl.utils.dict import DictDefault
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    model, seen = LlamaForCausalLM(config), set()
    model.model.layers[0].self_attn.q_proj.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    plugin = SimpleNamespace(shared_block={"input_ids": [1, 2, 3, 4], "position_ids": [0, 1, 0, 1]}, tokenizer=None, fail=pytest.fail)
    RecipekitPlugin.post_model_load(plugin, DictDefault({"bf16": bf16, "flatten_batches": True}), model)
    assert seen == types


@pytest.mark.parametrize(
    ("keys", "dtype"),
    [({}, torch.float32), ({"fsdp_config": {"offload_params": False}}, torch.float32), ({"deepspeed": {"a": 1}}, torch.bfloat16)],
)
def test_a_head_next_to_an_adapter_is_fp32_unless_deepspeed_has_weights_of_its_own(keys, dtype):
    from axolotl.utils.dict import DictDefault
    from transformers import LlamaConfig, LlamaForSequenceClassification

    config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    model = LlamaForSequenceClassification(config).to(torch.bfloat16)
    for name, weight in model.named_parameters():
        weight.requires_grad = name.startswith("score")
    plugin = SimpleNamespace(shared_block=None, tokenizer=SimpleNamespace(pad_token_id=0), fail=pytest.fail)
    RecipekitPlugin.post_model_load(plugin, DictDefault({"adapter": "lora", "bf16": True, "record_type": "classification", **keys}), model)
    assert model.score.weight.dtype == dtype
