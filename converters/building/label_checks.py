"""Find labels that would become classes by mistake: one word or number in two spellings, lists of labels, and words for missing values."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from unicodedata import normalize

from ...schemas.base.errors import Location, Problem, UserError
from .row_encoder import MISSING

_SEPARATOR = re.compile(r"[,;|/]")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")
_LONG = 28  # digits: the precision of Decimal


def check_labels(places: Mapping[str, str], declared: tuple[str, ...] | None) -> None:
    """Raise UserError for labels that differ only in form, for lists of labels, and for words that stand for a missing label.

    `places` maps each label to its first row. Labels in data.labels are accepted as they are.
    """
    suspects = {label: place for label, place in places.items() if label not in (declared or ())}
    problems = [*_same_words(places, suspects), *_lists(places, suspects), *_missing(suspects)]
    if problems:
        raise UserError(*problems)


def _same_words(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for label in places:
        forms[_form(label)].append(label)
    hint = "use one spelling (the table converter's label_names maps them), or list both in data.labels"
    for labels in forms.values():
        if len(labels) > 1 and not suspects.keys().isdisjoint(labels):
            named = " and ".join(f"{label!a} ({places[label]})" for label in sorted(labels))
            yield Problem(Location(""), f"labels that differ only in spaces, case, Unicode form or digits: {named}", hint, "labels-alike")


def _form(label: str) -> str:
    """Return what labels that are the same word, or the same number (1, 01, 1.0), have in common."""
    form = "".join(normalize("NFKC", label).casefold().split())
    return f"{(Decimal(form) + 0).normalize():f}" if _NUMBER.fullmatch(form) and len(form) < _LONG else form


def _lists(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    hint = "a row has one label: keep the rows that have one, or add this label to data.labels if it is a class"
    for label, place in suspects.items():
        parts = [part.strip() for part in _SEPARATOR.split(label)]
        is_written = label.startswith("[") and label.endswith("]")  # as JSON, or as Python writes a list
        if is_written or len(parts) > 1 and all(part in places or part.isdecimal() for part in parts):
            yield Problem(Location(""), f"{label!a} ({place}) is a list of labels", hint, "label-list")


def _missing(suspects: Mapping[str, str]) -> Iterator[Problem]:
    hint = "remove such rows, name the label (the table converter's label_names), or list all labels in data.labels when it is a class"
    for label in MISSING & suspects.keys():
        yield Problem(Location(""), f"{label!a} ({suspects[label]}) is what programs write where a label is missing", hint, "label-missing")
