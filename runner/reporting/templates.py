"""The templates of pages and of the model card, with what they share."""

from typing import TYPE_CHECKING, Any

from ...schemas.base.counted import counted
from ...schemas.base.terminal import printable
from .report_rows import cut
from .verdicts import LABELS, digits, direction, metric_name, number

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(*, of_pages: bool = True) -> "Environment":
    """Return the environment of the templates. That of pages escapes everything by default."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("recipekit.runner.reporting", ".")
    found = Environment(loader=loader, autoescape=of_pages, finalize=_shown if of_pages else None, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    found.filters |= {"number": number, "cut": cut}
    found.globals |= {"labels": LABELS, "direction": direction, "metric_name": metric_name, "counted": counted, "digits": digits}
    found.globals["heat"] = lambda counts: sorted({emotion for replies in counts.values() for emotion in replies})
    return found


def _shown(value: Any) -> Any:
    """Return a value for a page, with control characters escaped."""
    from markupsafe import Markup

    if isinstance(value, str):
        return Markup(printable(value)) if isinstance(value, Markup) else printable(value)
    return value
