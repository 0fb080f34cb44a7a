"""Data sets on a Hugging Face hub as sources: `hf:owner/name`, streamed by `datasets`, at one commit, without running anybody's code.

The commit is looked up before a row is read, and the manifest records it. `datasets` is told to look on the hub alone: left to itself it
would take a folder of the same name, or an older copy in its cache when the hub does not answer.
"""

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Recipe, Source
from ..reading.records import Drop, Row
from ..reading.tables import label_names
from ..sources.registry import Converter
from .batches import ROW_BYTES, row_batches
from .conversion import Batch

SCHEME = "hf:"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubDataset(NamedTuple):
    """A data set by its full name, and one commit of it."""

    name: str
    commit: str


def is_on_hub(source: Source) -> bool:
    """Whether the source is a data set's name and no path."""
    return source.path.startswith(SCHEME)


def commit_of(source: Source) -> str:
    """The commit that the source's revision stands for now; asks the hub unless the revision is a commit."""
    revision = source.revision or "main"
    return revision if is_commit(revision) else find_dataset(source.path, revision).commit


def is_commit(revision: str | None) -> bool:
    """Whether the revision is a commit, and no branch or tag."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


@cache
def find_dataset(path: str, revision: str) -> HubDataset:
    """The data set and its commit, asked of the hub once a process, so that all that is done with it is done with the same rows.

    Raises UserError if the hub has no such data set or revision, or does not answer.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RevisionNotFoundError

    name, location = path.removeprefix(SCHEME), Location(path)
    try:
        info = HfApi().dataset_info(name, revision=revision, timeout=30)
    except RevisionNotFoundError:
        raise UserError(Problem(location, f"has no revision {revision!r}", "a commit, a tag or a branch", "no-revision")) from None
    except HFValidationError as error:
        raise UserError(Problem(location, f"is no data set's name: {error}", "for example hf:owner/name", "no-dataset")) from None
    except (httpx.HTTPError, OSError) as error:
        raise UserError(Problem(location, *_said(error), "no-dataset")) from None
    if not info.sha:
        raise UserError(Problem(location, "the hub names no commit", "give a commit as revision", "no-dataset"))
    return HubDataset(info.id, info.sha)


def _said(error: Exception) -> tuple[str, str]:
    """What is wrong and what to do, by what the hub answered."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        what = "the hub has no such data set, or does not show it to you"
        return what, "check the name; a private or gated one needs a token that may read it, in the variable HF_TOKEN"
    if status:
        return f"the hub answered {status}", "try again later"
    hint = "check the network and HF_ENDPOINT, or download the data set and give its folder as path"
    return f"the hub cannot be reached: {str(error).splitlines()[0] if str(error) else type(error).__name__}", hint


class HubRows:
    """A data set's rows as a source: what SourceFiles is for files."""

    def __init__(self, source: Source, module: Converter, batch_bytes: int) -> None:
        if module.INPUT in ("lines", "files"):
            what = f"the converter {source.converter} reads text files, a data set has rows of columns"
            raise UserError(Problem(Location(source.path), what, "the converter table takes texts from columns", "converter"))
        self.source = source
        self.batch_bytes = batch_bytes
        self.handed_out = 0
        self.given = 0
        self.dataset = find_dataset(source.path, source.revision or "main")
        self.name = "/".join(part for part in (self.dataset.name, source.subset, source.hub_split) if part)

    def batches(self) -> Iterator[Batch]:
        """The rows in batches."""
        for batch in row_batches(self.rows(), max(1, self.batch_bytes // ROW_BYTES), lambda: 0, self.batch_bytes):
            self.handed_out += 1
            yield batch

    def rows(self) -> Iterator[Row | Drop]:
        """The rows one by one; `line` is a row's number in its split. Raises UserError if the source breaks off."""
        location = Location(self.source.path)
        streamed = self._streamed(location)
        labels = _class_labels(streamed.features or {})
        rows = iter(streamed if self.source.limit is None else streamed.take(self.source.limit))
        while True:
            try:
                value = next(rows, None)
            except Exception as error:  # readers of ten formats and the network, each with errors of its own
                hint = "try again; nothing was published"
                raise UserError(Problem(location, f"broke off after {self.given:,} rows: {error}", hint, "unreadable")) from None
            if value is None:
                return
            self.given += 1
            for column, named in labels:
                value[column] = named(value.get(column))
            yield Row(value, self.name, self.given)

    def _streamed(self, location: Location) -> Any:
        from datasets import disable_progress_bars, load_dataset

        disable_progress_bars()
        name, commit = self.dataset
        try:
            streamed = load_dataset(
                f"hf://datasets/{name}", self.source.subset, revision=commit, split=self.source.hub_split, streaming=True
            )
        except (ValueError, OSError, RuntimeError) as error:  # no such subset or split; nothing there that can be read; a script
            what = f"cannot be loaded: {str(error).strip().splitlines()[0]}"
            code = isinstance(error, RuntimeError)
            hint = "its rows come from code, which is not run" if code else "subset and hub_split name what the data set has"
            raise UserError(Problem(location, what, hint, "no-dataset")) from None
        return streamed.decode(False) if any(_is_media(feature) for feature in (streamed.features or {}).values()) else streamed

    def check_some_read(self) -> None:
        """Raise UserError when the split is empty."""
        if not self.given:
            raise UserError(Problem(Location(self.source.path), f"{self.name} has no rows", rule="no-data"))

    def facts(self) -> list[dict[str, Any]]:
        """What was read, and at which commit; that does not change."""
        return [{"name": self.name, "format": "Hugging Face data set", "commit": self.dataset.commit, "rows": self.given}]


def _class_labels(features: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(column, label_names(list(f.names))) for column, f in features.items() if type(f).__name__ == "ClassLabel"]


def _is_media(feature: Any) -> bool:
    """Whether reading a row would decode a picture or a sound."""
    return type(feature).__name__ in ("Image", "Audio", "Video", "Pdf")


def pin_commits(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe with a commit as the revision of every such source, so that a run that is resumed or reproduced reads the same rows."""
    if not any(is_on_hub(source) for _, source, _ in loaded.recipe.all_sources()):
        return loaded
    values: Any = copy.deepcopy(loaded.document.data)
    for place, source, _ in loaded.recipe.all_sources():
        if is_on_hub(source):
            value = values
            for key in place:
                value = value[key]
            value["revision"] = commit_of(source)
    return loaded._replace(recipe=Recipe.from_values(values), document=loaded.document._replace(data=values))
