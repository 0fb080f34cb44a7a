"""Votes of people: sides are hidden, a row counts once, and there is no verdict without enough rows."""

import fcntl
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.evaluation.human_review import QUESTIONS, VOTES, add_votes, make_review, read_review, review_results
from recipekit.runner.runtime.run_files import MANIFEST
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import seal_faults
from recipekit.schemas.base.errors import UserError

from ...support.jsonl import write_jsonl
from ...support.run_files import manifest_with

pytest.importorskip("scipy", reason="needs the extra [eval]: scipy")


def write_run(folder, rows=20, same=0) -> RunFolder:
    """A run whose replies name their model; the first `same` rows have equal ones."""
    run = RunFolder(folder / "runs" / "tiny" / "1")
    asked = [
        {"id": f"r{n}", "messages": [{"role": "user", "content": f"Q{n}"}, {"role": "assistant", "content": "R"}]} for n in range(rows)
    ]
    write_jsonl(run / "eval" / "rows.jsonl", asked)
    predictions = [
        {"id": f"r{n}", "model": m, "reply": "equal" if n < same else f"{m} {n}"} for n in range(rows) for m in ("base", "tuned")
    ]
    write_jsonl(run / "eval" / "predictions.jsonl", predictions)
    return run


def vote_file(path, review, wishes, rater="Ann"):
    """Votes for `tuned`, `base` or `same` in the order of the items, as the page would save them."""
    votes = [{"item": item, "preference": "same" if wish == "same" else pair.tuned if wish == "tuned" else "AB"[pair.tuned == "A"]}
             for item, (pair, wish) in enumerate(zip(review.pairs, wishes, strict=False), 1)]  # fmt: skip
    path.write_text(json.dumps({"review": review.name, "rater": rater, "votes": votes}))
    return path


def test_sides_are_drawn_by_the_seed_and_equal_replies_are_left_out(tmp_path):
    run = write_run(tmp_path, same=4)
    review = make_review(run, 25, 42)
    assert len(review.pairs) == 16 and {pair.tuned for pair in review.pairs} == {"A", "B"}
    assert all(pair.replies[pair.tuned].startswith("tuned") for pair in review.pairs)
    assert review == make_review(run, 25, 42) == read_review(run) != make_review(run, 25, 7)


def test_a_run_that_is_still_trained_is_not_asked_for_other_metrics(tmp_path):
    run = write_run(tmp_path)
    (run / "eval" / "predictions.jsonl").unlink()
    with run.locked(), pytest.raises(UserError, match="has no trained model yet\n.*recipe resume"):
        make_review(run, 25, 42)
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="it is running: wait until it has ended"):
            make_review(run, 25, 42)


@pytest.mark.parametrize(("kind", "hint"), [("chat", "recipe eval RUN"), ("text", "only runs with `data.type: chat`")])
def test_a_run_without_replies_is_refused_with_what_would_make_some(tmp_path, kind, hint):
    run = write_run(tmp_path, rows=0)
    run.write(MANIFEST, manifest_with(type=kind))
    with pytest.raises(UserError, match=hint):
        make_review(run, 25, 42)


def test_a_run_whose_models_reply_the_same_is_not_asked_to_reply_again(tmp_path):
    run = write_run(tmp_path, rows=3, same=3)
    run.write(MANIFEST, manifest_with(type="chat"))
    with pytest.raises(UserError, match="both reply the same to every evaluated row"):
        make_review(run, 25, 42)


def test_votes_are_counted_for_the_model_behind_the_side(tmp_path):
    run = write_run(tmp_path)
    review = make_review(run, 20, 42)
    add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 15 + ["base"] * 3 + ["same"] * 2))
    found = review_results(run)["questions"]["preference"]
    assert {key: found[key] for key in ("rows", "tuned", "base", "same")} == {"rows": 20, "tuned": 15, "base": 3, "same": 2}
    # binom.test(15, 18) of R: 0.8333 [0.5858, 0.9642], p = 0.00754
    assert (found["share"], found["low"], found["high"], found["p"]) == pytest.approx((0.8333, 0.5858, 0.9642, 0.00754), abs=1e-4)
    assert found["verdict"] == "tuned preferred"


def test_five_votes_are_not_significant(tmp_path):
    run = write_run(tmp_path, rows=5)
    review = make_review(run, 25, 42)
    add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 5))
    found = review_results(run)["questions"]["preference"]
    assert found["verdict"] == "no significant difference" and found["low"] < 0.5 and found["high"] == 1


def test_a_row_with_many_votes_counts_once(tmp_path):
    run = write_run(tmp_path)
    review = make_review(run, 20, 42)
    for rater in ("Ann", "Ben", "Cem", "ann "):  # the last is Ann again: her later file counts
        add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 4, rater))
    found = review_results(run)
    assert found["raters"] == 3 and found["questions"]["preference"]["rows"] == 4
    assert found["questions"]["warmth"]["rows"] == 0 and found["questions"]["warmth"]["verdict"] == "no preference"


@given(st.lists(st.lists(st.sampled_from(["tuned", "base", "same"]), min_size=8, max_size=8), min_size=1, max_size=3))
@settings(max_examples=25)
def test_every_row_is_counted_exactly_once(tmp_path_factory, wishes):
    folder = tmp_path_factory.mktemp("votes")
    run = write_run(folder, rows=8)
    review = make_review(run, 8, 1)
    for number, wish in enumerate(wishes):
        add_votes(run, review, vote_file(folder / "votes.json", review, wish, f"rater {number}"))
    found = review_results(run)["questions"]["preference"]
    assert found["rows"] == 8 == found["tuned"] + found["base"] + found["same"]


WRONG = {
    "another review": {"review": "x", "rater": "A", "votes": []},
    "no rater": {"rater": " ", "votes": []},
    "an item that is not there": {"rater": "A", "votes": [{"item": 99, "preference": "A"}]},
    "an item that is a truth value": {"rater": "A", "votes": [{"item": True, "preference": "A"}]},
    "another choice": {"rater": "A", "votes": [{"item": 1, "preference": "C"}]},
    "another question": {"rater": "A", "votes": [{"item": 1, "beauty": "A"}]},
    "two votes on one item": {"rater": "A", "votes": [{"item": 1}, {"item": 1}]},
    "a list": [],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_not_a_vote_file_of_this_review_is_refused(tmp_path, name):
    run = write_run(tmp_path)
    review = make_review(run, 20, 42)
    value = WRONG[name]
    (tmp_path / "votes.json").write_text(json.dumps({"review": review.name, **value} if isinstance(value, dict) else value))
    with pytest.raises(UserError, match="votes.json"):
        add_votes(run, review, tmp_path / "votes.json")
    assert not (run / VOTES).exists()


def test_votes_on_replies_that_have_changed_are_shown_no_more(tmp_path):
    run = write_run(tmp_path)
    review = make_review(run, 20, 42)
    add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 9))
    write_jsonl(
        run / "eval" / "predictions.jsonl", [{"id": f"r{n}", "model": m, "reply": "new"} for n in range(20) for m in ("base", "tuned")]
    )
    assert read_review(run) is None and review_results(run) is None


DAMAGES = {
    "another choice": ("votes", lambda path: path.write_bytes(path.read_bytes().replace(b'"A"', b'"B"'))),
    "cut votes": ("votes", lambda path: path.write_bytes(path.read_bytes()[:40])),
    "a list": ("votes", lambda path: path.write_bytes(b"[1]")),
    "missing votes": ("votes", lambda path: path.unlink()),
    "a pipe": ("votes", lambda path: (path.unlink(), os.mkfifo(path))),
    "pairs in another order": ("pairs", lambda path: path.write_text(json.dumps({**(all := json.loads(path.read_text())), "pairs": all["pairs"][::-1]}))),
    "missing pairs": ("pairs", lambda path: path.unlink()),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_review_is_named_and_not_counted(tmp_path, name):
    run = write_run(tmp_path)
    review = make_review(run, 20, 42)
    kept = {
        "votes": add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 9)),
        "pairs": run / "review" / "pairs.json",
    }
    kind, damage = DAMAGES[name]
    damage(kept[kind])
    with pytest.raises(UserError, match=kept[kind].name):
        review_results(run)
    assert any(kept[kind].name in fault for fault in seal_faults(run.path))
    review = make_review(run, 20, 42)
    add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 9))
    assert review_results(run)["questions"]["preference"]["tuned"] == 9 and seal_faults(run.path) == []


def test_the_judge_is_compared_with_people_row_by_row(tmp_path):
    run = write_run(tmp_path, rows=10)
    review = make_review(run, 10, 42)
    add_votes(run, review, vote_file(tmp_path / "votes.json", review, ["tuned"] * 5 + ["base"] * 5))
    liked = {pair.id for pair in review.pairs[:4]}  # the judge agrees on nine
    lines = [{"model": m, "id": f"r{n}", "scores": {"tone": 3 if (m == "tuned") == (f"r{n}" in liked) else 1}, "reply": ""}
             for n in range(10) for m in ("base", "tuned")]  # fmt: skip
    write_jsonl(run / "eval" / "judgements.jsonl", lines)
    found = review_results(run)["questions"]["preference"]["judge"]
    assert (found["rows"], found["equal"]) == (10, 9) and 0.7 < found["alpha"] < 0.9
    assert set(QUESTIONS) == set(review_results(run)["questions"])
