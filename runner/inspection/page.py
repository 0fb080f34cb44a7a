"""Render an inspection as one self-contained HTML page in the report's style. All text from data is escaped."""

from collections.abc import Sequence
from html import escape
from typing import Any

from ...schemas.base.counted import counted
from ..reporting.charts import ticks
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
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 352, 190, 44, 26, 10
Bin = tuple[float, float, int]


def histogram(title: str, bins: Sequence[Bin], unit: str) -> str:
    """Return an <svg> of (from, to, count) bins; the last one may cover everything beyond the 99th percentile. "" for fewer than two."""
    if len(bins) < 2:
        return ""
    most = max(count for _, _, count in bins)
    width = (WIDTH - LEFT - 8) / len(bins)
    beyond = bins[-1][1] - bins[-1][0] > 1.5 * (bins[0][1] - bins[0][0])
    high = HEIGHT - TOP - BOTTOM
    parts = []
    for tick in (tick for tick in ticks(0, most, 4) if tick == int(tick)):
        y = round(TOP + high - tick / most * high, 1)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:,.0f}</text>')
    for index, (start, stop, count) in enumerate(bins):
        tall = count / most * high
        kind = "beyond" if beyond and index == len(bins) - 1 else "bar"
        text = f"{start:,.6g} to {stop:,.6g} {unit}: {counted(count, 'row')}"
        place = f'x="{LEFT + index * width:.1f}" y="{TOP + high - tall:.1f}" width="{max(width - 1, 0.5):.1f}" height="{tall:.1f}"'
        parts.append(f'<rect class="{kind}" {place}><title>{escape(text)}</title></rect>')
    last = bins[-1][0] if beyond else bins[-1][1]
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">{bins[0][0]:,.6g}</text>')
    end = f"{last:,.6g} {unit}" if not beyond else f"{last:,.6g} and more, to {bins[-1][1]:,.6g} {unit}"
    parts.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 8}" text-anchor="end">{escape(end)}</text>')
    label = escape(f"{title}: {sum(count for _, _, count in bins):,} from {bins[0][0]:,.6g} to {bins[-1][1]:,.6g} {unit}", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def bars(counts: Sequence[tuple[str, int]], most: int = 15) -> str:
    """Return table rows of name, bar, count, share. Names beyond `most` are summed up in the last row."""
    total = sum(count for _, count in counts)
    shown = list(counts[:most])
    if len(counts) > most:
        shown.append((counted(len(counts) - most, "other"), sum(count for _, count in counts[most:])))
    highest = max((count for _, count in shown), default=0)
    rows = []
    for name, count in shown:
        bar = f'<div class="rod" style="width:{100 * count / highest if highest else 0:.1f}%"></div>'
        share = f"{count / total if total else 0:.1%}"
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th><td class="rods">{bar}</td><td class="n">{count:,}</td><td class="n">{share}</td></tr>'
        )
    return f'<table class="bars"><tbody>{"".join(rows)}</tbody></table>' if rows else ""


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
        "equal": ("is a duplicate", "are duplicates"),
        "same_input_other_output": ("repeats a question with a different answer", "repeat a question with a different answer"),
        "nearly_equal": ("is a near-duplicate", "are near-duplicates"),
    }
    repeats = {kind: facts["repeats"].get(kind, {}).get("rows", 0) for kind in texts}
    wrong += [f"{rows:,} {texts[kind][rows != 1]}" for kind, rows in repeats.items() if rows]
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
