"""The three sides that are compared, each a process of its own over the same rows: recipekit, bare Axolotl, and a plain TRL script.

A side trains `steps` optimizer steps of the recipe emogpt_qwen by one method. Its steps are written by watch/step_watch.py on every side.
The method `wide` is QLoRA with all rows of a step in one forward pass, which fills a large card better.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import yaml
from session import HERE, Session, read_lines, step_facts

METHODS = ("qlora", "lora", "full")
WIDE = "wide"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA, DROPOUT = 16, 32, 0.05
RATES = {"qlora": 2e-4, WIDE: 2e-4, "lora": 2e-4, "full": 2e-5}
ROWS_PER_STEP, LENGTH, TINY_ROWS = 16, 2048, 24  # the longest of the 500 real rows has 1,519 of Qwen's tokens


def settings(session: Session, method: str = "qlora", **more: Any) -> list[str]:
    """Return the settings under which emogpt_qwen is measured: the real rows, so many steps, nothing that ends it early."""
    values: dict[str, Any] = {
        "model.base_model": session.model, "data.sources.0.path": session.rows, "training.max_steps": session.steps,
        "training.eval_steps": session.steps, "training.save_steps": session.steps, "training.early_stopping_patience": "null",
        "training.load_best_model_at_end": "false", "training.learning_rate": RATES[method], "evaluation.metrics": "[perplexity]",
        "evaluation.max_rows": 2, "evaluation.gates": "null", "evaluation.also": "null", "evaluation.prompts": "null",
        "training.adapter": adapter(method) or "none",
    } | dict.fromkeys(("training.trackers", "training.tracker_project", "training.tracker_run_name"), "null")  # fmt: skip
    if method == WIDE:
        values |= {"training.micro_batch_size": ROWS_PER_STEP, "training.gradient_accumulation_steps": 1}
    if method == "full":
        lora = {f"training.{key}": "null" for key in ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules")}
        values |= lora | {"training.optimizer": "adamw_torch_fused"}
    if session.tiny:
        values |= {"data.sources.0.limit": TINY_ROWS, "training.micro_batch_size": 2, "training.gradient_accumulation_steps": 1,
                   "training.warmup_ratio": "null"}  # fmt: skip
    return [part for key, value in (values | more).items() for part in ("--set", f"{key}={value}")]


def adapter(method: str) -> str | None:
    """Return the adapter of a method; None where every weight is trained."""
    return {"full": None, WIDE: "qlora"}.get(method, method)


def recipekit(session: Session, method: str, folder: Path, limit: float, **more: Any) -> dict[str, Any]:
    """Train as `recipe run` trains, without an evaluation; its memory against its prediction."""
    argv = (sys.executable, HERE / "recipekit_side.py", folder / "run", *settings(session, method, **more))
    facts = session.run(argv, folder, limit, session.watch(folder)).facts()
    memory = folder / "run" / "memory.json"
    if memory.is_file():
        measured = json.loads(memory.read_text(encoding="utf-8"))
        predicted = measured["predicted"]
        facts["memory"] = {
            "peak": measured["peak"],
            "predicted": predicted and predicted["needed"],
            "parts": predicted and predicted["parts"],
        }
    rendered = folder / "run" / "rendered" / "axolotl.yml"
    recomputes = not rendered.is_file() or bool(yaml.safe_load(rendered.read_text(encoding="utf-8"))["gradient_checkpointing"])
    return facts | _steps(session, method, folder, recomputes)


def axolotl(session: Session, method: str, folder: Path, limit: float) -> dict[str, Any]:
    """Train by bare Axolotl with what its documentation recommends for speed."""
    (folder / "axolotl.yml").write_text(yaml.safe_dump(stock_config(session, method, folder), sort_keys=False), encoding="utf-8")
    argv = (sys.executable, "-m", "axolotl.cli.main", "train", folder / "axolotl.yml", "--launcher", "python")
    env = session.watch(folder) | ({"PYTORCH_ALLOC_CONF": "expandable_segments:True"} if session.on_gpu else {})
    return session.run(argv, folder, limit, env).facts() | _steps(session, method, folder)


def trl(session: Session, method: str, folder: Path, limit: float) -> dict[str, Any]:
    """Train by TRL's SFTTrainer with the settings of the source guide: batches of 4, padded to the longest row."""
    given = {
        "model": session.model, "rows": str(converted(session) / "train.jsonl"), "out": str(folder / "model"), "steps": session.steps,
        "method": method, "learning_rate": RATES[method], "lora": {"r": RANK, "lora_alpha": ALPHA, "lora_dropout": DROPOUT,
        "target_modules": TARGETS}, "max_length": LENGTH, "cpu": not session.on_gpu,
        "micro": 2 if session.tiny else 4, "accumulation": 1 if session.tiny else 4,
    }  # fmt: skip
    argv = (sys.executable, HERE / "trl_side.py", json.dumps(given))
    return session.run(argv, folder, limit, session.watch(folder)).facts() | _steps(session, method, folder)


def converted(session: Session) -> Path:
    """Return the folder of the rows as recipekit converts them, so that all sides train on the same text."""
    from recipekit.converters.building.pipeline import build
    from recipekit.schemas.recipe import load_recipe

    folder = session.folder / "rows"
    if not (folder / "train.jsonl").is_file():
        build(load_recipe("emogpt_qwen", tuple(settings(session)[1::2])).recipe.data, folder)
    return folder


def stock_config(session: Session, method: str, folder: Path) -> dict[str, Any]:
    """Bare Axolotl's configuration: rows packed, Liger's kernels, fused cross entropy, its own LoRA kernels where they apply."""
    config: dict[str, Any] = {
        "base_model": session.model, "chat_template": "tokenizer_default", "special_tokens": {"pad_token": "<|endoftext|>"},
        "datasets": [{"path": str(converted(session) / "train.jsonl"), "ds_type": "json", "type": "chat_template", "split": "train",
                      "field_messages": "messages", "message_field_training": "train", "roles_to_train": ["assistant"],
                      "train_on_eos": "turn"}],
        "eot_tokens": ["<|im_end|>"], "val_set_size": 0.0, "dataset_prepared_path": str(folder / "prepared"), "sequence_len": LENGTH,
        "sample_packing": True, "micro_batch_size": 1, "gradient_accumulation_steps": 3, "max_steps": session.steps, "num_epochs": 3,
        "learning_rate": RATES[method], "lr_scheduler": "cosine", "warmup_ratio": 0.1, "optimizer": "paged_adamw_8bit", "bf16": True,
        "tf32": True, "gradient_checkpointing": True, "attn_implementation": "sdpa", "logging_steps": 1, "save_strategy": "no", "seed": 42,
        "output_dir": str(folder / "model"), "plugins": ["axolotl.integrations.liger.LigerPlugin"], "liger_rope": True,
        "liger_rms_norm": True, "liger_glu_activation": True, "liger_fused_linear_cross_entropy": True,
    }  # fmt: skip
    if method == WIDE:
        config |= {"micro_batch_size": 3, "gradient_accumulation_steps": 1}
    if method == "full":
        config["optimizer"] = "adamw_torch_fused"
    else:
        config |= {"adapter": adapter(method), "load_in_4bit": method != "lora", "lora_r": RANK, "lora_alpha": ALPHA,
                   "lora_dropout": DROPOUT, "lora_target_modules": TARGETS}  # fmt: skip
    if not session.on_gpu:  # what of this needs CUDA
        config = {key: value for key, value in config.items() if not key.startswith("liger") and key != "plugins"}
        config |= {"bf16": False, "fp16": False, "tf32": False, "optimizer": "adamw_torch", "gradient_accumulation_steps": 1,
                   "micro_batch_size": 1} | {f"lora_{part}_kernel": False for part in ("mlp", "qkv", "o")}  # fmt: skip
    return config


def _steps(session: Session, method: str, folder: Path, recomputes: bool = True) -> dict[str, Any]:
    """What the watch saw, and the least time of a step: its FLOPs at the rate of a matrix product on this machine."""
    steps = step_facts(read_lines(folder / "steps.jsonl"))
    profile = folder / "steps.profile.json"
    return {
        "steps": steps,
        "profile": json.loads(profile.read_text(encoding="utf-8")) if profile.is_file() else None,
        "flops_per_step": steps and flops(session, method, steps["tokens_per_step"], recomputes),
    }


def flops(session: Session, method: str, tokens: int, recomputes: bool) -> int | None:
    """Count the FLOPs of the linear layers for so many tokens: forward, backward (weights' gradients only where they are trained), and the
    forward pass again under gradient checkpointing. None where the model's size is unknown."""
    from recipekit.runner.models.size import model_size

    size = model_size(session.model)
    if size is None:
        return None
    weights = sum(math.prod(shape) for shape in size.linear.values())
    return 2 * weights * tokens * (1 + (2 if method == "full" else 1) + recomputes)
