"""A folder of minimal pairs as BLiMP has them: JSON Lines, one file a phenomenon, with sentence_good and sentence_bad."""

import json
from pathlib import Path

FIELDS = ("sentence_good", "sentence_bad")


def files(folder: Path) -> dict[str, Path]:
    """Name -> file of every JSON Lines file in the folder, in the order of the names."""
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".jsonl", ".json") and path.is_file()}


def faults(folder: Path) -> list[str]:
    """Why the folder cannot be used, in words: before any model is loaded."""
    if not folder.is_dir():
        return [f"{folder} is no folder"]
    found = files(folder)
    wrong = [] if found else [f"{folder} holds no .jsonl file"]
    for path in found.values():
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict) or not all(isinstance(row.get(field), str) for field in FIELDS):
                    wrong.append(f"{path.name}:{number} has no {' and '.join(FIELDS)}")
                    break
    return wrong
