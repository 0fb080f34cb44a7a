"""Choose the rows that a report shows: where the tuned model gained most over its baseline, and where it lost most."""

from collections.abc import Mapping
from typing import Any

from ...schemas.base.counted import counted
from ..evaluation.metrics import Prediction, metric
from ..evaluation.scoring import BASE, TUNED

SHOWN = 10
LONGEST, LINES = 800, 14  # characters and lines of a text; keeps a page of twenty rows small and readable


def cut(text: str) -> str:
    """Return the beginning of the text, with how much is left out."""
    kept = "\n".join(text[:LONGEST].split("\n")[:LINES])
    return text if kept == text else f"{kept} … ({counted(len(text) - len(kept), 'more character')})"


def ranking_metric(metrics: Mapping[str, Any]) -> str | None:
    """Return the first metric with a better direction that can be computed for one row; labels of one row are ranked by likelihood
    instead."""
    names = [name for name, facts in metrics["metrics"].items() if facts["higher_is_better"] is not None and metric(name).needs != "labels"]
    return names[0] if names else None


def gains(name: str, cases: dict[str, list[Prediction]]) -> list[tuple[float, str]]:
    """Return (gain, id) of every row for which the metric can be computed, the largest gain first. Positive gains are improvements."""
    measure = metric(name)
    sign = 1 if measure.higher_is_better else -1
    found = []
    for before, after in zip(cases[BASE], cases[TUNED], strict=True):
        gain = sign * (measure.of_row(after) - measure.of_row(before))
        if gain == gain and abs(gain) != float("inf"):
            found.append((gain, after.id))
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))


def extremes(ranked: list[tuple[float, str]]) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Return the SHOWN best and the SHOWN worst rows (the worst first); no row is in both."""
    best = ranked[: min(SHOWN, (len(ranked) + 1) // 2)]
    worst = ranked[len(best) :][::-1][:SHOWN]
    return best, worst


def shown_rows(
    ranked: list[tuple[float, str]], rows: dict[str, dict[str, Any]], predictions: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what the page needs of each row: its id, gain, prompt or text, the data's own reply and both models' replies."""
    found = []
    for gain, row_id in ranked:
        row, lines = rows[row_id], predictions[row_id]
        messages = row.get("messages")
        prompt = messages[-2]["content"] if messages and len(messages) > 1 else row.get("text", "")
        entry: dict[str, Any] = {"id": row_id, "gain": gain, "prompt": cut(prompt)}
        if messages:
            entry |= {"reference": cut(lines[TUNED]["reference"]), "replies": []}
            entry["replies"] = [{"model": model, **lines[model], "reply": cut(lines[model]["reply"])} for model in (BASE, TUNED)]
        found.append(entry)
    return found


Lines = list[dict[str, Any]]


def classified_rows(predictions: Lines, rows: dict[str, dict[str, Any]]) -> tuple[Lines, Lines]:
    """Return the rows that the classifier got right with the most confidence, and those it got wrong; the most confident first."""
    lines = [line for line in predictions if line["model"] == TUNED and "predicted" in line]
    found = [
        {**line, "probability": line["probabilities"].get(line["predicted"], 0.0), "text": cut(rows[line["id"]].get("text", ""))}
        for line in lines
    ]
    confident = sorted(found, key=lambda line: -line["probability"])
    right = [line for line in confident if line["predicted"] == line["label"]]
    return right[:SHOWN], [line for line in confident if line["predicted"] != line["label"]][:SHOWN]
