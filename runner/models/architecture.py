"""Read a base model's architecture from its config.json; it decides which kernels can be used."""

from typing import NamedTuple

import orjson

from ...schemas.base.errors import UserError
from ...schemas.model_rules import EMBEDDED
from ...schemas.recipe import load_recipe
from ...schemas.sections import Model
from .resolve import embedded_folder
from .size import local_folder, public_models


class Architecture(NamedTuple):
    """`family` is transformers' model_type, `head` the width of an attention head, `dropout` whether attention has dropout, `sliding`
    whether it has a sliding window, `changes_logits` whether the model caps or scales the logits of its head."""

    family: str
    head: int
    dropout: bool
    sliding: bool = False
    changes_logits: bool = False


def architecture(path: str, revision: str | None = None) -> Architecture | None:
    """Return the architecture of a folder, a cached hub model, or a public model; None if no configuration is available."""
    folder = local_folder(path, revision)
    if folder is not None and (folder / "config.json").is_file():
        config = orjson.loads((folder / "config.json").read_bytes())
    elif path in public_models():
        config = public_models()[path]["config"]
    else:
        return None
    heads, hidden = config.get("num_attention_heads") or config.get("n_head"), config.get("hidden_size") or config.get("n_embd")
    family = config.get("model_type", "")
    dropout = config.get("attention_dropout") or config.get("attn_pdrop", 0.1 if family == "gpt2" else 0)
    head = config.get("head_dim") or (hidden // heads if heads and hidden else 0)
    sliding = config.get("sliding_window") and config.get("use_sliding_window", family != "qwen2")
    changes = config.get("final_logit_softcapping") or config.get("logits_scaling") or config.get("logit_scale")
    return Architecture(family, head, bool(dropout), bool(sliding), bool(changes))


def architecture_of(model: Model) -> Architecture | None:
    """Return the architecture of a recipe's base model before it is resolved; `run:OTHER` has that of OTHER's base model."""
    if model.base_model == EMBEDDED:
        return architecture(str(embedded_folder())) or Architecture("llama", 64, False)
    if model.base_model.startswith("run:"):
        try:
            return architecture_of(load_recipe(model.base_model.removeprefix("run:")).recipe.model)
        except UserError:
            return None
    return architecture(model.base_model, model.revision)
