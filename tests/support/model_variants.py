"""Bases and what was trained on them, in every variant that a recipe can ask for: python model_variants.py LLAMA OUT, in its own process.

OUT/cache is a hub cache whose repositories have two revisions; OUT/<variant> is a run's model folder, with the logits that transformers
and peft give by themselves in OUT/<variant>/expected.json.
"""

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

PROMPT = "Where does the cat sleep?"
PAD = "<|new_pad|>"
LABELS = ["glad", "sad", "tired"]
CODE = """
from transformers import AutoModel, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, LlamaModel


class RemoteConfig(LlamaConfig):
    model_type = "remote_llama"


class RemoteModel(LlamaModel):
    config_class = RemoteConfig


class RemoteForCausalLM(LlamaForCausalLM):
    config_class = RemoteConfig

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = output.logits * 0.5
        return output


class RemoteForSequenceClassification(LlamaForSequenceClassification):
    config_class = RemoteConfig


AutoModel.register(RemoteConfig, RemoteModel, exist_ok=True)
"""
MAIN, REVISION = "a" * 40, "b" * 40
AUTO_MAP = {
    "AutoConfig": "modeling_remote.RemoteConfig",
    "AutoModelForCausalLM": "modeling_remote.RemoteForCausalLM",
    "AutoModelForSequenceClassification": "modeling_remote.RemoteForSequenceClassification",
}


class Variant(NamedTuple):
    """A base model and what was trained on it."""

    adapter: str  # none, lora, or saved: with the embeddings in modules_to_save
    new_pad: bool
    remote_code: bool
    base: str  # where it is: a folder, or the hub, at REVISION
    dtype: str  # of the stored base
    head: str

    @property
    def name(self) -> str:
        return "-".join(str(value).lower() for value in self)


BASES = (("folder", "float32"), ("hub", "bfloat16"))
VARIANTS = [
    Variant(adapter, new_pad, remote_code, *base, head)
    for adapter, new_pad, remote_code, base, head in itertools.product(
        ("none", "lora", "saved"), (False, True), (False, True), BASES, ("causal", "classification")
    )
]


def base_name(variant: Variant, out: Path) -> str:
    """The base as a recipe names it: a folder, or a repository of the hub."""
    name = f"base-{'remote' if variant.remote_code else 'plain'}-{variant.dtype}"
    return f"tiny/{name}" if variant.base == "hub" else str(out / name)


def build_bases(llama: Path, out: Path) -> None:
    """Each kind of base, as a folder and as a repository of which `main` has other weights than REVISION."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for remote, dtype in itertools.product((False, True), ("float32", "bfloat16")):
        name = f"base-{'remote' if remote else 'plain'}-{dtype}"
        cache = out / "cache" / f"models--tiny--{name}"
        (cache / "refs").mkdir(parents=True)
        (cache / "refs" / "main").write_text(MAIN)
        for commit in (MAIN, REVISION):
            folder = cache / "snapshots" / commit
            torch.manual_seed(7 if commit == MAIN else 0)
            model = AutoModelForCausalLM.from_config(AutoModelForCausalLM.from_pretrained(llama).config).to(getattr(torch, dtype))
            model.save_pretrained(folder)
            AutoTokenizer.from_pretrained(llama).save_pretrained(folder)
            if remote:
                (folder / "modeling_remote.py").write_text(CODE)
                config = json.loads((folder / "config.json").read_text())
                config |= {"model_type": "remote_llama", "auto_map": AUTO_MAP}
                (folder / "config.json").write_text(json.dumps(config))
        shutil.copytree(cache / "snapshots" / REVISION, out / name)


def train(variant: Variant, out: Path) -> None:
    """What training would leave: a changed model or an adapter with its tokenizer, and the logits that it has in memory."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    classifies = variant.head == "classification"
    auto = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    options = {"revision": REVISION, "trust_remote_code": variant.remote_code}
    base = base_name(variant, out)
    tokenizer = AutoTokenizer.from_pretrained(base, **options)
    labels = {"num_labels": len(LABELS)} if classifies else {}
    model = auto.from_pretrained(base, dtype=torch.float32, **labels, **options)
    if variant.new_pad:
        tokenizer.add_special_tokens({"pad_token": PAD})
        model.resize_token_embeddings(len(tokenizer))
    model.config.pad_token_id = tokenizer.pad_token_id
    if variant.adapter == "none":
        model.config.id2label = dict(enumerate(LABELS))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
    else:
        saved = ["embed_tokens"] if variant.adapter == "saved" else None
        kind = "SEQ_CLS" if classifies else "CAUSAL_LM"
        model = get_peft_model(model, LoraConfig(
            r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], modules_to_save=saved, init_lora_weights=False, task_type=kind,
        ))  # fmt: skip
    folder = out / variant.name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with torch.inference_mode():
        output = model.eval()(**tokenizer(PROMPT, return_tensors="pt"))
    logits = output.logits[0] if classifies else output.logits[0, -1]
    (folder / "expected.json").write_text(json.dumps(logits.tolist()))


if __name__ == "__main__":
    llama, out = map(Path, sys.argv[1:])
    build_bases(llama, out)
    for each in VARIANTS:
        train(each, out)
