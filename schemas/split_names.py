"""The split that the name of a file or folder says: `train.jsonl`, `dev/rows.csv`, `testset.tsv`."""

import re

_SPLITS = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "heldout", "holdout"),
}
_OF_A_SET = re.compile(r"(?<=.)(?:data|set)$")  # trainset, testdata


def split_in(name: str) -> str:
    """Return the split that a file's name or folder names; empty if it names none."""
    words = [_OF_A_SET.sub("", word) for word in re.split(r"[^a-z]+", name.lower())]
    return next((split for word in words for split, names in _SPLITS.items() if word in names), "")
