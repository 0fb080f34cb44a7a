"""Determine a model's size: every weight's name and shape, from safetensors headers or computed from its configuration."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from .known_config import KnownConfig, known_config
from .weights_file import tensor_shapes

_NOT_LINEAR = ("embed", "wte", "wpe", "lm_head", "score", "classifier", "norm", "ln_")


class ModelSize(NamedTuple):
    """A model's weights, and the widths that determine its activations. `source` names where the figures come from."""

    source: str
    shapes: dict[str, tuple[int, ...]]
    family: str
    hidden: int
    layers: int
    heads: int
    attention: int  # width of the queries: heads x head_dim
    key_values: int  # width of the keys, and of the values
    intermediate: int
    vocabulary: int
    dropout: bool = False  # inside the attention

    @property
    def parameters(self) -> int:
        return sum(map(math.prod, self.shapes.values()))

    @property
    def linear(self) -> dict[str, tuple[int, ...]]:
        """Return the layers that adapters and quantisation replace: all matrices except embeddings and the head."""
        return {name: s for name, s in self.shapes.items() if len(s) == 2 and not any(word in name for word in _NOT_LINEAR)}


def model_size(base_model: str, revision: str | None = None) -> ModelSize | None:
    """Return the size of a folder, a cached hub model, or a public model; None if it is unknown."""
    return size_of_config(known_config(base_model, revision))


def size_of_config(known: KnownConfig | None) -> ModelSize | None:
    """Return the size by the weights next to the configuration, else computed from it; None if it is unknown."""
    if known is None:
        return None
    values, folder = known
    if folder and (shapes := _headers(folder)):
        return _sized(f"the weights in {folder}", values, shapes)
    return _computed(str(folder / "config.json") if folder else "its public configuration", values)


def _headers(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the folder's weights. Raises UserError for a damaged file."""
    return {name: shape for path in sorted(folder.glob("*.safetensors")) for name, shape in tensor_shapes(path).items()}


def _computed(source: str, config: dict[str, Any]) -> ModelSize | None:
    shapes = _SHAPES.get(config.get("model_type", ""))
    try:
        return _sized(source, config, shapes(config)) if shapes else None
    except (KeyError, TypeError):  # what config.json omits has its class's default, which only transformers knows; a list is per layer
        return None


def _sized(source: str, config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> ModelSize | None:
    """Return None if the configuration lacks a width, or has one for each layer: it is not that of a language model that is known."""
    width, layers, vocabulary = widths(config), _width(config, "num_hidden_layers", "n_layer"), _width(config, "vocab_size")
    if not all((*width, layers, vocabulary, config.get("model_type"))):
        return None
    return ModelSize(
        source, shapes, config["model_type"], width.hidden, layers, width.heads, width.queries, width.keys, width.intermediate, vocabulary,
        has_attention_dropout(config),
    )  # fmt: skip


class Widths(NamedTuple):
    """The widths of a model's layers, whatever its config.json calls them; 0 for one that it lacks, or that each layer has its own of."""

    hidden: int
    heads: int
    head: int
    queries: int  # heads x head
    keys: int  # the width of the keys, and of the values
    intermediate: int


def widths(config: dict[str, Any]) -> Widths:
    """Return the widths that a config.json gives, or that follow from others as in transformers."""
    hidden, heads = _width(config, "hidden_size", "n_embd"), _width(config, "num_attention_heads", "n_head")
    head = _width(config, "head_dim", otherwise=hidden // heads if heads else 0)
    groups = _width(config, "num_key_value_heads", otherwise=heads)
    return Widths(hidden, heads, head, heads * head, groups * head, _width(config, "intermediate_size", "n_inner", otherwise=4 * hidden))


def _width(config: dict[str, Any], *names: str, otherwise: int = 0) -> int:
    """Return the value of the first key that the configuration has; 0 if that is no whole number."""
    value = next((config[name] for name in names if config.get(name)), otherwise)
    return value if type(value) is int else 0


def has_attention_dropout(config: dict[str, Any]) -> bool:
    """Return whether the attention has dropout; config.json omits GPT-2's default."""
    return bool(config.get("attention_dropout") or config.get("attn_pdrop", 0.1 if config.get("model_type") == "gpt2" else 0))


Shapes = dict[str, tuple[int, ...]]


def _llama(config: dict[str, Any]) -> Shapes:
    """Return the shapes of Llama, Mistral, Gemma 2, and Qwen2, whose queries, keys and values have a bias."""
    width, inner = widths(config), config["intermediate_size"]
    queries, keys, hidden = width.queries, width.keys, width.hidden
    layer: Shapes = {
        "self_attn.q_proj.weight": (queries, hidden), "self_attn.k_proj.weight": (keys, hidden), "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries), "mlp.gate_proj.weight": (inner, hidden), "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner), "input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,),
    }  # fmt: skip
    if config["model_type"] == "qwen2":
        layer |= {"self_attn.q_proj.bias": (queries,), "self_attn.k_proj.bias": (keys,), "self_attn.v_proj.bias": (keys,)}
    if config["model_type"] == "gemma2":
        layer |= {"pre_feedforward_layernorm.weight": (hidden,), "post_feedforward_layernorm.weight": (hidden,)}
    return _decoder(config, layer)


def _phi3(config: dict[str, Any]) -> Shapes:
    """Return the shapes of Phi-3 and 3.5: queries, keys and values are one matrix, gate and up another."""
    width, inner = widths(config), config["intermediate_size"]
    queries, keys, hidden = width.queries, width.keys, width.hidden
    return _decoder(config, {
        "self_attn.qkv_proj.weight": (queries + 2 * keys, hidden), "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_up_proj.weight": (2 * inner, hidden), "mlp.down_proj.weight": (hidden, inner),
        "input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,),
    })  # fmt: skip


def _decoder(config: dict[str, Any], layer: Shapes) -> Shapes:
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    shapes = {f"model.layers.{i}.{name}": shape for i in range(config["num_hidden_layers"]) for name, shape in layer.items()}
    shapes |= {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    tied = config.get("tie_word_embeddings", config["model_type"] == "gemma2")  # config.json omits defaults of its class
    return shapes if tied else shapes | {"lm_head.weight": (vocabulary, hidden)}


def _gpt2(config: dict[str, Any]) -> Shapes:
    hidden, inner = config["n_embd"], widths(config).intermediate
    layer: dict[str, tuple[int, ...]] = {
        "ln_1.weight": (hidden,), "ln_1.bias": (hidden,), "ln_2.weight": (hidden,), "ln_2.bias": (hidden,),
        "attn.c_attn.weight": (hidden, 3 * hidden), "attn.c_attn.bias": (3 * hidden,),
        "attn.c_proj.weight": (hidden, hidden), "attn.c_proj.bias": (hidden,),
        "mlp.c_fc.weight": (hidden, inner), "mlp.c_fc.bias": (inner,), "mlp.c_proj.weight": (inner, hidden), "mlp.c_proj.bias": (hidden,),
    }  # fmt: skip
    shapes = {f"h.{i}.{name}": shape for i in range(config["n_layer"]) for name, shape in layer.items()}
    ends: dict[str, tuple[int, ...]] = {"wte.weight": (config["vocab_size"], hidden), "wpe.weight": (config["n_positions"], hidden)}
    return shapes | ends | {"ln_f.weight": (hidden,), "ln_f.bias": (hidden,)}


_SHAPES = {"llama": _llama, "mistral": _llama, "qwen2": _llama, "gemma2": _llama, "phi3": _phi3, "gpt2": _gpt2}
