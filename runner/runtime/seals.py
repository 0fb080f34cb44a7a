"""Seals: size and SHA-256 of each file that a stage wrote, so that damaged or edited files are detected.

A folder that is published as a whole (a checkpoint, model/, merged/, eval/) has its own seal, written last. The seal in the run's folder
covers its single files and these seals, so that a removed seal is noticed. `read_sealed` checks every file that is read through it.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import open_regular, write_atomically
from ...schemas.base.hashing import SEAL, file_sha256

UNSEALED = (SEAL, "README.md")  # every evaluation rewrites the model card
UNFINISHED = re.compile(r"\..+\.[0-9]+\.tmp")  # the names of what a killed write_atomically leaves; the next one removes it
SUMS = ".sums"  # hashes of lines, until the file is sealed as a whole
# What file managers and network drives leave, and llama.cpp's converter writes: nothing that loads the folder reads it.
_UNREAD = re.compile(r"(^|/)\.|\.gguf$")
ADDED = "was added after the folder was saved"
HINT = "restore the file, or accept the change: recipe verify RUN --accept"
Facts = dict[str, Any]


def write_seal(folder: Path) -> None:
    """Seal every file in the folder."""
    _write(folder, {name: _facts(folder / name) for name in _names(folder)})


def seal_files(folder: Path, names: Iterable[str]) -> None:
    """Add these files, as they are now, to the folder's seal."""
    _write(folder, (read_seal(folder) or {}) | {name: _facts(folder / name) for name in names})


def unseal_files(folder: Path, names: Iterable[str]) -> None:
    """Remove these files, and those in folders of these names, from the seal: they are about to be rewritten."""
    if taken := {*sealed_names(folder, names)}:
        _write(folder, {name: facts for name, facts in (read_seal(folder) or {}).items() if name not in taken})


def sealed_names(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the sealed files that have one of these names, or are in a folder of that name."""
    names = list(names)
    return [name for name in read_seal(folder) or {} if any(name == given or name.startswith(f"{given}/") for given in names)]


def read_seal(folder: Path) -> dict[str, Facts] | None:
    """Return the facts of each sealed file; None without a seal.

    Raises UserError if the seal is damaged, or differs from the seal of the parent folder.
    """
    content, above = _read(folder), _parsed(folder.parent, _read(folder.parent)) or {}
    if facts := above.get(f"{folder.name}/{SEAL}"):
        if content is None:
            raise UserError(_missing(folder / SEAL, folder.parent))
        if facts["sha256"] != sha256(content).hexdigest():
            raise UserError(changed(folder / SEAL, folder.parent))
    return _parsed(folder, content)


def _read(folder: Path) -> bytes | None:
    try:
        with open_regular(folder / SEAL) as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _damaged(folder, error.strerror or str(error)) from None


def _parsed(folder: Path, content: bytes | None) -> dict[str, Facts] | None:
    if content is None:
        return None
    try:
        sealed = orjson.loads(content)
    except ValueError as error:
        raise _damaged(folder, str(error)) from None
    if not (
        isinstance(sealed, dict)
        and all(isinstance(facts, dict) and "sha256" in facts and "\0" not in name for name, facts in sealed.items())
    ):
        raise _damaged(folder, "not written by recipekit")
    return sealed


def seal_faults(folder: Path, names: Iterable[str] | None = None) -> list[str]:
    """Return how the folder's files differ from its seal, one sentence each; `names` limits the check to these files."""
    listed = None if names is None else [*names]
    return _seal_faults(folder, listed) and _seal_faults(folder, listed)  # again: an evaluation may just have replaced files and seal


def _seal_faults(folder: Path, names: list[str] | None) -> list[str]:
    try:
        sealed = read_seal(folder) or {}
    except UserError as error:
        return [f"{SEAL} {problem.what}" for problem in error.problems]
    found = []
    for name in sealed if names is None else [name for name in names if name in sealed]:
        try:
            is_same = _is_as_sealed(folder / name, sealed[name])
        except FileNotFoundError:
            found.append(f"{name} is missing")
        except OSError as error:
            found.append(f"{name} cannot be read: {error.strerror}")
        else:
            found += [] if is_same else [f"{name} has changed since it was saved"]
    return found


def read_sealed(path: Path) -> bytes:
    """Return the file's content, checked against the seal of its folder or of the two above.

    Raises UserError if it differs from its seal or is sealed and missing, and OSError if it cannot be read.
    """
    try:
        return _read_sealed(path)
    except UserError:  # or an evaluation has replaced both, one after the other was read: then they match now
        return _read_sealed(path)


def _read_sealed(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            content = stream.read()
    except FileNotFoundError:
        if sealed := _sealed(path):
            raise UserError(_missing(path, sealed[0])) from None
        raise
    if (sealed := _sealed(path)) and sealed[1]["sha256"] != sha256(content).hexdigest():
        raise UserError(changed(path, sealed[0]))
    return content


def _sealed(path: Path) -> tuple[Path, Facts] | None:
    """Return the nearest folder whose seal lists the file, with its facts."""
    for folder in path.parents[:3]:
        if facts := (read_seal(folder) or {}).get(path.relative_to(folder).as_posix()):
            return folder, facts
    return None


def folder_faults(folder: Path) -> list[str]:
    """Return how a folder that was sealed as a whole differs from its seal: also by files that were added, which a library may read."""
    return _folder_faults(folder) and _folder_faults(folder)  # again: as in seal_faults


def _folder_faults(folder: Path) -> list[str]:
    return [*_seal_faults(folder, None), *(f"{name} {ADDED}" for name in added_files(folder))]


def added_files(folder: Path) -> list[str]:
    """Return the files that the seal of the whole folder does not know, but for those that nothing reads; none without a seal that can be
    read."""
    try:
        sealed = read_seal(folder)
    except UserError:
        return []
    return [] if sealed is None else [name for name in _names(folder) if name not in sealed and not _UNREAD.search(name)]


def require_sealed(folder: Path) -> None:
    """Raise UserError if the folder, which was sealed as a whole, differs from its seal. One without a seal is not recipekit's."""
    if faults := folder_faults(folder):
        raise UserError(*(Problem(folder, fault, change_hint(folder, fault.endswith(ADDED)), "changed") for fault in faults))


def change_hint(folder: Path, is_added: bool) -> str:
    """Return what to do about a file that differs in a folder that was sealed as a whole: one that is in no run, no command accepts."""
    undo = f"{'remove' if is_added else 'restore'} the file, or"
    if (folder.parent / SEAL).is_file():
        return f"{undo} accept the change: recipe verify RUN --accept"
    return f"{undo} delete {SEAL} to use the folder as it is"


def changed(path: Path, folder: Path) -> Problem:
    """Return the problem of a file that differs from the folder's seal."""
    return Problem(path, f"was changed after it was written: its hash is not the one in {folder / SEAL}", HINT, "changed")


def _missing(path: Path, folder: Path) -> Problem:
    return Problem(path, f"is missing: {folder / SEAL} says that it was written", HINT, "changed")


def _names(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not UNFINISHED.fullmatch(path.name))
    return sorted(path.as_posix() for path in paths if path.as_posix() not in UNSEALED and path.suffix != SUMS)


def _facts(path: Path) -> Facts:
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _is_as_sealed(path: Path, sealed: Facts) -> bool:
    """Return whether the file is as it was sealed. Its size comes first: the hash of a huge file takes minutes."""
    return not (path.is_file() and path.stat().st_size != sealed.get("bytes")) and _facts(path) == sealed


def _write(folder: Path, sealed: dict[str, Facts]) -> None:
    write_atomically(folder / SEAL, orjson.dumps(sealed, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(Problem(folder / SEAL, f"is damaged: {what}", "restore the file, or start a new run", "damaged"))
