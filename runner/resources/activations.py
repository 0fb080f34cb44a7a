"""Count what autograd keeps of each layer for the backward pass, tensor by tensor. A test compares the numbers with PyTorch.

As in Korthikanti et al. 2022 (arXiv:2205.05198, section 4), for today's layers: SwiGLU, grouped keys, attention without a score matrix.
"""

from ...schemas.sections import Training
from ..models.size import ModelSize
from ..runtime.machine import Machine
from .forward_pass import ForwardPass

FAMILIES = ("llama", "mistral", "qwen2", "gemma2", "phi3", "gpt2")  # families whose activations were verified; others are not estimated


def activations(training: Training, size: ModelSize, machine: Machine, wide: int, rows: ForwardPass, fp32_weights: bool) -> int:
    """Return the bytes kept for these rows; `wide` is the bytes of a number that is computed."""
    per_layer = _kept_by_a_layer(training, size, machine, wide, rows.longest if rows.masked and not rows.scored else 0)
    per_layer += _scores(size, machine, wide, rows.longest) if rows.scored else 0
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
    layer = {_module(name): shape for name, shape in adapted_layers(training, size)}
    inputs = {module: shape[1] for module, shape in layer.items()}
    kept += len(inputs) * training.lora_r * wide + (sum(inputs.values()) if training.lora_dropout else 0)  # and dropout's byte masks
    if own_inputs:
        return kept + sum(inputs.values()) * wide
    attention_in = hidden if inputs.keys() & {"q_proj", "k_proj", "v_proj", "qkv_proj"} else 0
    mlp_in = hidden if inputs.keys() & {"gate_proj", "up_proj", "gate_up_proj"} else 0
    return kept + (attention_in + mlp_in + inputs.get("down_proj", 0)) * wide


def _scores(size: ModelSize, machine: Machine, wide: int, longest: int) -> int:
    """Return the bytes per token of eager attention's scores: softmax's result in fp32 and its 16-bit copy, Gemma 2's tanh of them, and the
    noise and the result of a dropout."""
    kept = 4 + (wide if wide == 2 else 0) + (wide if size.family == "gemma2" else 0)
    return size.heads * longest * (kept + (wide + (wide if machine.is_cpu else 1) if size.dropout else 0))


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


def adapted_layers(training: Training, size: ModelSize) -> list[tuple[str, tuple[int, ...]]]:
    """Return the linear layers that get an adapter, with their shapes."""
    wanted = training.lora_target_modules
    if wanted == "all-linear":
        return list(size.linear.items())
    return [(name, shape) for name, shape in size.shapes.items() if len(shape) == 2 and _module(name) in wanted]


def _module(name: str) -> str:
    return name.removesuffix(".weight").rpartition(".")[2]
