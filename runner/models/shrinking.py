"""A model's configuration, shrunk: the same architecture with fewer layers and narrower ones, its heads in the same ratio."""

from math import ceil, gcd
from typing import Any

LAYERS = 2
HEADS = 4  # at least
HEAD_DIM = 16

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_INNER = ("intermediate_size", "n_inner", "ffn_dim", "moe_intermediate_size", "shared_expert_intermediate_size")
_ALIGNED = 32


def shrunk(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the twin. Raises KeyError with the name of what it has no field for."""
    layers, width, heads = (_field(config, names) for names in (_LAYERS, _WIDTH, _HEADS))
    many = config[heads]
    groups = config.get("num_key_value_heads") or many
    shared = gcd(many, groups)
    least = ceil(HEADS * shared / many)
    small_heads = many // shared * least
    small_width = small_heads * HEAD_DIM
    inner = {key: _aligned(small_width * config[key] / config[width]) for key in _INNER if config.get(key)}
    changes = {layers: min(LAYERS, config[layers]), width: small_width, heads: small_heads, **inner}
    if "num_key_value_heads" in config:
        changes["num_key_value_heads"] = groups // shared * least
    if config.get("head_dim"):
        changes["head_dim"] = HEAD_DIM
    per_layer = {key: value[: changes[layers]] for key, value in config.items() if isinstance(value, list) and len(value) == config[layers]}
    return {key: value for key, value in config.items() if key not in ("auto_map", "quantization_config")} | per_layer | changes


def description(config: dict[str, Any], small: dict[str, Any]) -> str:
    """`2 of 32 layers, width 64 of 4,096, 4 of 32 heads`."""
    layers, width, heads = (_field(config, names) for names in (_LAYERS, _WIDTH, _HEADS))
    return f"{small[layers]} of {config[layers]} layers, width {small[width]} of {config[width]:,}, {small[heads]} of {config[heads]} heads"


def _field(config: dict[str, Any], names: tuple[str, ...]) -> str:
    found = next((name for name in names if isinstance(config.get(name), int)), None)
    if found is None:
        raise KeyError(names[0])
    return found


def _aligned(size: float) -> int:
    return max(round(size / _ALIGNED), 1) * _ALIGNED
