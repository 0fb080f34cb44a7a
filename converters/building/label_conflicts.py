"""Count texts that two rows of a split label differently: no classifier can learn both."""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

import orjson

from .manifest import LabelConflicts

_EXAMPLES = 3


def count_label_conflicts(folder: Path, splits: Iterable[str]) -> LabelConflicts:
    """Return, by split, the rows whose text an earlier row of the split has with another label, and the ids of a few such pairs."""
    found: LabelConflicts = {"rows": {}, "examples": []}
    for split in splits:
        first: dict[bytes, tuple[str, str]] = {}  # text -> label and id
        with (folder / f"{split}.jsonl").open("rb") as lines:
            for line in lines:
                row = orjson.loads(line)
                key = blake2b(normalize("NFC", row["text"]).strip().encode(), digest_size=16).digest()
                label, earlier = first.setdefault(key, (row["label"], row["id"]))
                if label != row["label"]:
                    found["rows"][split] = found["rows"].get(split, 0) + 1
                    if len(found["examples"]) < _EXAMPLES:
                        found["examples"].append([earlier, row["id"]])
    return found
