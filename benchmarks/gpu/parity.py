"""Kernels against the plain computation on this device, values and gradients: parity.py prints the cases as JSON, each with its tolerance.

A difference is that of the gradients (or losses) as vectors, relative to the exact ones: the norm of the difference by the norm. In fp32
the plain computation is exact enough; in 16 bits the exact values are computed in fp32, and a kernel may be twice as far from them as the
plain 16-bit computation is.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import torch
from recipekit.runner.worker.attention_watch import AttentionWatch, without_varlen
from recipekit.runner.worker.head_loss import head_loss
from recipekit.runner.worker.text_data import BlockCollator
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, LlamaConfig

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
TYPES = (torch.float32, torch.float16, torch.bfloat16)
IN_FP32, IN_16_BITS = 1e-5, 2.0  # the largest difference; how many times that of the plain computation
NEEDS_GPU = "needs a GPU"


def difference(found: list[torch.Tensor], plain: list[torch.Tensor]) -> float:
    """The largest relative difference of the tensors; NaN stays NaN."""
    pairs = [(one.double(), other.double()) for one, other in zip(found, plain, strict=True)]
    return torch.stack([(one - other).norm() / other.norm().clamp_min(1e-30) for one, other in pairs]).max().item()


def case(name: str, found: list[torch.Tensor], plain: list[torch.Tensor], exact: list[torch.Tensor]) -> dict[str, Any]:
    """A line of the result."""
    off, tolerance = difference(found, exact), max(IN_FP32, IN_16_BITS * difference(plain, exact))
    return {"case": name, "difference": float(f"{off:.2g}"), "tolerance": float(f"{tolerance:.2g}"), "within": off <= tolerance}


def fused_loss(dtype: torch.dtype) -> dict[str, Any]:
    """The head fused with the loss against logits that exist at once."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(300, 128, device=DEVICE).to(dtype), (torch.randn(1000, 128, device=DEVICE) / 11).to(dtype)
    labels = torch.randint(0, 1000, (300,), device=DEVICE)

    def gradients(compute: Callable[..., torch.Tensor], own_type: torch.dtype) -> list[torch.Tensor]:
        own = [tensor.to(own_type, copy=True).requires_grad_() for tensor in (hidden, weight)]
        loss = compute(*own)
        loss.backward()
        return [loss.detach(), *(tensor.grad for tensor in own if tensor.grad is not None)]

    def plain(rows: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        return cross_entropy((rows @ head.T).float(), labels, reduction="sum")

    def fused(rows: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        return head_loss(rows, head, None, labels)

    name = f"fused head and loss, {str(dtype).removeprefix('torch.')}"
    return case(name, gradients(fused, dtype), gradients(plain, dtype), gradients(plain, torch.float32))


def _gradients(model: Any, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


def _llama(attention: str, dtype: torch.dtype, computed_in: torch.dtype | None = None) -> Any:
    """A tiny model whose weights are of `dtype`, rounded or not."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )  # fmt: skip
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return model.to(DEVICE, dtype).to(computed_in or dtype)


def _padded_batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(3, 512, (2, 64), device=DEVICE)
    mask = torch.ones_like(ids)
    mask[0, 40:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def without_padding(dtype: torch.dtype) -> dict[str, Any]:
    """Rows one after another, on a GPU through torch's varlen kernel, against padded rows; on a CPU a mask tells them apart."""
    batch = _padded_batch()
    plain, exact = (_gradients(_llama("eager", dtype, computed_in), batch) for computed_in in (dtype, torch.float32))
    lengths = batch["attention_mask"].sum(1).tolist()
    rows = [{key: batch[key][row, :length].tolist() for key in ("input_ids", "labels")} for row, length in enumerate(lengths)]
    flat = {key: value.to(DEVICE) for key, value in BlockCollator(SimpleNamespace(pad_token_id=0), flatten=True)(rows).items()}
    name = f"rows without padding, {str(dtype).removeprefix('torch.')}"
    if not CUDA:
        return case(name, _gradients(_llama("sdpa", dtype), flat), plain, exact)
    from axolotl.monkeypatch.attention.sdpa_varlen import patch_sdpa_varlen, unpatch_sdpa_varlen

    patch_sdpa_varlen()
    try:
        with AttentionWatch() as seen:
            found = _gradients(_llama("sdpa", dtype), flat)
    finally:
        unpatch_sdpa_varlen()
    forward = {call: count for call, count in seen.calls.items() if "backward" not in call}
    if why := without_varlen(Counter(forward)):
        raise RuntimeError(why)
    return case(f"{name}, varlen kernel", found, plain, exact)


def layers(kind: str) -> dict[str, Any]:
    """One kind of layers, on a batch with a padded row: attention that is not eager, or Liger's norms, rotary positions and MLP."""
    package = {"flash_attention_2": "flash_attn", "flash_attention_4": "flash_attn.cute", "Liger": "liger_kernel"}.get(kind)
    if package and not CUDA:
        return {"case": kind, "skipped": NEEDS_GPU}
    if package and (find_spec(package.partition(".")[0]) is None or find_spec(package) is None):
        return {"case": kind, "skipped": f"{package} is not installed"}
    dtype = torch.bfloat16 if CUDA else torch.float32
    batch = _padded_batch()
    plain, exact = (_gradients(_llama("eager", dtype, computed_in), batch) for computed_in in (dtype, torch.float32))
    model = _llama("sdpa" if kind == "Liger" else kind, dtype)
    if kind == "Liger":  # the last kind: it changes the functions of transformers' module
        from liger_kernel.transformers import apply_liger_kernel_to_llama

        apply_liger_kernel_to_llama(model=model, fused_linear_cross_entropy=False, cross_entropy=False)
    return case(kind, _gradients(model, batch), plain, exact)


def cases() -> Iterator[dict[str, Any]]:
    """Every case; one that fails costs no other."""
    asked: list[partial[dict[str, Any]]] = [partial(fused_loss, dtype) for dtype in TYPES]
    asked += [partial(without_padding, torch.bfloat16 if CUDA else torch.float32)]
    asked += [partial(layers, kind) for kind in ("sdpa", "flash_attention_2", "flash_attention_4", "Liger")]
    for measure in asked:
        try:
            yield measure()
        except Exception as error:
            yield {"case": f"{measure.func.__name__}, {measure.args[0]}", "failed": f"{type(error).__name__}: {error}"}


print(json.dumps([*cases()]))
