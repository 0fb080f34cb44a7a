"""A published folder against its manifest: bits flip, disks lose blocks, people edit files."""

from collections.abc import Iterable
from pathlib import Path

import orjson

from ...schemas.base.files import MANIFEST
from ...schemas.base.hashing import file_sha256


def own_files(folder: Path, possible: Iterable[str]) -> set[str]:
    """The files of the folder that recipekit wrote: its manifest, and those of the `possible` names for which the manifest accounts.

    All of these where the manifest cannot be read: it is damaged, and writing it again repairs that. None where it is somebody else's.
    """
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        if isinstance(manifest, dict) and "recipekit" not in manifest:
            return set()
        return {MANIFEST, *(name for name in possible if name in manifest["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {MANIFEST, *possible}


def verify_folder(folder: Path) -> list[str]:
    """How the folder's files differ from what its manifest says of them, a sentence each with both hashes; nothing when they do not."""
    try:
        files = orjson.loads((folder / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{folder / MANIFEST} cannot be read: {error}"]
    found = []
    for name, facts in files.items():
        try:
            digest = file_sha256(folder / name)
        except OSError as error:
            found.append(f"{folder / name} cannot be read: {error.strerror}")
            continue
        if digest != facts["sha256"]:
            found.append(f"{folder / name} is damaged: its sha256 is {digest}, the manifest says {facts['sha256']}")
    return found
