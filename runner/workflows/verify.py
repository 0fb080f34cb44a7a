"""Check every file of a run against its seal; edits that a person accepts become part of the run."""

from pathlib import Path
from typing import NamedTuple

from ...converters.building.manifest import verify_folder
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.hashing import SEAL
from ..reporting.report_mark import outdated_note
from ..runtime.run_files import GENERATED_MANIFEST, MANIFEST
from ..runtime.run_folder import RunFolder
from ..runtime.seals import added_files, folder_faults, read_seal, seal_faults, seal_files, unseal_files, write_seal
from ..stages.registry import STAGES


class Verified(NamedTuple):
    """The number of files compared with their hashes, and a sentence for each that differs."""

    files: int
    faults: list[str]


def verify_run(run: RunFolder) -> Verified:
    """Hash every sealed file of the run. Raises UserError for a run that has completed no stage."""
    if not run.stages:
        raise UserError(Problem(run.path, "has completed no stage: nothing is sealed", run.completion_hint()))
    found, files = [], 0
    if not (run / SEAL).is_file():
        found.append(f"{run / SEAL} is missing: the files of the run's folder cannot be checked")
    for folder in _sealed_folders(run):
        found += [f"{folder}: {fault}" for fault in (seal_faults if folder == run.path else folder_faults)(folder)]
        files += len(_names(folder))
    for manifest, folder in ((run.find(GENERATED_MANIFEST), run / "generated"), (run.find(MANIFEST), run / "data")):
        if manifest is not None:
            found += verify_folder(folder)
            files += len(manifest["files"])
    for stage in STAGES:
        if stage.NAME in run.stages:
            found += [f"{run / name} is missing" for name in stage.OUTPUTS if not (run / name).exists()]
    if not found and (note := outdated_note(run)):
        found.append(note)
    return Verified(files, list(dict.fromkeys(found)))


def accept_edits(run: RunFolder) -> list[str]:
    """Seal the files as they are, and record in status.json which were edited. Rows used for training are not accepted.

    Raises UserError if the run's rows have changed.
    """
    if damaged := [fault for name in ("generated", "data") if (run / name).is_dir() for fault in verify_folder(run / name)]:
        hint = "restore the file, or start a new run"
        raise UserError(*(Problem("", f"{fault}; edited training rows cannot be accepted", hint) for fault in damaged))
    *folders, _ = _sealed_folders(run)
    changes = {folder: [*_changed(folder), *added_files(folder)] for folder in folders} | {run.path: _changed(run.path)}
    edited = [(folder / name).relative_to(run.path).as_posix() for folder, names in changes.items() for name in names]
    for folder in folders:
        if folder_faults(folder):
            write_seal(folder)
    changed = _changed(run.path)  # also the seals that were just written
    unseal_files(run.path, changed)
    seal_files(run.path, [name for name in changed if (run / name).is_file()])
    if edited:
        run.update(edited=sorted({*run.status.get("edited", []), *edited}))
    return edited


def _sealed_folders(run: RunFolder) -> list[Path]:
    """Folders with a seal; last the run's own, which is also of the other seals."""
    folders = (run / name for stage in STAGES for name in stage.OUTPUTS)
    return [*(folder for folder in folders if (folder / SEAL).is_file()), run.path]


def _changed(folder: Path) -> list[str]:
    return [name for name in _names(folder) if seal_faults(folder, [name])]


def _names(folder: Path) -> list[str]:
    try:
        return list(read_seal(folder) or {})
    except UserError:  # seal_faults reports it
        return []
