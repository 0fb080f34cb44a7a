"""Find labels that would become classes by mistake: one word or number in two spellings, lists of labels, and words for missing values; and
labels that no classifier can learn: another one for the same text, or no training row.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.yaml_writing import one_line
from .artifacts import MISSING
from .manifest import LabelConflicts
from .row_encoder import without_invisible

_DECIMAL = re.compile(r"[+-]?\d+,\d+")  # a number as it is written in German or French
_SEPARATOR = re.compile(r"[,;|/#+&\n]")
_MARKS, _QUOTES = ".,;:!?", "\"'`*“”‘’«»"
_JOINT = re.compile(r"(?<=[^\W\d_])[-_](?=[^\W\d_])")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")
_LONG = 28  # digits: the precision of Decimal
_UNLABELLED = "-1"
_PRINTED = re.compile(  # by Python
    r"b'.*'|b\".*\"|(?:np\.|numpy\.)?\w*(?:int|float|str|bool|tensor|array)\w*\(.*\)|<\w+\.\w+(?:: .*)?>|\((?:'.*'|\".*\"|\d+),.*\)"
)
_SCORE = re.compile(r"\d+\s*/\s*(\d+)")  # 8/10
_NONE = MISSING | {"unsup", "unlabeled", "unlabelled"}  # the first is a folder of IMDB's reviews
_OPPOSITES = {"-": "+", "?": "!"}  # SNLI and Weka write the first for no label; beside the second it is a sign
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "y", "1", "positive", "pos"), True),
    **dict.fromkeys(("false", "no", "n", "0", "negative", "neg"), False),
}
_FEW = 12  # labels that a hint lists
_EXAMPLES = 3  # of a text with two labels


def check_labels(places: Mapping[str, str], declared: tuple[str, ...] | None) -> None:
    """Raise UserError for labels that differ only in form, for lists of labels, and for words that mean a missing label.

    `places` maps each label to its first row. Labels in data.labels are accepted as they are.
    """
    suspects = {label: place for label, place in places.items() if label not in (declared or ())}
    problems = [*_same_words(places, suspects), *_truths(places, suspects), *_lists(places, suspects), *_missing(places, suspects)]
    if problems:
        raise UserError(*problems)


def spellings(labels: Iterable[str]) -> list[list[str]]:
    """Return the groups of labels that are the same word or number in several spellings, in the order of the labels."""
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        forms[_form(label)].append(label)
    return [alike for alike in forms.values() if len(alike) > 1]


def one_spelling(labels: Iterable[str]) -> dict[str, str]:
    """Return the table converter's label_names that give labels of several spellings the first of them; every label is listed."""
    labels = list(labels)
    return {label: label for label in labels} | {label: alike[0] for alike in spellings(labels) for label in alike}


def _same_words(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    groups = [alike for alike in spellings(places) if not suspects.keys().isdisjoint(alike)]
    if not groups:
        return
    named = "; ".join(" and ".join(f"{shown} ({places[label]})" for label, shown in _distinct(alike)) for alike in groups)
    names = f", for example {one_line(one_spelling(places))}" if len(places) <= _FEW else ""
    hint = f"use one spelling, map every label with the table converter's option label_names{names}, or list both in data.labels"
    yield Problem("", f"labels that differ only in spaces, case, marks, Unicode form or digits: {named}", hint, "labels-alike")


def _truths(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the problem of labels that are all words for true and false, and more than two of them: True, 1 and yes are one class, and so
    are 1 and positive."""
    words = {label: _TRUTHS.get(_form(label)) for label in places}
    if None in words.values() or len({*map(_form, places)}) <= len({True, False}) or not suspects:
        return
    named = ", ".join(f"{shown} ({places[label]})" for label, shown in _distinct([*places]))
    names = one_line({label: "yes" if is_true else "no" for label, is_true in words.items()})
    hint = f"name both classes with the table converter's option label_names, for example {names}, or list all labels in data.labels"
    yield Problem("", f"labels that are several words for true and false: {named}", hint, "labels-alike")


def _distinct(alike: list[str]) -> list[tuple[str, str]]:
    """Return the labels, sorted, each with how it is shown: with escapes only where labels would look the same without."""
    readable = {normalize("NFC", repr(label)) for label in alike}
    return [(label, repr(label) if len(readable) == len(alike) else ascii(label)) for label in sorted(alike)]


def _form(label: str) -> str:
    """Return what labels that are the same word (Joy., "joy", not_sure, Not-sure), or the same number (1, 01, 1.0), have in common."""
    form = "".join(normalize("NFKC", without_invisible(label)).casefold().split())
    form = _JOINT.sub("", form.rstrip(_MARKS).strip(_QUOTES).rstrip(_MARKS)) or form
    return f"{(Decimal(form) + 0).normalize():f}" if _NUMBER.fullmatch(form) and len(form) < _LONG else form


def _lists(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    hint = "a row has one label: keep the rows that have one, or add this label to data.labels if it is a class"
    scores = [found[1] for label in places if (found := _SCORE.fullmatch(label))]
    if all(map(_DECIMAL.fullmatch, places)) or len(scores) == len(places) and len({*scores}) == 1:
        return
    for label, place in suspects.items():
        parts = [part.strip() for part in _SEPARATOR.split(label)]
        is_written = label[0] + label[-1] in ("[]", "{}")  # as JSON, or as Python writes a list or an object
        if is_written or len(parts) > 1 and all(part in places or part.isdecimal() for part in parts):
            what = "an object, not a label" if label[0] == "{" else "a list of labels"
            yield Problem("", f"{label!a} ({place}) is {what}", hint, "label-list")
        elif _PRINTED.fullmatch(label):
            how = "write the value itself, name the label (the table converter's label_names), or add it to data.labels if it is a class"
            yield Problem("", f"{label!a} ({place}) is how Python prints a value, not a label", how, "label-printed")


def _missing(places: Mapping[str, str], suspects: Mapping[str, str]) -> Iterator[Problem]:
    hint = "remove such rows, name the label (the table converter's label_names), or list all labels in data.labels when it is a class"
    # Beside 0, 1, 2, ... datasets mean by -1 that a row has no label (SNLI, and the test splits of GLUE); -1, 0, 1 may be a scale.
    is_index = {"0", "1", "2"} <= places.keys() and all(label.isdecimal() for label in places if label != _UNLABELLED)
    none = _NONE | {sign for sign, opposite in _OPPOSITES.items() if opposite not in places} | ({_UNLABELLED} if is_index else set())
    for label in none & suspects.keys():
        yield Problem("", f"{label!a} ({suspects[label]}) is what programs write where a label is missing", hint, "label-missing")


def split_labels(folder: Path, splits: Iterable[str]) -> tuple[LabelConflicts, dict[str, int]]:
    """Return, by split, the rows whose text an earlier row of the split has with another label, with the ids of a few such pairs; and the
    rows of each label that no training row has.
    """
    conflicts: LabelConflicts = {"rows": {}, "examples": []}
    counts: dict[str, Counter[str]] = {}
    for split in splits:
        first: dict[bytes, tuple[str, str]] = {}  # text -> label and id
        counts[split] = Counter()
        with (folder / f"{split}.jsonl").open("rb") as lines:
            for line in lines:
                row = orjson.loads(line)
                counts[split][row["label"]] += 1
                key = blake2b(normalize("NFC", row["text"]).strip().encode(), digest_size=16).digest()
                label, earlier = first.setdefault(key, (row["label"], row["id"]))
                if label != row["label"]:
                    conflicts["rows"][split] = conflicts["rows"].get(split, 0) + 1
                    if len(conflicts["examples"]) < _EXAMPLES:
                        conflicts["examples"].append([earlier, row["id"]])
    untrained: dict[str, int] = {}
    if trained := counts.pop("train", None):
        untrained = {label: rows for label, rows in sorted(sum(counts.values(), Counter[str]()).items()) if label not in trained}
    return conflicts, untrained
