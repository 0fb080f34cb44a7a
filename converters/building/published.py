"""A published folder against its manifest: bits flip, disks lose blocks, people edit files."""

from hashlib import file_digest
from pathlib import Path

import orjson

from .publish import MANIFEST


def damage(folder: Path) -> list[str]:
    """How the folder's files differ from what its manifest says of them, a sentence each with both hashes; nothing when they do not."""
    try:
        files = orjson.loads((folder / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{folder / MANIFEST} cannot be read: {error}"]
    found = []
    for name, facts in files.items():
        try:
            with (folder / name).open("rb") as stream:
                digest = file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            found.append(f"{folder / name} cannot be read: {error.strerror}")
            continue
        if digest != facts["sha256"]:
            found.append(f"{folder / name} is damaged: its sha256 is {digest}, the manifest says {facts['sha256']}")
    return found
