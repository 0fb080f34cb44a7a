"""Find labels that would become classes by mistake: one word in two spellings, and lists of labels."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from unicodedata import normalize

from ...schemas.base.errors import Location, Problem, UserError

_SEPARATOR = re.compile(r"[,;|/]")


def check_labels(places: Mapping[str, str], declared: tuple[str, ...] | None) -> None:
    """Raise UserError for labels that differ only in spaces, case or Unicode form, and for lists of labels.

    `places` maps each label to its first row. Labels in data.labels are accepted as they are.
    """
    suspects = {label: place for label, place in places.items() if label not in (declared or ())}
    problems = [*_same_words(places, suspects), *_lists(places, suspects)]
    if problems:
        raise UserError(*problems)


def _same_words(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for label in places:
        forms["".join(normalize("NFKC", label).casefold().split())].append(label)
    hint = "use one spelling (the table converter's label_names maps them), or list both in data.labels"
    for labels in forms.values():
        if len(labels) > 1 and not suspects.keys().isdisjoint(labels):
            named = " and ".join(f"{label!a} ({places[label]})" for label in sorted(labels))
            yield Problem(Location(""), f"labels that differ only in spaces, case or Unicode form: {named}", hint, "labels-alike")


def _lists(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    hint = "a row has one label: keep the rows that have one, or add this label to data.labels if it is a class"
    for label, place in suspects.items():
        parts = [part.strip() for part in _SEPARATOR.split(label)]
        if len(parts) > 1 and all(part in places or part.isdecimal() for part in parts):
            yield Problem(Location(""), f"{label!a} ({place}) is a list of labels", hint, "label-list")
