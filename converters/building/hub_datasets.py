"""Hugging Face datasets as sources: `hf:owner/name`, streamed by `datasets`, at one commit, without running code from the dataset.

The commit is looked up before a row is read, and recorded in the manifest. `datasets` gets the full hub address: by default it would use a
local folder of the same name, or an older cached copy if the hub does not answer.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ...schemas.base.counted import counted
from ...schemas.base.errors import Location, Problem, UserError, first_line
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Source
from ..reading.plain_values import NotPlain, as_read
from ..reading.records import Drop, Row
from ..reading.tables import label_names, of_each
from ..sources.registry import Converter
from .batches import ROW_BYTES, row_batches
from .conversion import Batch
from .hub_client import hub_reply, is_invalid_reply, limit_hub_client

SCHEME = "hf:"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubDataset(NamedTuple):
    """A dataset by its full name, and one commit of it."""

    name: str
    commit: str


def is_on_hub(source: Source) -> bool:
    """Return whether the source is a dataset's name and not a path."""
    return source.path.startswith(SCHEME)


def commit_of(source: Source) -> str:
    """Return the commit that the source's revision points to; asks the hub unless the revision is a commit."""
    revision = source.revision or "main"
    return revision if is_commit(revision) else find_dataset(source.path, revision).commit


def is_commit(revision: Any) -> bool:
    """Return whether the revision is a commit, not a branch or tag."""
    return isinstance(revision, str) and _COMMIT.fullmatch(revision) is not None


@cache
def find_dataset(path: str, revision: str) -> HubDataset:
    """Return the dataset and its commit. The hub is asked once per process, so that everything uses the same rows.
    Raises UserError if the hub has no such dataset or revision, or does not answer.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RevisionNotFoundError

    name, location = path.removeprefix(SCHEME), Location(path)
    try:
        limit_hub_client()
        info = hub_reply(lambda: HfApi().dataset_info(name, revision=revision, timeout=30))
    except RevisionNotFoundError:
        raise UserError(Problem(location, f"has no revision {revision!r}", "use a commit, a tag or a branch", "no-revision")) from None
    except HFValidationError as error:
        raise UserError(Problem(location, f"not a valid dataset name: {error}", "for example hf:owner/name", "no-dataset")) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise UserError(Problem(location, *_hub_answer(error), "no-dataset")) from None
    if info.sha is None or not is_commit(info.sha):
        raise UserError(Problem(location, "the hub returned no commit", "give a commit as revision", "no-dataset"))
    return HubDataset(info.id, info.sha)


def _hub_answer(error: Exception) -> tuple[str, str]:
    """Return what is wrong and what to do, from the hub's answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        what = "the hub has no such dataset, or you have no access to it"
        return what, "check the name; a private or gated dataset needs a token with access in HF_TOKEN"
    if status:
        return f"the hub answered {status}", "try again later"
    hint = "check the network and HF_ENDPOINT, or download the dataset and use its folder as path"
    what = "did not answer like a hub" if is_invalid_reply(error) else "cannot be reached"
    return f"the hub {what}: {first_line(error)}", hint


def subsets(source: Source, commit: str) -> list[str]:
    """Return the names of the dataset's subsets. Raises UserError if the hub does not give them."""
    from datasets import get_dataset_config_names

    name = source.path.removeprefix(SCHEME)
    limit_hub_client()
    try:
        with _only_own_files(HubDataset(name, commit)):
            return get_dataset_config_names(f"hf://datasets/{name}", revision=commit)
    except Exception as error:  # as for rows
        what = f"cannot be loaded: {first_line(error)[:300]}"
        raise UserError(Problem(source.path, what, "check the name, or give a folder of JSON Lines", "no-dataset")) from None


class HubRows:
    """A dataset's rows as a source; the counterpart of SourceFiles."""

    def __init__(self, source: Source, module: Converter, batch_bytes: int) -> None:
        if module.INPUT in ("lines", "files"):
            what = f"the converter {source.converter} reads text files, but a dataset has rows with columns"
            raise UserError(Problem(source.path, what, "the converter table reads texts from columns", "converter"))
        self.source = source
        self.batch_bytes = batch_bytes
        self.handed_out = 0
        self.given = 0
        self.dataset = find_dataset(source.path, source.revision or "main")
        self.name = "/".join(part for part in (self.dataset.name, source.subset, source.hub_split) if part)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in batches."""
        for batch in row_batches(self.rows(), max(1, self.batch_bytes // ROW_BYTES), lambda: 0, self.batch_bytes):
            self.handed_out += 1
            yield batch

    def rows(self) -> Iterator[Row | Drop]:
        """Yield the rows one by one; `line` is the row's number in its split. Raises UserError if the stream fails."""
        location = Location(self.source.path)
        streamed = self._streamed(location)
        labels = _class_labels(streamed.features or {})
        rows = iter(streamed if self.source.limit is None else streamed.take(self.source.limit))
        while True:
            try:
                value = next(rows, None)
            except Exception as error:  # ten formats and the network, each with its own errors
                hint = "try again; no output was written"
                raise UserError(Problem(location, f"failed after {counted(self.given, 'row')}: {error}", hint, "unreadable")) from None
            if value is None:
                return
            self.given += 1
            for column, named in labels:
                value[column] = named(value.get(column))
            try:
                yield Row(as_read(value), self.name, self.given)
            except NotPlain as error:
                yield Drop(Row(None, self.name, self.given), error.reason, error.detail)

    def _streamed(self, location: Location) -> Any:
        import httpx
        from datasets import disable_progress_bars, load_dataset

        disable_progress_bars()
        name, commit = self.dataset
        # Streamed rows are not stored, but `datasets` makes its cache's folder, and the user's may be read-only.
        options = {"revision": commit, "split": self.source.hub_split, "streaming": True}
        try:
            with TemporaryDirectory() as folder, _only_own_files(self.dataset):
                streamed: Any = hub_reply(lambda: load_dataset(f"hf://datasets/{name}", self.source.subset, cache_dir=folder, **options))
        except httpx.HTTPError as error:
            raise UserError(Problem(location, *_hub_answer(error), "no-dataset")) from None
        except Exception as error:  # no such subset or split, no readable files, a script, a card that is no YAML: each with its own errors
            what = f"cannot be loaded: {first_line(error)[:300]}"
            code = "Dataset scripts are no longer supported" in what
            hint = (
                "its rows come from code, which recipekit does not run"
                if code
                else "set subset and hub_split to names that the dataset has"
            )
            raise UserError(Problem(location, what, hint, "no-dataset")) from None
        return streamed.decode(False) if any(_is_media(feature) for feature in (streamed.features or {}).values()) else streamed

    def check_some_read(self) -> None:
        """Raise UserError if the split is empty."""
        if not self.given:
            raise UserError(Problem(self.source.path, f"{self.name} has no rows", rule="no-data"))

    def facts(self) -> list[dict[str, Any]]:
        """Return what was read, and at which commit."""
        return [{"name": self.name, "format": "Hugging Face dataset", "commit": self.dataset.commit, "rows": self.given}]


@contextmanager
def _only_own_files(dataset: HubDataset) -> Iterator[None]:
    """Let `datasets` read only files of this dataset: its card may name files of this machine, or of any host, as its rows."""
    from datasets import data_files
    from datasets.utils.file_utils import is_relative_path
    from datasets.utils.hub import hf_dataset_url

    own = (f"hf://datasets/{dataset.name}@{dataset.commit}/", f"{hf_dataset_url(dataset.name, '', revision=dataset.commit).rstrip('/')}/")
    resolve = data_files.resolve_pattern

    def resolve_own(pattern: str, base_path: str, *arguments: Any, **options: Any) -> list[str]:
        path = f"{base_path}/{pattern}"
        if not is_relative_path(pattern) or not path.startswith(own) or "::" in path or ".." in path.split("/"):
            raise ValueError(f"its card names files outside of the dataset: {pattern!r}")
        return resolve(pattern, base_path, *arguments, **options)

    data_files.resolve_pattern = resolve_own
    try:
        yield
    finally:
        data_files.resolve_pattern = resolve


def _class_labels(features: dict[str, Any]) -> list[tuple[str, Any]]:
    own = [(column, label_names(list(f.names))) for column, f in features.items() if type(f).__name__ == "ClassLabel"]
    items: list[tuple[str, Any]] = [
        (column, f[0] if isinstance(f, list) and f else getattr(f, "feature", None)) for column, f in features.items()
    ]
    return own + [(column, of_each(label_names(list(f.names)))) for column, f in items if type(f).__name__ == "ClassLabel"]


def _is_media(feature: Any) -> bool:
    """Return whether reading a row would decode an image, audio, video or PDF."""
    return type(feature).__name__ in ("Image", "Audio", "Video", "Pdf")


def pin_commits(loaded: LoadedRecipe) -> LoadedRecipe:
    """Return the recipe with a commit as the revision of every hub source, so that resuming and reproducing read the same rows."""
    pinned = loaded
    for place, source, _ in loaded.recipe.all_sources():
        if is_on_hub(source):
            pinned = pinned.with_value((*place, "revision"), commit_of(source))
    return pinned
