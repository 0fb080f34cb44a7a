"""Look at the labels of each split: texts that two rows label differently, which no classifier can learn, and labels that no training row
has.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

import orjson

from .manifest import LabelConflicts

_EXAMPLES = 3


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
