"""Read, convert, validate, deduplicate, split and write: turns a recipe's `data` section into a folder of JSONL with a manifest."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from itertools import accumulate, chain, compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from ...schemas import VERSION
from ...schemas.base.errors import UserError
from ...schemas.base.files import MANIFEST, NewFile, new_folder, refuse_inputs_in, write_atomically
from ...schemas.sections import SPLITS, Data, Source
from ..reading.files import files_of
from ..sources.registry import Converter, converter, is_stateless
from .batches import BATCH_BYTES, SourceFiles, SourceRows
from .budgets import OVER_BUDGET, has_budget, over_budget
from .conversion import Spec, convert_stream
from .hub_datasets import HubRows, is_on_hub
from .key_use import LISTED
from .label_checks import check_labels, split_labels
from .leaks import COMPARED, Pair, count_near_leaks, count_same_questions, find_leaks, refuse, removed_duplicates
from .manifest import LeakCheck, Manifest, NearDuplicates, own_files
from .named_in_rows import NamedInRows
from .near_duplicates import near_pairs, repeated_rows
from .row_store import RowStore, TrainFile
from .splits import assign_splits, refuse_unknown_keys
from .unusable_rows import check_budget, refuse_empty
from .workers import Workers

if TYPE_CHECKING:
    from .ray_workers import RayWorkers

NEAR_DUPLICATE = "near_duplicate"


def build(
    data: Data, out: Path, *, processes: int = 1, batch_bytes: int = BATCH_BYTES, engine: Literal["local", "ray"] = "local"
) -> Manifest:
    """Write train.jsonl, validation.jsonl, test.jsonl (those with rows) and manifest.json to `out`; return the manifest.

    The output is the same, byte for byte, for any number of `processes`, on one machine or on a Ray cluster, and for any batch size.
    Raises UserError for more unusable rows than `data.max_dropped`, if no row is left, or if `out` holds files that recipekit did not
    write, and GateError for leaks; `out` is then unchanged.
    """
    files = [file for source in data.sources if not is_on_hub(source) for file in files_of(source)]
    refuse_inputs_in(out, (file.path for file in files))
    with new_folder(out, MANIFEST, own_files(out, (f"{name}.jsonl" for name in SPLITS))) as folder:
        with RowStore(data, folder / "train.jsonl") as store, _pool(engine, processes) as workers:
            sources = [_add(store, workers, number, batch_bytes) for number in range(len(data.sources))]
            store.close()
        check_budget(store.ledger, data.max_dropped, files)
        if store.ledger.kept:
            refuse_unknown_keys(data, store.named)
        parts = divide(store, folder) if store.divided else _whole(store)
        facts = [_source_facts(store, number, files) for number, files in enumerate(sources)]
        manifest = Manifest(recipekit=VERSION, type=data.type, **parts, sources=facts)
        refuse_empty(data, manifest)
        if data.system_prompt:
            manifest["prompted"] = store.prompted
        if data.type == "classification":
            _add_labels(manifest, store, folder)
        write_atomically(folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return manifest


def _add_labels(manifest: Manifest, store: RowStore, folder: Path) -> None:
    """Add the entries on the labels of a classification to the manifest. Raises UserError for labels that cannot be trained."""
    data = store.data
    check_labels(store.labels, data.labels)
    manifest["labels"] = _label_order(data, {*store.labels})
    if absent := [label for label in manifest["labels"] if label not in store.labels]:
        manifest["absent_labels"] = absent
    conflicts, untrained = split_labels(folder, manifest["splits"])
    if conflicts["rows"]:
        manifest["label_conflicts"] = conflicts
    if untrained:
        manifest["untrained_labels"] = untrained


def _pool(engine: str, processes: int) -> "Workers | RayWorkers":
    if engine == "local":
        return Workers(processes)
    from .ray_workers import RayWorkers

    return RayWorkers(processes)


def _add(store: RowStore, workers: "Workers | RayWorkers", number: int, batch_bytes: int) -> SourceRows:
    """Read, convert, validate and deduplicate one source."""
    source, several = store.data.sources[number], len(store.data.sources) > 1
    module = converter(source.converter)
    files = _source_rows(source, module, batch_bytes)
    spec = Spec.of(store.data, source, f"{number}/" if several else "")
    if local := is_stateless(source.converter, source.options):
        converted = workers.convert(spec, files.batches())
    else:
        converted = convert_stream(spec, files.rows(), files.batch_bytes)
    count = 0
    for found in converted:
        store.add(found, number)
        count += 1
    files.check_some_read()
    if local and count != files.handed_out:
        raise AssertionError(f"{files.handed_out} batches of {source.path} were read, {count} were converted")
    return files


def _source_rows(source: Source, module: Converter, batch_bytes: int) -> SourceRows:
    if is_on_hub(source):
        return HubRows(source, module, batch_bytes)
    return SourceFiles(files_of(source), module, source.limit, batch_bytes)


def _whole(store: RowStore) -> dict[str, Any]:
    """Return the manifest's entries on the files if every row is a training row."""
    if not store.ledger.kept:
        store.file.path.unlink()
        return {**store.ledger.as_json(), "splits": {}, "files": {}}
    facts = {"splits": {"train": store.ledger.kept}, "files": {"train.jsonl": store.file.facts()}}
    return store.ledger.as_json() | facts | _own_prompts(store.file)


def _own_prompts(train: NewFile) -> dict[str, int]:
    return {"own_prompts": train.own_prompts} if isinstance(train, TrainFile) and train.own_prompts else {}


def divide(store: RowStore, folder: Path) -> dict[str, Any]:
    """Write the kept lines to the splits' files; return the manifest's entries on them."""
    lines = store.file.path.rename(folder / "rows.jsonl")
    pairs = _near_pairs(store)
    if store.data.dedup == "near":
        lines, pairs = _without(store, lines, repeated_rows(pairs, store.ledger.kept), NEAR_DUPLICATE), ()
    if has_budget(store.data):
        gone = over_budget(store.data, store.sources, store.words, store.digests.kept)
        lines, pairs = _without(store, lines, gone, OVER_BUDGET), _renumbered(pairs, gone)
    placed = store.placed()
    splits = assign_splits(placed, store.data.split)
    if store.data.check_leaks != "none":
        rows = find_leaks(COMPARED[store.data.type], store.compared, range(len(splits)), splits)
        groups = find_leaks("group", store.keys, store.owners, splits)
        near = (Pair("near-duplicate", *pair) for pair in pairs if splits[pair[0]] != splits[pair[1]])
        refuse(chain(rows, groups, near), lines, splits)
    files = [TrainFile(folder / "train.jsonl", store.data), *(NewFile(folder / f"{name}.jsonl") for name in SPLITS[1:])]
    counts, facts, left_out = write_splits(lines, files, store, splits)
    lines.unlink()
    account = store.ledger.as_json() | {"splits": counts, "files": facts} | _own_prompts(files[0])
    if left_out:
        account["left_out"] = left_out
    if repeated := sum(counts.values()) - len(splits) + left_out:
        account["repeated"] = repeated
    if len(counts) > 1:
        account["leaks"] = _leak_check(store, folder, counts, splits)
    return account


def _leak_check(store: RowStore, folder: Path, counts: dict[str, int], splits: bytearray) -> LeakCheck:
    """Return what the splits were compared by, and what is left: near-duplicates (with `near` there are none) and equal questions."""
    data = store.data
    if data.check_leaks == "none":
        return {"identical": False, "group_by": [], "near_duplicates": {"not_checked": "data.check_leaks: none"}}
    near: NearDuplicates = {"threshold": data.near_threshold, "rows": {}, "examples": []}
    if not data.compares_near:
        near = count_near_leaks(folder, counts, data.type, data.near_threshold)
    found: LeakCheck = {"identical": True, "group_by": [*data.split.group_by], "near_duplicates": near}
    if removed := removed_duplicates(store.removed, store.digests.kept, splits):
        found["removed"] = removed
    if removed_near := _removed_near(store):
        found["removed_near"] = removed_near
    if data.type == "chat" and (questions := count_same_questions(folder, counts)):
        found["same_question"] = questions
    return found


def _removed_near(store: RowStore) -> dict[str, int]:
    """Count the rows that were removed from the sources of a held-out split as near-duplicates of rows before them."""
    counts: Counter[str] = Counter()
    for number, source in enumerate(store.data.sources):
        if source.split in ("validation", "test"):
            counts[source.split] += store.dropped_later[number][NEAR_DUPLICATE]
    return dict(+counts)


def _near_pairs(store: RowStore) -> Iterable[tuple[int, int]]:
    if not store.signatures:
        return ()
    pairs = near_pairs(store.signatures.path, store.data.near_threshold)
    store.signatures.path.unlink()
    return pairs


def _without(store: RowStore, lines: Path, gone: bytearray, reason: str) -> Path:
    """Remove the rows flagged in `gone`, and the labels that only they had; return the new file."""
    thinned = lines.with_name(f"without_{reason}.jsonl")
    labels: dict[str, str] = {}
    with lines.open("rb") as stream, thinned.open("wb") as target:
        for line in compress(stream, (not flag for flag in gone)):
            target.write(line)
            if store.data.type == "classification":
                label = orjson.loads(line)["label"]
                labels[label] = store.labels[label]
    store.drop(gone, reason)
    store.labels = labels
    lines.unlink()
    return thinned


def _renumbered(pairs: Iterable[tuple[int, int]], gone: bytearray) -> Iterator[tuple[int, int]]:
    """Yield the pairs of rows that remain, by their new numbers."""
    numbers = array("Q", accumulate((not flag for flag in gone), initial=0))
    return ((numbers[first], numbers[second]) for first, second in pairs if not gone[first] and not gone[second])


def write_splits(lines: Path, files: Sequence[NewFile], store: RowStore, splits: bytearray) -> tuple[dict[str, int], dict[str, Any], int]:
    """Write each line to its split's file, training rows according to their source's weight. Return rows and facts by file, and how many
    training rows a weight below 1 leaves out."""
    weights = [source.weight for source in store.data.sources]
    left_out = 0
    seed = str(store.data.split.seed).encode()
    counts = [0] * len(SPLITS)
    with lines.open("rb") as stream, ExitStack() as stack:
        for file in files:
            stack.callback(file.stream.close)
        for line, source, split in zip(stream, store.sources, splits, strict=True):
            weight = weights[source]
            copies = _copies(line, weight, seed) if split == 0 and weight != 1 else 1
            files[split].write(line if copies == 1 else line * copies)
            counts[split] += copies
            left_out += not copies
    facts = {}
    for count, file in zip(counts, files, strict=True):
        file.close()
        if count:
            facts[file.path.name] = file.facts()
        else:
            file.path.unlink()
    return {name: count for name, count in sorted(zip(SPLITS, counts, strict=True)) if count}, dict(sorted(facts.items())), left_out


def _copies(line: bytes, weight: float, seed: bytes) -> int:
    """Return `weight` as a number of copies: 1.5 is one or two, decided by the row's seeded hash."""
    draw = int.from_bytes(blake2b(line, key=seed, digest_size=8).digest()) / 2**64
    return int(weight) + (draw < weight % 1)


def _label_order(data: Data, found: set[str]) -> list[str]:
    """Return the recipe's labels, or those found, sorted. Raises UserError for a label that the recipe does not list."""
    if data.labels is None:
        return sorted(found)
    if extra := sorted(found - set(data.labels)):
        raise UserError(f"labels that data.labels does not list: {', '.join(extra)}", hint="add them, or fix the rows")
    return list(data.labels)


def _source_facts(store: RowStore, number: int, read: SourceRows) -> dict[str, Any]:
    """Return the manifest's entry for a source. Raises UserError if its files have changed since they were read."""
    source = store.data.sources[number]
    words: dict[str, Any] = {"words": store.words_of(number)} if store.counts_words else {}
    if source.max_words is not None:
        words |= {"max_words": source.max_words, OVER_BUDGET: store.dropped_later[number][OVER_BUDGET]}
    absent = NamedInRows(source.options, source.ignore_keys).absent(store.present[number])
    return {
        "converter": source.converter,
        "version": converter(source.converter).VERSION,
        "options": source.options,
        "weight": source.weight,
        "rows_read": store.rows_read[number],
        "rows_kept": store.rows_kept[number],
        **words,
        **({"absent": absent} if absent and store.rows_read[number] else {}),
        "unread_keys": store.unread[number].as_json(),
        "artifacts": dict(store.artifacts[number].most_common(LISTED)),
        "files": read.facts(),
    }
