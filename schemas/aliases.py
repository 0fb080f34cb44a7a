"""Names that other tools use for our keys, for did-you-mean hints.

Sources: the option names of TRL and Hugging Face, LLaMA-Factory, Oumi, ms-swift, torchtune, Ludwig and Axolotl itself.
"""

from .base.suggestion import did_you_mean, nearest

MAX_LENGTH = 60  # a longer key is not a misspelling, and comparing it is slow

# foreign name -> our key, as section.key
ALIASES = {
    name: ours
    for ours, names in {
        "model.base_model": "model_name_or_path model_name model_id model base base_model_config checkpoint pretrained_model",
        "model.revision": "model_revision revision_of_model",
        "model.chat_template": "template prompt_template",
        "model.end_of_turn": "eot_token eot_tokens eos_token",
        "model.attn_implementation": "flash_attention flash_attn use_flash_attention attn_impl",
        "data.sources": "datasets dataset dataset_name dataset_path train_file data_files dataset_dir",
        "data.split.validation": "val_set_size val_size validation_split test_split_size split_dataset_ratio val_split",
        "data.split.group_by": "group_key group_column groups",
        "data.max_dropped": "max_bad_rows allow_dropped drop_budget",
        "data.system_prompt": "system default_system new_system_prompt system_message",
        "training.adapter": "finetuning_type tuner_type train_type peft_method use_peft method load_in_4bit quantization_bit quant_bits",
        "training.lora_r": "lora_rank r rank",
        "training.lora_alpha": "alpha",
        "training.lora_dropout": "dropout",
        "training.lora_target_modules": "target_modules lora_target lora_target_linear lora_modules train_all_linear_layers",
        "training.sequence_len": "max_seq_length max_length cutoff_len max_seq_len model_max_length global_max_sequence_length seq_len",
        "training.excess_length_strategy": "truncation_strategy truncation_mode truncation long_rows",
        "training.sample_packing": "packing pack packed neat_packing",
        "training.micro_batch_size": "per_device_train_batch_size batch_size per_device_batch_size",
        "training.global_batch_size": "train_batch_size effective_batch_size total_batch_size",
        "training.gradient_accumulation_steps": "grad_accum accumulation_steps gradient_accumulation grad_accum_steps",
        "training.num_epochs": "num_train_epochs epochs n_epochs max_epochs",
        "training.max_steps": "max_train_steps train_steps total_steps num_steps",
        "training.learning_rate": "lr base_lr peak_lr",
        "training.lr_scheduler": "lr_scheduler_type scheduler learning_rate_scheduler schedule",
        "training.warmup_ratio": "warmup_fraction warmup",
        "training.warmup_steps": "num_warmup_steps",
        "training.optimizer": "optim",
        "training.weight_decay": "wd decay",
        "training.deterministic": "full_determinism use_deterministic_algorithms determinism",
        "training.precision": "bf16 fp16 tf32 mixed_precision dtype torch_dtype",
        "training.gradient_checkpointing": "activation_checkpointing use_gradient_checkpointing enable_activation_checkpointing",
        "training.save_steps": "save_interval checkpoint_every save_strategy",
        "training.eval_steps": "eval_interval eval_strategy evaluation_strategy",
        "training.train_on_inputs": "train_on_prompt train_on_input completion_only_loss assistant_only_loss train_target loss_scale",
        "training.roles_to_train": "mask_history",
        "training.early_stopping_patience": "patience early_stopping early_stop",
        "training.load_best_model_at_end": "load_best_model",
        "training.trackers": "report_to use_wandb logger",
        "training.tracker_project": "wandb_project",
        "training.tracker_run_name": "wandb_name wandb_run_name run_name",
        "launch.num_processes": "nproc_per_node num_gpus gpus n_gpus processes",
        "launch.num_nodes": "nnodes nodes num_machines",
        "launch.main_address": "main_process_ip master_addr rdzv_endpoint",
        "launch.hosts": "hostfile",
        "launch.sbatch": "slurm",
        "launch.zero_stage": "deepspeed zero deepspeed_config",
        "launch.fsdp": "fsdp_config",
        "evaluation.generation": "generate generation_config",
        "evaluation.generation.max_new_tokens": "max_output_tokens max_completion_tokens",
        "generate": "synthesis synth data_generation distill",
        "generate.providers": "endpoints apis llm llms generators",
        "generate.limits.concurrency": "max_concurrent_requests num_workers politeness_policy",
        "generate.limits.retries": "max_retries num_retries",
        "generate.limits.max_tokens": "token_budget",
        "generate.limits.max_cost": "budget max_budget",
        "generate.filters.max_similarity": "rouge_threshold novelty similarity_threshold",
    }.items()
    for name in names.split()
}


def suggestion(key: str, section: str, here: list[str], everywhere: list[str]) -> str:
    """Return a hint for the unknown `key` in `section`; empty if nothing is similar.

    `here` are the keys of the section; `everywhere` are all keys of a recipe as section.key.
    """
    folded = key.strip().lower().replace("-", "_")
    if len(folded) > MAX_LENGTH:
        return ""
    target = ALIASES.get(folded)
    if folded in here:
        return f"did you mean {folded!r}?"
    if target:
        home, _, name = target.rpartition(".")
        return f"did you mean {name!r}?" if home == section else f"did you mean {target!r}?"
    ending = "_key" if folded.endswith("_key") else ""  # as most options have it, it says nothing of which is meant
    if near := did_you_mean(folded.removesuffix(ending), [name.removesuffix(ending) for name in here if name.endswith(ending)], cutoff=0.7):
        return near.replace("'?", f"{ending}'?")
    elsewhere = [path for path in everywhere if path.rpartition(".")[2] == folded]
    if inside := [path for path in elsewhere if path.startswith(f"{section}.")]:
        return f"did you mean {inside[0]!r}?"
    if elsewhere:
        return f"it belongs in another section: {elsewhere[0]!r}"
    if near := nearest(folded, [*(path.rpartition(".")[2] for path in everywhere), *ALIASES], cutoff=0.8):
        meant = ALIASES.get(near) or next(path for path in everywhere if path.rpartition(".")[2] == near)
        return f"did you mean {meant!r}?"
    return "valid keys: " + ", ".join(here) if here and len(here) <= 12 else ""
