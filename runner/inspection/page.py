"""Render an inspection as one self-contained HTML page in the report's style. All text from data is escaped."""

from typing import Any

from ...schemas.base.counted import counted
from ..reporting.bars import bars, histogram
from ..reporting.templates import environment
from .inspect import ALL, Inspection
from .previews import Previews
from .text_statistics import AS_TRAINED

SHOWN = 12
TITLES = {
    "equal": "Identical rows",
    "nearly_equal": "Near-duplicates",
    "same_input_other_output": "Same question, different answer",
}


def page(found: Inspection, previews: Previews) -> str:
    """Return the page's HTML."""
    facts = found.facts
    return environment().get_template("inspection.html.j2").render(
        facts=facts, charts=charts(facts), counts=count_charts(facts), titles=TITLES, samples=found.samples, all_rows=ALL,
        pairs={kind: [(previews.at(a), previews.at(b)) for a, b in pairs.listed[:SHOWN]] for kind, pairs in found.pairs.items()},
        headline=headline(facts),
    )  # fmt: skip


def headline(facts: dict[str, Any]) -> str:
    """Summarise the files and their problems in a sentence."""
    what = f"{counted(facts['valid'], facts['type'] + ' record')} of {facts['lengths']['tokens']['row'].get('sum', 0):,.0f} tokens"
    wrong = [f"{counted(facts['rows'] - facts['valid'], 'row', 'are')} invalid"] if facts["bad"] else []
    texts = {
        "equal": "are duplicates",
        "same_input_other_output": "repeat a question with a different answer",
        "nearly_equal": "are near-duplicates",
    }
    wrong += [f"{facts['repeats'][kind]['rows']:,} {words}" for kind, words in texts.items() if facts["repeats"].get(kind, {}).get("rows")]
    return what + ("; " + ", ".join(wrong) if wrong else "; no invalid rows, no duplicates") + "."


def charts(facts: dict[str, Any]) -> dict[str, str]:
    """Return title -> histogram of lengths, of rows and of roles."""
    drawn = {}
    for unit in ("tokens", "characters"):
        for part, found in facts["lengths"][unit].items():
            title = f"{unit.capitalize()} per {part}" if part in ("row", AS_TRAINED) else f"{unit.capitalize()} per message: {part}"
            drawn[title] = histogram(title, found.get("histogram", ()), unit)
    if "chat" in facts:
        drawn["Messages per row"] = histogram("Messages per row", facts["chat"]["messages"].get("histogram", ()), "messages")
    return {title: svg for title, svg in drawn.items() if svg}


def count_charts(facts: dict[str, Any]) -> dict[str, str]:
    """Return title -> bar chart of counts by name."""
    chat = facts.get("chat", {})
    drawn = {f"Labels: {name}": list(counts.items()) for name, counts in facts.get("labels", {}).items()}
    drawn |= {"Answers": list((chat.get("answers") or {}).items()), "Messages by role": list(chat.get("roles", {}).items())}
    drawn |= {
        "Order of roles": list(chat.get("shapes", {}).get("counts", {}).items()),
        "Marked for training": list(chat.get("marks", {}).items()),
    }
    for name, title in (
        ("languages", "Languages"),
        ("scripts", "Scripts, by rows"),
        ("sources", "Source files"),
        ("converters", "Converters"),
    ):
        drawn[title] = list(facts.get(name, {}).get("counts", {}).items())
    drawn["Letters and emoji by script"] = list(facts["letters"].items())
    return {title: bars(counts) for title, counts in drawn.items() if counts}
