"""The row counts of a conversion as a table on the terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...converters.building.batches import NO_ROWS, NOT_READ
from ...converters.building.budgets import composition
from ...converters.building.named_in_rows import absent_note
from ...converters.reading.readers import SKIPPED_TEXT
from ...schemas.base.counted import counted, counted_of
from ...schemas.base.screen import Screen

NAMED = 10


def ledger_table(manifest: Mapping[str, Any], out: Path) -> None:
    """Print rows in, kept and dropped by reason, and the splits, to stderr."""
    lines = [(f"{manifest['rows_in']:,}", "in")]
    lines += [(f"-{count:,}", f"dropped: {reason.replace('_', ' ')}") for reason, count in manifest["dropped"].items()]
    lines.append((f"{manifest['rows_kept']:,}", "kept"))
    kept = len(lines) - 1
    lines += [(f"{count:,}", f"fixed: {reason.replace('_', ' ')}") for reason, count in manifest["fixed"].items()]
    if left_out := manifest.get("left_out"):
        lines.append((f"-{left_out:,}", "training rows left out by the sources' weights"))
    if repeated := manifest.get("repeated"):
        lines.append((f"+{repeated:,}", "training rows repeated by the sources' weights"))
    lines += [(f"{count:,}", split) for split, count in manifest["splits"].items()]
    console = Screen(stderr=True)
    numbers, meanings = zip(*lines, strict=True)
    console.print_table({"rows": numbers, "": meanings}, f"{manifest['type']} records in {out}", right=("rows",), sections=(kept,))
    for note in [*source_notes(manifest), leaks_line(manifest)]:
        if note:
            console.print_words(note)


def source_notes(manifest: Mapping[str, Any]) -> list[str]:
    """Return what to know of each source: what it contributes to a budget, the keys that were not read, what it names and no row has, the
    artifacts in its texts, and its files without rows; and of the labels. A source is named by its converter, or by its place if another
    has the same."""
    notes = composition(manifest["sources"])
    converters = Counter(source["converter"] for source in manifest["sources"])
    for number, source in enumerate(manifest["sources"]):
        name = source["converter"]
        what = f"{source.get('place') or name}: " if converters[name] == 1 else f"sources.{number} ({name}): "
        if unread := source["unread_keys"]:
            notes.append(f"{what}keys not read: {_counted(unread)}; list those that can be ignored in the source's ignore_keys")
        notes += [what + absent_note(setting, key, source["unread_keys"]) for setting, key in source.get("absent", ())]
        if names := source["artifacts"]:
            notes.append(f"{what}artifacts in texts, trained unchanged: {_counted(names)}")
        for names, fault in _files_without_rows(source["files"]):
            more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
            notes.append(f"{what}{counted(len(names), 'file')} {fault}: {', '.join(names[:3])}{more}")
    if manifest.get("prompted") == 0:
        notes.append("no row is given data.system_prompt: every chat has a system message of its own")
    if absent := manifest.get("absent_labels"):
        notes.append(f"labels that no row has: {', '.join(absent)}")
    if untrained := manifest.get("untrained_labels"):
        notes.append(f"labels without a training row: {_counted(untrained)}")
    if conflicts := manifest.get("label_conflicts"):
        rows = " and ".join(f"{counted(count, f'{split} row')}" for split, count in conflicts["rows"].items())
        first, second = conflicts["examples"][0]
        notes.append(f"{rows} with a text that an earlier row labels differently, e.g. {second} and {first}")
    return notes


def _files_without_rows(files: Sequence[Mapping[str, str]]) -> Iterator[tuple[list[str], str]]:
    if skipped := [file["name"] for file in files if file["format"] == SKIPPED_TEXT]:
        yield skipped, "skipped (not data)"
    if empty := [file["name"] for file in files if file["format"].endswith(NO_ROWS)]:
        yield empty, "without rows"
    if beyond := [file["name"] for file in files if file["format"] == NOT_READ]:
        yield beyond, "beyond the limit"


def leaks_line(manifest: Mapping[str, Any]) -> str:
    """Return what was compared across splits, and what was found; "" for a single split. Identical rows and groups would have stopped the
    conversion."""
    if not (leaks := manifest.get("leaks")):
        return ""
    if not leaks["identical"]:
        return "across splits: not compared (data.check_leaks: none)"
    splits = manifest["splits"]
    removed = [
        f"{counted(n, f'{split} row')} dropped as duplicates of rows in another split" for split, n in leaks.get("removed", {}).items()
    ]
    removed += [
        f"{counted(n, f'{split} row')} dropped as near-duplicates of earlier rows" for split, n in leaks.get("removed_near", {}).items()
    ]
    asked = [
        f"{counted_of(n, splits[split], f'{split} row', 'have')} the question of a row of an earlier split, and another answer"
        for split, n in leaks.get("same_question", {}).items()
    ]
    groups = [f"no shared {', '.join(leaks['group_by'])}"] if leaks["group_by"] else []
    identical = "no identical rows (after Unicode normalization)"
    return f"across splits: {'; '.join([*removed, identical, *groups, *asked, _near_duplicates(leaks['near_duplicates'], splits)])}"


def _near_duplicates(near: Mapping[str, Any], splits: Mapping[str, int]) -> str:
    if reason := near.get("not_checked"):
        return f"near-duplicates not checked ({reason})"
    how = f"estimated Jaccard similarity of 4-character shingles at least {near['threshold']:g}"
    if not near["rows"]:
        return f"no near-duplicates ({how})"
    rows = " and ".join(counted_of(count, splits[name], f"{name} row") for name, count in near["rows"].items())
    first, second = near["examples"][0]
    return f"near-duplicates: {rows} ({how}), e.g. {second} of {first}"


def _counted(rows: dict[str, int]) -> str:
    shown = ", ".join(f"{name if name.strip() else repr(name)} ({counted(count, 'row')})" for name, count in list(rows.items())[:NAMED])
    return shown + (f" and {len(rows) - NAMED} more" if len(rows) > NAMED else "")
