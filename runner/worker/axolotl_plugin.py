"""The plugin in Axolotl's process: determinism, the label audit, a line per step, checkpoints on a signal.

Axolotl loads it from `plugins:` in the rendered file; the working directory is the run directory. Everything that Axolotl does itself is
left to Axolotl.
"""

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
import yaml
from axolotl.common.datasets import TrainDatasetMeta
from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel
from transformers.pytorch_utils import Conv1D

from ...converters.building.hub_client import limit_hub_client
from ...schemas.batch import with_micro_batch_size
from ...schemas.recipe import load_recipe
from ...schemas.sections import Recipe
from ..launch.axolotl_config import CHECKPOINTS, ROWS_CACHE
from ..launch.axolotl_contract import round_trip_differences
from ..launch.plan import CONFIG
from ..models.architecture import architecture
from ..models.module_names import experts_note, name_problems, untrained_problems
from ..resources.fit import too_large
from ..resources.forward_pass import ForwardPass, largest_forward_pass
from ..resources.model_checks import another_attention, beyond_the_context
from ..runtime.checkpoints import INTERRUPTED, SAVED
from ..runtime.machine import this_machine
from ..runtime.progress import Progress, report_user_errors
from ..runtime.run_files import RECIPE, TOKENS
from ..runtime.run_folder import RunFolder
from . import batches, chat_data, classification, cpu_lora, kernels, loss, text_data
from .attention_watch import watch_first_batch
from .axolotl_patches import admit_bucket, leave_placeholders_untouched, make_trainable, train_in_fp32, write_no_debug_log
from .callback import RunCallback
from .distributed import accept_numbered_cpu_tags, is_first, world_size
from .evaluated_rows import evaluation_faults
from .gpu import keep_on_one_gpu, load_in_fp32, step_precision, unusable_gpu
from .labels import IGNORED, end_ids
from .launcher_exit import follow_launcher_exit
from .model_checks import cannot_adapt_all, cannot_load, missing_weights, never_trained, remember_missing_weights, unfit
from .packing import block_of, piece_of
from .prepared_rows import Prepared, dropped_faults, seal_rows
from .save_check import check_save
from .saved_settings import restore, samples, stop_at
from .text_data import BlockCollator, first_shared
from .tokenization import load_tokenizer
from .varlen import use_varlen_for_fp32_weights

PREPARE = {None: chat_data.prepare, "classification": classification.prepare, "text": text_data.prepare}


class PluginKeys(BaseModel):
    """Our keys in Axolotl's configuration; Axolotl merges them into its own, so that a misspelt key is refused.

    `class_weights` is `balanced` or a weight by label.
    """

    record_type: Literal["classification", "text"] | None = None
    labels: list[str] | None = None
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    pack_blocks: bool | None = None
    flatten_batches: bool | None = None
    rows_by_step: bool | None = None
    fp32_weights: bool | None = None
    deterministic: bool | None = None
    fold_system: bool | None = None
    accepted_losses: list[Literal["reasoning", "whitespace"]] | None = None


class RecipekitPlugin(BasePlugin):
    """The hooks, in the order in which Axolotl calls them."""

    def __init__(self) -> None:
        super().__init__()
        limit_hub_client()
        write_no_debug_log()
        remember_missing_weights()
        self.progress = Progress()
        self.callback = RunCallback(self.progress)
        self.tokenizer: Any = None
        self.shared_block: dict[str, list[int]] | None = None
        self.samples: bool | None = None

    def get_input_args(self) -> str:
        """Return the types of our own keys."""
        return "recipekit.runner.worker.axolotl_plugin.PluginKeys"

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> TrainDatasetMeta:
        """Check the settings, let Axolotl tokenise the rows, and audit the tensors: all before the model is loaded."""
        follow_launcher_exit()
        report_user_errors(self.progress)
        if fault := unusable_gpu():
            self.fail(fault)
        if world_size() > 1 and not torch.cuda.is_available():
            accept_numbered_cpu_tags()
            cfg.device_map = {"": "cpu"}  # the default is the rank's number, which transformers takes for an accelerator
        self._check_settings(cfg)
        if cfg.use_ray:
            cfg.output_dir = CHECKPOINTS
        load_in_fp32(cfg)
        keep_on_one_gpu(cfg)
        self.progress.event("stage", name="tokenise")
        self.tokenizer = load_tokenizer(cfg)
        prepared = PREPARE[cfg.record_type](cfg, self.tokenizer)
        if is_first():
            seal_rows(Path(cfg.dataset_prepared_path))
            RunFolder(Path()).write(TOKENS, prepared.report)
        self._check_rows(cfg, prepared)
        if cfg.pack_blocks:
            self.shared_block = first_shared(prepared.train)
        elif cfg.flatten_batches and len(prepared.train) > 1:
            self.shared_block = block_of([piece_of(prepared.train[row]) for row in (0, 1)])
        self.progress.event("stage", name="load model")
        return TrainDatasetMeta(prepared.train, prepared.validation)

    def _check_settings(self, cfg: Any) -> None:
        """End the training if Axolotl has lost a rendered key, or if the model cannot have these settings."""
        rendered = yaml.safe_load(Path(CONFIG).read_text(encoding="utf-8"))
        if lost := round_trip_differences(rendered, dict(cfg)):
            self.fail("Axolotl does not keep what was rendered:\n" + "\n".join(lost))
        model = architecture(cfg.base_model, cfg.revision_of_model)
        if fault := beyond_the_context(cfg.sequence_len, model):
            self.fail(f"training.sequence_len: {fault}")
        if fault := another_attention(cfg.attn_implementation, model):
            self.fail(f"model.attn_implementation: {fault}")

    def _check_rows(self, cfg: Any, prepared: Prepared) -> None:
        """End the training if its rows, or those to evaluate on, cannot be used or do not fit in memory."""
        recipe = with_micro_batch_size(load_recipe(RECIPE).recipe, cfg.micro_batch_size)
        faults = prepared.faults + dropped_faults(prepared.report, cfg.excess_length_strategy, recipe.data.max_dropped)
        faults = faults or evaluation_faults(cfg, self.tokenizer, recipe)
        faults = faults or too_large(recipe, cfg.base_model, cfg.num_labels or 0, _forward_pass(cfg, recipe, prepared.train))
        if faults:
            self.fail("\n".join(faults))

    def fail(self, what: str) -> None:
        """Report the reason to the runner, and stop."""
        self.progress.event("refused", what=what)
        raise SystemExit(1)

    def pre_model_load(self, cfg: Any) -> None:
        """Seed before Axolotl draws the adapter's initial weights, which it does unseeded. Liger's hook was called before this one."""
        if fault := cannot_load(cfg):
            self.fail(fault)
        if cfg.use_trackio:
            admit_bucket()
        if cfg.fsdp_config:
            leave_placeholders_untouched()
        if torch.cuda.is_available():
            kernels.keep_compiled_kernels(Path(cfg.dataset_prepared_path, ROWS_CACHE, "triton"))
            if cfg.sdpa_varlen and cfg.fp32_weights:
                use_varlen_for_fp32_weights()
        if cfg.liger_rope and cfg.lora_qkv_kernel:
            kernels.give_rope_to_lora_attention(cfg.model_config_type)
        transformers.set_seed(cfg.seed)

    def post_model_build(self, cfg: Any, model: Any) -> None:
        """Check the configuration's module names against the model, and prepare a classification head before an adapter copies it."""
        parameters = [name for name, _ in model.named_parameters()]
        found = name_problems({**cfg, "unfrozen_parameters": None}, [name for name, _ in model.named_modules()], parameters)
        if problems := _located(found):
            self.fail(problems)
        if not (cfg.deepspeed or cfg.fsdp_config) and (lacking := missing_weights(model)):  # each process of those loads a part
            self.fail(f"model.base_model: {lacking}")
        if cfg.record_type == "classification" and (note := classification.prepare_head(cfg, model)):
            self.progress.event("log", what=note)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        """Seed again, as loading the base may have drawn random numbers. For Axolotl GPT-2's Conv1D is no linear layer; it is one."""
        if cfg.lora_target_linear and (fault := cannot_adapt_all(model)):
            self.fail(f"training.lora_target_modules: {fault}")
        layers = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, Conv1D)}
        if cfg.lora_target_linear and layers:
            cfg.lora_target_modules = sorted({*(cfg.lora_target_modules or []), *layers})
        transformers.set_seed(cfg.seed)

    def post_model_load(self, cfg: Any, model: Any) -> None:
        """Without a GPU, make 4-bit layers trainable before the first evaluation, and fuse LoRA layers."""
        self.samples = samples(model)
        if not torch.cuda.is_available():
            if cfg.load_in_4bit:
                make_trainable(model, this_machine().memory)
            cpu_lora.fuse(model)
        if cfg.adapter and (cfg.fp16 or cfg.record_type == "classification") and not cfg.deepspeed:  # which has fp32 weights of its own
            train_in_fp32(model)
        if cfg.record_type == "classification":
            classification.set_padding(model, self.tokenizer)
        if cfg.record_type == "text" or cfg.pack_blocks or cfg.flatten_batches:
            model.config.use_cache = False  # with a cache, transformers does not derive document boundaries from positions
        if not (cfg.deepspeed or cfg.fsdp_config):  # a sharded model cannot be tried by one process
            with step_precision(cfg, model.device):
                fault = unfit(cfg, model, self.shared_block, 1 if _is_flat(cfg) else cfg.micro_batch_size)
            if fault:
                self.fail(fault)

    def get_training_args(self, cfg: Any) -> Any:
        """Return settings for which Axolotl has no key, or from which it would deviate.

        It keeps the best checkpoint by default, but never if evaluations are once per epoch. It rounds a share of the steps for warm-up
        down, to none in a short run, and makes two steps of one; transformers rounds it up. transformers logs the mean of earlier
        losses, or 0, in the place of one that is not a number.
        """
        arguments: dict[str, Any] = {"load_best_model_at_end": bool(cfg.load_best_model_at_end), "logging_nan_inf_filter": False}
        arguments["warmup_steps"] = cfg.warmup_steps if cfg.warmup_ratio is None else cfg.warmup_ratio  # below 1 it is a share
        if cfg.deterministic:
            arguments["full_determinism"] = True
        return arguments | ({} if torch.cuda.is_available() else {"use_cpu": True, "dataloader_pin_memory": False})

    def get_collator_cls_and_kwargs(self, cfg: Any, is_eval: bool = False) -> Any:
        """Return how rows become batches, for record types that Axolotl lacks."""
        if cfg.record_type == "classification":
            return classification.collator(self.tokenizer, classification.PAD_MULTIPLE if torch.cuda.is_available() else None)
        blocks = cfg.record_type == "text" or (cfg.pack_blocks or cfg.flatten_batches) and not is_eval
        return (BlockCollator, {"flatten": _is_flat(cfg)}) if blocks else None

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Check that what the recipe names is trained, and set up the trainer's loss, batches and callback."""
        self._check_what_is_trained(cfg, trainer)
        if cfg.record_type == "classification":
            classification.set_up_trainer(cfg, trainer)
        else:
            loss.set_up_trainer(cfg, trainer)
            loss.sum_validation_tokens(trainer)
            stop_at(trainer.model, end_ids(cfg, self.tokenizer))
            watch_first_batch(cfg, trainer, self.fail)
        batches.set_up_trainer(cfg, trainer)
        if missing := kernels.not_in_force(cfg, trainer.model):
            self.fail(f"{', '.join(missing)}: rendered, but not used by this model; set training.kernels: off")
        self.callback.attach(trainer)
        if self.progress.enabled and not (cfg.deepspeed or cfg.fsdp_config):  # all processes save a sharded model together
            try:
                check_save(trainer.model, self.tokenizer)
            except Exception as error:  # it would also happen at the end
                traceback.print_exc()
                self.fail(f"the model could not be saved after training, so training does not start: {type(error).__name__}: {error}")

    def _check_what_is_trained(self, cfg: Any, trainer: Any) -> None:
        """End the training if the recipe names parameters that are not trained; note experts and tokens that stay as they are."""
        parameters = dict(trainer.model.named_parameters())  # an adapter changes their names
        trained = [name for name, weight in parameters.items() if weight.requires_grad]
        grouped = {*trained} & {*trainer.get_decay_parameter_names(trainer.model)} if cfg.lr_groups else set()
        grouped = {name for name in grouped if not any(part in name for part in ("embed_tokens", "lm_head", "modules_to_save"))}
        found = [
            *name_problems({"unfrozen_parameters": cfg.unfrozen_parameters}, [], parameters),
            *untrained_problems(cfg, trained, grouped),
        ]
        if found:
            self.fail(_located(found))
        notes = [experts_note(trained, {*parameters} - {*trained})] if cfg.lora_target_linear else []
        if not (cfg.deepspeed or cfg.fsdp_config):  # each process of those has a part of the embeddings
            notes.append(never_trained(trainer.model, self.tokenizer, trainer.train_dataset))
        for note in filter(None, notes):
            self.progress.event("log", what=note)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [self.callback]

    def post_train(self, cfg: Any, model: Any) -> None:
        """Stop an interrupted run after its checkpoint; else give a full model the settings of its base before it is saved."""
        if self.callback.interrupted:
            self.progress.event(INTERRUPTED, step=self.callback.step)
            raise SystemExit(130)
        if not cfg.adapter:
            restore(model, self.samples)
        self.progress.event("stage", name="save")

    def post_train_unload(self, cfg: Any) -> None:
        """Tell the runner that everything is saved: an error while the processes end does not matter then."""
        self.progress.event(SAVED)


def _located(problems: Iterable[tuple[str, str]]) -> str:
    """Return a line for each problem, with the section of the recipe that has the key."""
    return "\n".join(
        f"{'training' if key in ('lora_target_modules', 'lora_dropout') else 'axolotl'}.{key}: {what}" for key, what in problems
    )


def _forward_pass(cfg: Any, recipe: Recipe, rows: Any) -> ForwardPass:
    """Return the largest forward pass over the tokenised rows."""
    lengths = None if cfg.pack_blocks or cfg.pad_to_sequence_len else [len(ids) for ids in rows["input_ids"]]
    if cfg.record_type == "classification":
        return largest_forward_pass(recipe, lengths, varlen=False)
    reads_ends = cfg.flatten_batches or cfg.pack_blocks and (cfg.sdpa_varlen or _is_flat(cfg))
    trained = [sum(label != IGNORED for label in labels) for labels in rows["labels"]]
    return largest_forward_pass(recipe, lengths, bool(reads_ends), trained)


def _is_flat(cfg: Any) -> bool:
    """Return whether the rows of a batch share one sequence: as rendered, or for a flash kernel, which separates rows in no other way."""
    return bool(cfg.flatten_batches) or "flash" in str(cfg.attn_implementation)
