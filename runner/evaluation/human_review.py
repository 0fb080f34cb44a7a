"""Blind comparison by people: pairs of replies, the votes on them, and their result.

`review/pairs.json` in the run's directory has the pairs and which side is the tuned model; the page for voters does not. Votes are files in
`review/votes/`. A row is one observation, however many people voted on it: the majority counts.
"""

import random
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.redact import redact
from ..runtime.progress import read_lines
from ..runtime.run_files import EVALUATION, MANIFEST, METRICS, PREDICTIONS, REVIEW, ROWS, RunFile
from ..runtime.run_folder import RunFolder
from ..runtime.seals import seal_files, sealed_names, unseal_files
from .agreement import alpha, alpha_interval
from .judge import read_judgements
from .rubric import read_ratings

QUESTIONS = {"preference": "Which reply is better?", "warmth": "Which is warmer?", "helpfulness": "Which is more helpful?"}
CHOICES = ("A", "same", "B")
CONFIDENCE = 0.95
VOTES = "review/votes"
_SUFFIX_MAX = 1 << 20  # bytes of a file of votes

Outcome = Literal["tuned", "base", "same"]


class Pair(NamedTuple):
    """A row with both replies. `tuned` is the side of the tuned model, A or B."""

    id: str
    conversation: list[dict[str, str]]
    replies: dict[str, str]
    tuned: str


class Votes(TypedDict):
    """One person's votes: the number of an item, and a choice for each question that was answered."""

    review: str
    rater: str
    votes: list[dict[str, Any]]


class Review(NamedTuple):
    """The pairs of a review; the name changes with them."""

    name: str
    pairs: list[Pair]


def make_review(run: RunFolder, rows: int, seed: int) -> Review:
    """Choose rows and sides by the seed, and write pairs.json. Raises UserError if there are no replies of both models.

    Rows with identical replies are left out: there is nothing to compare.
    """
    path = run / EVALUATION / PREDICTIONS
    if not path.is_file() and "train" not in run.stages:
        raise run.no_model()
    lines = read_lines(path) if path.is_file() else []
    replies: dict[str, dict[str, str]] = {}
    for line in lines:
        if isinstance(line.get("reply"), str):
            replies.setdefault(line["id"], {})[line["model"]] = line["reply"]
    both = sorted(
        row for row, of_row in replies.items() if {"base", "tuned"} <= set(of_row) and of_row["base"].strip() != of_row["tuned"].strip()
    )
    if not both:
        hint = "recipe eval RUN --set evaluation.metrics=[stop_rate] generates replies"
        if (run.find(MANIFEST) or {}).get("type") != "chat":
            hint = "only runs with `data.type: chat` generate replies"
        elif any({"base", "tuned"} <= set(of_row) for of_row in replies.values()):
            hint = "both reply the same to every evaluated row: there is nothing to compare"
        raise UserError(f"{run.path} has no replies of base and tuned model that differ", hint=hint)
    draw = random.Random(seed)
    chosen = draw.sample(both, min(rows, len(both)))
    texts = {row["id"]: row for row in read_lines(run / EVALUATION / ROWS)}
    pairs = []
    for row in chosen:
        tuned = draw.choice("AB")
        sides = {tuned: replies[row]["tuned"], "AB"[tuned == "A"]: replies[row]["base"]}
        conversation = [{"role": m["role"], "content": m["content"]} for m in texts[row]["messages"][:-1]]
        pairs.append(Pair(row, conversation, sides, tuned))
    values = [pair._asdict() for pair in pairs]
    name = sha256(orjson.dumps(values)).hexdigest()[:12]
    _keep(run, REVIEW, {"review": name, "pairs": values})
    return Review(name, pairs)


def read_review(run: RunFolder) -> Review | None:
    """Return the run's review; None if there is none, or if its replies are no longer those of the run's evaluation."""
    found = run.find(REVIEW)
    if not found:
        return None
    review = Review(found["review"], [Pair(**pair) for pair in found["pairs"]])
    answers = {(line["id"], line["model"]): line.get("reply") for line in read_lines(run / EVALUATION / PREDICTIONS)}
    current = all(answers.get((pair.id, "tuned")) == pair.replies[pair.tuned] for pair in review.pairs)
    return review if current else None


def add_votes(run: RunFolder, review: Review, path: Path) -> Path:
    """Check a file of votes and copy it to the run's directory. Raises UserError if it does not belong to this review."""
    try:
        content = path.read_bytes() if path.stat().st_size <= _SUFFIX_MAX else b""
        found = orjson.loads(content)
    except (OSError, orjson.JSONDecodeError) as error:
        raise _not_votes(path, f"cannot be read: {error}") from None
    if not isinstance(found, dict) or found.get("review") != review.name:
        raise _not_votes(path, f"does not belong to the review {review.name}")
    rater, votes = found.get("rater"), found.get("votes")
    if not isinstance(rater, str) or not rater.strip() or not isinstance(votes, list):
        raise _not_votes(path, "has no rater or no votes")
    for vote in votes:
        item = vote.get("item") if isinstance(vote, dict) else None
        if not isinstance(item, int) or isinstance(item, bool) or not 1 <= item <= len(review.pairs):
            raise _not_votes(path, f"votes on {item!r}, which is not in the review")
        if wrong := [key for key, choice in vote.items() if key != "item" and (key not in QUESTIONS or choice not in CHOICES)]:
            raise _not_votes(path, f"item {item}: {wrong[0]} is not one of {', '.join(CHOICES)}")
    if len({vote["item"] for vote in votes}) < len(votes):
        raise _not_votes(path, "votes twice on the same item")
    kept = _votes_file(sha256(rater.strip().casefold().encode()).hexdigest()[:12])  # a rater's later file replaces the earlier
    _keep(run, kept, {"review": review.name, "rater": redact(rater.strip()), "votes": votes})
    return run / kept.name


def _votes_file(name: str) -> RunFile[Votes]:
    return RunFile(f"{VOTES}/{name}.json", Votes, ("review", "votes"))


def _keep(run: RunFolder, file: RunFile[Any], values: Any) -> None:
    """Write the file and seal it. Killed in between, it is not sealed."""
    unseal_files(run.path, [file.name])
    run.write(file, values)
    seal_files(run.path, [file.name])


def _kept_votes(run: RunFolder) -> list[Votes]:
    """Return the files of votes. Raises UserError for one that is damaged, was changed, or is sealed and missing."""
    names = {path.stem for path in (run / VOTES).glob("*.json")} | {Path(name).stem for name in sealed_names(run.path, [VOTES])}
    return [votes for name in sorted(names) if (votes := run.find(_votes_file(name)))]


def review_results(run: RunFolder) -> dict[str, Any] | None:
    """Return the result by question: rows, share with its interval, sign test, agreement. None if there are no votes."""
    review = read_review(run)
    files = [votes for votes in _kept_votes(run) if votes["review"] == review.name] if review else []
    if review is None or not files:
        return None
    judged = _judged(run)
    questions = {}
    for question in QUESTIONS:
        units = _units(review, files, question)
        questions[question] = _counted(units) | _agreement(units)
        if question == "preference" and judged:
            pairs = [[judged[row], most] for row, votes in units.items() if row in judged and (most := _most(votes))]
            questions[question]["judge"] = {"rows": len(pairs), "equal": sum(a == b for a, b in pairs), "alpha": alpha(pairs)}
    return {"pairs": len(review.pairs), "raters": len(files), "questions": questions}


def _units(review: Review, files: list[Votes], question: str) -> dict[str, list[Outcome]]:
    """Return the votes by row."""
    found: dict[str, list[Outcome]] = {}
    for file in files:
        for vote in file["votes"]:
            pair = review.pairs[vote["item"] - 1]
            if choice := vote.get(question):
                outcome: Outcome = "same" if choice == "same" else "tuned" if choice == pair.tuned else "base"
                found.setdefault(pair.id, []).append(outcome)
    return found


def _most(votes: list[Outcome]) -> Outcome | None:
    """Return the majority's choice for a row: the model with more votes, or "same"."""
    tuned, base = votes.count("tuned"), votes.count("base")
    return None if not votes else "tuned" if tuned > base else "base" if base > tuned else "same"


def _counted(units: dict[str, list[Outcome]]) -> dict[str, Any]:
    """Count the rows for each model; with the tuned model's share of rows with a preference, its Clopper-Pearson interval, the sign
    test."""
    from scipy.stats import binomtest

    rows = [_most(votes) for votes in units.values()]
    tuned, base = rows.count("tuned"), rows.count("base")
    counts: dict[str, Any] = {"rows": len(rows), "tuned": tuned, "base": base, "same": rows.count("same")}
    if not tuned + base:
        return {**counts, "share": None, "low": None, "high": None, "p": None, "verdict": "no preference"}
    test = binomtest(tuned, tuned + base)
    interval = test.proportion_ci(CONFIDENCE, method="exact")
    winner = "tuned" if tuned > base else "base"
    verdict = f"{winner} preferred" if test.pvalue < 1 - CONFIDENCE else "no significant difference"
    return {**counts, "share": tuned / (tuned + base), "low": interval.low, "high": interval.high, "p": test.pvalue, "verdict": verdict}


def _agreement(units: dict[str, list[Outcome]]) -> dict[str, Any]:
    several = [votes for votes in units.values() if len(votes) > 1]
    return {"alpha": alpha(several), "alpha_interval": alpha_interval(several), "alpha_rows": len(several)}


def _judged(run: RunFolder) -> dict[str, Outcome]:
    """Return the model whose reply the recipe's judges score higher, by row and by the sum of their scales. A rubric takes precedence."""
    scores = _rubric_sums(run) or _judge_sums(run)
    found: dict[str, Outcome] = {}
    for model, row in scores:
        if model == "tuned" and ("base", row) in scores:
            gain = scores["tuned", row] - scores["base", row]
            found[row] = "tuned" if gain > 1e-9 else "base" if gain < -1e-9 else "same"
    return found


def _judge_sums(run: RunFolder) -> dict[tuple[str, str], float]:
    path = run / EVALUATION / "judgements.jsonl"
    return {key: sum(values.values()) for key, values in read_judgements(path).items()} if path.is_file() else {}


def _rubric_sums(run: RunFolder) -> dict[tuple[str, str], float]:
    """Return the sum over criteria of the judges' mean, each from 0 to 1, for replies that were scored on all criteria."""
    metrics = run.find(METRICS)
    if not metrics or not (rubric := metrics.get("rubric")):
        return {}
    spans = {name: (1, 4) if facts["unit"] == "1 to 5" else (0, 1) for name, facts in rubric["metrics"].items()}
    return {
        key: sum((sum(scores) / len(scores) - spans[name][0]) / spans[name][1] for name, scores in row.items())
        for key, row in read_ratings(run, "eval").items()
        if set(row) == set(spans)
    }


def _not_votes(path: Path, what: str) -> UserError:
    return UserError(Problem(path, what, "use the file saved by the review page", "not-votes"))
