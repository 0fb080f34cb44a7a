"""Hash each source file once per process: a source may be large, and both the run's key and its manifest contain the hash."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from ...schemas.base.hashing import file_sha256

SETTLED_NS = 100_000_000  # file systems record time in steps of up to 10 ms: a second change within a step would be missed
_known: dict[tuple[Path, "Version"], str] = {}


class Version(NamedTuple):
    """Values that change with the file: the inode's change time cannot be set by a program."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "Version":
        """Return the file's current version."""
        facts = os.stat(path)
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def source_sha256(path: Path) -> str:
    """Return the file's SHA-256. The file is read only if this process has not hashed it or it has changed since."""
    version = Version.of(path)
    digest = _known.get((path, version))
    if digest is None:
        digest = file_sha256(path)
        remember(path, version, digest)
    return digest


def remember(path: Path, version: Version, digest: str) -> None:
    """Keep the hash of a file that was just read in full, unless the file changed while it was read."""
    if Version.of(path) == version and time.time_ns() - version.changed_ns > SETTLED_NS:
        _known[path, version] = digest
