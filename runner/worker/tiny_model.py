"""Write a tiny model's weights and tokenizer, in a separate process: python -m recipekit.runner.worker.tiny_model DIR

DIR/tiny.json describes it: the reduced configuration, the folder of a tokenizer, and the special tokens to add.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ..models.chat_templates import axolotl_template

SEED = 42


def build(folder: Path) -> None:
    """Write config.json, model.safetensors and the tokenizer next to tiny.json."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    request = json.loads((folder / "tiny.json").read_text(encoding="utf-8"))
    config = dict(request["config"])
    kind = config.pop("model_type")
    AutoConfig.for_model(kind)  # fails first for an architecture that transformers lacks
    tokenizer = load_tokenizer(request)
    tokenizer.save_pretrained(folder)
    ids = {"vocab_size": len(tokenizer)} | {
        f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad") if request["tokens"] is not None
    }
    # A real vocabulary keeps the configuration's size, because it may be padded.
    if request["tokens"] is None:
        ids = {"vocab_size": max(len(tokenizer), config.get("vocab_size", 0))}
    if kind == "roberta":  # its positions start after the id of the padding token
        config["max_position_embeddings"] += tokenizer.pad_token_id
    torch.manual_seed(SEED)
    settings = AutoConfig.for_model(kind, **{**config, **ids, "dtype": "float32"})
    classifies = request["config"]["architectures"][0].endswith("ForSequenceClassification")
    head = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    head.from_config(settings).save_pretrained(folder)


def load_tokenizer(request: dict[str, Any]) -> Any:
    """Return the tokenizer; a stand-in gets the special tokens and the chat template of the real one."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(request["tokenizer"])
    tokens = request["tokens"]
    if tokens is None:
        return tokenizer
    more = tokens.get("more", [])
    named = {f"{kind}_token": tokens.get(kind) for kind in ("bos", "eos", "pad", "unk")}
    tokenizer.add_special_tokens({**{key: value for key, value in named.items() if value}, "additional_special_tokens": more})
    for key, value in named.items():
        if value is None:
            setattr(tokenizer, key, None)
    tokenizer.chat_template = axolotl_template(request["chat_template"]) if request["chat_template"] else None
    if request["chat_template"] and not tokenizer.chat_template:
        raise SystemExit(f"Axolotl is not installed, or has no chat template {request['chat_template']}")
    return tokenizer


if __name__ == "__main__":
    build(Path(sys.argv[1]))
