"""Our side inside Axolotl's process: determinism, the audit of what is trained, a line per step, checkpoints on a signal.

Loaded by Axolotl from `plugins:` in the rendered file; the working directory is the run directory. Everything that Axolotl itself does
is left to Axolotl.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from axolotl.common.datasets import TrainDatasetMeta, load_datasets
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_tokenizer

from ..schemas.recipe import load_recipe
from .axolotl_contract import lost_keys
from .cpu_quantised import make_trainable
from .machine import this_machine
from .plan import CONFIG
from .progress import Progress
from .token_audit import audit, faults_of
from .training_callback import RunCallback


class RecipekitPlugin(BasePlugin):
    """The hooks, in the order in which Axolotl calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(Path("progress.jsonl"))
        self.callback = RunCallback(self.progress)

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> TrainDatasetMeta:
        """Check that no rendered key was lost, let Axolotl tokenise, and audit the tensors before the model is loaded."""
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.cuda.is_available():
            cfg.device_map = {"": "cpu"}  # else the rank's number, which transformers takes for an accelerator
        rendered = yaml.safe_load(Path(CONFIG).read_text(encoding="utf-8"))
        if lost := lost_keys(rendered, dict(cfg)):
            self.fail("Axolotl does not keep what was rendered:\n" + "\n".join(lost))
        self.progress.event("stage", name="tokenise")
        tokenizer = load_tokenizer(cfg)
        try:
            meta = load_datasets(cfg=cfg)
        except ValueError as error:
            if "sequence" not in str(error).lower():
                raise
            meta = None  # excess_length_strategy: raise names no row; the audit does
        report = audit(cfg, tokenizer, meta)
        Path("tokens.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
        if faults := faults_of(report, cfg, load_recipe("recipe.yml").recipe.data.max_dropped):
            self.fail("\n".join(faults))
        if meta is None:
            raise AssertionError("Axolotl refused the rows' length, but no row is too long")
        self.progress.event("stage", name="load model")
        return meta

    def fail(self, what: str) -> None:
        """Tell the runner why, in words for people, and stop."""
        self.progress.event("refused", what=what)
        raise SystemExit(1)

    def pre_model_load(self, cfg: Any) -> None:
        """Stock Axolotl draws the adapter's first weights before anything is seeded."""
        transformers.set_seed(cfg.seed)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        """Loading the base may have drawn random numbers."""
        transformers.set_seed(cfg.seed)

    def post_model_load(self, cfg: Any, model: Any) -> None:
        """Without a GPU, 4-bit layers must be mended before the first evaluation."""
        if not torch.cuda.is_available() and cfg.load_in_4bit:
            make_trainable(model, this_machine().memory)

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """What Axolotl has no key for."""
        return {} if torch.cuda.is_available() else {"use_cpu": True, "dataloader_pin_memory": False}

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Watch what the trainer is given."""
        self.callback.attach(trainer)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [self.callback]

    def post_train(self, cfg: Any, model: Any) -> None:
        """An interrupted run leaves its checkpoint and goes no further."""
        if self.callback.interrupted:
            self.progress.event("interrupted", step=self.callback.step)
            raise SystemExit(130)
        self.progress.event("stage", name="save")
