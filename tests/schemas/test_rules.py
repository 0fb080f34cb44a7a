"""Every rule: recipes that break it, with the keys that it names, and recipes near them that do not."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.errors import Location
from recipekit.schemas.findings import NO_EFFECT
from recipekit.schemas.json_schema import schema, subschema
from recipekit.schemas.rules import RULES, findings
from recipekit.schemas.sections import Recipe
from recipekit.schemas.validation import validator
from recipekit.schemas.values import replaced_at
from recipekit.schemas.yaml_source import Document

from ..support import generate_recipes
from ..support.every_key import tried

Changes = dict[str, Any]
TWICE = [{"path": "a", "converter": "messages"}, {"path": "b", "converter": "messages"}, {"path": "a", "converter": "messages"}]
FIXED = [{"path": "a", "converter": "messages"}, {"path": "b", "converter": "messages", "split": "validation"}]
LABELS = {"data.type": "classification", "data.labels": ["a", "b"], "evaluation.metrics": ["accuracy"]}
TEXT = {"data.type": "text"}
JUDGE = {"prompt": "judge_counsellor", "provider": {"provider": "openai", "model": "m"}}

RUBRIC = {"criteria": {"kind": {"text": "Is it kind?"}}}


def also(**changes: Any) -> Changes:
    """A further evaluation set with changes."""
    return {"evaluation.also": {"plain": {"sources": [{"path": "a", "converter": "messages"}], "metrics": ["perplexity"]} | changes}}


# rule -> (changes to a valid recipe, the keys that the rule names)
BREAKS: dict[str, list[tuple[Changes, list[str]]]] = {
    "held_out_rows_in_training": [
        ({"data.sources": [{"path": "d/train.csv", "converter": "table"}, {"path": "d/test.csv", "converter": "table"}]}, ["data.sources.1.path"]),
        ({"data.sources": [{"path": "hf:a/b", "converter": "table", "hub_split": "validation"}, {"path": "hf:a/b", "converter": "table"}]},
         ["data.sources.0.path"]),
    ],
    "quantised_without_adapter": [
        ({"training.load_in_8bit": True, "training.adapter": "none"}, ["training.load_in_8bit"]),
        ({"training.load_in_8bit": True, "training.adapter": "qlora"}, ["training.load_in_8bit"]),
    ],
    "adapter_keys_without_adapter": [
        ({"training.adapter": "none", "training.lora_r": 8, "training.lora_dropout": 0.5}, ["training.lora_r", "training.lora_dropout"]),
        ({"training.adapter": "none", "training.lora_target_modules": ["q"]}, ["training.lora_target_modules"]),
        ({"training.adapter": "none", "training.lora_r": 16}, ["training.lora_r"]),  # its default
    ],
    "hub_keys_without_hub": [
        ({"data.sources": [{"path": "a.csv", "converter": "table", "revision": "v1", "subset": "en", "hub_split": "test"}]},
         ["data.sources.0.revision", "data.sources.0.subset", "data.sources.0.hub_split"]),
        ({"data.sources": [{"path": "hf:a/b", "converter": "table", "hub_split": "train[:10]"}]}, ["data.sources.0.hub_split"]),
        ({"data.sources": [{"path": "a.csv", "converter": "table", "hub_split": "train[:10]"}]}, ["data.sources.0.hub_split"]),
    ],
    "file_keys_on_hub": [
        (also(sources=[{"path": "hf:a/b", "converter": "messages", "encoding": "cp1252"}]), ["evaluation.also.plain.sources.0.encoding"]),
        ({"data.sources": [{"path": "hf:a/b", "converter": "table", "encoding": "cp1252", "columns": ["a"], "skip_lines": 1, "field": "a"}]},
         [f"data.sources.0.{key}" for key in ("encoding", "columns", "skip_lines", "field")]),
    ],
    "unknown_encoding": [
        ({"data.sources": [{"path": "a", "converter": "messages", "encoding": name}]}, ["data.sources.0.encoding"])
        for name in ("cp1525", "hex", "rot13", "idna", "unicode_escape", "a\0b")
    ],
    "embedded_model_that_no_wheel_carries": [
        ({"model.base_model": "embedded:nope"}, ["model.base_model"]),
        ({"model.base_model": "embedded:smollm2-135m"}, ["model.base_model"]),
        (generate_recipes.generate(providers=[{"provider": "local", "model": "embedded:x"}]), ["generate.providers.0.model"]),
        (generate_recipes.generate(judge={"prompt": "judge_useful", "provider": {"provider": "local", "model": "embedded:x"}}), ["generate.judge.provider.model"]),
    ],
    "nothing_to_merge": [({"training.adapter": "none", "export.merge": True}, ["export.merge"])],
    "deepspeed_keys_without_zero": [
        ({"launch.engine": "deepspeed"}, ["launch.engine"]),
        ({"launch.zero_stage": 2}, ["launch.zero_stage"]),
        ({"launch.offload_optimizer": True}, ["launch.offload_optimizer"]),
        ({"launch.engine": "deepspeed", "launch.zero_stage": 2, "launch.offload_params": True}, ["launch.offload_params"]),
    ],
    "shards_twice": [
        ({"launch.engine": "deepspeed", "launch.zero_stage": 2, "launch.fsdp": True}, ["launch.fsdp"]),
        ({"launch.engine": "deepspeed", "launch.zero_stage": 3, "training.adapter": "qlora"}, ["launch.zero_stage"]),
        ({"launch.engine": "deepspeed", "launch.zero_stage": 3, "training.load_in_8bit": True}, ["launch.zero_stage"]),
        ({"launch.fsdp": True}, ["launch.fsdp"]),
    ],
    "optimizers_that_cannot_be_sharded": [
        ({"launch.engine": "torchrun", "launch.fsdp": True, "training.optimizer": "adamw_bnb_8bit"}, ["training.optimizer"]),
        (
            {"launch": {"engine": "deepspeed", "zero_stage": 2, "offload_optimizer": True}, "training.optimizer": "paged_adamw_8bit"},
            ["training.optimizer"],
        ),
    ],
    "hosts_of_another_number": [
        ({"launch": {"engine": "torchrun", "num_nodes": 2, "main_address": "a:1", "hosts": ["a", "b"]}}, ["launch.hosts"]),
        ({"launch": {"engine": "deepspeed", "zero_stage": 2, "hosts": ["a", "b"]}}, ["launch.hosts"]),
    ],
    "sbatch_without_slurm": [
        ({"launch.sbatch": {"partition": "gpu"}}, ["launch.sbatch"]),
        ({"launch": {"engine": "slurm", "sbatch": {"nodes": 2, "time": "1:00"}}}, ["launch.sbatch.nodes"]),
    ],
    "processes_without_launcher": [
        ({"launch.num_processes": 2}, ["launch.num_processes"]),
        ({"launch.num_nodes": 2, "launch.main_address": "h:1"}, ["launch.num_nodes"]),
        ({"launch.engine": "torchrun", "launch.num_nodes": 2}, ["launch.num_nodes"]),
    ],
    "main_address_of_one_machine": [
        ({"launch.engine": "torchrun", "launch.main_address": "h:1"}, ["launch.main_address"]),
        ({"launch.engine": "slurm", "launch.num_nodes": 2, "launch.main_address": "h:1"}, ["launch.main_address"]),
        (
            {"launch": {"engine": "deepspeed", "zero_stage": 2, "num_nodes": 2, "hosts": ["a", "b"], "main_address": "a:1"}},
            ["launch.main_address"],
        ),
    ],
    "precision_by_quantisation": [({"training.adapter": "none", "training.precision": "fp16"}, ["training.precision"])],
    "evaluation_beyond_the_end": [
        ({"training.max_steps": 5, "training.eval_steps": 6}, ["training.eval_steps"]),
        ({"training.max_steps": 5, "training.save_steps": 9}, ["training.save_steps"]),
    ],
    "warm_up_longer_than_the_run": [
        ({"training.max_steps": 5, "training.warmup_steps": 5}, ["training.warmup_steps"]),
        ({"training.warmup_ratio": 0.1, "training.warmup_steps": 5}, ["training.warmup_steps"]),
        ({"training.warmup_ratio": 1}, ["training.warmup_ratio"]),
        ({"training.max_steps": 3, "training.warmup_ratio": 0.7}, ["training.warmup_ratio"]),
        ({"training.max_steps": 1, "training.warmup_ratio": 0.1}, ["training.warmup_ratio"]),
    ],
    "warm_up_that_the_scheduler_ignores": [
        ({"training.lr_scheduler": "constant", "training.warmup_ratio": 0.1}, ["training.warmup_ratio"]),
        ({"training.lr_scheduler": "constant", "training.warmup_steps": 3}, ["training.warmup_steps"]),
    ],
    "restarts_that_never_come": [
        ({"training.lr_scheduler": "cosine_with_restarts"}, ["training.lr_scheduler"]),
        ({"training.lr_scheduler": "cosine_with_restarts", "axolotl": {"lr_scheduler_kwargs": {"num_cycles": 1}}}, ["training.lr_scheduler"]),
    ],
    "first_weights_of_the_adapter": [
        ({"training.adapter": adapter, "axolotl": {"peft_init_lora_weights": init}}, ["axolotl.peft_init_lora_weights"])
        for adapter, init in (("lora", "pissa_niter_16"), ("lora", "eva"), ("lora", "loftq"), ("qlora", "pissa"), ("qlora", "olora"))
    ],
    "arguments_that_the_scheduler_lacks": [
        ({"axolotl": {"lr_scheduler_kwargs": {"min_lr": 1e-6}}}, ["axolotl.lr_scheduler_kwargs.min_lr"]),
        ({"training.lr_scheduler": "linear", "axolotl": {"lr_scheduler_kwargs": {"power": 2}}}, ["axolotl.lr_scheduler_kwargs.power"]),
        ({"training.lr_scheduler": "constant_with_warmup", "training.warmup_steps": 3, "axolotl": {"lr_scheduler_kwargs": {"num_cycles": 2}}},
         ["axolotl.lr_scheduler_kwargs.num_cycles"]),
    ],
    "epochs_beside_steps": [({"training.max_steps": 5, "training.num_epochs": 1}, ["training.num_epochs"])],
    "roles_of_inputs": [
        ({"training.train_on_inputs": True, "training.roles_to_train": ["assistant"]}, ["training.roles_to_train"]),
    ],
    "revision_of_no_repository": [
        ({"model.base_model": name, "model.revision": "main"}, ["model.revision"])
        for name in ("embedded:smollm2-135m-instruct", "run:first", "/models/mine")
    ],
    "adam_keys_without_adam": [
        ({"training.optimizer": "sgd", "training.adam_beta1": 0.9}, ["training.adam_beta1"]),
        ({"training.optimizer": "adafactor", "training.adam_epsilon": 1e-9}, ["training.adam_epsilon"]),
    ],
    "early_stopping_without_evaluation": [
        ({"data.split.validation": 0, "data.split.test": 0.1, "training.early_stopping_patience": 2}, ["training.early_stopping_patience"]),
        ({"data.split.validation": 0, "data.split.test": 0.1, "training.eval_steps": 2}, ["training.eval_steps"]),
        ({"data.split.validation": 0, "data.split.test": 0.1, "training.load_best_model_at_end": True}, ["training.load_best_model_at_end"]),
    ],
    "best_model_between_checkpoints": [
        ({"training.load_best_model_at_end": True, "training.eval_steps": 10, "training.save_steps": 15}, ["training.save_steps"]),
        ({"training.load_best_model_at_end": True, "training.save_steps": 15}, ["training.save_steps"]),
    ],
    "best_metric_without_best_model": [
        (LABELS | {"training.metric_for_best_model": "eval_accuracy"}, ["training.metric_for_best_model"]),
    ],
    "metric_for_record_type": [
        (LABELS | {"evaluation.metrics": ["accuracy", "perplexity"]}, ["evaluation.metrics.1"]),
        (TEXT | {"evaluation.metrics": ["emoji_rate"]}, ["evaluation.metrics.0"]),
        (LABELS | {"evaluation.metrics": []}, ["evaluation.metrics"]),
        ({"training.metric_for_best_model": "eval_accuracy", "training.load_best_model_at_end": True}, ["training.metric_for_best_model"]),
    ],
    "gate_without_metric": [
        ({"evaluation.gates": {"stop_rate": {"min": 0.9}}}, ["evaluation.gates.stop_rate"]),
        ({"evaluation.gates": {"perplexity": {"min": 9, "max": 3}}}, ["evaluation.gates.perplexity"]),
        ({"evaluation.gates": {"train_loss": {"max_regression": 0.1}}}, ["evaluation.gates.train_loss.max_regression"]),
        ({"evaluation.metrics": ["emoji_rate"], "evaluation.gates": {"emoji_rate": {"max_regression": 1}}},
         ["evaluation.gates.emoji_rate.max_regression"]),
        (LABELS | {"evaluation.gates": {"accuracy": {"max_regression": 0.1}}}, ["evaluation.gates.accuracy.max_regression"]),
        ({"evaluation.gates": {"validation_loss": {"max": 1}}, "data.split": {"test": 0.1, "validation": 0}}, ["evaluation.gates.validation_loss"]),
    ],
    "labels_without_their_metrics": [
        ({"evaluation.metrics": ["perplexity", "accuracy"]}, ["evaluation.metrics.1"]),
        ({"evaluation.labels": ["low", "high"]}, ["evaluation.labels"]),
        (LABELS | {"evaluation.labels": ["a", "b"]}, ["evaluation.labels"]),
    ],
    "probes_of_another_record_type": [
        (LABELS | {"evaluation.logit_lens": ["Once"]}, ["evaluation.logit_lens"]),
        (TEXT | {"evaluation.sentiment_model": "m", "evaluation.blimp": "blimp"}, ["evaluation.sentiment_model"]),
    ],
    "sentiment_prompts_without_their_model": [({"evaluation.sentiment_prompts": "prompts.json"}, ["evaluation.sentiment_prompts"])],
    "judge_without_its_metrics": [
        ({"evaluation.judge": JUDGE}, ["evaluation.judge"]),
        ({"evaluation.metrics": ["perplexity", "safety"]}, ["evaluation.metrics.1"]),
    ],
    "labels_that_look_the_same": [
        ({"evaluation.labels": ["low", "Low "], "evaluation.metrics": ["accuracy"]}, ["evaluation.labels.1"]),
        ({"evaluation.labels": ["yes", "no", "yes!"], "evaluation.metrics": ["accuracy"]}, ["evaluation.labels.2"]),
    ],
    "rows_of_a_step": [
        ({"training.micro_batch_size": "auto"}, ["training.micro_batch_size"]),
        ({"training.global_batch_size": 8, "training.gradient_accumulation_steps": 2}, ["training.gradient_accumulation_steps"]),
        ({"training.global_batch_size": 6, "training.micro_batch_size": 4}, ["training.global_batch_size"]),
    ],
    "rubric_fits": [
        (LABELS | {"evaluation.rubric": RUBRIC}, ["evaluation.rubric"]),
        ({"evaluation.rubric": RUBRIC | {"max_new_tokens": 256, "limits": {}}}, ["evaluation.rubric.max_new_tokens", "evaluation.rubric.limits"]),
        ({"evaluation.rubric": RUBRIC | {"gates": {"other": {"min": 1}}}}, ["evaluation.rubric.gates.other"]),
        ({"evaluation.rubric": RUBRIC | {"gates": {"kind": {"min": 9, "max": 1}}}}, ["evaluation.rubric.gates.kind"]),
    ],
    "sampling_without_temperature": [
        ({"evaluation.generation.top_p": 0.9}, ["evaluation.generation.top_p"]),
        ({"evaluation.prompts": {"texts": ["Hi"], "generation": {"top_p": 1, "seed": 42}}},
         ["evaluation.prompts.generation.top_p", "evaluation.prompts.generation.seed"]),
    ],
    "sample_prompts_given_once": [
        ({"evaluation.prompts": {"texts": ["Hi"], "path": "prompts.txt"}}, ["evaluation.prompts"]),
        ({"evaluation.prompts": {"generation": {"temperature": 0.7}}}, ["evaluation.prompts"]),
        (LABELS | {"evaluation.prompts": {"texts": ["Hi"], "generation": {}}}, ["evaluation.prompts.generation"]),
    ],
    "rules_of_evaluation_sets": [
        (also(metrics=["accuracy"]), ["evaluation.also.plain.metrics.0"]),
        (also(labels=["yes", "no"]), ["evaluation.also.plain.labels"]),
        (also(gates={"stop_rate": {"min": 1}}), ["evaluation.also.plain.gates.stop_rate"]),
        (also(type="text", metrics=["stop_rate"]), ["evaluation.also.plain.metrics.0"]),
    ],
    "evaluation_sets_of_another_kind": [
        (LABELS | also(type="chat"), ["evaluation.also.plain.type"]),
        (TEXT | also(type="chat"), ["evaluation.also.plain.type"]),
        (also(metrics=["safety"]), ["evaluation.also.plain.metrics.0"]),
        (also(sources=[{"path": "a", "converter": "messages", "weight": 2, "split": "test"}]),
         ["evaluation.also.plain.sources.0.weight", "evaluation.also.plain.sources.0.split"]),
        (also(sources=[{"path": "generated:rows", "converter": "messages"}]), ["evaluation.also.plain.sources.0.path"]),
    ],
    "evaluation_split_exists": [
        ({"evaluation.split": "test"}, ["evaluation"]),
        ({"data.split.validation": 0}, ["evaluation"]),
    ],
    "shares_leave_nothing": [({"data.split.validation": 0.5, "data.split.test": 0.5}, ["data.split"])],
    "keys_of_another_record_type": [
        (TEXT | {"training.train_on_inputs": True}, ["training.train_on_inputs"]),
        (TEXT | {"training.roles_to_train": ["assistant"], "data.reasoning": "keep"}, ["training.roles_to_train", "data.reasoning"]),
        (LABELS | {"evaluation.seen_by": "word"}, ["evaluation.seen_by"]),
        (TEXT | {"data.system_prompt": "Be kind."}, ["data.system_prompt"]),
        (TEXT | {"data.system_role": "fold", "data.whitespace": "keep"}, ["data.system_role", "data.whitespace"]),
        ({"data.labels": ["a", "b"]}, ["data.labels"]),
        ({"training.class_weights": "balanced"}, ["training.class_weights"]),
        (LABELS | {"training.sample_packing": True}, ["training.sample_packing"]),
        (TEXT | {"training.excess_length_strategy": "drop"}, ["training.excess_length_strategy"]),
        (TEXT | {"model.chat_template": "chatml"}, ["model.chat_template"]),
        (LABELS | {"model.chat_template": "chatml", "model.end_of_turn": "<e>"}, ["model.chat_template", "model.end_of_turn"]),
    ],
    "keys_of_rows_that_are_not_divided": [
        ({"data.sources": FIXED, "data.split": {"validation": 0, "stratify_by": "topic", "seed": 42}}, ["data.split.stratify_by", "data.split.seed"]),
        ({"data.sources": [FIXED[0], FIXED[1] | {"weight": 2}]}, ["data.sources.1.weight"]),
    ],
    "generation_without_replies": [
        (LABELS | {"evaluation.generation": {"max_new_tokens": 9, "temperature": 1, "top_p": 0.5}},
         [f"evaluation.generation.{key}" for key in ("max_new_tokens", "temperature", "top_p")]),
        (also(max_new_tokens=9), ["evaluation.also.plain.max_new_tokens"]),
        ({"evaluation.generation": {"max_new_tokens": 256, "batch_size": 8}}, ["evaluation.generation.max_new_tokens"]),
        (also(metrics=["stop_rate"], max_new_tokens=9) | {"evaluation.generation": {"max_new_tokens": 256, "temperature": 0}},
         ["evaluation.generation.max_new_tokens"]),
        ({"evaluation.prompts": {"texts": ["Hi"], "generation": {}}, "evaluation.generation.temperature": 0}, ["evaluation.generation.temperature"]),
    ],
    "source_named_twice": [({"data.sources": TWICE}, ["data.sources.2"])],
    "converter_of_another_type": [
        ({"data.type": "text"}, ["data.sources.0.converter"]),
        ({"data.sources": [{"path": "rows.csv", "converter": "table", "options": {"user_key": "q", "label_key": "x"}}]},
         ["data.sources.0.options.label_key"]),
    ],
    "near_threshold_unused": [({"data.near_threshold": 0.9, "data.check_leaks": "none"}, ["data.near_threshold"])],
    "tracker_names_without_tracker": [
        ({"training.tracker_project": "x", "training.tracker_run_name": "y"}, ["training.tracker_project", "training.tracker_run_name"]),
        ({"training.trackers": ["tensorboard", "trackio"], "training.tracker_project": "x"}, ["training.tracker_project"]),
    ],
    "class_weights_of_other_labels": [
        (LABELS | {"training.class_weights": {"a": 1, "c": 2}}, ["training.class_weights.c", "training.class_weights"]),
    ],
    "padding_with_the_end_of_turn": [({"model.pad_token": "<|e|>", "model.end_of_turn": "<|e|>"}, ["model.pad_token"])],
    "flash_attention_in_fp32": [
        ({"model.attn_implementation": f"flash_attention_{number}", "training.precision": "fp32"}, ["model.attn_implementation"])
        for number in (2, 3, 4)
    ],
    "unknown_chat_template": [({"model.chat_template": "llama-3"}, ["model.chat_template"]), ({"model.chat_template": "x"}, ["model.chat_template"])],
    "remote_code_without_revision": [
        ({"model.trust_remote_code": True}, ["model.trust_remote_code"]),
        ({"model.trust_remote_code": True, "model.revision": "main"}, ["model.trust_remote_code"]),
    ],
} | generate_recipes.BREAKS  # fmt: skip

KEEPS: dict[str, list[Changes]] = {
    "held_out_rows_in_training": [
        {"data.sources": [{"path": "train.csv", "converter": "table"}, {"path": "test.csv", "converter": "table", "split": "test"}]},
        {"data.sources": [{"path": "train.csv", "converter": "table"}, {"path": "test.csv", "converter": "table", "split": "train"}]},
        {"data.sources": [{"path": "test/a.csv", "converter": "table"}, {"path": "test/b.csv", "converter": "table"}]},
    ],
    "rows_of_a_step": [
        {"training.global_batch_size": 8, "training.micro_batch_size": "auto"},
        {"training.global_batch_size": 8, "training.micro_batch_size": 4},
    ],
    "rubric_fits": [
        {"evaluation.rubric": RUBRIC},
        {"evaluation.rubric": RUBRIC | {"judges": [{"provider": "openai", "model": "m"}], "gates": {"kind": {"min": 80, "max_regression": 0}}}},
    ],
    "rules_of_evaluation_sets": [
        also(gates={"perplexity": {"max_regression": 0.5}}),
        also(labels=["yes", "no"], metrics=["accuracy", "invalid_rate"], gates={"accuracy": {"min": 0.5, "max_regression": 0}}),
    ],
    "evaluation_sets_of_another_kind": [
        also(type="text", sources=[{"path": "a", "converter": "text"}]),
        TEXT | also(sources=[{"path": "a", "converter": "text"}]),
        LABELS | also(sources=[{"path": "a.csv", "converter": "table"}], metrics=["accuracy"]),
    ],
    "quantised_without_adapter": [{"training.load_in_8bit": True, "training.adapter": "lora"}, {"training.adapter": "qlora"}],
    "adapter_keys_without_adapter": [{"training.adapter": "none"}, {"training.lora_r": 8}],
    "hub_keys_without_hub": [
        {"data.sources": [{"path": "hf:a/b", "converter": "table", "revision": "v1", "subset": "en", "hub_split": "test"}]},
        {"data.sources": [{"path": "a.csv", "converter": "table"}]},
    ],
    "file_keys_on_hub": [
        {"data.sources": [{"path": "hf:a/b", "converter": "table"}]},
        {"data.sources": [{"path": "a.csv", "converter": "table", "encoding": "cp1252", "columns": ["text", "label"]}]},
        {"data.sources": [{"path": "a.csv", "converter": "table", "skip_lines": 2}, {"path": "a.json", "converter": "table", "field": "rows"}]},
    ],
    "unknown_encoding": [
        {"data.sources": [{"path": "a", "converter": "messages", "encoding": name}]} for name in ("UTF8", "latin-1", "GB18030", "Shift_JIS")
    ],
    "embedded_model_that_no_wheel_carries": [
        {"model.base_model": "embedded:smollm2-135m-instruct"},
        {"model.base_model": "owner/embedded"},
        generate_recipes.generate(),
    ],
    "nothing_to_merge": [{"export.merge": True}],
    "deepspeed_keys_without_zero": [
        {"launch.engine": "deepspeed", "launch.zero_stage": 3, "launch.offload_params": True},
        {"launch.engine": "deepspeed", "launch.zero_stage": 3, "launch.offload_params": True, "launch.offload_optimizer": True},
        {"launch.engine": "slurm", "launch.zero_stage": 2},
    ],
    "shards_twice": [{"launch.engine": "torchrun", "launch.fsdp": True}, {"launch.engine": "deepspeed", "launch.zero_stage": 2, "training.adapter": "qlora"}],
    "optimizers_that_cannot_be_sharded": [
        {"launch.engine": "torchrun", "launch.fsdp": True, "training.optimizer": "adamw_torch_fused"},
        {"launch": {"engine": "deepspeed", "zero_stage": 2, "offload_optimizer": True}},
        {"launch": {"engine": "deepspeed", "zero_stage": 2}, "training.optimizer": "adamw_bnb_8bit"},
    ],
    "hosts_of_another_number": [{"launch": {"engine": "deepspeed", "zero_stage": 2, "num_nodes": 2, "hosts": ["a", "b"]}}],
    "sbatch_without_slurm": [{"launch": {"engine": "slurm", "sbatch": {"time": "1:00"}}}],
    "processes_without_launcher": [
        {"launch.engine": "torchrun", "launch.num_processes": 2},
        {"launch.engine": "torchrun", "launch.num_nodes": 2, "launch.main_address": "h:29500"},
        {"launch.engine": "slurm", "launch.num_nodes": 2},
    ],
    "main_address_of_one_machine": [{"launch.engine": "torchrun", "launch.num_nodes": 2, "launch.main_address": "h:1"}],
    "precision_by_quantisation": [{"training.precision": "fp16"}, {"training.adapter": "none", "training.precision": "bf16"}],
    "evaluation_beyond_the_end": [
        {"training.max_steps": 5, "training.eval_steps": 5, "training.save_steps": 5}, {"training.eval_steps": 9},
    ],
    "warm_up_longer_than_the_run": [{"training.max_steps": 5, "training.warmup_steps": 4}, {"training.warmup_ratio": 0.5},
                                    {"training.max_steps": 3, "training.warmup_ratio": 0.6}],  # fmt: skip
    "warm_up_that_the_scheduler_ignores": [
        {"training.lr_scheduler": "constant_with_warmup", "training.warmup_steps": 3}, {"training.lr_scheduler": "constant"},
    ],
    "restarts_that_never_come": [
        {"training.lr_scheduler": "cosine_with_restarts", "axolotl": {"lr_scheduler_kwargs": {"num_cycles": 2}}},
        {"training.lr_scheduler": "cosine"},
    ],
    "first_weights_of_the_adapter": [
        {"training.adapter": adapter, "axolotl": {"peft_init_lora_weights": init}}
        for adapter, init in (("lora", "pissa"), ("lora", "olora"), ("qlora", "gaussian"), ("qlora", False), ("lora", "orthogonal"))
    ],
    "arguments_that_the_scheduler_lacks": [
        {"axolotl": {"lr_scheduler_kwargs": {"num_cycles": 2}}},
        {"training.lr_scheduler": "polynomial", "axolotl": {"lr_scheduler_kwargs": {"power": 2, "lr_end": 1e-6}}},
    ],
    "epochs_beside_steps": [{"training.max_steps": 5}, {"training.num_epochs": 1}],
    "roles_of_inputs": [{"training.train_on_inputs": False, "training.roles_to_train": ["user"]}],
    "revision_of_no_repository": [
        {"model.base_model": "owner/model", "model.revision": "main"},
        {"model.base_model": "/models/mine", "model.trust_remote_code": True, "model.revision": "0123456789abcdef" * 2 + "01234567"},
    ],
    "adam_keys_without_adam": [{"training.optimizer": "paged_adamw_8bit", "training.adam_beta2": 0.95}, {"training.optimizer": "sgd"}],
    "early_stopping_without_evaluation": [
        {"training.early_stopping_patience": 2}, {"data.sources": FIXED, "data.split.validation": 0, "training.eval_steps": 3},
    ],
    "best_model_between_checkpoints": [
        {"training.load_best_model_at_end": True, "training.eval_steps": 10, "training.save_steps": 20},
        {"training.eval_steps": 10, "training.save_steps": 15},
        {"training.load_best_model_at_end": True},
    ],
    "best_metric_without_best_model": [
        LABELS | {"training.metric_for_best_model": "eval_accuracy", "training.load_best_model_at_end": True},
        LABELS | {"training.metric_for_best_model": "eval_macro_f1", "training.early_stopping_patience": 3},
    ],
    "metric_for_record_type": [{"evaluation.metrics": ["perplexity", "emoji_rate"]}, LABELS],
    "gate_without_metric": [
        {"evaluation.gates": {"perplexity": {"min": 1, "max": 9}}},
        {"evaluation.gates": {"train_loss": {"max": 1}, "validation_loss": {"max": 1.2}}},
    ],
    "labels_without_their_metrics": [{"evaluation.labels": ["low", "high"], "evaluation.metrics": ["accuracy", "invalid_rate"]}, LABELS],
    "probes_of_another_record_type": [
        {"evaluation.logit_lens": ["Once"], "evaluation.blimp": "blimp", "evaluation.sentiment_model": "m"},
        TEXT | {"evaluation.logit_lens": ["Once"], "evaluation.blimp": "blimp"},
    ],
    "sentiment_prompts_without_their_model": [{"evaluation.sentiment_prompts": "prompts.json", "evaluation.sentiment_model": "m"}],
    "judge_without_its_metrics": [{"evaluation.judge": JUDGE, "evaluation.metrics": ["safety"]}, {}],
    "labels_that_look_the_same": [
        {"evaluation.labels": ["low", "lower"], "evaluation.metrics": ["accuracy"]},
        {"evaluation.labels": [":)", ":("], "evaluation.metrics": ["accuracy"]},
    ],
    "sampling_without_temperature": [
        {"evaluation.generation.top_p": 0.9, "evaluation.generation.temperature": 0.7},
        {"evaluation.prompts": {"texts": ["Hi"], "generation": {"top_p": 0.9, "temperature": 0.7}}},
    ],
    "sample_prompts_given_once": [
        {"evaluation.prompts": {"texts": ["Hi"]}},
        {"evaluation.prompts": {"path": "prompts.txt", "generation": {"temperature": 0.7}}},
        LABELS | {"evaluation.prompts": {"texts": ["Hi"]}},
        TEXT | {"evaluation.prompts": {"texts": ["Hi"], "generation": {"temperature": 0.7}}},
    ],
    "evaluation_split_exists": [
        {"evaluation.split": "test", "data.split.test": 0.1}, {"data.sources": FIXED, "data.split.validation": 0},
    ],
    "shares_leave_nothing": [{"data.split.validation": 0.5, "data.split.test": 0.4}],
    "keys_of_another_record_type": [
        {"training.train_on_inputs": True, "data.system_prompt": "Be kind.", "training.sample_packing": True}, LABELS,
        TEXT | {"model.end_of_turn": "<e>", "evaluation.seen_by": "word"},
    ],
    "keys_of_rows_that_are_not_divided": [
        {"data.split.stratify_by": "topic"}, {"data.sources": [FIXED[0] | {"weight": 1.5}, FIXED[1]], "data.split": {"validation": 0, "seed": 1}}, {"data.sources": [FIXED[0] | {"weight": 2}, FIXED[1] | {"split": "train", "weight": 3}]},
    ],
    "generation_without_replies": [
        LABELS | {"evaluation.generation": {"batch_size": 2, "seed": 1}},
        {"evaluation.generation": {"max_new_tokens": 9, "temperature": 1}, "evaluation.metrics": ["stop_rate"]},
        {"evaluation.generation.max_new_tokens": 9, "evaluation.prompts": {"texts": ["Hi"]}},
        {"evaluation.generation.max_new_tokens": 9, "evaluation.rubric": RUBRIC},
        {"evaluation.generation.max_new_tokens": 9, "evaluation.sentiment_model": "m"},
        also(metrics=["stop_rate"]) | {"evaluation.generation": {"max_new_tokens": 9, "temperature": 1}},
        also(metrics=["stop_rate"], max_new_tokens=9),
    ],
    "source_named_twice": [{"data.sources": FIXED}, {"data.sources": TWICE[:2]}],
    "converter_of_another_type": [{}],
    "tracker_names_without_tracker": [
        {}, {"training.trackers": ["trackio"], "training.tracker_run_name": "y"},
        *({"training.trackers": ["tensorboard", name], "training.tracker_project": "x", "training.tracker_run_name": "y"}
          for name in ("wandb", "mlflow")),
    ],
    "near_threshold_unused": [
        {"data.near_threshold": 0.9},
        {"data.near_threshold": 0.9, "data.dedup": "near", "data.check_leaks": "none"},
        {"data.near_threshold": 0.9, "data.check_leaks": "near"},
    ],
    "class_weights_of_other_labels": [
        LABELS | {"training.class_weights": {"a": 1, "b": 2}}, LABELS | {"training.class_weights": "balanced"},
    ],
    "padding_with_the_end_of_turn": [{"model.pad_token": "<|p|>", "model.end_of_turn": "<|e|>"}, {"model.pad_token": "<|p|>"}],
    "flash_attention_in_fp32": [
        {"model.attn_implementation": "flash_attention_2"},
        {"model.attn_implementation": "sdpa", "training.precision": "fp32"},
    ],
    "unknown_chat_template": [{"model.chat_template": "llama3"}, {"model.chat_template": "tokenizer_default_fallback_chatml"}],
    "remote_code_without_revision": [{"model.trust_remote_code": True, "model.revision": "0123456789abcdef" * 2 + "01234567"}],
} | generate_recipes.KEEPS  # fmt: skip

Minimal = Callable[..., dict[str, Any]]


def found(rule: str, values: dict[str, Any]) -> list[str]:
    """The keys that the rule names in a recipe that the schema accepts."""
    assert validator("recipe").is_valid(values), "a rule is about recipes that the schema has accepted"
    function = {function.__name__: function for function in RULES}[rule]
    reported = [finding for finding in function(Recipe.from_values(values)) if finding.applies(values)]
    assert all(finding.what and finding.hint for finding in reported), "what is wrong, and what to do"
    return [".".join(map(str, finding.path)) for finding in reported]


@pytest.mark.parametrize(("rule", "changes", "keys"), [(r, c, k) for r, cases in BREAKS.items() for c, k in cases])
def test_a_rule_names_the_keys_that_break_it(minimal: Minimal, rule: str, changes: Changes, keys: list[str]) -> None:
    assert found(rule, minimal(changes)) == keys


@pytest.mark.parametrize(("rule", "changes"), [(r, c) for r, cases in KEEPS.items() for c in cases])
def test_a_valid_recipe_breaks_no_rule(minimal: Minimal, rule: str, changes: Changes) -> None:
    assert found(rule, minimal(changes)) == []


def test_no_rule_is_untested() -> None:
    names = [rule.__name__ for rule in RULES]
    assert sorted(BREAKS) == sorted(KEEPS) == sorted(names)
    assert len(set(names)) == len(names)


def test_a_small_recipe_breaks_no_rule(minimal: Minimal) -> None:
    assert [rule for rule in BREAKS if found(rule, minimal())] == []


FAMILIES = {
    "lora_": {"training.adapter": "none"},
    "adam_": {"training.optimizer": "sgd"},
    "warmup_": {"training.lr_scheduler": "constant"},
    "tracker_": {},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_keys_is_refused_as_one(minimal: Minimal, family: str) -> None:
    """The keys are those of the schema, so that a new one cannot be forgotten."""
    values, refused = minimal(FAMILIES[family]), []
    keys = [("training", key) for key in subschema(schema("recipe"), ("training",))["properties"] if key.startswith(family)]
    for key in keys:
        found = findings(replaced_at(values, key, tried(key, values)[-1]))
        refused += [finding.path for finding in found if finding.rule == NO_EFFECT]
    assert refused == keys and len(keys) > 1


SOURCES = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["a", "b"]), "converter": st.sampled_from(["messages", "sharegpt"])},
        optional={"options": st.sampled_from([{"last_only": True}, {"system_key": "s"}]), "split": st.sampled_from(["train", "test"]),
                  "weight": st.sampled_from([2, 3])},
    ), min_size=1, max_size=4,
)  # fmt: skip


@pytest.mark.parametrize(("key", "hint"), [("excess_length_strategy", "remove it: long texts are split"), ("train_on_inputs", "remove it")])
def test_a_key_of_another_record_type_comes_with_what_happens_instead(minimal: Minimal, key: str, hint: str) -> None:
    path = ("training", key)
    values = replaced_at(minimal(TEXT | {"data.sources": [{"path": "a", "converter": "text"}]}), path, tried(path, minimal())[0])
    assert [(finding.path, finding.hint) for finding in findings(values)] == [(path, hint)]


@given(sources=SOURCES)
def test_sources_are_duplicates_if_they_read_the_same_rows_in_the_same_way(minimal: Minimal, sources: list[dict[str, Any]]) -> None:
    alike = [{key: value for key, value in source.items() if key != "weight"} for source in sources]
    expected = [f"data.sources.{number}" for number, source in enumerate(alike) if source in alike[:number]]
    assert found("source_named_twice", minimal({"data.sources": sources})) == expected


@given(best=st.booleans(), patience=st.none() | st.just(2), each=st.none() | st.integers(1, 6), save=st.none() | st.integers(1, 12))
def test_a_training_that_keeps_the_best_model_evaluates_at_every_checkpoint(
    minimal: Minimal, best: bool, patience: int | None, each: int | None, save: int | None
) -> None:
    steps = {"early_stopping_patience": patience, "eval_steps": each, "save_steps": save}
    values = minimal({"training.load_best_model_at_end": best} | {f"training.{key}": value for key, value in steps.items() if value})
    checkpoints, evaluations = (set(range(every, 100, every)) if every else set() for every in (save, each))
    loses_some = (best or patience) and checkpoints - evaluations
    assert found("best_model_between_checkpoints", values) == (["training.save_steps"] if loses_some else [])
    assert not loses_some or f"eval_steps ({each or 'not set: once per epoch'})" in findings(values)[-1].hint


NAMES = st.sampled_from(["joy", "fear", "anger"])


@given(weights=st.dictionaries(NAMES, st.integers(1, 3), min_size=1), labels=st.lists(NAMES, unique=True, min_size=2) | st.none())
def test_class_weights_are_for_the_labels_and_for_all_of_them(minimal: Minimal, weights: dict[str, int], labels: list[str] | None) -> None:
    changes = {"data.type": "classification", "training.class_weights": weights} | ({"data.labels": labels} if labels else {})
    wrong = [f"the label {name!r} is not one of data.labels" for name in weights if name not in (labels or weights)]
    missing = [f"the label {name!r} has no weight" for name in labels or () if name not in weights]
    problems = [finding.what for finding in findings(minimal(changes)) if finding.path[1] == "class_weights"]
    assert problems == wrong + missing


def test_a_finding_becomes_a_problem_at_its_key(minimal: Minimal) -> None:
    values = minimal({"training.load_in_8bit": True, "training.adapter": "none"})
    (finding,) = next(rule for rule in RULES if rule.__name__ == "quantised_without_adapter")(Recipe.from_values(values))
    document = Document(values, {}, {("training", "load_in_8bit"): Location("r.yml", 7, 3)})
    assert str(finding.problem(document)).startswith("r.yml:7:3: training.load_in_8bit: cannot be combined with adapter: none\n    hint: ")
