"""A comparison of runs as one HTML page that stands alone, in the report's style. All text from the runs is escaped."""

from pathlib import Path
from typing import Any

from ...schemas.base.files import write_atomically
from ...schemas.dotted import one_line
from .comparison_table import run_letters
from .metrics_table import verdict
from .report import environment


def write_page(found: dict[str, Any], path: Path) -> Path:
    """Write the page and return its path."""
    rendered = environment().get_template("comparison.html.j2").render(
        found=found, letters=run_letters(found), answer=answer(found), one_line=one_line,
        verdicts={name: [verdict(change, facts["better"]) for change in facts["changes"]] for name, facts in found["metrics"].items()},
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, rendered.encode())
    return path


def answer(found: dict[str, Any]) -> str:
    """Which runs can be told from the first, and on which metrics, in a sentence or two."""
    sentences = []
    for place, letter in enumerate(run_letters(found)[1:]):
        told: dict[str, list[str]] = {"better": [], "worse": []}
        for name, facts in found["metrics"].items():
            change = facts["changes"][place]
            if facts["better"] and change["distinguishable"]:
                told["better" if (change["value"] > 0) == (facts["better"] == "higher") else "worse"].append(name.replace("_", " "))
        parts = [f"{word} on {', '.join(names)}" for word, names in told.items() if names]
        sentences.append(f"{letter} is {' and '.join(parts)} than A." if parts else f"{letter} cannot be told from A.")
    return f"On {found['rows']} rows: " + " ".join(sentences)
