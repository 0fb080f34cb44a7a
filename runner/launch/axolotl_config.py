"""Render a recipe to the dict for axolotl.yml. Pure: opens nothing. Every key here must survive Axolotl's own validation."""

from typing import Any, NamedTuple

from ...schemas.batch import batch_of
from ...schemas.sections import AUTO, Recipe, Training
from ..models.reference import ATTENTION
from ..runtime.machine import PART, Machine
from ..runtime.run_files import TRAIN_ROWS
from .kernel_choice import FLASH, KernelChoice, attention
from .precision import has_fp32_weights, precision
from .trackers import tracker_keys

LIGER_PLUGIN = "axolotl.integrations.liger.LigerPlugin"
PLUGIN = "recipekit.runner.worker.axolotl_plugin.RecipekitPlugin"
CHECKPOINTS = "checkpoints"
PREPARED = "prepared"  # tokenised rows
ROWS_CACHE = "cache"  # in that folder, the copies of the rows that `datasets` makes; removed after the training
RAY_FOLDER = "ray"  # Ray keeps its own files in Axolotl's output folder; our plugin has the trainer write to CHECKPOINTS
OPTIMIZERS_WITHOUT_CPU = ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit")


class RenderedData(NamedTuple):
    """What rendering needs from the data: paths relative to the run directory, and the labels of a classification."""

    train: str = TRAIN_ROWS
    validation: str | None = None
    labels: tuple[str, ...] = ()


def render_axolotl(
    recipe: Recipe, data: RenderedData, machine: Machine, base_model: str, kernels: KernelChoice | None = None
) -> dict[str, Any]:
    """Return the whole Axolotl configuration, in reading order.

    `base_model` is a hub name or a folder; without `kernels`, every layer is that of transformers and PEFT.
    """
    kernels = kernels or KernelChoice()
    config: dict[str, Any] = {
        **_model(recipe, base_model),
        **_adapter(recipe.training),
        **_datasets(recipe, data),
        **_task(recipe, data),
        **_rows(recipe, machine),
        **_optimizer(recipe.training, machine),
        **_precision(recipe, machine),
        **_watching(recipe, data),
        **_sharding(recipe, machine),
        **kernels.keys(recipe),
        # Ours comes last, so that Liger has patched its layers when ours is called.
        "plugins": [LIGER_PLUGIN, PLUGIN] if kernels.liger else [PLUGIN],
        "output_dir": RAY_FOLDER if recipe.launch.engine == "ray" else CHECKPOINTS,
        **recipe.axolotl,
    }
    return {key: value for key, value in config.items() if value is not None}


def substitutions(recipe: Recipe, machine: Machine) -> list[str]:
    """Return in words what the machine forces to differ from the recipe; the run prints it."""
    found = []
    if machine.is_cpu and recipe.training.optimizer in OPTIMIZERS_WITHOUT_CPU:
        found.append(f"optimizer: adamw_torch instead of {recipe.training.optimizer}, which needs a GPU")
    if machine.is_cpu and recipe.training.precision in ("bf16", "fp16"):
        found.append(f"precision: fp32 instead of {recipe.training.precision}, which is slow on a CPU")
    if not machine.is_cpu and recipe.training.precision == "bf16" and not machine.fast_bf16:
        found.append(f"precision: {precision(recipe.training, machine)} instead of bf16, which {machine.gpu_name} does not support")
    if trains_on_one_gpu_of_several(recipe, machine) and machine.gpus > 1:
        found.append(f"one of {machine.gpus} GPUs is used; to use all, set engine: torchrun and num_processes: {machine.gpus}")
    return found


def trains_on_one_gpu_of_several(recipe: Recipe, machine: Machine) -> bool:
    """Return whether a single process could find several GPUs, over which Axolotl would spread the model, or transformers the batches.
    Of a GPU that is divided, how many parts it would find is not known."""
    return recipe.launch.engine == "local" and (machine.gpus > 1 or machine.gpu_name.startswith(PART))


def _model(recipe: Recipe, base_model: str) -> dict[str, Any]:
    model = recipe.model
    special = {"pad_token": model.pad_token} if model.pad_token else None
    return {
        "base_model": base_model,
        "revision_of_model": model.revision,
        "trust_remote_code": model.trust_remote_code,
        "type_of_model": "AutoModelForSequenceClassification" if recipe.data.type == "classification" else None,
        "chat_template": model.chat_template if recipe.data.type == "chat" else None,
        "eot_tokens": [model.end_of_turn] if model.end_of_turn else None,
        "special_tokens": special,
        "attn_implementation": model.attn_implementation or ATTENTION,
    }


def _adapter(training: Training) -> dict[str, Any]:
    if training.adapter == "none":
        return {}
    everything = training.lora_target_modules == "all-linear"
    return {
        "adapter": training.adapter,
        "load_in_4bit": True if training.adapter == "qlora" else None,
        "load_in_8bit": training.load_in_8bit if training.adapter == "lora" else None,
        "lora_r": training.lora_r,
        "lora_alpha": training.lora_alpha,
        "lora_dropout": training.lora_dropout,
        "lora_target_linear": True if everything else None,
        "lora_target_modules": None if everything else list(training.lora_target_modules),
    }


def _datasets(recipe: Recipe, data: RenderedData) -> dict[str, Any]:
    def dataset(path: str) -> dict[str, Any]:
        if recipe.data.type != "chat":
            return {"path": path, "ds_type": "json", "split": "train"}  # no `type`: our plugin reads these rows
        return {
            "path": path,
            "ds_type": "json",
            "type": "chat_template",
            "split": "train",
            "field_messages": "messages",
            "message_field_training": "train",
            "roles_to_train": list(recipe.training.roles_to_train),
            "train_on_eos": "turn",
        }

    return {
        "datasets": [dataset(data.train)],
        "test_datasets": [dataset(data.validation)] if data.validation else None,
        "val_set_size": 0.0,
        "shuffle_merged_datasets": False,  # the sampler shuffles; in file order, a bad row can be named
        "dataset_prepared_path": PREPARED,
        "train_on_inputs": recipe.training.train_on_inputs if recipe.data.type == "chat" else None,
    }


def _task(recipe: Recipe, data: RenderedData) -> dict[str, Any]:
    """Return the keys of our plugin (PluginKeys in axolotl_plugin.py), for what Axolotl has no key for."""
    packing = recipe.training.sample_packing
    if recipe.data.type == "text":
        return {"record_type": "text", "pack_blocks": packing}
    if recipe.data.type == "classification":
        return {
            "record_type": "classification",
            "num_labels": len(data.labels) or None,  # None before conversion: `recipe render`
            "labels": list(data.labels) or None,
            "class_weights": recipe.training.class_weights,
        }
    accepted = [key for key in ("reasoning", "whitespace") if getattr(recipe.data, key) != "keep"]
    return {"pack_blocks": packing or None, "fold_system": recipe.data.system_role == "fold" or None, "accepted_losses": accepted or None}


def _rows(recipe: Recipe, machine: Machine) -> dict[str, Any]:
    training, batch = recipe.training, batch_of(recipe)
    assert training.micro_batch_size != AUTO, "the size was not chosen"
    is_by_step = training.global_batch_size is not None
    return {
        "sequence_len": training.sequence_len,
        "excess_length_strategy": training.excess_length_strategy if recipe.data.type != "text" else None,
        # Axolotl's packing drops rows that do not fill a last batch, different ones in each epoch; our plugin packs without dropping.
        "sample_packing": False,
        "pad_to_sequence_len": False if machine.is_cpu else None,  # None pads every batch to a multiple of 64, which only helps a GPU
        "group_by_length": training.group_by_length,
        "micro_batch_size": batch.micro_batch_size,
        "gradient_accumulation_steps": batch.gradient_accumulation_steps,
        # The rows of a step and the validation loss must not depend on how a step is divided: a batch's loss is a mean of its own tokens.
        "rows_by_step": is_by_step or None,
        # Texts share a sequence under flash attention. Of several, those that fill up the last batches could not be told from the others.
        "eval_batch_size": 1 if is_by_step or recipe.data.type == "text" and attention(recipe) in FLASH else None,
        "num_epochs": training.num_epochs,
        "max_steps": training.max_steps,
    }


def _optimizer(training: Training, machine: Machine) -> dict[str, Any]:
    optimizer = "adamw_torch" if machine.is_cpu and training.optimizer in OPTIMIZERS_WITHOUT_CPU else training.optimizer
    return {
        "learning_rate": training.learning_rate,
        "lr_scheduler": training.lr_scheduler,
        "warmup_ratio": training.warmup_ratio,
        "warmup_steps": 0 if training.warmup_ratio is None and training.warmup_steps is None else training.warmup_steps,
        "optimizer": optimizer,
        "weight_decay": training.weight_decay,
        "adam_beta1": training.adam_beta1,
        "adam_beta2": training.adam_beta2,
        "adam_epsilon": training.adam_epsilon,
        "max_grad_norm": training.max_grad_norm,
        "seed": training.seed,
        "deterministic": training.deterministic or None,
    }


def _precision(recipe: Recipe, machine: Machine) -> dict[str, Any]:
    training = recipe.training
    wanted = precision(training, machine)
    return {
        "fp32_weights": has_fp32_weights(recipe, machine) or None,
        "bf16": wanted == "bf16",
        "fp16": wanted == "fp16",
        "tf32": machine.fast_bf16 and wanted != "fp32",  # TF32 multiplies with 10 bits, as fp16 does
        "gradient_checkpointing": training.gradient_checkpointing,
    }


def _watching(recipe: Recipe, data: RenderedData) -> dict[str, Any]:
    training = recipe.training
    evaluates = data.validation is not None
    every = training.eval_steps
    saves = training.save_steps or every
    config: dict[str, Any] = {
        "logging_steps": training.logging_steps,
        "eval_steps": every if evaluates else None,
        "eval_strategy": "epoch" if evaluates and every is None else None,
        "save_steps": saves,
        "save_strategy": "epoch" if saves is None else None,
        "save_total_limit": training.save_total_limit,
        "early_stopping_patience": training.early_stopping_patience,
        "load_best_model_at_end": training.load_best_model_at_end if evaluates else None,
        "metric_for_best_model": training.metric_for_best_model if evaluates else None,
        "greater_is_better": "loss" not in training.metric_for_best_model if evaluates else None,
    }
    return config | tracker_keys(recipe)


def _sharding(recipe: Recipe, machine: Machine) -> dict[str, Any]:
    launch = recipe.launch
    ray: dict[str, Any] = {}
    if launch.engine == "ray":
        ray = {"use_ray": True, "ray_num_workers": launch.processes, "resources_per_worker": {"GPU": 1}}
    packed: dict[str, Any] = {}
    if recipe.training.adapter == "qlora" and precision(recipe.training, machine) == "fp16" and launch.is_sharded:
        # Axolotl packs 4-bit weights into bf16 numbers. DeepSpeed and FSDP2 convert the model to fp16, which would change their bits.
        packed = {"bnb_config_kwargs": {"bnb_4bit_quant_storage": "float16"}}
    if launch.fsdp:
        sharded = {
            "offload_params": launch.offload_params,
            "state_dict_type": "FULL_STATE_DICT",
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            # The first process loads the model and sends the others their parts; else each would hold all of it in main memory.
            # bitsandbytes quantises on the GPU, in every process.
            **({} if recipe.training.weight_bits else {"cpu_ram_efficient_loading": True}),
        }
        # Otherwise accelerate would keep the gradients of all weights on every GPU, in bf16, until the last micro-batch of a step.
        each = {"gradient_accumulation_kwargs": {"sync_each_batch": True}}
        return {"fsdp_version": 2, "fsdp_config": sharded, "accelerator_config": each, **ray, **packed}
    return ({"deepspeed": "rendered/deepspeed.json"} if launch.zero_stage else {}) | ray | packed
