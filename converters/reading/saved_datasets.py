"""Folders that `datasets` has saved (`save_to_disk`): their rows are in the files that state.json lists, in that order, and nowhere else.

    mine/dataset_dict.json  mine/train/{state.json, dataset_info.json, data-00000-of-00001.arrow, cache-1a2b.arrow}  mine/test/...

The JSON beside them is book-keeping, and the caches hold rows a second time.
"""

from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import Mark, Problem, UserError

_BOOKS = ("state.json", "dataset_info.json", "dataset_dict.json")


def data_files(paths: list[Path]) -> list[Path]:
    """The paths without what is no data in saved folders. Raises UserError when a listed file is missing."""
    listed = {path.parent: found for path in paths if path.name == "state.json" and (found := _listed(path)) is not None}
    if not listed:
        return paths
    roots = {folder.parent for folder in listed if (folder.parent / "dataset_dict.json").is_file()}
    kept = [path for path in paths if path.parent not in listed and not (path.parent in roots and path.name in _BOOKS)]
    return sorted([*kept, *(path for found in listed.values() for path in found)], key=lambda path: str(path.parent))


def _listed(state: Path) -> list[Path] | None:
    """The data files that a state.json lists; None when it is not one of `datasets`."""
    try:
        facts: Any = orjson.loads(state.read_bytes())
        files = [state.parent / Path(entry["filename"]).name for entry in facts["_data_files"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if facts.get("_indices_data_files"):
        hint = "load it with datasets and save it again with save_to_disk"
        raise UserError(Problem(Mark(str(state.parent)), "was saved with row indices by an old version of datasets", hint, "saved-dataset"))
    if missing := [path for path in files if not path.is_file()]:
        raise UserError(
            Problem(Mark(str(missing[0])), "is listed in state.json and is not there", "copy the whole folder", "saved-dataset")
        )
    return files
