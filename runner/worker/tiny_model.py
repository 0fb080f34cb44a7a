"""Write a tiny model's weights and tokenizer, in a separate process: python -m recipekit.runner.worker.tiny_model DIR

DIR/twin.json describes it: the reduced configuration, the folder of a tokenizer, and the special tokens to add.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SEED = 42


def build(folder: Path) -> None:
    """Write config.json, model.safetensors and the tokenizer next to twin.json."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    request = json.loads((folder / "twin.json").read_text(encoding="utf-8"))
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
    tokenizer.chat_template = chat_template(request["chat_template"])
    return tokenizer


def chat_template(name: str | None) -> str | None:
    """Return the text of one of Axolotl's chat templates, without importing Axolotl."""
    if name is None:
        return None
    package = find_spec("axolotl")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise SystemExit("axolotl is not installed")
    return (Path(folders[0]) / "utils" / "chat_templates" / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
