"""manifest.json: what a conversion read, kept and wrote. Its last file: where it stands, the folder is complete."""

from typing import Any, Literal, NotRequired, TypedDict


class FileFacts(TypedDict):
    """A file that was written."""

    sha256: str
    bytes: int


class NearDuplicates(TypedDict, total=False):
    """Rows of each split that are nearly equal to a row of a split before it, with the ids of a few pairs; or why this was not checked."""

    threshold: float
    rows: dict[str, int]
    examples: list[list[str]]
    not_checked: str


class LeakCheck(TypedDict):
    """What was compared across splits. Identical rows and groups stop a conversion, so that a manifest has none of those checked."""

    identical: bool
    group_by: list[str]
    near_duplicates: NearDuplicates


class Manifest(TypedDict):
    """`rows_read` are the rows of the sources, `rows_in` the records that they gave. `repeated` are the training rows that weights add;
    below zero, those that they leave out. `leaks` stands where there are several splits."""

    recipekit: str
    type: Literal["chat", "classification", "text"]
    rows_read: int
    rows_in: int
    rows_kept: int
    dropped: dict[str, int]
    fixed: dict[str, int]
    splits: dict[str, int]
    files: dict[str, FileFacts]
    sources: list[dict[str, Any]]
    repeated: NotRequired[int]
    labels: NotRequired[list[str]]
    leaks: NotRequired[LeakCheck]
