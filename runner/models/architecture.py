"""Read a base model's architecture from its config.json; it decides which kernels can be used."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...schemas.sections import Model
from .known_config import KnownConfig, known_config
from .resolve import known_config_of
from .size import has_attention_dropout, widths


class Architecture(NamedTuple):
    """What config.json says of a model's layers, as far as kernels depend on it."""

    family: str  # transformers' model_type
    head: int  # the width of an attention head; 0 if it is not known
    dropout: bool  # whether attention has dropout
    sliding: bool = False  # whether attention has a sliding window
    changes_logits: bool = False  # whether the model caps or scales the logits of its head
    positions: int | None = None  # how many tokens of a row it can tell apart, if that is limited
    differs: str = ""  # the first key, with its value, by which its layers differ from the rest of its family
    caps_scores: bool = False  # whether it caps the scores of attention


# Those whose layers keep a window from flash attention, which gets no mask.
_NO_WINDOW_IN_FLASH = ("phimoe", "qwen2_moe")
# Those for which transformers refuses sdpa: their attention has more than it takes (sinks, biases by distance), is sparse, or is none.
_NO_SDPA = frozenset(
    "big_bird bigbird_pegasus bloom canine codegen convbert cpmant deberta deberta-v2 deepseek_v4 falcon_mamba flaubert fnet "
    "funnel git got_ocr2 gpt_neo gpt_neox_japanese gpt_oss gptj granite_swa granitemoe_swa ibert layoutlm layoutlmv2 layoutlmv3 "
    "lilt longformer luke mamba mamba2 markuplm megatron-bert mimo_v2_flash mpnet mpt mra mvp nystromformer openai-gpt perceiver "
    "prophetnet reformer rembert roformer rwkv squeezebert tapas trocr xglm xlm xlnet xlstm yoso".split()
)


def left_out(attention: str, model: Architecture | None) -> str:
    """Return the key of config.json that an attention implementation would not compute, "attention" if it computes none of it; "" if
    nothing is known to be left out.

    transformers hands every implementation all that a model's attention has, and each ignores what it does not know (flex attention refuses
    dropout, in the first step). `eager` is the model's own. tests/runner/resources/test_left_out.py reads the installed transformers.
    """
    if model is None:
        return ""
    if attention == "sdpa" and model.caps_scores:
        return "attn_logit_softcapping"
    if attention == "sdpa" and model.family in _NO_SDPA:
        return "attention"
    if "flash" in attention and model.sliding and model.family in _NO_WINDOW_IN_FLASH:
        return "sliding_window"
    return "attention_dropout" if attention == "flex_attention" and model.dropout else ""


def architecture(path: str, revision: str | None = None) -> Architecture | None:
    """Return the architecture of a folder, a cached hub model, or a public model; None if no configuration is available."""
    return _architecture(known_config(path, revision))


def architecture_of(model: Model) -> Architecture | None:
    """Return the architecture of a recipe's base model before it is resolved; `run:OTHER` has that of OTHER's base model."""
    return _architecture(known_config_of(model))


def _architecture(known: KnownConfig | None) -> Architecture | None:
    if known is None:
        return None
    config = known.values
    family = config.get("model_type", "")
    sliding = config.get("sliding_window") and config.get("use_sliding_window", not family.startswith("qwen"))
    changes = config.get("final_logit_softcapping") or config.get("logits_scaling") or config.get("logit_scale")
    return Architecture(
        family, widths(config).head, has_attention_dropout(config), bool(sliding), bool(changes), positions_of(config), _unusual(config),
        bool(config.get("attn_logit_softcapping")),
    )  # fmt: skip


def _unusual(config: Mapping[str, Any]) -> str:
    """Return the first key of a config.json, with its value, by which the layers differ from those of other models of its type: biases in
    the MLP (IBM's Granite code models are Llamas with them), another activation, a part of each head that is rotated (Phi-4-mini)."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    usual = {"silu", "swish"}
    activation, rotated = config.get("hidden_act"), config.get("partial_rotary_factor") or rope.get("partial_rotary_factor")
    if config.get("model_type") == "gemma2":  # it reads another key
        usual, activation = {"gelu_pytorch_tanh"}, config.get("hidden_activation")
    if config.get("mlp_bias"):
        return "mlp_bias: true"
    if rotated not in (None, 1):
        return f"partial_rotary_factor: {rotated}"
    return "" if activation is None or activation in usual else f"hidden_act: {activation}"


_FROM_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "data2vec-text", "ibert", "longformer", "mpnet")
_MOST_SCALING = 1 << 20  # larger ones, NaN and Infinity are no factor
_RELATIVE = ("t5", "mt5", "umt5")  # n_positions says only how long their first training's rows were


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens a row may have for this config.json: its positions, or as many as its scaling gives it; None if unlimited."""
    config = {**config, **(config.get("text_config") or {})}
    family, count = config.get("model_type", ""), config.get("max_position_embeddings") or config.get("n_positions")
    if not isinstance(count, int) or count <= 0 or family in _RELATIVE:
        return None
    if family in _FROM_PADDING:  # their positions start after the id of the padding token
        padding = config.get("pad_token_id")
        return count - (padding if isinstance(padding, int) else 1) - 1
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    factor, original = (scaling.get(key) for key in ("factor", "original_max_position_embeddings"))
    if not isinstance(factor, int | float) or not 0 < factor < _MOST_SCALING:
        return count
    return max(count, int(factor * (original if isinstance(original, int) and original else count)))
