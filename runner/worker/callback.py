"""The callback for each training step: a line in metrics.jsonl, a sealed checkpoint, a clean stop on a signal."""

import faulthandler
import json
import math
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import IntervalStrategy

from ...schemas.base.files import append_whole
from ..runtime.checkpoints import EARLY_STOPPING, KILL_AFTER_SAVE, KILL_AT, KILL_AT_END, KILLED, NEVER_BETTER, STOP_AT, TRAINED
from ..runtime.progress import Progress, read_lines
from ..runtime.run_files import FIT_FORECAST, PEAK_MEMORY, STEP_LOG
from ..runtime.run_folder import RunFolder
from ..runtime.seals import write_seal
from ..runtime.watchdog import beat
from .distributed import all_reduce_sum, barrier, is_first
from .labels import IGNORED
from .weight_movement import MovementCheck

_STEP_LOG = Path(STEP_LOG)


class RunCallback(TrainerCallback):
    """Follows a training. After SIGTERM or SIGINT, the current step is finished and checkpointed, and `interrupted` is set."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.signalled = False
        self.interrupted = False
        self.step = 0
        self.trainer: Any = None
        self.late = False
        self.began = self.started = time.monotonic()
        self.tokens = 0
        self.tokens_before = 0
        self.movement = MovementCheck()

    def attach(self, trainer: Any) -> None:
        """Follow this trainer, where transformers has no event for it: its micro-batches are counted, its evaluations leave the random
        state as it was, and an ended training takes no step."""
        self.trainer = trainer
        self._count_tokens(trainer)
        keep_random_state_in_evaluations(trainer)
        take_no_step_after_the_end(trainer)

    def _count_tokens(self, trainer: Any) -> None:
        """Count the tokens of every micro-batch without padding; each is also a sign of life for the watchdog."""
        training_step = trainer.training_step

        def counted_step(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            mask = inputs.get("attention_mask")
            self.tokens += int(block_tokens(inputs) if mask is None else (mask > 0).sum())
            beat()
            return training_step(model, inputs, *args, **kwargs)

        trainer.training_step = counted_step

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # Ray Train uses another thread, where no handler can be set
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
        faulthandler.register(signal.SIGUSR1)  # the watchdog requests stack traces
        for callback in self.early_stopping if os.environ.get(NEVER_BETTER) else ():
            callback.early_stopping_threshold = math.inf
        kept = [line for line in read_lines(log_until(args, state)) if state.global_step and line["step"] <= state.global_step]
        barrier()
        if is_first():
            _STEP_LOG.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self.step = state.global_step
        self.movement.follow(self.trainer.optimizer, hasattr(self.trainer.model, "peft_config"))
        if state.global_step:
            self.resume(args, state, {line["step"] for line in kept if "eval_loss" in line})
            control.should_training_stop = state.global_step >= state.max_steps or self.stopped_early
        self.began = self.started = time.monotonic()
        self.tokens = 0
        self.progress.event("train", steps=state.max_steps, step=state.global_step, pid=os.getpid())

    def resume(self, args: TrainingArguments, state: TrainerState, evaluated: set[int]) -> None:
        """Restore what transformers loses on resume: the patience of early stopping, and an evaluation that was due when the training
        was stopped. Axolotl evaluates at every start; here only in this case, because the patience would be counted twice."""
        by_steps = args.eval_strategy == IntervalStrategy.STEPS and state.global_step % int(args.eval_steps or 1) == 0
        ends = state.global_step >= state.max_steps or abs((state.epoch or 0) - round(state.epoch or 0)) < 1e-6  # the last epoch may be cut
        by_epoch = args.eval_strategy == IntervalStrategy.EPOCH and ends
        self.late = bool(by_steps or by_epoch) and state.global_step not in evaluated
        args.eval_on_start = self.late
        saved: Any = state.stateful_callbacks or {}
        waited = saved.get("EarlyStoppingCallback", {}).get("attributes", {}).get("early_stopping_patience_counter", 0)
        for callback in self.early_stopping:
            callback.early_stopping_patience_counter = waited

    @property
    def early_stopping(self) -> list[EarlyStoppingCallback]:
        """Return the early stopping callback, if there is one."""
        return [callback for callback in self.trainer.callback_handler.callbacks if isinstance(callback, EarlyStoppingCallback)]

    @property
    def stopped_early(self) -> bool:
        """Return whether early stopping has ended the training."""
        return any(callback.early_stopping_patience_counter >= callback.early_stopping_patience for callback in self.early_stopping)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Finish the step, then write a checkpoint and stop. Ctrl-C after that ends the process at once. Another SIGTERM does not:
        systemd and Slurm send it to all processes, and those that started this one forward it."""
        if self.signalled:
            if number == signal.SIGINT:
                raise SystemExit(130)
            return
        self.signalled = True
        self.progress.event("stopping", signal=signal.Signals(number).name)

    def on_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if why := self.movement.after_step(args.device):
            self.progress.event("refused", what=why)
            raise SystemExit(1)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.step = state.global_step
        if str(self.step) == os.environ.get(KILL_AT):
            os.kill(os.getpid(), signal.SIGKILL)
        # A signal reaches the processes at different moments, but a checkpoint needs all of them at the same step.
        is_asked_for = str(self.step) == os.environ.get(STOP_AT)
        self.interrupted = all_reduce_sum(self.signalled or is_asked_for, args.device) > 0
        if self.interrupted:
            control.should_save = True
            control.should_evaluate &= is_asked_for  # on a signal, skip the evaluation; resuming makes up for it
            control.should_training_stop = True
        control.should_log |= control.should_save  # a logged loss is the mean since the last line, and a resumed training starts a new mean

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_log |= control.should_save

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any) -> None:
        numbers = {key: float(value) for key, value in (logs or {}).items() if _is_number(value)}
        line: dict[str, Any] = {"step": state.global_step, "epoch": round(state.epoch or 0, 4)}
        if "loss" in numbers:
            seconds = time.monotonic() - self.started
            line |= {key: numbers[key] for key in ("loss", "grad_norm", "learning_rate") if key in numbers}
            line["tokens_per_s"] = round(all_reduce_sum(self.tokens - self.tokens_before, args.device) / max(seconds, 1e-9), 1)
            self.started, self.tokens_before = time.monotonic(), self.tokens
        line |= {key: value for key, value in numbers.items() if key.startswith("eval_") and not key.endswith("_per_second")}
        if len(line) == 2:
            return
        if is_first():
            append_whole(_STEP_LOG, f"{json.dumps({key: _finite(value) for key, value in line.items()})}\n".encode())
        if what := _not_finite(numbers, args.fp16):
            instead = ", or set precision: fp32, because fp16 ends at 65,504" if args.fp16 else ""
            self.progress.event("refused", what=f"{what} at step {state.global_step}: lower learning_rate{instead}")
            raise SystemExit(1)
        self.progress.event("step", **line)

    def on_prediction_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        beat()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.started, self.tokens_before = time.monotonic(), self.tokens
        if self.late:
            self.late = False
            self.trainer._determine_best_metric(metrics=kwargs["metrics"], trial=None)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        barrier()  # each process saves its own random state, and with ZeRO its part of the optimizer
        if is_first() and folder.is_dir():
            if not has_optimizer(folder):  # Axolotl continues if FSDP2 cannot save it
                self.progress.event("unsealed", what=f"{folder.name} has no optimizer state: it cannot be resumed")
                barrier()
                return
            if _STEP_LOG.exists():
                shutil.copyfile(_STEP_LOG, folder / _STEP_LOG)
            write_seal(folder)
            if os.environ.get(KILL_AFTER_SAVE):
                self.progress.event(KILLED, step=state.global_step)
                os.kill(os.getpid(), signal.SIGKILL)
        barrier()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if os.environ.get(KILL_AT_END):
            os.kill(os.getpid(), signal.SIGKILL)
        record_peak(args.device)
        tokens, seconds = int(all_reduce_sum(self.tokens, args.device)), round(time.monotonic() - self.began, 3)
        if not self.interrupted:
            reason = EARLY_STOPPING if self.stopped_early and state.global_step < state.max_steps else ""
            taken = {"steps": state.global_step, "planned_steps": state.max_steps, "tokens": tokens, "seconds": seconds}
            self.progress.event(TRAINED, reason=reason, **taken)


def keep_random_state_in_evaluations(trainer: Any) -> None:
    """Have evaluations leave torch's random state as it was. Their loader draws a number: a training that was stopped before an evaluation
    was due would otherwise continue with other numbers."""
    evaluate = trainer.evaluate

    def with_own_random_state(*args: Any, **kwargs: Any) -> Any:
        with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
            return evaluate(*args, **kwargs)

    trainer.evaluate = with_own_random_state


def take_no_step_after_the_end(trainer: Any) -> None:
    """Skip the epochs of a training that resumes at its end: transformers checks for the end after a step, never before the first."""
    run_epoch = trainer._run_epoch

    def unless_ended(*args: Any, **kwargs: Any) -> None:
        if not trainer.control.should_training_stop:
            run_epoch(*args, **kwargs)

    trainer._run_epoch = unless_ended


def log_until(args: TrainingArguments, state: TrainerState) -> Path:
    """Return the log as it was when this step's checkpoint was saved, and sealed with it. A checkpoint of an earlier version has none: then
    that of the run, which anything may have happened to since."""
    saved = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _STEP_LOG
    return saved if saved.is_file() else _STEP_LOG


def has_optimizer(checkpoint: Path) -> bool:
    """Return whether the optimizer's state was saved, by transformers, FSDP or DeepSpeed."""
    return any(True for pattern in ("optimizer*", "global_step*") for _ in checkpoint.glob(pattern))


def block_tokens(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return how many tokens in a batch of blocks are not padding. Blocks have no mask: padding is what has positions from 0 on after
    the last trained token, like a document that trains nothing."""
    trained = (inputs["labels"] != IGNORED).long()
    after = trained.flip(-1).cumsum(-1).flip(-1) == 0
    padding = (after & (inputs["position_ids"] == 0)).long().cumsum(-1) > 0
    return (~padding).sum()


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _not_finite(numbers: dict[str, float], scaled: bool) -> str:
    """Return which number of a step is not finite, in words; "" if all are. `scaled`: with fp16, a step whose gradients are not finite is
    skipped, and the next is scaled less; else it ruins the weights, of which only the next loss would tell."""
    if not math.isfinite(numbers.get("loss", 0.0)):
        return f"the loss is {numbers['loss']}"
    if not scaled and not math.isfinite(numbers.get("grad_norm", 0.0)):
        return f"the norm of the gradients is {numbers['grad_norm']}"
    return ""


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def record_peak(device: torch.device) -> None:
    """Write memory.json: the peak in bytes, of all processes on a CPU or else of the first process's GPU, with the prediction.

    On a GPU it includes CUDA's context: memory in use that is not torch's, without what other programs used of it when the training was
    predicted. All processes must call this.
    """
    run = RunFolder(Path())
    forecast = run.find(FIT_FORECAST)
    predicted = forecast["memory"] if forecast else None
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        beside_tensors = whole - free - torch.cuda.memory_reserved(device)
        others = predicted.get("taken_of_first", 0) if predicted else 0
        name, peak = torch.cuda.get_device_name(device), torch.cuda.max_memory_reserved(device) + max(beside_tensors - others, 0)
    else:
        name, peak = "this machine", int(all_reduce_sum(_resident_peak(), device))
    if is_first():
        run.write(PEAK_MEMORY, {"device": name, "peak": peak, "predicted": predicted})


def _resident_peak() -> int:
    """Return the peak main memory of this process in bytes; 0 if the system does not report it."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
