"""Bar charts of counts: histograms as inline SVG, names as HTML rows, so that their text keeps its size on a phone."""

from collections.abc import Sequence
from html import escape

from .charts import ticks

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
        text = f"{start:,.6g} to {stop:,.6g} {unit}: {count:,} rows"
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
        shown.append((f"{len(counts) - most:,} others", sum(count for _, count in counts[most:])))
    highest = max((count for _, count in shown), default=0)
    rows = []
    for name, count in shown:
        bar = f'<div class="rod" style="width:{100 * count / highest if highest else 0:.1f}%"></div>'
        share = f"{count / total if total else 0:.1%}"
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th><td class="rods">{bar}</td><td class="n">{count:,}</td><td class="n">{share}</td></tr>'
        )
    return f'<table class="bars"><tbody>{"".join(rows)}</tbody></table>' if rows else ""
