"""The values that benchmarks/axolotl_fields.py gives Axolotl's fields, and the kinds of training that it gives them in."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

# The kinds of training: what they set in the tiny recipe, which trains an adapter on chats. A field is tried in them in this order,
# one about adapters only where there is one, one about padding where rows are packed too.
KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "full": {"training.adapter": "none"},
    "packed": {"training.sample_packing": "true"},
}

# Names that trackers show: without one they do nothing.
TRACKERS = frozenset({
    "hf_mlflow_log_artifacts", "mlflow_experiment_name", "mlflow_run_name", "trackio_project_name", "trackio_run_name", "wandb_name",
    "wandb_project", "wandb_run_id",
})  # fmt: skip

# What changes how fast rows are read, and nothing that is compared.
SPEED = frozenset(
    {"dataloader_num_workers", "dataloader_prefetch_factor", "dataset_keep_in_memory", "dataset_num_proc", "dataset_processes"}
)

# What only a GPU, a kernel that is not on PyPI, or several processes could show: passed through, and said to be unseen.
GPU = frozenset({
    "activation_offloading", "batch_flattening", "bnb_config_kwargs", "dataloader_pin_memory", "ddp_broadcast_buffers", "ddp_bucket_cap_mb",
    "ddp_find_unused_parameters", "ddp_timeout", "deepcompile", "experts_implementation", "flex_attn_compile_kwargs", "fp32_norm_classes",
    "fp32_norms", "fp8", "fp8_config", "fp8_enable_fsdp_float8_all_gather", "fsdp_final_state_dict_type", "fused_attn_kernel",
    "gradient_checkpointing_kwargs",
    "gpu_memory_limit", "large_head_attention", "layer_offloading", "lora_embedding_kernel", "lora_mlp_kernel", "lora_o_kernel",
    "lora_qkv_kernel", "low_cpu_mem_usage", "max_memory", "ple_cpu_offload", "qlora_sharded_model_loading", "quantize_moe_experts",
    "profiler_steps", "profiler_steps_start", "sdpa_varlen", "selective_checkpointing", "tiled_mlp", "tiled_mlp_num_shards",
    "tiled_mlp_use_original_mlp", "torch_compile", "torch_compile_backend", "torch_compile_mode", "torch_compile_options",
    "torch_empty_cache_steps",
})  # fmt: skip

# name -> (value, what else must be set), tried one after the other. What is not here gets values of its type.
VALUES: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "accelerator_config": [({"split_batches": True}, {}), ({"use_seedable_sampler": False}, {})],
    "added_tokens_overrides": [({0: "<|other|>"}, {})],
    "cosine_constant_lr_ratio": [(0.5, {"cosine_min_lr_ratio": 0.1, "lr_scheduler": "cosine"})],
    "cosine_min_lr_ratio": [(0.5, {"lr_scheduler": "cosine"})],
    "device_map": [("cpu", {})],
    "eaft_alpha": [(3.0, {"use_eaft": True})],
    "eaft_k": [(2, {"use_eaft": True})],
    "embedding_lr": [(0.5, {}), (0.5, {"lora_modules_to_save": ["embed_tokens"]})],
    "embedding_lr_scale": [(9.0, {}), (9.0, {"lora_modules_to_save": ["embed_tokens"]})],
    "greater_is_better": [(True, {"load_best_model_at_end": True})],
    "jagged_restart_anneal_steps": [(1, {"jagged_restart_steps": 2, "jagged_restart_warmup_steps": 1})],
    "jagged_restart_steps": [(2, {}), (2, {"jagged_restart_warmup_steps": 1})],
    "jagged_restart_warmup_steps": [(1, {"jagged_restart_steps": 2})],
    "lisa_layers_attribute": [("model.layers", {"lisa_n_layers": 1, "lisa_step_interval": 1})],
    "lisa_n_layers": [(1, {"lisa_step_interval": 1})],
    "lisa_step_interval": [(1, {"lisa_n_layers": 1})],
    "lora_alpha_pattern": [({".*q_proj": 64}, {})],
    "lora_modules_to_save": [(["embed_tokens"], {})],
    "lora_rank_pattern": [({".*q_proj": 2}, {})],
    "lora_target_parameters": [(["mlp.gate_proj.weight"], {}), (["mlp.gate_proj.weight"], {"lora_dropout": 0.0})],
    "loraplus_lr_embedding": [(0.5, {"loraplus_lr_ratio": 16.0, "lora_modules_to_save": ["embed_tokens"]})],
    "loraplus_lr_ratio": [(16.0, {})],
    "lr_groups": [([{"name": "q", "modules": ["q_proj"], "lr": 0.5}], {})],
    "lr_quadratic_warmup": [(True, {"warmup_steps": 3}), (True, {"lr_scheduler": "cosine", "warmup_steps": 3})],
    "lr_scheduler_kwargs": [({"num_cycles": 3}, {"lr_scheduler": "cosine_with_restarts"})],
    "neftune_noise_alpha": [(5.0, {})],
    "noisy_embedding_alpha": [(5.0, {})],
    "optim_args": [({"betas": [0.5, 0.6]}, {}), ("betas=0.5", {}), ({"weight_decouple": False}, {"optimizer": "adopt_adamw"})],
    "peft": [({"loftq_config": {"loftq_bits": 4}}, {})],
    "peft_init_lora_weights": [("gaussian", {}), (False, {})],
    "peft_layers_pattern": [(["layers"], {"peft_layers_to_transform": [0], "lora_target_linear": None, "lora_target_modules": ["q_proj"]})],
    "peft_layers_to_transform": [([0], {}), ([0], {"lora_target_linear": None, "lora_target_modules": ["q_proj"]})],
    "peft_trainable_token_indices": [([5, 6], {})],
    "pose_max_context_len": [(128, {"use_pose": True})],
    "pose_num_chunks": [(2, {"use_pose": True})],
    "pose_split_on_token_ids": [([5], {"use_pose": True})],
    "scaling_softmax_bias": [(1.0, {"scaling_softmax": True})],
    "scaling_softmax_factor": [(2.0, {"scaling_softmax": True})],
    "tokens": [(["<new>"], {"lora_modules_to_save": ["embed_tokens", "lm_head"]})],
    "unfrozen_parameters": [(["model.layers.0.*"], {})],
    "mean_resizing_embeddings": [(True, {"tokens": ["<new>"], "lora_modules_to_save": ["embed_tokens", "lm_head"]})],
    "dataloader_prefetch_factor": [(4, {"dataloader_num_workers": 1})],
    "chunked_cross_entropy_num_chunks": [(2, {"chunked_cross_entropy": True})],
}  # fmt: skip


# What the probes do not show, because a recipe has it by default, or because it takes two fields: read in Axolotl's scheduler.py.
KNOWN: dict[str, dict[str, Any]] = {
    "cosine_constant_lr_ratio": {"lost_with": ["lr_quadratic_warmup"]},
    "cosine_min_lr_ratio": {"needs": {"lr_scheduler": "cosine"}, "unless": "jagged_restart_steps", "lost_with": ["lr_quadratic_warmup"]},
    "lr_quadratic_warmup": {"needs": {"lr_scheduler": "cosine", "warmup_steps": 3}},
    "lr_scheduler_kwargs": {"lost_with": ["cosine_min_lr_ratio", "lr_quadratic_warmup"]},
}


def attempts(name: str, field: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The kinds of training, values and further keys to try the field with. `field` is pydantic's."""
    given = VALUES.get(name) or [(value, {}) for value in _values(field.annotation, field.default)]
    if not any(needs == {} for _, needs in given):
        given = [(given[0][0], {}), *given]  # what it needs is known only where it does nothing alone
    kinds = ["lora"] if name.startswith(("lora", "peft")) else ["lora", "full"] if "pack" not in name and "pad" not in name else list(KINDS)
    for needs_something in (False, True):
        for kind in kinds:
            for value, needs in given:
                if bool(needs) == needs_something:
                    yield kind, value, needs


def _values(annotation: Any, default: Any) -> list[Any]:
    """Values of the type that are not the default."""
    kinds = [annotation, *get_args(annotation)] if get_origin(annotation) is not Literal else [annotation]
    literals = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind) if value != default]
    if literals:
        return literals[:3]
    if bool in kinds:
        return [not default] if default is not None else [True, False]
    if int in kinds:
        return [1 if default != 1 else 3, 7]
    if float in kinds:
        return [0.5 if default != 0.5 else 0.25]
    return []
