"""The keys by which rows are divided: one that no row has would be without effect, and leak protection off without a word."""

from collections.abc import Mapping

from ...schemas.base.errors import Mark, Problem, UserError
from ...schemas.sections import Data
from ..sources.registry import sometimes_in_meta

SHOWN = 20


def refuse_unknown_keys(data: Data, keys: Mapping[int, set[str]]) -> None:
    """Raise UserError for keys of `group_by` and `stratify_by` that no row has.

    `keys` are those in meta of each source's rows. A key that only some rows have will do, and so will one that a converter gives rows of
    other files. Strata concern only rows that no source has fixed to a split.
    """
    if not is_split(data):
        return
    everywhere = {key for found in keys.values() for key in found}
    everywhere |= {key for source in data.sources for key in sometimes_in_meta(source.converter)}
    free = {key for number, found in keys.items() if data.sources[number].split is None for key in found}
    grouping = everywhere | ({"text"} if data.type != "chat" else set())
    strata = free | ({"label"} if data.type == "classification" else set())
    wrong = [("group_by", key, grouping) for key in data.split.group_by if key not in grouping]
    if data.split.stratify_by and data.split.stratify_by not in strata and any(source.split is None for source in data.sources):
        wrong.append(("stratify_by", data.split.stratify_by, strata))
    if wrong:
        raise UserError(*(_problem(*fault) for fault in wrong))


def is_split(data: Data) -> bool:
    """Whether rows may go to more than one split."""
    return data.split.validation > 0 or data.split.test > 0 or any(source.split for source in data.sources)


def _problem(option: str, key: str, possible: set[str]) -> Problem:
    """The key with what could be named instead."""
    names = sorted(possible)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    hint = f"rows have {', '.join(names[:SHOWN])}{more}" if names else "rows have no keys to divide them by"
    hint += "; many converters keep more in meta with the option keep_meta"
    return Problem(Mark(""), f"data.split.{option} (or --{option.replace('_', '-')}) names {key!r}: no row has this key", hint, "split-key")
