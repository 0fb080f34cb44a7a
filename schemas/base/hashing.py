"""Hash values, files and folders, for cache keys, seals and identities."""

from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import orjson

from .files import open_regular

SEAL = "sealed.json"  # the hashes of a folder's files; see runner/runtime/seals.py


def key_of(*parts: Any) -> str:
    """Return a hash of plain values that does not depend on the order of keys."""
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=_plain)).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal. Raises OSError if it cannot be read."""
    with open_regular(path) as stream:
        return file_digest(stream, "sha256").hexdigest()


def folder_identity(folder: Path) -> str:
    """Return a hash of a model folder: the name, size and content of every file but its card and its seal."""
    digest = sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.name not in ("README.md", SEAL)):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as stream:
            digest.update(stream.read() if size < 1 << 22 else file_digest(stream, "blake2b").digest())
    return digest.hexdigest()


def with_contents(value: Any) -> Any:
    """Return a file's or folder's name with the hash of its content, which may change under that name; any other value unchanged."""
    if not isinstance(value, str):
        return value
    path = Path(value)
    return [value, folder_identity(path)] if path.is_dir() else [value, file_sha256(path)] if path.is_file() else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | set) else str(value)
