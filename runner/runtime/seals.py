"""Seals: size and SHA-256 of each file that a stage wrote, so that damaged or edited files are detected.

A folder that is published as a whole (a checkpoint, model/, merged/, eval/) has its own seal, written last. The seal in the run's folder
covers its single files. `read_sealed` checks every file of a run that is read through it.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.base.hashing import SEAL, file_sha256

UNSEALED = (SEAL, "README.md")  # every evaluation rewrites the model card
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
    sealed = read_seal(folder) or {}
    taken = {name for name in sealed for gone in names if name == gone or name.startswith(f"{gone}/")}
    if taken:
        _write(folder, {name: facts for name, facts in sealed.items() if name not in taken})


def read_seal(folder: Path) -> dict[str, Facts] | None:
    """Return the facts of each sealed file; None without a seal. Raises UserError if the seal is damaged."""
    try:
        sealed = orjson.loads((folder / SEAL).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _damaged(folder, str(error)) from None
    if not (isinstance(sealed, dict) and all(isinstance(facts, dict) and "sha256" in facts for facts in sealed.values())):
        raise _damaged(folder, "not written by recipekit")
    return sealed


def seal_faults(folder: Path, names: Iterable[str] | None = None) -> list[str]:
    """Return how the folder's files differ from its seal, one sentence each; `names` limits the check to these files."""
    try:
        sealed = read_seal(folder) or {}
    except UserError as error:
        return [f"{SEAL} {problem.what}" for problem in error.problems]
    found = []
    for name in sealed if names is None else [name for name in names if name in sealed]:
        try:
            facts = _facts(folder / name)
        except FileNotFoundError:
            found.append(f"{name} is missing")
        except OSError as error:
            found.append(f"{name} cannot be read: {error.strerror}")
        else:
            found += [f"{name} has changed since it was saved"] if facts != sealed[name] else []
    return found


def read_sealed(path: Path) -> bytes:
    """Return the file's content, checked against the seal of its folder or of the two above.

    Raises UserError if it differs from its seal, and OSError if it cannot be read.
    """
    content = path.read_bytes()
    for folder in path.parents[:3]:
        facts = (read_seal(folder) or {}).get(path.relative_to(folder).as_posix())
        if facts is None:
            continue
        if facts["sha256"] != sha256(content).hexdigest():
            raise UserError(changed(path, folder))
        break
    return content


def require_sealed(folder: Path) -> None:
    """Raise UserError if a file of the folder differs from its seal."""
    if faults := seal_faults(folder):
        raise UserError(*(Problem(Location(str(folder)), fault, HINT, "changed") for fault in faults))


def changed(path: Path, folder: Path) -> Problem:
    """Return the problem of a file that differs from the folder's seal."""
    what = f"was changed after it was written: its hash is not the one in {folder / SEAL}"
    return Problem(Location(str(path)), what, HINT, "changed")


def _names(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if path.as_posix() not in UNSEALED)


def _facts(path: Path) -> Facts:
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _write(folder: Path, sealed: dict[str, Facts]) -> None:
    write_atomically(folder / SEAL, orjson.dumps(sealed, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(Problem(Location(str(folder / SEAL)), f"is damaged: {what}", "restore the file, or start a new run", "damaged"))
