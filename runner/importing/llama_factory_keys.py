"""Keys of LLaMA-Factory that recipes do not have: those that train something else, and those that do not change what is trained.

Compiled from its hparams and from TrainingArguments of transformers. A key that is in no list may be of a newer version, and is refused.
"""

_OPTIMIZER = "another optimizer would train a different model"
_LOSS = "another loss would train a different model"
_MODEL = "recipes train the model as it is, without changes to its layers or tokens"
_MEDIA = "recipes support text models only, not vision or audio"
_ROWS = "recipes read every row of every source"
_QUANTISED = "recipes quantise with bitsandbytes only: nf4 or 8 bits"


def _all(why: str, keys: str) -> dict[str, str]:
    return dict.fromkeys(keys.split(), why)


OTHER_TRAININGS = {
    **_all(_OPTIMIZER, "use_galore use_apollo use_badam use_adam_mini use_muon optim_args optim_target_modules"),
    **_all(_LOSS, "use_dft_loss use_asft_loss use_eaft_loss label_smoothing_factor moe_aux_loss_coef"),
    **_all(_MODEL, "use_llama_pro mixture_of_depths shift_attn rope_scaling resize_vocab add_tokens add_special_tokens "
                   "new_special_tokens_config init_special_tokens split_special_tokens kt_use_lora_experts"),
    **_all(_MEDIA, "image_max_pixels image_min_pixels image_do_pan_and_scan crop_to_patches video_max_pixels video_min_pixels video_fps "
                   "video_maxlen use_audio_in_video audio_sampling_rate freeze_vision_tower "
                   "freeze_multi_modal_projector freeze_language_model"),
    **_all(_ROWS, "interleave_probs tokenized_path"),
    "adapter_name_or_path": "recipes begin with a new adapter: merge this one first, and set model.base_model to the result",
    "train_from_scratch": "set model.init_from_scratch",
    "fp8": "recipes train in bf16, fp16 or fp32",
    "upcast_layernorm": "recipes keep the precision of the model's layers",
    "upcast_lmhead_output": "recipes keep the precision of the model's layers",
}  # fmt: skip
# Keys that another one switches on.
PARTS = {
    "galore_": "use_galore", "apollo_": "use_apollo", "badam_": "use_badam", "asft_": "use_asft_loss", "eaft_": "use_eaft_loss",
    "fp8_": "fp8", "pissa_": "pissa_init", "swanlab_": "use_swanlab", "oft_": "finetuning_type: oft",
    "module_dropout": "finetuning_type: oft",
    "freeze_trainable_": "finetuning_type: freeze", "freeze_extra_": "finetuning_type: freeze",
    **dict.fromkeys(("pref_", "dpo_", "kto_", "simpo_", "ppo_", "ref_model", "reward_model", "ld_alpha"), "another stage"),
}  # fmt: skip
# What recipes do instead.
INSTEAD = {
    **_all("the tokenizer's chat template is used", "tool_format enable_thinking preserve_thinking"),
    **_all("rows are shuffled in every epoch, by training.seed", "disable_shuffling data_seed train_sampling_strategy"),
    "dataloader_drop_last": "an incomplete last batch is trained too",
    "auto_find_batch_size": "use micro_batch_size: auto with global_batch_size",
    "resume_from_checkpoint": "use recipe resume",
    "output_dir": "use recipe run --runs-dir",
    **_all("use recipe push", "push_to_hub hub_model_id hub_strategy hub_private_repo hub_always_push hub_revision hub_token"),
    **_all("set launch.fsdp or launch.zero_stage", "fsdp fsdp_config fsdp_transformer_layer_cls_to_wrap use_mca use_megatron_bridge "
           "use_hyper_parallel use_kt"),
    **_all("set evaluation in the recipe", "do_eval predict_with_generate compute_accuracy do_sample temperature top_p top_k num_beams "
           "max_length max_new_tokens repetition_penalty length_penalty eval_num_beams"),
}  # fmt: skip
SAME_TRAINING = frozenset(
    """
    cache_dir media_dir overwrite_cache preprocessing_batch_size preprocessing_num_workers data_shared_file_system eval_on_each_dataset
    buffer_size streaming use_fast_tokenizer low_cpu_mem_usage use_unsloth use_unsloth_gc enable_liger_kernel use_liger_kernel
    liger_kernel_config use_reentrant_gc use_v1_kernels infer_backend infer_dtype offload_folder use_kv_cache use_cache hf_hub_token
    ms_hub_token om_hub_token print_param_status quantization_device_map double_quantization use_swanlab plot_loss
    include_effective_tokens_per_second master_addr master_port enable_torch_profiler profile_modules overwrite_output_dir
    resources_per_worker placement_strategy logging_strategy logging_first_step log_on_each_node logging_nan_inf_filter
    include_num_input_tokens_seen log_level log_level_replica disable_tqdm run_name project eval_delay per_device_eval_batch_size
    prediction_loss_only eval_on_start batch_eval_metrics include_for_metrics save_only_model save_on_each_node save_safetensors
    enable_jit_checkpoint ignore_data_skip restore_callback_states_from_checkpoint use_cpu accelerator_config parallelism_config
    remove_unused_columns label_names length_column_name debug skip_memory_metrics local_rank bf16_full_eval fp16_full_eval
    average_tokens_across_devices torch_empty_cache_steps logging_dir skip_special_tokens tensor_model_parallel_size
    pipeline_model_parallel_size expert_model_parallel_size virtual_pipeline_model_parallel_size context_parallel_size
    recompute_granularity sequence_parallel use_distributed_optimizer overlap_param_gather overlap_grad_reduce bias_activation_fusion
    apply_rope_fusion
    """.split()
)
SAME_TRAINING_PREFIXES = (
    "export_", "vllm_", "sglang_", "kt_", "megatron_bridge_", "hyper_parallel_", "ray_", "profiler_", "trackio_", "eval_do_", "eval_use_",
    "eval_accumulation_", "dataloader_", "ddp_", "moe_",
)  # fmt: skip


SPECIAL = {
    "mix_strategy": (("concat",), _ROWS),
    "quantization_method": (("bnb", "bitsandbytes"), _QUANTISED),
    "quantization_type": (("nf4",), _QUANTISED),
    "ignore_pad_token_for_loss": ((True,), "recipes never train padding"),
}  # key -> the values that recipes train with, and why another is refused


def is_known(key: str) -> bool:
    """Return whether the key is one of LLaMA-Factory that a list here names."""
    named = any(key in keys for keys in (OTHER_TRAININGS, INSTEAD, SAME_TRAINING, SPECIAL))
    return named or key.startswith((*SAME_TRAINING_PREFIXES, *PARTS))


def refused(key: str, value: object) -> str:
    """Return why a recipe with this key set would train something else; "" if it would not."""
    if key in SPECIAL:
        same, why = SPECIAL[key]
        return "" if value in same else why
    return OTHER_TRAININGS.get(key, "") if is_known(key) else "unknown key: it may change what is trained"


def instead(key: str) -> str:
    """Return why a key, which does not make another training, is not in the recipe."""
    part = next((whole for prefix, whole in PARTS.items() if key.startswith(prefix)), "")
    return INSTEAD.get(key) or (f"part of {part}" if part else "it does not change what is trained")
