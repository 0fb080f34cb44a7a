"""An inspection as one HTML page that stands alone, in the report's style. All text from data is escaped."""

from typing import Any

from ..reporting.bars import bars, histogram
from ..reporting.report import environment
from .inspect import ALL, Inspection
from .previews import Previews

SHOWN = 12
TITLES = {
    "equal": "Equal rows",
    "nearly_equal": "Nearly equal rows",
    "same_input_other_output": "Same question, another answer",
}


def page(found: Inspection, previews: Previews) -> str:
    """The page's HTML."""
    facts = found.facts
    return environment().get_template("inspection.html.j2").render(
        facts=facts, charts=charts(facts), counts=count_charts(facts), titles=TITLES, samples=found.samples, all_rows=ALL,
        pairs={kind: [(previews.at(a), previews.at(b)) for a, b in pairs.listed[:SHOWN]] for kind, pairs in found.pairs.items()},
        headline=headline(facts),
    )  # fmt: skip


def headline(facts: dict[str, Any]) -> str:
    """What the files are, in a sentence, and the first thing that is wrong with them."""
    what = f"{facts['valid']:,} {facts['type']} records of {facts['lengths']['tokens']['row'].get('sum', 0):,.0f} tokens"
    wrong = [f"{facts['rows'] - facts['valid']:,} rows are no records"] if facts["bad"] else []
    told = {
        "equal": "equal an earlier row",
        "same_input_other_output": "contradict an earlier row",
        "nearly_equal": "nearly equal an earlier row",
    }
    wrong += [f"{facts['repeats'][kind]['rows']:,} {words}" for kind, words in told.items() if facts["repeats"].get(kind, {}).get("rows")]
    return what + ("; " + ", ".join(wrong) if wrong else "; none broken, none repeated") + "."


def charts(facts: dict[str, Any]) -> dict[str, str]:
    """Title -> histogram of lengths, of rows and of roles."""
    drawn = {}
    for unit in ("tokens", "characters"):
        for part, found in facts["lengths"][unit].items():
            title = f"{unit.capitalize()} of a row" if part == "row" else f"{unit.capitalize()} of a message: {part}"
            drawn[title] = histogram(title, found.get("histogram", ()), unit)
    if "chat" in facts:
        drawn["Messages of a row"] = histogram("Messages of a row", facts["chat"]["messages"].get("histogram", ()), "messages")
    return {title: svg for title, svg in drawn.items() if svg}


def count_charts(facts: dict[str, Any]) -> dict[str, str]:
    """Title -> bars of what was counted by name."""
    chat = facts.get("chat", {})
    drawn = {f"Labels: {name}": list(counts.items()) for name, counts in facts.get("labels", {}).items()}
    drawn |= {"Answers": list((chat.get("answers") or {}).items()), "Messages by role": list(chat.get("roles", {}).items())}
    drawn |= {
        "Order of roles": list(chat.get("shapes", {}).get("counts", {}).items()),
        "Marked to be trained": list(chat.get("marks", {}).items()),
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
