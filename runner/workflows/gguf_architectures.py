"""The model architectures that are written as GGUF: their names, values and tensors, as llama.cpp's convert_hf_to_gguf.py writes them."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import gguf
import numpy as np

from ..models.size import widths


class Architecture(NamedTuple):
    """How llama.cpp computes a model. `rotates_pairs`: neighbouring values are rotated together, so queries and keys are reordered;
    `norm_plus_one`: the weights of norms are stored minus one."""

    arch: gguf.MODEL_ARCH
    rotates_pairs: bool = False
    norm_plus_one: bool = False
    rope: tuple[str, ...] = ("default",)  # kinds of rotary embeddings


ARCHITECTURES = {
    "LlamaForCausalLM": Architecture(gguf.MODEL_ARCH.LLAMA, rotates_pairs=True, rope=("default", "llama3")),
    "MistralForCausalLM": Architecture(gguf.MODEL_ARCH.LLAMA, rotates_pairs=True),
    "Qwen2ForCausalLM": Architecture(gguf.MODEL_ARCH.QWEN2),
    "Phi3ForCausalLM": Architecture(gguf.MODEL_ARCH.PHI3, rope=("default", "longrope")),
    "Gemma2ForCausalLM": Architecture(gguf.MODEL_ARCH.GEMMA2, norm_plus_one=True),
}
_NEEDED = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size", "max_position_embeddings")
_FACTORS = {"long_factor": "rope_factors_long.weight", "short_factor": "rope_factors_short.weight"}


def architecture(config: dict[str, Any]) -> Architecture:
    """Return the architecture of a configuration that `faults` has none of."""
    return ARCHITECTURES[config["architectures"][0]]


def faults(config: dict[str, Any]) -> Iterator[str]:
    """Yield every reason why a GGUF file of the model would be wrong."""
    names = config.get("architectures") or ["unknown"]
    if len(names) != 1 or names[0] not in ARCHITECTURES:
        yield f"its architecture is {', '.join(names)}; only {', '.join(ARCHITECTURES)} are written as GGUF"
        return
    if lacking := [key for key in _NEEDED if type(config.get(key)) is not int]:
        yield f"its config.json has no {lacking[0]}, or one for each layer"
        return
    if negative := [
        key for key in ("bos_token_id", "eos_token_id", "pad_token_id") if isinstance(config.get(key), int) and config[key] < 0
    ]:
        yield f"its {negative[0]} is {config[negative[0]]}, which is no token"
    name, kind = names[0], rope_kind(config)
    if kind not in ARCHITECTURES[name].rope:
        yield f"its rotary embeddings are scaled ({kind}); of a {name} only {' and '.join(ARCHITECTURES[name].rope)} are written as GGUF"
    if config.get("attention_bias") or config.get("mlp_bias"):
        yield "its layers have biases; only Qwen2's own are written as GGUF"
    if window := _window_fault(name, config):
        yield window
    if name == "Gemma2ForCausalLM" and config["query_pre_attn_scalar"] != widths(config).head:
        yield "its queries are not scaled by the size of a head, as in Gemma 2 2B and 9B"
    if name == "Phi3ForCausalLM" and config.get("partial_rotary_factor", 1.0) != 1.0:
        yield "only a part of each head is rotated (partial_rotary_factor)"


def _window_fault(name: str, config: dict[str, Any]) -> str | None:
    """Return why its attention is another than llama.cpp's; None if it is the same."""
    window = config.get("sliding_window")
    if name == "Gemma2ForCausalLM":
        kinds = ["sliding_attention", "full_attention"] * config["num_hidden_layers"]
        other = config.get("layer_types") not in (None, kinds[: config["num_hidden_layers"]])
        return "its layers are not sliding and full attention in turn, as in Gemma 2" if other else None
    if name == "Qwen2ForCausalLM":
        window = window if config.get("use_sliding_window") else None
    if isinstance(window, int) and window < config["max_position_embeddings"] and name != "LlamaForCausalLM":
        return "its attention has a sliding window; only full attention is written as GGUF"
    return None


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def rope_kind(config: dict[str, Any]) -> str:
    """Return how the rotary embeddings are scaled: default, llama3, longrope, ..."""
    kind = _rope(config).get("rope_type", _rope(config).get("type", "default"))
    return "longrope" if kind == "su" else kind


def rope_theta(config: dict[str, Any]) -> float:
    """Return the base of the rotary frequencies."""
    return _rope(config).get("rope_theta") or config.get("rope_theta", 10000.0)


def _original_context(config: dict[str, Any]) -> int:
    return _rope(config).get("original_max_position_embeddings") or config.get("original_max_position_embeddings") or 0


def rope_tensors(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return what llama.cpp divides each rotary frequency by, as tensors; {} if they are not scaled.

    Llama 3 has one, from 1 for high frequencies to `factor`; longrope has one for texts within the original context, and one beyond.
    """
    rope = _rope(config)
    if rope_kind(config) == "longrope":
        return {name: np.array(rope[key], dtype=np.float32) for key, name in _FACTORS.items()}
    if rope_kind(config) != "llama3":
        return {}
    dim = widths(config).head
    frequencies = rope_theta(config) ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)  # of each pair within the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    share = np.clip((turns - low) / (high - low), 0, 1)
    return {"rope_freqs.weight": (1 / ((1 - share) / rope["factor"] + share)).astype(np.float32)}


def add_config(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """Add the model's sizes and constants."""
    heads, size = config["num_attention_heads"], widths(config).head
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_freq_base(rope_theta(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if rope_kind(config) == "longrope":
        writer.add_rope_scaling_orig_ctx_len(_original_context(config))
        writer.add_rope_scaling_attn_factors(_attention_factor(config))
    if architecture(config).arch == gguf.MODEL_ARCH.PHI3:
        writer.add_sliding_window(0)
    if architecture(config).arch == gguf.MODEL_ARCH.GEMMA2:
        writer.add_sliding_window(config["sliding_window"])
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])


def _attention_factor(config: dict[str, Any]) -> float:
    """Return what longrope multiplies queries and keys by."""
    if given := _rope(config).get("attention_factor"):
        return float(given)
    scale = config["max_position_embeddings"] / _original_context(config)
    return math.sqrt(1 + math.log(scale) / math.log(_original_context(config))) if scale > 1 else 1.0


def notes(config: dict[str, Any]) -> tuple[str, ...]:
    """Return in words what llama.cpp computes otherwise than transformers."""
    if rope_kind(config) != "longrope":
        return ()
    original = f"{_original_context(config):,}"
    return (f"with a context of more than {original} tokens llama.cpp uses the long rotary factors for every text, transformers only for "
            f"longer texts: give it -c {original.replace(',', '')} for shorter ones",)  # fmt: skip


def stored(name: str, weights: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Return a tensor as llama.cpp expects it; `name` is its name in the file."""
    found = architecture(config)
    if found.norm_plus_one and name.endswith("norm.weight"):
        return weights + 1
    if not found.rotates_pairs or (".attn_q." not in name and ".attn_k." not in name):
        return weights
    heads = config["num_attention_heads"]
    heads = heads if ".attn_q." in name else config.get("num_key_value_heads") or heads
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))
