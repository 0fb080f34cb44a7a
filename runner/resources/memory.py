"""Predict the memory of a training by part, from the model's real widths, in bytes per process on the training device. Pure.

Activations are what autograd keeps of one layer for the backward pass, counted tensor by tensor (as in Korthikanti et al. 2022,
arXiv:2205.05198, section 4, for today's layers: SwiGLU, grouped keys, attention without a score matrix); a test compares them with PyTorch.
4-bit weights: QLoRA (Dettmers et al. 2023, arXiv:2305.14314, section 3): 4 bits, and 0.127 for the constants.
"""

import math
from typing import NamedTuple

from ...schemas.sections import Recipe, Training
from ..launch.axolotl_config import OPTIMIZERS_WITHOUT_CPU
from ..launch.precision import has_fp32_weights, precision
from ..models.module_names import matches_module, module_of, rank_of
from ..models.size import ModelSize
from ..runtime.machine import UNPACKED_SHARE, Machine
from .forward_pass import ForwardPass, largest_forward_pass

FAMILIES = ("llama", "mistral", "qwen2", "gemma2", "phi3", "gpt2")  # families whose activations were verified; others are not estimated
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
# gaps. Measured (docs/measurements.md): 29 to 60 % with an adapter or gradient checkpointing; none for full training with all activations
# kept, or for a classifier.
CPU_GAPS = 0.4
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


def memory_plan(recipe: Recipe, size: ModelSize, machine: Machine, labels: int = 0, rows: ForwardPass | None = None) -> MemoryPlan:
    """Return what each process needs at the peak of a step (default: every row has `sequence_len` tokens)."""
    training, launch = recipe.training, recipe.launch
    rows = rows or largest_forward_pass(recipe, None, varlen=False)
    world = launch.num_processes * launch.num_nodes
    wide = 4 if precision(training, machine) == "fp32" else 2
    head = {name for name in size.shapes if name.startswith(("lm_head", "score"))} if labels else set()
    everything = size.parameters - sum(math.prod(size.shapes[name]) for name in head) + labels * size.hidden
    trained = everything if training.adapter == "none" else adapter_parameters(recipe, size) + labels * size.hidden
    kept_in_fp32 = has_fp32_weights(recipe, machine)
    in_autocast = kept_in_fp32 and not launch.fsdp
    # Adapters are fp32; modules that are trained whole besides them keep bf16
    whole = _saved_whole(recipe, size) if training.adapter != "none" and precision(training, machine) == "bf16" else 0
    stored = trained * (4 if kept_in_fp32 else wide) if training.adapter == "none" else 4 * (trained - whole) + wide * whole
    stage = launch.zero_stage or (3 if launch.fsdp else 0)
    share = {part: world if stage >= since else 1 for part, since in (("optimizer", 1), ("gradients", 2), ("weights", 3))}
    parts = {
        "runtime": CPU_RUNTIME if machine.is_cpu else CUDA_RUNTIME,
        # Autocast keeps bf16 copies of all fp32 weights during a step; FSDP2 has them one layer at a time.
        "weights": 0 if kept_in_fp32 and not in_autocast else weights_bytes(training, size, machine, everything, wide) // share["weights"],
        "fp32 weights": 4 * everything // share["weights"] if kept_in_fp32 else 0,
        "adapter": 0 if training.adapter == "none" else stored + (2 * (trained - whole) if wide == 2 else 0),  # with autocast's copy
        # Several processes without sharding: DistributedDataParallel has its own buckets for communication.
        "gradients": stored * (2 if world > 1 and not stage else 1) // share["gradients"],
        "optimizer": optimizer_bytes(recipe, size, machine, trained, stored) // share["optimizer"],
        "activations": _activations(training, size, machine, wide, rows, kept_in_fp32 and not launch.fsdp)
        if size.family in FAMILIES
        else 0,
        "logits": 0 if labels else _logits(recipe, size, machine, wide, rows.trained),
    }
    if not machine.is_cpu:
        parts["buckets"] = 2 * ZERO_BUCKET * wide if launch.zero_stage in (1, 2) else 0
        parts["gathered weights"] = _gathered(recipe, size, everything, wide)
        # Gathered weights are of another CUDA stream, and the allocator keeps the freed memory of a stream for it.
        released = ("activations", "logits", "buckets", *(["weights"] if kept_in_fp32 else []))
        step = step_bytes(recipe, trained, stored, world, wide)
        parts["optimizer step"] = max(step - sum(parts[name] for name in released), 0)
        loading = _loading(training, size, everything, wide) if not stage and not labels else 0
        parts["loading"] = max(loading - sum(parts.values()) + parts["runtime"], 0)
    if machine.is_cpu and not labels:
        parts["allocator"] = _cpu_allocator(training, size, machine, rows)
    if launch.offload_optimizer or (launch.fsdp and launch.offload_params):
        parts["optimizer"] = 0
    if launch.offload_params:
        parts["weights"] = parts["fp32 weights"] = 0
        parts["gradients"] = 0 if launch.fsdp else parts["gradients"]
    return MemoryPlan({name: part for name, part in parts.items() if part}, rows, trained)


def adapter_parameters(recipe: Recipe, size: ModelSize) -> int:
    """Return the weights of a LoRA: rank x (rows + columns) for every adapted layer, plus modules that are trained in full."""
    ranks: dict[str, int] = recipe.axolotl.get("lora_rank_pattern") or {}
    adapted = _adapted(recipe.training, size)
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


def step_bytes(recipe: Recipe, trained: int, stored: int, world: int, wide: int) -> int:
    """Return what an optimizer step needs on a GPU besides the state, after the activations are freed: copies of what it updates at once.

    DeepSpeed flattens the gradients of a process's weights into a copy, and converts that to fp32; torch's foreach implementation takes the
    root of all second moments at once. Fused, 8-bit and CPU optimizers need nothing.
    """
    launch, is_foreach = recipe.launch, recipe.training.optimizer in FOREACH
    if launch.offload_optimizer:
        return 0
    if launch.zero_stage:
        share = trained // world
        return (4 + (4 if is_foreach else wide)) * (min(share, ZERO_3_STEPS) if launch.zero_stage == 3 else share)
    return stored // (world if launch.fsdp else 1) if is_foreach else 0


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


def _loading(training: Training, size: ModelSize, everything: int, wide: int) -> int:
    """Return the peak of loading on a GPU: with an adapter, Axolotl converts norms and embeddings to fp32, then back, one by one."""
    if training.adapter == "none" or wide == 4:
        return 0
    linear = sum(math.prod(shape) for shape in size.linear.values())
    held = int(linear * NF4_BYTES) if training.adapter == "qlora" else linear * (1 if training.load_in_8bit else wide)
    return held + 4 * (everything - linear) + wide * size.vocabulary * size.hidden


def _adapted(training: Training, size: ModelSize) -> list[tuple[str, tuple[int, ...]]]:
    wanted = training.lora_target_modules
    if wanted == "all-linear":
        return list(size.linear.items())
    return [(name, shape) for name, shape in size.shapes.items() if len(shape) == 2 and _module(name) in wanted]


def _module(name: str) -> str:
    return name.removesuffix(".weight").rpartition(".")[2]


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
    if not machine.is_cpu and (launch.zero_stage or launch.fsdp) or size.family not in FAMILIES:
        return tokens * size.vocabulary * LOGITS_BYTES[wide]
    chunk = min(tokens * size.vocabulary, CHUNK) * CHUNK_BYTES[wide]
    return chunk + (size.vocabulary * size.hidden * (4 + wide) if recipe.training.adapter == "none" else 0)


def _cpu_allocator(training: Training, size: ModelSize, machine: Machine, rows: ForwardPass) -> int:
    """Return what CPU_GAPS describes. With QLoRA, also the fp32 weights that were loaded and quantised: measured as if none were reused."""
    if size.family not in FAMILIES or training.adapter == "none" and not training.gradient_checkpointing:
        return 0
    computed = _activations(training._replace(gradient_checkpointing=False), size, machine, 4, rows, False)
    loaded = 4 * sum(map(math.prod, size.linear.values())) if training.adapter == "qlora" else 0
    return int(CPU_GAPS * computed) + loaded


def _activations(training: Training, size: ModelSize, machine: Machine, wide: int, rows: ForwardPass, fp32_weights: bool) -> int:
    per_layer = _kept_by_a_layer(training, size, machine, wide, rows.longest if rows.masked else 0)
    if training.gradient_checkpointing:  # each layer's input is kept, and one layer at a time is recomputed
        return int(rows.tokens * (size.layers * size.hidden * (4 if fp32_weights else wide) + per_layer))
    return int(rows.tokens * size.layers * per_layer)


def _kept_by_a_layer(training: Training, size: ModelSize, machine: Machine, wide: int, masked: int) -> float:
    """Return bytes per token; `masked` is the width of the attention mask. Under autocast (`wide` is 2) norms compute in fp32, and each
    linear layer copies an fp32 input."""
    hidden, queries, inner = size.hidden, size.attention, size.intermediate
    noise = wide if machine.is_cpu else 1  # for dropout: numbers on a CPU, a byte mask on a GPU
    if size.family == "gpt2":
        kept = (4 * hidden + 4 * hidden + 5 * inner + masked) * wide + 2 * hidden * noise
        kept += 6 * hidden if wide == 2 else 0
        return kept + (3 * size.heads * masked * wide if size.dropout and machine.is_cpu else 0)
    # A mask has numbers in every layer. Keys and values are repeated for every head.
    # With dropout or a cast, each adapter of PEFT's has an input of its own; on a CPU the layers are fused (runner/worker/cpu_lora.py).
    own_inputs = training.adapter != "none" and (wide == 2 or bool(training.lora_dropout) and not machine.is_cpu)
    kept = 2 * hidden * 4 + (4 * queries + 3 * inner + masked) * wide + _of_other_layers(training, size, wide, own_inputs)
    if training.adapter == "none":
        return kept + (18 * hidden if wide == 2 else 16 * hidden) + inner * wide
    layer = {_module(name): shape for name, shape in _adapted(training, size)}
    inputs = {module: shape[1] for module, shape in layer.items()}
    kept += len(inputs) * training.lora_r * wide + (sum(inputs.values()) if training.lora_dropout else 0)  # and dropout's byte masks
    if own_inputs:
        return kept + sum(inputs.values()) * wide
    attention_in = hidden if inputs.keys() & {"q_proj", "k_proj", "v_proj", "qkv_proj"} else 0
    mlp_in = hidden if inputs.keys() & {"gate_proj", "up_proj", "gate_up_proj"} else 0
    return kept + (attention_in + mlp_in + inputs.get("down_proj", 0)) * wide


def _of_other_layers(training: Training, size: ModelSize, wide: int, own_inputs: bool) -> int:
    """Return the bytes per token in which Gemma 2 and Phi-3 differ from Llama.

    Gemma 2 has two norms more, in fp32. Phi-3 has one matrix for queries, keys and values, and one for gate and up: fewer copies of
    inputs under autocast, but values that are not repeated keep the whole matrix's output.
    """
    hidden, full = size.hidden, training.adapter == "none"
    if size.family == "gemma2":
        return (16 if full else 8) * hidden
    if size.family != "phi3":
        return 0
    values = 2 * size.attention * wide if size.key_values == size.attention else 0
    if wide == 2:
        return values - (4 * hidden if full else 0)
    return values + (0 if own_inputs else 4 * hidden)
