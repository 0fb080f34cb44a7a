"""Kernels against the plain computation on this device, values and gradients: parity.py prints the cases as JSON, each with its tolerance.

A difference is that of the gradients (or losses) as vectors, relative to the plain ones: the norm of the difference by the norm.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from recipekit.runner.worker.head_loss import head_loss
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
# Of a single product's rounding: fp32 2^-24, fp16 2^-11, bf16 2^-8; a few of them follow each other.
TOLERANCES = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}
NEEDS_GPU = "needs a GPU"


def difference(found: list[torch.Tensor], plain: list[torch.Tensor]) -> float:
    """The largest relative difference of the tensors."""
    pairs = [(one.double(), other.double()) for one, other in zip(found, plain, strict=True)]
    return max(float((one - other).norm() / other.norm().clamp_min(1e-30)) for one, other in pairs)


def case(name: str, found: list[torch.Tensor], plain: list[torch.Tensor], tolerance: float) -> dict[str, Any]:
    """A line of the result."""
    off = difference(found, plain)
    return {"case": name, "difference": float(f"{off:.2g}"), "tolerance": tolerance, "within": off <= tolerance}


def fused_losses() -> Iterator[dict[str, Any]]:
    """The head fused with the loss, in each type, against fp32 logits that exist at once."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(300, 128, device=DEVICE), torch.randn(1000, 128, device=DEVICE) / 11
    labels = torch.randint(0, 1000, (300,), device=DEVICE)
    for dtype, tolerance in TOLERANCES.items():
        results = []
        for fused in (True, False):
            own = [tensor.to(dtype, copy=True).requires_grad_() for tensor in (hidden, weight)]
            wide = [tensor.float() for tensor in own]
            loss = head_loss(*own, None, labels) if fused else cross_entropy(wide[0] @ wide[1].T, labels, reduction="sum")
            loss.backward()
            results.append([loss.detach(), *(tensor.grad for tensor in own if tensor.grad is not None)])
        yield case(f"fused head and loss, {str(dtype).removeprefix('torch.')}", *results, tolerance)


def _gradients(model: Any, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


def _llama(attention: str, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, attn_implementation=attention)  # fmt: skip
    return LlamaForCausalLM(config).to(DEVICE, dtype)


def layers() -> Iterator[dict[str, Any]]:
    """Attention that is not eager, and Liger's layers, on a batch with a padded row."""
    dtype = torch.bfloat16 if CUDA else torch.float32
    ids = torch.randint(3, 512, (2, 64), device=DEVICE)
    mask = torch.ones_like(ids)
    mask[0, 40:] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}
    plain = _gradients(_llama("eager", dtype), batch)
    yield case("sdpa", _gradients(_llama("sdpa", dtype), batch), plain, TOLERANCES[dtype])
    for name, package in (("flash_attention_2", "flash_attn"), ("flash_attention_4", "flash_attn.cute")):
        if not CUDA or find_spec("flash_attn") is None or find_spec(package) is None:
            yield {"case": name, "skipped": NEEDS_GPU if not CUDA else f"{package} is not installed"}
        else:
            yield case(name, _gradients(_llama(name, dtype), batch), plain, TOLERANCES[dtype])
    if not CUDA or find_spec("liger_kernel") is None:
        yield {"case": "Liger", "skipped": NEEDS_GPU if not CUDA else "liger-kernel is not installed"}
        return
    from liger_kernel.transformers import apply_liger_kernel_to_llama

    model = _llama("sdpa", dtype)
    apply_liger_kernel_to_llama(model=model, fused_linear_cross_entropy=False, cross_entropy=False)
    yield case("Liger's norms, rotary positions and MLP", _gradients(model, batch), plain, TOLERANCES[dtype])


print(json.dumps([*fused_losses(), *layers()]))
