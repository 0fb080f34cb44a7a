"""Trains tiny models with and without kernels, through Triton's interpreter: a process of its own, because kernels are patched for good.

`python kernel_parity.py llama:lora qwen2:liger` prints one JSON object: for each, how far ten losses and the first gradients are apart.
"""

import json
import os
import sys
import tempfile
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"

import torch

_empty = torch.empty
torch.empty = lambda *size, device=None, **options: _empty(
    *size, device=None if device == "cuda" else device, **options
)  # Axolotl's SwiGLU

import transformers
from axolotl.utils.dict import DictDefault
from recipekit.runner.worker.kernels import give_rope_to_lora_attention, not_in_force

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LORA = ("lora_qkv_kernel", "lora_o_kernel", "lora_mlp_kernel")
LIGER = ("liger_rope", "liger_rms_norm", "liger_glu_activation")


def built(config, adapter) -> Any:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    if not adapter:
        return model
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"))


def trained(model):
    """The losses of ten steps, and the gradients of the first."""
    draw = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-2)
    losses, gradients = [], {}
    for _ in range(10):
        ids = torch.randint(3, 64, (2, 6), generator=draw)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        gradients = gradients or {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, gradients


def let_triton_interpret():
    """libdevice is compiled code of CUDA's: the language's own functions take its place."""
    import liger_kernel.ops.geglu
    import liger_kernel.ops.rms_norm
    import triton.language as tl

    liger_kernel.ops.rms_norm.rsqrt = lambda x: tl.math.rsqrt(x)
    liger_kernel.ops.geglu.tanh = lambda x: 2 * tl.sigmoid(2 * x) - 1


def patched(config, family, adapter):
    """The model with the kernels, put in place in the order in which Axolotl does."""
    from axolotl.integrations.liger.plugin import LigerPlugin
    from axolotl.monkeypatch.lora_kernels import apply_lora_kernel_patches, patch_self_attn_lora

    keys = LORA + LIGER[:2] if adapter else LIGER
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        cfg = DictDefault({"base_model": folder, "model_config_type": family, **dict.fromkeys(keys, True)})
        if adapter:
            patch_self_attn_lora(cfg)
        LigerPlugin().pre_model_load(cfg)
    let_triton_interpret()
    if adapter:
        give_rope_to_lora_attention(family)
    model = built(config, adapter)
    return (apply_lora_kernel_patches(model, cfg) if adapter else model), cfg


def compared(family, kind):
    config = transformers.AutoConfig.for_model(family, **SIZES)
    if family == "gemma2":
        config.head_dim = 8
    plain_model = built(config, kind == "lora")
    losses, gradients = trained(plain_model)
    model, cfg = patched(config, family, kind == "lora")
    absent = not_in_force(cfg, model)
    other_losses, other = trained(model)
    assert gradients.keys() == other.keys()
    apart = [abs(a - b) / a for a, b in zip(losses, other_losses, strict=True)]
    gradients_apart = [(gradients[name] - other[name]).abs().max() / gradients[name].abs().max() for name in gradients]
    return {
        "losses": torch.tensor(apart).max().item(),  # NaN stays NaN
        "gradients": torch.stack(gradients_apart).max().item(),
        "learnt": losses[0] - losses[-1], "not_in_force": absent,
    }  # fmt: skip


print("compared:" + json.dumps({one: compared(*one.split(":")) for one in sys.argv[1:]}))
