"""A metrics.json or tokens.json whose parts do not belong together is refused where it is read; the report of any other is written."""

import json
from copy import deepcopy

import pytest
from recipekit.runner.reporting.report import report_facts, write_report
from recipekit.runner.reporting.run_summary import run_summary
from recipekit.runner.reporting.templates import environment
from recipekit.runner.runtime.run_files import METRICS, TOKENS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError

from ...support.finished_runs import PROBES, estimate, write_chat_run, write_classification_run
from ...support.mutation import with_other_types

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")

TABLE = {
    "rows": 9, "confidence": 0.95, "baseline": "base", "metrics": {"perplexity": {"unit": "", "higher_is_better": False}},
    "models": {"base": {"perplexity": estimate(9.0)}, "tuned": {"perplexity": estimate(4.0)}},
    "differences": {"perplexity": estimate(-5.0, p_value=0.01, significant=True)},
}  # fmt: skip
RUBRIC = {
    **TABLE, "split": "validation", "gates": {}, "criteria": {"warm": "is warm"},
    "judges": [{"model": "m", "judged": 1, "unread": 0, "failed": 0, "redacted": 0}],
    "agreement": {"warm": {"alpha": 0.5, "low": 0.1, "high": 0.9, "replies": 4}},
}  # fmt: skip
MORE = {
    **PROBES, "slices": {"short": TABLE}, "also": {"extra": {**TABLE, "split": "extra", "gates": {}}}, "rubric": RUBRIC,
    "as_trained": {"bits": 4, "scores": {"perplexity": 3.0}},
}  # fmt: skip


@pytest.fixture(params=["chat", "classification"])
def run(request, tmp_path) -> RunFolder:
    if request.param == "classification":
        return write_classification_run(tmp_path / "run")
    run = write_chat_run(tmp_path, ["some text"])
    run.write(METRICS, {**run.read(METRICS), **MORE})
    return run


def test_whole_files_are_reported(run) -> None:
    assert run.read(METRICS) == json.loads((run / METRICS.name).read_text())
    assert "</html>" in write_report(run).read_text()


@pytest.mark.parametrize("file", [METRICS, TOKENS], ids=lambda file: file.name)
def test_every_change_of_a_type_or_a_key_is_refused_or_reported(run, file) -> None:
    whole, tried, refused = json.loads((run / file.name).read_text()), 0, 0
    page = environment().get_template("report.html.j2")
    for changed in with_other_types(whole):
        (run / file.name).write_text(json.dumps(changed))
        tried += 1
        try:
            run.find(file)
        except UserError as error:
            assert "is damaged: " in str(error)
            refused += 1
            continue
        run_summary(run)
        assert "</html>" in page.render(report_facts(run, {**run.status}))
    assert refused > tried / 2 > 5


WRONG = {
    "a metric without a difference": (lambda m: m["differences"].clear(), "no difference of perplexity"),
    "a metric that the baseline lacks": (lambda m: m["models"]["base"].clear(), "no perplexity of the base model"),
    "a significant difference of nothing": (lambda m: m["differences"]["perplexity"].update(value=None), "was not measured"),
    "a further set without numbers": (lambda m: m["also"]["extra"]["models"].clear(), "extra: no perplexity of the tuned model"),
    "a gate that is decided after all": (lambda m: m["gates"]["perplexity"].update(decided=False, max=50), "the gate perplexity undecided"),
    "prompts that one model did not answer": (lambda m: m["prompts"]["base"].pop(), "the same number of answers"),
    "a file of minimal pairs too few": (lambda m: m["blimp"]["pairs"].clear(), "do not have the files of the pairs"),
    "a file of minimal pairs without numbers": (lambda m: m["blimp"]["files"]["models"]["base"].clear(), "no binding of the base model"),
    "a level of confidence beyond 1": (lambda m: m.update(confidence=1.5), "confidence"),
}  # fmt: skip


@pytest.mark.parametrize("damage", WRONG)
def test_what_does_not_belong_together_is_named(tmp_path, damage) -> None:
    change, what = WRONG[damage]
    run = write_chat_run(tmp_path, ["some text"])
    metrics = deepcopy({**run.read(METRICS), **MORE})
    change(metrics)
    run.write(METRICS, metrics)
    with pytest.raises(UserError, match=what):
        run.find(METRICS)


def test_labels_that_the_confusion_matrix_lacks_are_named(tmp_path) -> None:
    run = write_classification_run(tmp_path / "run")
    run.write(METRICS, {**run.read(METRICS), "labels": ["calm", "angry", "sad"]})
    with pytest.raises(UserError, match="the confusion matrix does not have the labels"):
        run.find(METRICS)
