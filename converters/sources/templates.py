"""Text templates with `{name}` places. Not str.format: a value may hold braces, and a template may show literal JSON."""

import re
from typing import Any

_PLACE = re.compile(r"\{(\w+)\}")


def fill(template: str, **values: Any) -> str:
    """The template with `{name}` replaced for each given name. Other braces stand for themselves; values are not searched again."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), template)
