"""What is restored when a training resumes, with transformers' own state, arguments and early stopping."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.runtime.checkpoints import STOP_AT, TRAINED, newest
from recipekit.runner.runtime.progress import Progress, read_lines
from recipekit.runner.runtime.run_files import STEP_LOG
from recipekit.runner.worker.callback import RunCallback
from recipekit.schemas.base.errors import UserError

from ...support.jsonl import write_jsonl

ADAPTED = SimpleNamespace(peft_config={})
OF_ADAPTER = SimpleNamespace(param_groups=[])
LOG = Path(STEP_LOG)


@pytest.fixture
def resumed(tmp_path, monkeypatch):
    """Begins a training at a step, with the lines that were logged before; gives its arguments, callback and early stopping."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)

    def begin(step, epoch=1.5, lines=(), waited=None, **arguments):
        write_jsonl(LOG, lines)
        given = {"eval_strategy": "steps", "eval_steps": 4, "eval_on_start": True, "use_cpu": True, "report_to": []} | arguments
        args = transformers.TrainingArguments(output_dir=str(tmp_path / "out"), **given)
        state = transformers.TrainerState(global_step=step, epoch=epoch, max_steps=12)
        if waited is not None:
            state.stateful_callbacks = {"EarlyStoppingCallback": {"attributes": {"early_stopping_patience_counter": waited}}}
        patience = transformers.EarlyStoppingCallback(3)
        callback = RunCallback(Progress(tmp_path / "progress.jsonl"))
        callback.trainer = SimpleNamespace(callback_handler=SimpleNamespace(callbacks=[patience, callback]), best=[], model=ADAPTED,
                                           optimizer=OF_ADAPTER)  # fmt: skip
        callback.trainer._determine_best_metric = lambda metrics, trial: callback.trainer.best.append(metrics)
        callback.trainer.control = transformers.TrainerControl()
        callback.on_train_begin(args, state, callback.trainer.control)
        return args, callback, patience

    return begin


EVALUATED = [{"step": 4, "epoch": 1, "loss": 2.0}, {"step": 4, "epoch": 1, "eval_loss": 3.0}]


def test_a_new_training_is_evaluated_before_its_first_step(resumed):
    args, _, _ = resumed(0, epoch=0)
    assert args.eval_on_start


@pytest.mark.parametrize(
    ("step", "lines", "changes"),
    [(4, EVALUATED, {}), (5, EVALUATED, {}), (6, [], {"eval_strategy": "epoch"}), (3, [], {"eval_strategy": "no"})],
    ids=["evaluated then", "no evaluation was due", "within an epoch", "nothing is evaluated"],
)
def test_a_training_that_continues_is_not_evaluated_again(resumed, step, lines, changes):
    args, callback, _ = resumed(step, lines=lines, **changes)
    assert not args.eval_on_start
    callback.on_evaluate(args, transformers.TrainerState(), transformers.TrainerControl(), metrics={"eval_loss": 1.0})
    assert callback.trainer.best == []


@pytest.mark.parametrize(
    ("step", "epoch", "changes"),
    [(8, 2.0, {}), (6, 2.0, {"eval_strategy": "epoch"}), (12, 2.6, {"eval_strategy": "epoch"})],
    ids=["after so many steps", "after an epoch", "after an epoch that the last step cuts"],
)
def test_a_missed_evaluation_runs_after_resuming(resumed, step, epoch, changes):
    args, callback, _ = resumed(step, epoch=epoch, lines=EVALUATED, **changes)
    assert args.eval_on_start
    for _ in range(2):
        callback.on_evaluate(args, transformers.TrainerState(), transformers.TrainerControl(), metrics={"eval_loss": 1.0})
    assert callback.trainer.best == [{"eval_loss": 1.0}]


@pytest.mark.parametrize(("waited", "counter"), [(2, 2), (None, 0)])
def test_early_stopping_keeps_its_patience_count_after_resuming(resumed, waited, counter):
    assert resumed(4, lines=EVALUATED, waited=waited)[2].early_stopping_patience_counter == counter


@pytest.mark.parametrize(
    ("step", "waited", "ended"), [(12, 0, True), (8, 3, True), (8, 2, False), (8, None, False)],
    ids=["after the last step", "after early stopping", "before early stopping", "in between"],
)  # fmt: skip
def test_an_ended_training_takes_no_further_step(resumed, step, waited, ended):
    _, callback, _ = resumed(step, lines=EVALUATED, waited=waited)
    epochs, trainer = [], callback.trainer
    trainer.training_step, trainer.evaluate, trainer._run_epoch = None, None, epochs.append
    callback.attach(trainer)
    trainer._run_epoch("an epoch")
    assert trainer.control.should_training_stop is ended
    assert epochs == ([] if ended else ["an epoch"])


@pytest.mark.parametrize(
    ("step", "waited", "reason"), [(12, 0, ""), (12, 3, ""), (8, 3, "early stopping"), (8, 0, "")],
    ids=["the last step", "stopped after the last step", "stopped early", "for no reason"],
)  # fmt: skip
def test_a_training_says_after_which_step_it_ended_and_why(resumed, tmp_path, step, waited, reason):
    args, callback, _ = resumed(4, lines=EVALUATED, waited=waited)
    callback.on_train_end(args, transformers.TrainerState(global_step=step, max_steps=12), transformers.TrainerControl())
    (event,) = [line for line in read_lines(tmp_path / "progress.jsonl") if line["event"] == TRAINED]
    assert (event["steps"], event["planned_steps"], event["reason"]) == (step, 12, reason)


def test_lines_after_the_checkpoint_are_taken_out_because_they_come_again(resumed):
    resumed(4, lines=[*EVALUATED, {"step": 5, "loss": 1.9}])
    assert [json.loads(line)["step"] for line in LOG.read_text().splitlines()] == [4, 4]


@pytest.mark.parametrize(
    "damage", [lambda log: log.write_text('{"step": 4, "epoch": 1, "loss": 1.0}\n'), lambda log: log.unlink()], ids=["changed", "missing"]
)
def test_a_training_resumes_with_the_log_that_its_checkpoint_was_sealed_with(resumed, tmp_path, damage):
    """The run's own is not sealed before the training has ended: whatever it holds would be the losses of the run."""
    args, callback, _ = resumed(0, epoch=0)
    write_jsonl(LOG, EVALUATED)
    folder = tmp_path / "out" / "checkpoint-4"
    folder.mkdir(parents=True)
    (folder / "optimizer.pt").write_bytes(b"x")
    callback.on_save(args, transformers.TrainerState(global_step=4), transformers.TrainerControl())
    damage(LOG)
    state = transformers.TrainerState(global_step=4, epoch=1, max_steps=12)
    callback.on_train_begin(args, state, callback.trainer.control)
    assert read_lines(LOG) == EVALUATED
    (folder / LOG).write_text("")
    with pytest.raises(UserError, match="was changed after it was written"):
        callback.on_train_begin(args, state, callback.trainer.control)


def test_a_training_that_begins_again_begins_its_log_again(resumed):
    resumed(0, epoch=0, lines=[{"step": 0, "eval_loss": 3.1}, *EVALUATED])
    assert LOG.read_text() == ""


def test_a_line_is_logged_with_every_checkpoint(resumed):
    args, callback, _ = resumed(4, lines=EVALUATED)
    for hook in (callback.on_step_end, callback.on_epoch_end):
        control = transformers.TrainerControl(should_save=True)
        hook(args, transformers.TrainerState(global_step=5), control)
        assert control.should_log


@pytest.mark.parametrize(("asked_for", "evaluates"), [("5", True), ("6", False), (None, False)], ids=["here", "later", "never"])
def test_a_signal_stops_before_a_due_evaluation_and_a_request_after_it(resumed, monkeypatch, asked_for, evaluates):
    args, callback, _ = resumed(4, lines=EVALUATED)
    callback.signalled = asked_for is None
    if asked_for:
        monkeypatch.setenv(STOP_AT, asked_for)
    control = transformers.TrainerControl(should_evaluate=True)
    callback.on_step_end(args, transformers.TrainerState(global_step=5), control)
    stops = asked_for != "6"
    assert (callback.interrupted, control.should_training_stop, control.should_save) == (stops, stops, stops)
    assert control.should_evaluate is (evaluates or not stops)


def test_a_heartbeat_comes_with_every_batch_of_an_evaluation(resumed, tmp_path):
    args, callback, _ = resumed(4, lines=EVALUATED)
    assert not (tmp_path / "heartbeat").exists()
    callback.on_prediction_step(args, transformers.TrainerState(), transformers.TrainerControl())
    assert (tmp_path / "heartbeat").exists()


def test_an_evaluation_leaves_the_random_numbers_of_the_training_as_they_are(tmp_path):
    import torch

    trainer = SimpleNamespace(training_step=None, evaluate=lambda: torch.rand(3).tolist(), _run_epoch=None)
    RunCallback(Progress(tmp_path / "progress.jsonl")).attach(trainer)
    torch.manual_seed(7)
    undisturbed = torch.rand(3).tolist()
    torch.manual_seed(7)
    assert trainer.evaluate() == undisturbed, "it draws from where the training stands"
    assert torch.rand(3).tolist() == undisturbed


def test_a_training_begins_outside_the_main_thread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as Ray Train's workers do, where no signal handler can be set
    callback = RunCallback(Progress(tmp_path / "progress.jsonl"))
    callback.trainer = SimpleNamespace(model=ADAPTED, optimizer=OF_ADAPTER)
    args = transformers.TrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, report_to=[])
    with ThreadPoolExecutor(1) as pool:
        pool.submit(callback.on_train_begin, args, transformers.TrainerState(max_steps=2), transformers.TrainerControl()).result()
    assert '"train"' in (tmp_path / "progress.jsonl").read_text()


@pytest.mark.parametrize(("files", "sealed"), [(["optimizer.pt"], True), (["global_step4"], True), (["model.safetensors"], False)])
def test_a_checkpoint_without_an_optimizer_is_not_sealed(resumed, tmp_path, files, sealed):
    args, callback, _ = resumed(4)
    folder = tmp_path / "out" / "checkpoint-4"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_bytes(b"x")
    callback.on_save(args, transformers.TrainerState(global_step=4), transformers.TrainerControl())
    assert (newest(tmp_path / "out")[0] == folder) == sealed
    assert ("checkpoint-4 has no optimizer state" in (tmp_path / "progress.jsonl").read_text()) != sealed


@pytest.mark.parametrize(
    ("numbers", "fp16", "what"),
    [({"loss": float("nan"), "grad_norm": 1.0}, False, "the loss is nan at step 4: lower learning_rate"),
     ({"loss": 2.0, "grad_norm": float("nan")}, False, "the norm of the gradients is nan at step 4: lower learning_rate"),
     ({"loss": 2.0, "grad_norm": float("inf")}, False, "the norm of the gradients is inf at step 4: lower learning_rate"),
     ({"loss": float("inf")}, True, "the loss is inf at step 4: lower learning_rate, or set precision: fp32, because fp16 ends at 65,504")],
)  # fmt: skip
def test_a_step_with_a_number_that_is_not_finite_ends_the_training(resumed, tmp_path, numbers, fp16, what):
    args, callback, _ = resumed(0, epoch=0)
    args.fp16 = fp16
    with pytest.raises(SystemExit):
        callback.on_log(args, transformers.TrainerState(global_step=4), transformers.TrainerControl(), logs=numbers)
    assert [event["what"] for event in read_lines(tmp_path / "progress.jsonl") if event["event"] == "refused"] == [what]


def test_a_step_that_fp16_skips_does_not_end_it(resumed, tmp_path):
    args, callback, _ = resumed(0, epoch=0)
    args.fp16 = True
    logs = {"loss": 2.0, "grad_norm": float("inf")}
    callback.on_log(args, transformers.TrainerState(global_step=4), transformers.TrainerControl(), logs=logs)
    assert [line["step"] for line in read_lines(LOG) if "loss" in line] == [4]
