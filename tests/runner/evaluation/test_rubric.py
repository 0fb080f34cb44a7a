"""A rubric of the recipe's own, with judges behind a real HTTP server on this machine."""

import json

import pytest
from recipekit.runner.evaluation.human_review import add_votes, make_review, review_results
from recipekit.runner.evaluation.rubric import criterion_metric, judge_by_rubric, rubric_prompt, rubric_scores
from recipekit.runner.reporting.verdicts import failed_gates, gate_lines, rubric_lines
from recipekit.runner.runtime.run_files import METRICS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.evaluation_sections import Criterion, Rubric
from recipekit.schemas.sections import Evaluation
from recipekit.schemas.values import built

from ...support.jsonl import write_jsonl
from ...support.llm_server import KEY, Quiet, reply, serving
from ...support.run_files import metrics_with

for package in ("openai", "numpy", "httpx2"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")
ROWS = 20
VALUES = {
    "criteria": {"emoji": {"text": "Are the emojis apt?"}, "tone": {"text": "How warm is it?", "scale": "1_to_5"}},
    "gates": {"emoji": {"min": 80, "max_regression": 5}, "tone": {"min": 2}},
}


@pytest.fixture
def run(tmp_path, monkeypatch) -> RunFolder:
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    folder = tmp_path / "runs" / "emoji" / "one"
    messages = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]
    for place in ("evaluating", "eval"):
        write_jsonl(folder / place / "rows.jsonl", [{"id": f"{n:02}", "messages": messages} for n in range(ROWS)])
        lines = [{"model": model, "id": f"{n:02}", "reply": f"{model} {n:02}"} for n in range(ROWS) for model in ("base", "tuned")]
        write_jsonl(folder / place / "predictions.jsonl", lines)
    return RunFolder(folder)


def judged(run, *answers):
    """What a rubric gives with a judge for each of `answers`: functions from the reply's text to the judge's scores."""

    def behave(exchange):
        text = exchange.prompt.split("<reply>\n")[1].split("\n")[0]
        content = answers[int(exchange.body["model"])](text)
        return reply(content if isinstance(content, str) else json.dumps(content))(exchange)

    with serving(behave) as server:
        section = {"provider": "openai_compatible", "base_url": server.url, "key_name": "PLANTED_API_KEY"}
        judges = [section | {"model": str(number)} for number in range(len(answers))]
        rubric = built(Rubric, VALUES | {"judges": judges, "limits": {"concurrency": 2, "attempts": 1}})
        facts = judge_by_rubric(run, rubric, 42, Quiet())
    return rubric_scores(run, Evaluation(), rubric, "test", facts), server


def apt(text):
    """The tuned replies are apt, but for one; the base's are not."""
    return {"emoji": int("tuned" in text and "07" not in text), "tone": 4 if "tuned" in text else 2}


def test_a_judge_is_asked_every_criterion_in_its_own_words(run):
    _, server = judged(run, apt)
    assert len(server.asked) == 2 * ROWS
    system = server.asked[0]["messages"][0]["content"]
    assert "emoji, 1 for yes or 0 for no: Are the emojis apt?" in system
    assert "tone, a whole number from 1 (worst) to 5 (best): How warm is it?" in system
    assert system.endswith('{"emoji": n, "tone": n}')


def test_criteria_are_metrics_with_intervals_and_gates(run):
    scores, _ = judged(run, apt)
    emoji = scores["models"]["tuned"]["emoji"]
    assert emoji["value"] == 95 and emoji["low"] == pytest.approx(75.13, abs=0.01)  # Clopper and Pearson of 19 in 20
    assert scores["models"]["base"]["emoji"]["value"] == 0 and scores["differences"]["emoji"]["significant"]
    assert scores["models"]["tuned"]["tone"]["value"] == 4 and scores["metrics"]["tone"]["unit"] == "1 to 5"
    gate = scores["gates"]["emoji"]
    assert (gate["passed"], gate["decided"]) == (True, False)  # the interval reaches below 80
    assert scores["agreement"] == {}


def test_a_gate_of_the_rubric_is_named_as_such(run):
    scores, _ = judged(run, lambda text: {"emoji": 0, "tone": 3})
    metrics = {**metrics_with(), "rubric": scores}
    assert failed_gates(metrics) == ["rubric.emoji"]
    assert gate_lines(metrics, passed=(False,))[0].startswith("FAILED: rubric: emoji is 0.000, at least 80 is required, equal to the base")


def test_two_judges_give_a_mean_and_alpha(run):
    stern = {f"tuned {n:02}" for n in range(5)}
    scores, _ = judged(run, apt, lambda text: {"emoji": 0, "tone": 2} if text in stern else apt(text))
    assert scores["models"]["tuned"]["emoji"]["value"] == pytest.approx(100 * (15 - 1 + 5 / 2) / 20)
    assert scores["models"]["tuned"]["tone"]["value"] == pytest.approx((15 * 4 + 5 * 3) / 20)
    agreed = scores["agreement"]["emoji"]
    # 40 replies, 5 of them in dispute; of 80 values 33 are yes: 1 - 79 * 10 / (2 * 33 * 47)
    assert agreed["alpha"] == pytest.approx(1 - 79 * 10 / (2 * 33 * 47)) and agreed["low"] < agreed["alpha"] < agreed["high"]
    assert rubric_lines(scores)[2].startswith("Agreement of the judges (Krippendorff's alpha): emoji 0.75 [")


@pytest.mark.parametrize(
    "answer", ["no idea", {"emoji": 0.5, "tone": 3}, {"emoji": 1}, {"emoji": 1, "tone": 6}, {"emoji": True, "tone": 3}]
)
def test_an_answer_that_is_off_the_scale_is_counted_and_measured_nowhere(run, answer):
    scores, _ = judged(run, lambda text: answer if text == "tuned 03" else apt(text))
    assert (scores["judges"][0]["judged"], scores["judges"][0]["unread"]) == (2 * ROWS - 1, 1)
    assert scores["models"]["tuned"]["emoji"]["value"] == pytest.approx(100 * 18 / 19)


def test_people_and_rubric_are_compared_row_by_row(run, tmp_path):
    scores, _ = judged(run, apt)
    (run / "evaluating" / "rubric.jsonl").replace(run / "eval" / "rubric.jsonl")
    run.write(METRICS, {**metrics_with(), "rubric": scores})
    review = make_review(run, 10, 42)
    votes = [{"item": item, "preference": pair.tuned if item > 3 else "same"} for item, pair in enumerate(review.pairs, 1)]
    path = tmp_path / "votes.json"
    path.write_text(json.dumps({"review": review.name, "rater": "Ann", "votes": votes}))
    add_votes(run, review, path)
    found = review_results(run)["questions"]["preference"]["judge"]
    assert (found["rows"], found["equal"]) == (10, 7)


def test_a_rubric_without_judges_makes_no_request(run):
    rubric = built(Rubric, VALUES)
    assert judge_by_rubric(run, rubric, 42, Quiet()) == []
    assert rubric_prompt(rubric).scales == {"emoji": (0, 1), "tone": (1, 5)}


def test_only_a_single_judges_yes_and_no_are_a_proportion():
    one, two = (criterion_metric("a", Criterion("b"), judges) for judges in (1, 2))
    assert one.row_stats({"a": [1]}) == (True, 1) and one.row_stats({}) == (False, 0)
    assert two.row_stats({"a": [1, 0]}) == (0.5, 1)
    assert isinstance(one.row_stats({})[0], bool) and not isinstance(two.row_stats({"a": [1, 1]})[0], bool)
