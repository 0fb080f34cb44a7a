"""Tiny parts that are real: a Llama of a few thousand weights with its own tokenizer and chat template, and rows to train it on."""

import json
import shutil
import sys
from pathlib import Path

from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.base.hashing import folder_identity

from .jsonl import write_jsonl

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ANIMALS = ["cat", "dog", "owl", "fox", "bee", "hen", "cow", "ant", "elk", "emu", "rat", "yak"]
PLACES = ["barn", "tree", "pond", "hill", "yard", "cave", "field", "nest"]


def emogpt_rows(count: int = 48) -> list[dict]:
    """Distinct conversations in the EmoGPT format; every sixth has an earlier turn."""
    rows = []
    for index in range(count):
        animal, place = ANIMALS[index % len(ANIMALS)], PLACES[index // len(ANIMALS) % len(PLACES)]
        earlier = [{"role": "user", "content": f"Hello {animal}?"}, {"role": "assistant", "content": "Hello to you too."}]
        messages = [
            *(earlier if index % 6 == 5 else []),
            {"role": "user", "content": f"Where does the {animal} sleep, number {index}?"},
            {"role": "assistant", "content": f"The {animal} sleeps in the {place} 🌙."},
        ]
        metadata = {"tree_id": f"tree-{index}", "augmented": True, "original_tokens": 20, "augmented_tokens": 10}
        rows.append({"messages": messages, "metadata": metadata})
    return rows


def build_tokenizer(texts, **special):
    """A byte-level tokenizer of 512 tokens, trained on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special)


def build_model(folder: Path) -> Path:
    """A two-layer Llama with seeded random weights and a byte-level tokenizer trained on the rows above."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    texts = (m["content"] for row in emogpt_rows() for m in row["messages"])
    fast = build_tokenizer(texts, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def build_gpt2(folder: Path) -> Path:
    """A two-layer GPT-2 of 128 positions; like the real one, its tokenizer has one special token and no padding."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    fast = build_tokenizer(text_rows(), eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(fast), n_embd=64, n_layer=2, n_head=4, n_positions=128, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def build_adapter(folder: Path, base: Path) -> Path:
    """An adapter on the base whose weights are random, so that it answers otherwise, with the base's tokenizer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def write_run(folder: Path, recipe: str, model: Path, base: Path) -> Path:
    """A run's directory as one that has trained leaves it: the recipe, the model, the lock with the base."""
    shutil.copytree(model, folder / "model")
    (folder / "recipe.yml").write_text(recipe, encoding="utf-8")
    (folder / "status.json").write_text(json.dumps({"state": "done", "recipe": "tiny", "stages": {"train": "1"}}), encoding="utf-8")
    identity = folder_identity(base) if base.is_dir() else f"{base}@main"
    trained_on = {"path": str(base), "identity": identity, "note": f"the folder {base}"}
    lock = {"recipekit": "0", "python": "3", "packages": {}, "variables": {}, "model": trained_on, "machine": Machine()._asdict(), "train_key": "",
            "batch": {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "processes": 1, "why": ""}}  # fmt: skip
    (folder / "lock.json").write_text(json.dumps(lock), encoding="utf-8")
    return folder


RECIPE = """recipe: 1
name: tiny
model: {{base_model: {model}}}
data:
  type: chat
  system_prompt: Be brief.
  sources: [{{path: rows.jsonl, converter: emogpt}}]
  split: {{validation: 0.125, seed: 7, group_by: [tree_id]}}
training:
  adapter: lora
  lora_r: 4
  lora_alpha: 8
  lora_dropout: 0.1
  sequence_len: 128
  micro_batch_size: 4
  max_steps: 12
  learning_rate: 1e-3
  eval_steps: 4
  save_steps: 4
  save_total_limit: 3
evaluation:
  metrics: [perplexity, token_accuracy, stop_rate, token_reduction, emoji_rate, reply_tokens, repetition]
  max_rows: 4
  generation: {{max_new_tokens: 6, batch_size: 2}}
"""


def write_recipe(folder: Path, model: Path, rows: int = 48) -> Path:
    """tiny.yml and its rows in the folder."""
    write_jsonl(folder / "rows.jsonl", emogpt_rows(rows))
    path = folder / "tiny.yml"
    path.write_text(RECIPE.format(model=model), encoding="utf-8")
    return path


HABITS = {
    "INTJ": ["chess", "library", "blueprint", "telescope"],
    "ENFP": ["festival", "guitar", "painting", "roadtrip"],
    "ISTP": ["engine", "wrench", "motorbike", "soldering"],
    "ESFJ": ["potluck", "choir", "volunteering", "scrapbook"],
}


def mbti_rows(count: int = 64) -> list[dict]:
    """Rows of the MBTI converter: two posts that tell the type by what is talked about."""
    rows = []
    for index in range(count):
        label = list(HABITS)[index % len(HABITS)]
        words = HABITS[label]
        posts = [f"day {index}: {words[(index // 4 + turn) % 4]}" for turn in range(2)]
        rows.append({"type": label, "posts": "|||".join(posts)})
    return rows


CLASSIFICATION = """recipe: 1
name: tiny_types
model: {{base_model: {model}}}
data:
  type: classification
  labels: [ENFP, ESFJ, INTJ, ISTP]
  sources: [{{path: types.jsonl, converter: mbti}}]
  split: {{validation: 0.25, seed: 2, stratify_by: label}}
training:
  adapter: lora
  lora_r: 4
  lora_alpha: 16
  lora_target_modules: all-linear
  sequence_len: 64
  micro_batch_size: 4
  max_steps: 24
  learning_rate: 1e-2
  lr_scheduler: linear
  eval_steps: 8
  save_steps: 8
  class_weights: balanced
  metric_for_best_model: eval_macro_f1
  load_best_model_at_end: true
evaluation:
  metrics: [accuracy, macro_f1]
"""


def write_classification(folder: Path, model: Path, rows: int = 64) -> Path:
    """types.yml and its rows in the folder."""
    write_jsonl(folder / "types.jsonl", mbti_rows(rows))
    path = folder / "types.yml"
    path.write_text(CLASSIFICATION.format(model=model), encoding="utf-8")
    return path


def text_rows(count: int = 40) -> list[str]:
    """Lines of the BabyLM converter; every eighth is longer than 128 tokens."""
    lines = []
    for index in range(count):
        animal, place = ANIMALS[index % len(ANIMALS)], PLACES[index % len(PLACES)]
        line = f"Story {index}: once there was a {animal} who lived in a {place} and every day the {animal} sang to the moon."
        lines.append(" ".join([line] * (9 if index % 8 == 7 else 1)))
    return lines


TEXT = """recipe: 1
name: tiny_text
model: {{base_model: {model}}}
data:
  type: text
  sources: [{{path: stories.train, converter: babylm}}]
  split: {{validation: 0.2, seed: 7}}
training:
  adapter: none
  sequence_len: 64
  sample_packing: true
  micro_batch_size: 2
  max_steps: 12
  learning_rate: 3e-3
  eval_steps: 6
  save_steps: 6
evaluation:
  metrics: [perplexity, token_accuracy]
"""


def write_text(folder: Path, model: Path, rows: int = 40) -> Path:
    """text.yml and its lines in the folder."""
    (folder / "stories.train").write_text("\n".join(text_rows(rows)) + "\n", encoding="utf-8")
    path = folder / "text.yml"
    path.write_text(TEXT.format(model=model), encoding="utf-8")
    return path


if __name__ == "__main__":  # in a process of its own: torch and its warnings stay out of the tests'
    {"llama": build_model, "gpt2": build_gpt2, "adapter": build_adapter}[sys.argv[1]](*map(Path, sys.argv[2:]))
