"""Verify a published folder against its manifest: bits flip, disks lose blocks, people edit files."""

from collections.abc import Iterable
from pathlib import Path

import orjson

from ...schemas.base.files import MANIFEST
from ...schemas.base.hashing import file_sha256


def own_files(folder: Path, possible: Iterable[str]) -> set[str]:
    """Return the folder's files that recipekit wrote: its manifest, and those of the `possible` names that are in the manifest.
    All of these if the manifest is damaged, so that writing it again repairs it. None if it is not recipekit's.
    """
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        if isinstance(manifest, dict) and "recipekit" not in manifest:
            return set()
        return {MANIFEST, *(name for name in possible if name in manifest["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {MANIFEST, *possible}


def verify_folder(folder: Path) -> list[str]:
    """Return how the folder's files differ from its manifest, one sentence each with both hashes; empty if they do not."""
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
