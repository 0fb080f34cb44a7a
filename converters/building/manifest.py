"""manifest.json: what a conversion read, kept and wrote, and whether the folder still holds it. It is written last: a folder with one is
complete."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import msgspec
import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import MANIFEST, open_regular
from ...schemas.base.hashing import file_sha256
from ...schemas.sections import RecordType


class FileFacts(TypedDict):
    """A written file."""

    sha256: str
    bytes: int


class NearDuplicates(TypedDict, total=False):
    """Rows of each split that are nearly equal to a row of an earlier split, with the ids of a few pairs; or why this was not checked."""

    threshold: float
    rows: dict[str, int]
    examples: list[list[str]]
    not_checked: str


class LeakCheck(TypedDict):
    """What was compared across splits. Identical rows and groups stop a conversion, so a manifest has none of the kinds checked.

    `removed` are the rows of a split's sources that were dropped as duplicates of rows in another split, `removed_near` those of a held-out
    split that were dropped as near-duplicates of rows before them, `same_question` the rows with the question of a row in an earlier split
    and another answer.
    """

    identical: bool
    group_by: list[str]
    near_duplicates: NearDuplicates
    removed: NotRequired[dict[str, int]]
    removed_near: NotRequired[dict[str, int]]
    same_question: NotRequired[dict[str, int]]


class LabelConflicts(TypedDict):
    """Rows of each split whose text an earlier row of the split has with another label, with the ids of a few such pairs."""

    rows: dict[str, int]
    examples: list[list[str]]


class Manifest(TypedDict):
    """The account of a conversion, in manifest.json: every row, and what the records hold."""

    recipekit: str
    type: RecordType
    rows_read: int  # rows of the sources
    rows_in: int  # records and drops made from them
    rows_kept: int
    dropped: dict[str, int]  # rows by reason
    fixed: dict[str, int]  # rows by repair
    splits: dict[str, int]  # rows by split
    files: dict[str, FileFacts]
    sources: list[dict[str, Any]]
    repeated: NotRequired[int]  # training rows added by weights
    left_out: NotRequired[int]  # training rows that a weight below 1 does not train
    prompted: NotRequired[int]  # chats that were given data.system_prompt
    own_prompts: NotRequired[int]  # training rows with a system prompt of their own, where data.system_prompt is not set
    label_conflicts: NotRequired[LabelConflicts]
    labels: NotRequired[list[str]]
    absent_labels: NotRequired[list[str]]  # those of data.labels that no row has
    untrained_labels: NotRequired[dict[str, int]]  # rows by label that no training row has
    leaks: NotRequired[LeakCheck]  # if there are several splits


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a converted folder. Raises UserError where it is damaged, or not one of ours."""
    path = folder / MANIFEST
    try:
        with open_regular(path) as stream:
            return msgspec.json.decode(stream.read(), type=Manifest)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise UserError(Problem(path, f"is damaged: {error}", "convert the sources again", "damaged")) from None


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
