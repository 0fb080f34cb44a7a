"""Losses for gates, and what the curves say; the examples are the EmoGPT guide's own."""

import pytest
from recipekit.runner.evaluation.training_losses import diagnosis, kept_loss, losses, validation_scores


def curve(train, validation=(), per_epoch=4):
    """Lines of metrics.jsonl: each epoch's training loss, logged `per_epoch` times, then its validation loss."""
    lines, step = [], 0
    for epoch, value in enumerate(train):
        for part in range(per_epoch):
            step += 1
            lines.append({"step": step, "epoch": epoch + (part + 1) / per_epoch, "loss": value})
        if epoch < len(validation):
            lines.append({"step": step, "epoch": epoch + 1, "eval_loss": validation[epoch]})
    return lines


def test_the_guides_good_curve_is_learning():
    state, sentence = diagnosis(curve([2.1, 1.5, 1.1], [2.0, 1.4, 1.0]))
    assert state == "learning" and "2.100 to 1.100" in sentence and "no overfitting" in sentence


def test_the_guides_example_of_overfitting_is_reported_with_its_advice():
    state, sentence = diagnosis(curve([2.1, 1.5, 0.8], [2.0, 1.4, 1.6]))
    assert state == "overfitting"
    assert "lowest at step 8 (1.400) and ended at 1.600" in sentence
    assert "early_stopping_patience" in sentence and "lora_dropout" in sentence and "lora_r" in sentence


def test_a_loss_that_stays_above_two_is_stuck_with_its_advice():
    state, sentence = diagnosis(curve([3.0, 2.99, 2.98], [3.1, 3.1, 3.1]))
    assert state == "stuck" and "learning_rate" in sentence and "num_epochs" in sentence


def test_a_loss_that_falls_but_is_still_high_gets_the_same_advice():
    state, sentence = diagnosis(curve([5.0, 4.0, 3.0]))
    assert state == "learning" and "still above 2.0" in sentence


@pytest.mark.parametrize("train", [[5.0, 4.0, 3.0], [3.3, 3.29, 3.28]])
def test_plain_texts_have_no_loss_that_must_be_reached(train):
    state, sentence = diagnosis(curve(train), of_texts=True)
    assert state == "learning" and "Advice" not in sentence and "no overfitting seen" in sentence


def test_a_falling_validation_loss_is_not_stuck():
    state, sentence = diagnosis(curve([2.9, 2.88, 2.87], [3.2, 2.8, 2.7]))
    assert state == "learning" and "still above 2.0" in sentence


def test_a_small_rise_of_the_validation_loss_is_noise():
    assert diagnosis(curve([2.1, 1.5, 1.0], [2.0, 1.40, 1.42])).state == "learning"


def test_a_rise_while_training_loss_rises_too_is_not_overfitting():
    assert diagnosis(curve([1.0, 0.9, 1.5], [1.0, 0.9, 1.5])).state == "learning"


@pytest.mark.parametrize("lines", [[], curve([2.0], per_epoch=3), [{"step": 1, "learning_rate": 1e-4}]])
def test_a_few_steps_give_no_verdict(lines):
    assert diagnosis(lines).state == "too_short"


def test_losses_are_the_last_epochs_mean_and_the_measured_validation_loss():
    found = losses(curve([3.0, 1.0, 0.5], [2.0, 1.2, 1.4]))
    assert found == {"train_loss": 0.5, "validation_loss": 1.4, "best_validation_loss": 1.2}


def test_the_kept_loss_is_that_of_the_weights_that_were_kept():
    lines = curve([3.0, 1.0, 0.5], [2.0, 1.2, 1.4])
    assert (kept_loss(lines, "eval_loss"), kept_loss(lines, None)) == (1.2, 1.4)


def test_the_reported_loss_belongs_to_the_kept_weights():
    lines = [
        {"step": 0, "eval_loss": 0.1, "eval_macro_f1": 0.9},
        {"step": 2, "eval_loss": 3.0, "eval_macro_f1": 0.5},
        {"step": 4, "eval_loss": 2.0, "eval_macro_f1": 0.5},
        {"step": 6, "eval_loss": 1.0, "eval_macro_f1": 0.4},
    ]
    assert (kept_loss(lines, "eval_loss"), kept_loss(lines, "macro_f1"), kept_loss(lines, None)) == (1.0, 3.0, 1.0)
    assert kept_loss([*lines, {"step": 8, "eval_loss": "nan", "eval_macro_f1": 0.1}], None) is None
    assert kept_loss(lines[:1], "eval_loss") is None
    assert losses(lines)["best_validation_loss"] == 1.0


@pytest.mark.parametrize(
    "lines",
    [
        [{"step": n, "loss": value} for n, value in enumerate([2.4, 7e7, 30.0, 11.0, 10.9, 10.8], 1)],
        [{"step": n, "loss": 1.0} for n in range(1, 6)] + [{"step": 5, "eval_loss": "nan"}],
    ],
)
def test_a_training_that_diverged_is_not_advised_to_learn_faster(lines):
    found = diagnosis(lines)
    assert found.state == "diverged"
    assert "lower training.learning_rate" in found.sentence


def test_an_empty_log_has_no_losses():
    assert losses([]) == {"train_loss": None, "validation_loss": None, "best_validation_loss": None}
    assert kept_loss([], "eval_loss") is None


def test_lines_without_an_epoch_all_count():
    assert losses([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 3.0}])["train_loss"] == 2.0


def test_a_validation_is_named_as_the_metrics_are():
    assert validation_scores({"eval_loss": 0.0, "eval_accuracy": 0.75, "eval_macro_f1": 0.5}) == {"accuracy": 0.75, "macro-F1": 0.5}
    assert validation_scores({"eval_loss": 0.0}) == {"perplexity": 1.0}
    assert validation_scores({}) == validation_scores({"eval_loss": "nan"}) == validation_scores({"eval_loss": 1e4}) == {}
