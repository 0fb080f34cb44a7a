"""Predict the memory of a training by part, from the model's real widths, in bytes per process on the training device. Pure.

4-bit weights: QLoRA (Dettmers et al. 2023, arXiv:2305.14314, section 3): 4 bits, and 0.127 for the constants.
"""

import math
from typing import NamedTuple

from ...schemas.sections import Launch, Recipe, Training
from ..launch.axolotl_config import OPTIMIZERS_WITHOUT_CPU
from ..launch.precision import has_fp32_weights, precision
from ..models.module_names import matches_module, module_of, rank_of
from ..models.size import ModelSize
from ..runtime.machine import UNPACKED_SHARE, Machine
from .activations import FAMILIES, activations, adapted_layers
from .forward_pass import ForwardPass, largest_forward_pass

NF4_BYTES = (4 + 0.127) / 8
# Bytes per logit, by the width of the weights. runner/worker/head_loss.py computes chunks: the logit and its fp32 copy, which becomes the
# gradient. If the model is sharded, the logits of all trained tokens exist: the logit, its fp32 copy, and the gradients of both.
CHUNK = 1 << 26  # logits; a test compares it with head_loss.py
CHUNK_BYTES = {4: 4, 2: 2 + 4}
LOGITS_BYTES = {4: 4 + 4, 2: 2 + 4 + 4 + 2}
# Python with torch, transformers and Axolotl without a model, and what tokenising chats leaves: measured (docs/measurements.md) with
# axolotl 0.19.0, torch 2.13.
CPU_RUNTIME = (850 + 90) << 20
# What nvidia-smi shows of a process besides torch's tensors: CUDA's context, the code of kernels, cuBLAS's workspaces. Fitted to the
# published rows of one model and checked on the others (docs/gpu/memory.md).
CUDA_RUNTIME = 10**9
# What glibc's allocator holds in addition, as a share of all computed activations, kept or not: blocks of other sizes do not fit into freed
# gaps. Measured (docs/measurements.md): 19 to 29 % with an adapter or gradient checkpointing; none for full training with all activations
# kept, or for a classifier.
CPU_GAPS = 0.3
# DeepSpeed's defaults, as numbers of elements: the bucket in which gradients are reduced (twice if reduction overlaps the backward pass, as
# rendered), the weights that ZeRO 3 updates at once (sub_group_size), and those that it gathers at once (stage3_max_live_parameters).
ZERO_BUCKET = 500_000_000
ZERO_3_STEPS = 1_000_000_000
ZERO_3_GATHERED = 1_000_000_000
EMBEDDINGS = ("embed_tokens", "wte", "wpe")
FOREACH = ("adamw_torch", "adafactor", "sgd")  # torch computes these steps for all weights at once, with copies of the weights' size


class MemoryPlan(NamedTuple):
    """Bytes by part. The `certain` parts do not depend on the rows; the others are for this forward pass."""

    parts: dict[str, int]
    rows: ForwardPass
    trained: int  # parameters

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def certain(self) -> int:
        return sum(size for name, size in self.parts.items() if name not in ("activations", "logits", "allocator"))


class _Weights(NamedTuple):
    """What is trained of how much: `stored` is the bytes of the trained weights, `width` the bytes of a number that is computed."""

    everything: int
    trained: int
    stored: int
    width: int
    are_fp32: bool  # even if bf16 is computed
    with_autocast_copies: bool


def memory_plan(recipe: Recipe, size: ModelSize, machine: Machine, labels: int = 0, rows: ForwardPass | None = None) -> MemoryPlan:
    """Return what each process needs at the peak of a step (default: every row has `sequence_len` tokens)."""
    rows = rows or largest_forward_pass(recipe, None, varlen=False)
    weights = _weights_of(recipe, size, machine, labels)
    parts = _states(recipe, size, machine, weights) | _of_rows(recipe, size, machine, weights, rows, is_classifier=bool(labels))
    if not machine.is_cpu:
        parts |= _on_gpu(recipe, size, weights, parts, is_classifier=bool(labels))
    elif not labels:
        parts["allocator"] = _cpu_allocator(recipe.training, size, machine, rows)
    parts |= _offloaded(recipe.launch)
    return MemoryPlan({name: part for name, part in parts.items() if part}, rows, weights.trained)


def _weights_of(recipe: Recipe, size: ModelSize, machine: Machine, labels: int) -> _Weights:
    """Count the weights; a classifier has a head of `labels` rows in place of the model's."""
    training, is_full = recipe.training, recipe.training.adapter == "none"
    width = 4 if precision(training, machine) == "fp32" else 2
    head = {name for name in size.shapes if name.startswith(("lm_head", "score"))} if labels else set()
    everything = size.parameters - sum(math.prod(size.shapes[name]) for name in head) + labels * size.hidden
    trained = everything if is_full else adapter_parameters(recipe, size) + labels * size.hidden
    are_fp32 = has_fp32_weights(recipe, machine)
    stored = trained * (4 if are_fp32 else width) if is_full else 4 * trained - (4 - width) * _saved_in_bf16(recipe, size, machine)
    return _Weights(everything, trained, stored, width, are_fp32, are_fp32 and not recipe.launch.fsdp)


def _saved_in_bf16(recipe: Recipe, size: ModelSize, machine: Machine) -> int:
    """Return the weights of modules that are trained whole besides an adapter: adapters are fp32, but these keep bf16."""
    is_bf16 = recipe.training.adapter != "none" and precision(recipe.training, machine) == "bf16"
    return _saved_whole(recipe, size) if is_bf16 else 0


def _states(recipe: Recipe, size: ModelSize, machine: Machine, weights: _Weights) -> dict[str, int]:
    """Return the parts that last from step to step, as the launcher shards them over the processes."""
    launch, has_adapter, world = recipe.launch, recipe.training.adapter != "none", recipe.launch.processes
    stage = launch.zero_stage or (3 if launch.fsdp else 0)
    share = {part: world if stage >= since else 1 for part, since in (("optimizer", 1), ("gradients", 2), ("weights", 3))}
    autocast_copy = 2 * (weights.trained - _saved_in_bf16(recipe, size, machine)) if weights.width == 2 else 0
    loaded = weights_bytes(recipe.training, size, machine, weights.everything, weights.width)
    # Autocast keeps bf16 copies of all fp32 weights during a step; FSDP2 has them one layer at a time.
    computes_with = not weights.are_fp32 or weights.with_autocast_copies
    return {
        "runtime": CPU_RUNTIME if machine.is_cpu else CUDA_RUNTIME,
        "weights": loaded // share["weights"] if computes_with else 0,
        "fp32 weights": 4 * weights.everything // share["weights"] if weights.are_fp32 else 0,
        "adapter": weights.stored + autocast_copy if has_adapter else 0,
        # Several processes without sharding: DistributedDataParallel has its own buckets for communication.
        "gradients": weights.stored * (2 if world > 1 and not stage else 1) // share["gradients"],
        "optimizer": optimizer_bytes(recipe, size, machine, weights.trained, weights.stored) // share["optimizer"],
    }


def _of_rows(
    recipe: Recipe, size: ModelSize, machine: Machine, weights: _Weights, rows: ForwardPass, is_classifier: bool
) -> dict[str, int]:  # fmt: skip
    """Return the parts that depend on the rows."""
    kept = activations(recipe.training, size, machine, weights.width, rows, weights.with_autocast_copies)
    return {
        "activations": kept if size.family in FAMILIES else 0,
        "logits": 0 if is_classifier else _logits(recipe, size, machine, weights.width, rows.trained),
    }


def _on_gpu(recipe: Recipe, size: ModelSize, weights: _Weights, parts: dict[str, int], is_classifier: bool) -> dict[str, int]:
    """Return what only a GPU needs besides `parts`: buckets, gathered weights, and the peaks of the optimizer's step and of loading."""
    launch = recipe.launch
    found = {
        "buckets": 2 * ZERO_BUCKET * weights.width if launch.zero_stage in (1, 2) else 0,
        "gathered weights": _gathered(recipe, size, weights.everything, weights.width),
    }
    # Gathered weights are of another CUDA stream, and the allocator keeps the freed memory of a stream for it.
    released = parts["activations"] + parts["logits"] + found["buckets"] + (parts["weights"] if weights.are_fp32 else 0)
    step = step_bytes(recipe, weights.trained, weights.stored, weights.width)
    found["optimizer step"] = max(step - released, 0)
    loading = 0 if launch.is_sharded or is_classifier else _loading(recipe.training, size, weights)
    found["loading"] = max(loading - sum(parts.values()) - sum(found.values()) + parts["runtime"], 0)
    return found


def _offloaded(launch: Launch) -> dict[str, int]:
    """Return the parts that are in the machine's memory instead."""
    names: list[str] = []
    if launch.offload_optimizer or (launch.fsdp and launch.offload_params):
        names.append("optimizer")
    if launch.offload_params:
        names += ["weights", "fp32 weights", *(["gradients"] if launch.fsdp else [])]
    return dict.fromkeys(names, 0)


def adapter_parameters(recipe: Recipe, size: ModelSize) -> int:
    """Return the weights of a LoRA: rank x (rows + columns) for every adapted layer, plus modules that are trained in full."""
    ranks: dict[str, int] = recipe.axolotl.get("lora_rank_pattern") or {}
    adapted = adapted_layers(recipe.training, size)
    low_rank = sum(rank_of(module_of(name), ranks, recipe.training.lora_r) * sum(shape) for name, shape in adapted)
    return low_rank + _saved_whole(recipe, size)


def _saved_whole(recipe: Recipe, size: ModelSize) -> int:
    """Return the weights of modules that peft trains in full besides an adapter."""
    whole: list[str] = recipe.axolotl.get("lora_modules_to_save") or []
    shapes = {"lm_head.weight": (size.vocabulary, size.hidden)} | size.shapes  # a tied head is in no file, but PEFT trains a copy of it
    return sum(math.prod(shape) for name, shape in shapes.items() if any(matches_module(entry, module_of(name)) for entry in whole))


def optimizer_bytes(recipe: Recipe, size: ModelSize, machine: Machine, trained: int, stored: int) -> int:
    """Return the optimizer's state: two numbers per weight for Adam, in the weight's type (`stored` bytes for all weights) or 8 bits;
    almost none for Adafactor, none for SGD. transformers has bitsandbytes keep 32 bits for embeddings.

    DeepSpeed keeps fp32 weights and two fp32 numbers (Rajbhandari et al. 2020, arXiv:1910.02054, section 3.1: K = 12).
    """
    training = recipe.training
    if training.optimizer in ("sgd", "adafactor"):
        return 0
    if recipe.launch.zero_stage and not machine.is_cpu:
        return 12 * trained
    eight = "8bit" in training.optimizer and not (machine.is_cpu and training.optimizer in OPTIMIZERS_WITHOUT_CPU)
    if not eight:
        return 2 * stored
    embeddings = [math.prod(shape) for name, shape in size.shapes.items() if module_of(name).endswith(EMBEDDINGS)]
    return 2 * (trained + 3 * sum(embeddings) if training.adapter == "none" else trained)


def step_bytes(recipe: Recipe, trained: int, stored: int, wide: int) -> int:
    """Return what an optimizer step needs on a GPU besides the state, after the activations are freed: copies of what it updates at once.

    DeepSpeed flattens the gradients of a process's weights into a copy, and converts that to fp32; torch's foreach implementation takes the
    root of all second moments at once. Fused, 8-bit and CPU optimizers need nothing.
    """
    launch, is_foreach = recipe.launch, recipe.training.optimizer in FOREACH
    if launch.offload_optimizer:
        return 0
    if launch.zero_stage:
        share = trained // launch.processes
        return (4 + (4 if is_foreach else wide)) * (min(share, ZERO_3_STEPS) if launch.zero_stage == 3 else share)
    return stored // (launch.processes if launch.fsdp else 1) if is_foreach else 0


def _gathered(recipe: Recipe, size: ModelSize, everything: int, wide: int) -> int:
    """Return the whole weights and gradients that a process has of a sharded model at once: copies, even on a single GPU.

    ZeRO 3 gathers weights ahead, and the gradient of a weight is whole until it is reduced: the head's is the largest. FSDP2 gathers two
    layers, and for the whole backward pass what is outside of the layers: embeddings and head, with their gradients.
    """
    launch, is_full = recipe.launch, recipe.training.adapter == "none"
    if launch.zero_stage == 3:
        largest = max(map(math.prod, size.shapes.values())) if is_full else 0
        return wide * (min(everything, ZERO_3_GATHERED) + largest)
    if not launch.fsdp:
        return 0
    linear = sum(map(math.prod, size.linear.values()))
    return wide * (everything - linear + 2 * linear // size.layers) * (2 if is_full else 1)


def _loading(training: Training, size: ModelSize, weights: _Weights) -> int:
    """Return the peak of loading on a GPU: with an adapter, Axolotl converts norms and embeddings to fp32, then back, one by one."""
    if training.adapter == "none" or weights.width == 4:
        return 0
    linear = sum(math.prod(shape) for shape in size.linear.values())
    held = int(linear * NF4_BYTES) if training.adapter == "qlora" else linear * (1 if training.load_in_8bit else weights.width)
    return held + 4 * (weights.everything - linear) + weights.width * size.vocabulary * size.hidden


def weights_bytes(training: Training, size: ModelSize, machine: Machine, everything: int, wide: int) -> int:
    """Return the bytes of the model's own weights, as the training loads them; `everything` is their number, `wide` their width."""
    linear = sum(math.prod(shape) for shape in size.linear.values())
    if training.adapter == "qlora":
        packed = int(linear * NF4_BYTES)
        # axolotl_patches.py also keeps each 4-bit weight dequantised, if memory allows
        unpacked = 4 * linear if machine.is_cpu and 4 * linear <= UNPACKED_SHARE * machine.memory else 0
        # On a GPU, one layer's weight at a time is dequantised for its product.
        largest = 0 if machine.is_cpu else wide * max(map(math.prod, size.linear.values()))
        return packed + unpacked + largest + (everything - linear) * wide
    return linear + (everything - linear) * wide if training.load_in_8bit else everything * wide


def _logits(recipe: Recipe, size: ModelSize, machine: Machine, wide: int, tokens: int) -> int:
    """Return the logits of trained tokens that exist at once, and the gradient of a trained head: fp32, and a chunk's part of it."""
    launch = recipe.launch
    if size.family == "gemma2":  # its logits are capped after the head: they exist together, with tanh's output
        return tokens * size.vocabulary * (LOGITS_BYTES[wide] + wide)
    if not machine.is_cpu and launch.is_sharded or size.family not in FAMILIES:
        return tokens * size.vocabulary * LOGITS_BYTES[wide]
    chunk = min(tokens * size.vocabulary, CHUNK) * CHUNK_BYTES[wide]
    return chunk + (size.vocabulary * size.hidden * (4 + wide) if recipe.training.adapter == "none" else 0)


def _cpu_allocator(training: Training, size: ModelSize, machine: Machine, rows: ForwardPass) -> int:
    """Return what CPU_GAPS describes. With QLoRA, also the fp32 weights that were loaded and quantised: measured as if none were reused."""
    if size.family not in FAMILIES or training.adapter == "none" and not training.gradient_checkpointing:
        return 0
    computed = activations(training._replace(gradient_checkpointing=False), size, machine, 4, rows, False)
    loaded = 4 * sum(map(math.prod, size.linear.values())) if training.adapter == "qlora" else 0
    return int(CPU_GAPS * computed) + loaded
