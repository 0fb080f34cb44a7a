"""Seals: size and SHA-256 of what a stage has left, so that a file that was damaged or edited since is named instead of believed.

A folder that is published whole (a checkpoint, model/, merged/, eval/) holds the seal of its files, which is written last. The seal in
the run's own folder is of its single files. Whoever reads a file of a run through `read_sealed` has it checked.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.base.hashing import SEAL, file_sha256

UNSEALED = (SEAL, "README.md")  # a model card is written again with every evaluation
HINT = "restore the file, or accept it as it is: recipe verify RUN --accept"
Facts = dict[str, Any]


def write_seal(folder: Path) -> None:
    """Seal everything in the folder."""
    _write(folder, {name: _facts(folder / name) for name in _names(folder)})


def seal_files(folder: Path, names: Iterable[str]) -> None:
    """Add these files of the folder to its seal, as they are now."""
    _write(folder, (read_seal(folder) or {}) | {name: _facts(folder / name) for name in names})


def unseal_files(folder: Path, names: Iterable[str]) -> None:
    """Take these files, and what is in folders of these names, out of the seal: they are about to be written again."""
    sealed = read_seal(folder) or {}
    taken = {name for name in sealed for gone in names if name == gone or name.startswith(f"{gone}/")}
    if taken:
        _write(folder, {name: facts for name, facts in sealed.items() if name not in taken})


def read_seal(folder: Path) -> dict[str, Facts] | None:
    """The facts of each sealed file; None where nothing was sealed. Raises UserError if the seal is damaged."""
    try:
        sealed = orjson.loads((folder / SEAL).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _damaged(folder, str(error)) from None
    if not (isinstance(sealed, dict) and all(isinstance(facts, dict) and "sha256" in facts for facts in sealed.values())):
        raise _damaged(folder, "not what recipekit writes")
    return sealed


def seal_faults(folder: Path, names: Iterable[str] | None = None) -> list[str]:
    """How the folder's files differ from its seal, a sentence each: all that are sealed, or those of these names that are."""
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
            found += [f"{name} is not what was saved"] if facts != sealed[name] else []
    return found


def read_sealed(path: Path) -> bytes:
    """The file's content, checked against the seal of its folder or of the two above.

    Raises UserError where it is not what was sealed, and OSError where it cannot be read.
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
    """Raise UserError where a file of the folder is not what was sealed."""
    if faults := seal_faults(folder):
        raise UserError(*(Problem(Location(str(folder)), fault, HINT, "changed") for fault in faults))


def changed(path: Path, folder: Path) -> Problem:
    """What is wrong with a file that is not what the seal of the folder says."""
    what = f"was changed after it was written: it is not what {folder / SEAL} says"
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
