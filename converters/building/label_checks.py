"""Labels that would be classes by mistake: the same word written twice, and several labels in the place of one."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from unicodedata import normalize

from ...schemas.base.errors import Location, Problem, UserError

_SEPARATOR = re.compile(r"[,;|/]")


def check_labels(places: Mapping[str, str], declared: tuple[str, ...] | None) -> None:
    """Raise UserError for labels that differ only in blanks, case or Unicode form, and for lists of labels.

    `places` are the labels with the first row of each. What the recipe lists in data.labels is meant as it is.
    """
    suspects = {label: place for label, place in places.items() if label not in (declared or ())}
    problems = [*_same_words(places, suspects), *_lists(places, suspects)]
    if problems:
        raise UserError(*problems)


def _same_words(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for label in places:
        forms["".join(normalize("NFKC", label).casefold().split())].append(label)
    hint = "write them alike (the table converter's label_names can), or list both in data.labels"
    for labels in forms.values():
        if len(labels) > 1 and not suspects.keys().isdisjoint(labels):
            named = " and ".join(f"{label!a} ({places[label]})" for label in sorted(labels))
            yield Problem(Location(""), f"labels that differ only in blanks, case or Unicode form: {named}", hint, "labels-alike")


def _lists(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    hint = "a row has one label: keep the rows that have one, or list this one in data.labels when it is a class"
    for label, place in suspects.items():
        parts = [part.strip() for part in _SEPARATOR.split(label)]
        if len(parts) > 1 and all(part in places or part.isdecimal() for part in parts):
            yield Problem(Location(""), f"{label!a} ({place}) is a list of labels", hint, "label-list")
