"""Predictions to metrics.json: the same rows for every model, the data's own replies with them, gates."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.evaluation.metrics import Prediction
from recipekit.runner.evaluation.scoring import Training, check_gates, read_predictions, score
from recipekit.runner.reporting.metrics_table import footnotes
from recipekit.runner.reporting.verdicts import gate_line
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.evaluation_sections import Gate
from recipekit.schemas.sections import Evaluation

from ...support.jsonl import write_jsonl

pytest.importorskip("numpy", reason="needs the extra [train]: numpy")
FACTS = {"split": "validation", "base_model": "some/model"}


def line(model, number, **changes):
    fields = {
        "model": model, "id": str(number), "reference": "Yes ✅.", "reply": "Yes.", "stopped": True, "reply_tokens": 2,
        "nll": 10.0, "target_tokens": 10, "correct": 4, "original_tokens": 20,
    }  # fmt: skip
    return fields | changes


@pytest.fixture
def cases(tmp_path):
    """Cases read from lines as the evaluator writes them."""

    def read(*lines):
        path = tmp_path / "predictions.jsonl"
        write_jsonl(path, lines)
        return read_predictions(path)

    return read


def measured(value, low, high, change=None, name="perplexity"):
    """What score_models returns, as far as gates read it."""
    models = {"tuned": {name: {"value": value, "low": low, "high": high}}}
    return {"models": models, "differences": {name: change}, "metrics": {name: {"unit": "", "higher_is_better": name == "accuracy"}}}


def scored(found, *metrics, **changes):
    return score(Evaluation(metrics=metrics, **changes), found, FACTS)


def test_both_models_have_the_same_rows_in_the_same_order(cases):
    found = cases(*(line("base", n) for n in (3, 2)), *(line("tuned", n) for n in (2, 3)))
    assert {model: [case.id for case in rows] for model, rows in found.items()} == {"base": ["2", "3"], "tuned": ["2", "3"]}


def test_rows_that_metrics_of_labels_leave_out_are_counted(cases):
    replies = [*["low"] * 3, "high", "I cannot say."]
    lines = [line(model, n, reference=reply, reply="low") for model in ("base", "tuned") for n, reply in enumerate(replies)]
    found = scored(cases(*lines), "accuracy", "perplexity", labels=("low", "high"))
    assert found["models"]["tuned"]["accuracy"]["value"] == 0.75
    assert footnotes(found)[0] == "1 of 5 rows have a reply that is none of evaluation.labels, and are left out of accuracy."
    whole = scored(cases(*lines[:4], *lines[5:9]), "accuracy", labels=("low", "high"))
    assert not any("none of evaluation.labels" in note for note in footnotes(whole))


def test_missing_lines_are_refused_not_left_out(cases):
    with pytest.raises(UserError, match="no line of the base model for the row '9', which another model has answered"):
        cases(*(line("base", n) for n in (3, 2)), *(line("tuned", n) for n in (2, 9, 3)))


def test_a_row_that_was_written_twice_counts_once_as_it_was_written_last(cases):
    found = cases(line("base", 1, nll=1.0), line("base", 1, nll=2.0), line("tuned", 1))
    assert [case.nll for case in found["base"]] == [2.0]


def test_metrics_get_only_their_fields(cases):
    assert cases(line("base", 1, further="x"))["base"] == [Prediction("1", "Yes ✅.", "Yes.", True, 2, 10.0, 10, 4, 20)]


def test_a_torn_last_line_is_left_out(tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps(line("base", 1)) + "\n" + json.dumps(line("tuned", 1))[:-3])
    assert list(read_predictions(tmp_path / "p.jsonl")) == ["base"]


def test_numbers_by_hand(cases):
    found = cases(
        *(line("base", n, nll=20.0, stopped=False) for n in range(8)), *(line("tuned", n, nll=10.0, stopped=n < 6) for n in range(8))
    )
    metrics = scored(found, "perplexity", "token_accuracy", "stop_rate")
    models = metrics["models"]
    assert (metrics["rows"], metrics["split"], metrics["confidence"]) == (8, "validation", 0.95)
    assert models["base"]["perplexity"]["value"] == pytest.approx(math.exp(2), abs=1e-6)
    assert models["tuned"]["perplexity"]["value"] == pytest.approx(math.e, abs=1e-6)
    assert models["tuned"]["token_accuracy"] == {"value": 40, "low": None, "high": None}
    assert (models["base"]["stop_rate"]["value"], models["tuned"]["stop_rate"]["value"]) == (0, 75)
    assert metrics["differences"]["perplexity"]["value"] == pytest.approx(math.e - math.exp(2), abs=1e-6)
    assert metrics["differences"]["perplexity"]["significant"] is True


def test_every_metric_has_a_unit_and_a_direction(cases):
    metrics = scored(cases(line("base", 1), line("tuned", 1)), "perplexity", "reply_tokens", "repetition")["metrics"]
    assert metrics == {
        "perplexity": {"unit": "", "higher_is_better": False},
        "reply_tokens": {"unit": "tokens", "higher_is_better": None},
        "repetition": {"unit": "%", "higher_is_better": False},
    }


def test_reference_replies_are_scored_where_possible(cases):
    pytest.importorskip("emoji", reason="needs the extra [data]: emoji")
    models = scored(cases(line("base", 1), line("tuned", 1)), "perplexity", "emoji_rate", "stop_rate")["models"]
    assert list(models["reference"]) == ["emoji_rate"]
    assert models["reference"]["emoji_rate"]["value"] == 1
    assert models["tuned"]["emoji_rate"]["value"] == 0


def test_models_that_are_the_same_cannot_be_distinguished(cases):
    change = scored(cases(line("base", 1), line("tuned", 1), line("base", 2), line("tuned", 2)), "perplexity")["differences"]["perplexity"]
    assert change == {"value": 0, "low": None, "high": None, "p_value": 1, "significant": False}


def test_unmeasurable_metrics_are_null_and_not_significant(cases):
    lines = [line(model, n, original_tokens=None) for model in ("base", "tuned") for n in range(3)]
    metrics = scored(cases(*lines), "token_reduction")
    nothing = {"value": None, "low": None, "high": None}
    assert metrics["models"]["tuned"]["token_reduction"] == nothing
    assert metrics["differences"]["token_reduction"] == nothing | {"p_value": 1, "significant": False}
    json.dumps(metrics, allow_nan=False)


def test_a_perplexity_that_overflows_is_null(cases):
    lines = [line(model, n, nll=1e6, trained=1) for model in ("base", "tuned") for n in range(3)]
    metrics = scored(cases(*lines), "perplexity")
    assert metrics["models"]["tuned"]["perplexity"]["value"] is None
    json.dumps(metrics, allow_nan=False)


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (Gate(max=3), 3.0, True),
        (Gate(max=3), 3.1, False),
        (Gate(min=3), 3.0, True),
        (Gate(min=3), 2.9, False),
        (Gate(min=1, max=3), 2.0, True),
        (Gate(min=1, max=3), 0.0, False),
        (Gate(max=0), 0.0, True),
        (Gate(min=0), None, False),
        (Gate(), 2.0, True),
    ],
)
def test_a_gate_passes_only_measured_values_within_its_limits(gate, value, passed):
    found = check_gates(Evaluation(gates={"perplexity": gate}), measured(value, value, value))["perplexity"]
    assert (found["value"], found["passed"], found["decided"]) == (value, passed, value is not None)
    assert (found["min"], found["max"], found["regression"]) == (gate.min, gate.max, None)


@pytest.mark.parametrize(
    ("low", "high", "decided"),
    [(1.5, 2.5, True), (0.5, 2, False), (2, 3.5, False), (4, 5, True), (0, 0.5, True), (0, 9, False), (None, None, False)],
)
def test_a_gate_is_decided_where_the_whole_interval_is_on_one_side(low, high, decided):
    result = check_gates(Evaluation(gates={"perplexity": Gate(min=1, max=3)}), measured(2.0, low, high))
    assert result["perplexity"]["decided"] is decided


CHANGE = {"value": -0.02, "low": -0.05, "high": 0.01, "p_value": 0.2, "significant": False}


@pytest.mark.parametrize(
    ("name", "allowed", "passed", "decided"),
    [
        ("accuracy", 0.06, True, True),
        ("accuracy", 0.03, True, False),
        ("accuracy", 0.01, False, False),
        ("perplexity", 0.0, True, False),
        ("perplexity", 0.02, True, True),
    ],
)
def test_a_regression_is_judged_in_the_direction_that_is_worse(name, allowed, passed, decided):
    evaluation = Evaluation(gates={name: Gate(max_regression=allowed)})
    found = check_gates(evaluation, measured(0.8, 0.7, 0.9, CHANGE, name))[name]
    assert (found["passed"], found["decided"]) == (passed, decided)
    assert found["regression"]["value"] == (0.02 if name == "accuracy" else -0.02)
    assert found["regression"]["low"] < found["regression"]["value"] < found["regression"]["high"]


@given(low=st.floats(-1, 1), width=st.floats(0, 1), least=st.none() | st.floats(-1, 1), worse=st.none() | st.floats(0, 1))
def test_every_undecided_gate_says_which_interval_does_not_decide_it(low, width, least, worse):
    change = {"value": low, "low": low, "high": low + width}
    found = {**measured(low, low, low + width, change, "accuracy"), "confidence": 0.95, "rows": 30}
    gate = check_gates(Evaluation(gates={"accuracy": Gate(min=least, max_regression=worse)}), found)["accuracy"]
    line = gate_line("accuracy", gate, found)
    assert line.startswith("passed" if gate["passed"] else "FAILED")
    assert ("do not decide it" in line) == (gate["decided"] is False)


def test_a_gate_line_names_the_regression_and_its_limit():
    evaluation = Evaluation(gates={"accuracy": Gate(max_regression=0.03)})
    found = {**measured(0.8, 0.7, 0.9, CHANGE, "accuracy"), "confidence": 0.95, "rows": 30}
    assert gate_line("accuracy", check_gates(evaluation, found)["accuracy"], found) == (
        "passed: accuracy is 0.800, 0.020 worse than the base model, at most 0.03 worse is allowed; 30 rows do not decide it: the 95% "
        "interval [-0.010, 0.050] is on both sides of the limit"
    )


def test_models_that_answer_alike_have_no_interval_and_decide_no_regression(cases):
    lines = [line(model, n) for model in ("base", "tuned") for n in range(30)]
    gate = scored(cases(*lines), "stop_rate", gates={"stop_rate": Gate(max_regression=5)})["gates"]["stop_rate"]
    assert gate["passed"] and gate["decided"] is False


def test_gates_are_about_the_tuned_model(cases):
    lines = [*(line("base", n, nll=1.0) for n in range(2)), *(line("tuned", n, nll=90.0) for n in range(2))]
    assert scored(cases(*lines), "perplexity", gates={"perplexity": Gate(max=2)})["gates"]["perplexity"]["passed"] is False


def test_the_same_predictions_give_the_same_numbers(cases):
    lines = [line(model, n, nll=float(n)) for model in ("base", "tuned") for n in range(9)]
    assert scored(cases(*lines), "perplexity") == scored(cases(*reversed(lines)), "perplexity")


LABELS = ("low", "medium", "high")


@pytest.fixture
def levels(tmp_path):
    """Predictions of four rows in two words, one of which stands in training."""
    (tmp_path / "train.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "id": f"t{n}",
                    "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "low"}],
                    "meta": {"word": "Joy"},
                }
            )
            + "\n"
            for n in range(3)
        )
    )
    rows = [("1", "low", "Joy", 0.1), ("2", "high", "Joy", 0.9), ("3", "medium", "Fear", 0.5), ("4", "low", "Fear", 0.2)]
    given = {"base": ["low", "low", "what?", "low"], "tuned": ["low", "high", "medium", "high"]}
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"id": i, "meta": {"word": word, "fraction": share}}) + "\n" for i, _, word, share in rows)
    )
    (tmp_path / "predictions.jsonl").write_text(
        "".join(
            json.dumps(line(model, row[0], reference=row[1], reply=reply)) + "\n"
            for model, replies in given.items()
            for row, reply in zip(rows, replies, strict=True)
        )
    )
    evaluation = Evaluation(metrics=("accuracy", "invalid_rate", "rank_correlation", "stop_rate"), labels=LABELS, seen_by="word")
    training = Training(tmp_path / "train.jsonl", {"train_loss": 0.5, "validation_loss": None})
    return evaluation, read_predictions(tmp_path / "predictions.jsonl"), training


def test_replies_are_scored_as_labels_next_to_the_majority_class(levels):
    evaluation, found, training = levels
    metrics = score(evaluation, found, FACTS, training)
    accuracy = {model: values["accuracy"]["value"] for model, values in metrics["models"].items() if "accuracy" in values}
    assert accuracy == {"base": 0.5, "tuned": 0.75, "majority": 0.5}
    assert metrics["models"]["base"]["invalid_rate"]["value"] == 25
    assert metrics["models"]["majority"]["rank_correlation"]["value"] is None
    assert "stop_rate" not in metrics["models"]["majority"]
    assert metrics["confusion"] == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0]]


def test_seen_and_unseen_words_are_distinguished(levels):
    evaluation, found, training = levels
    parts = score(evaluation, found, FACTS, training)["slices"]
    assert {name: (part["rows"], part["models"]["tuned"]["accuracy"]["value"]) for name, part in parts.items()} == {
        "word seen in training": (2, 1.0),
        "word not seen in training": (2, 0.5),
    }


def test_a_key_that_no_row_has_is_refused(levels):
    evaluation, found, training = levels
    with pytest.raises(UserError, match="no training row has 'wrod' in its meta"):
        score(evaluation._replace(seen_by="wrod"), found, FACTS, training)


def test_gates_limit_losses_too_and_what_was_not_measured_does_not_pass(levels):
    evaluation, found, training = levels
    gated = evaluation._replace(gates={"train_loss": Gate(max=1.0), "validation_loss": Gate(max=1.2), "accuracy": Gate(min=0.9)})
    gates = score(gated, found, FACTS, training)["gates"]
    assert {name: gate["passed"] for name, gate in gates.items()} == {"train_loss": True, "validation_loss": False, "accuracy": False}


@pytest.mark.parametrize(("rows", "decide"), [(1, "1 row does"), (5, "5 rows do"), (9, "9 rows do")])
def test_a_gate_says_that_few_rows_do_not_decide_it(cases, rows, decide):
    lines = [line(model, n, nll=10.0 + n) for model in ("base", "tuned") for n in range(rows)]
    metrics = scored(cases(*lines), "perplexity")
    gates = check_gates(Evaluation(("perplexity",), gates={"perplexity": Gate(None, 100)}), metrics)
    assert gates["perplexity"]["passed"] and gates["perplexity"]["decided"] is False
    sentence = gate_line("perplexity", gates["perplexity"], metrics)
    assert sentence.endswith(f"; {decide} not decide it: too few, or too much alike, for an interval")
