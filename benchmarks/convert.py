"""What converting costs: chat rows of about 1 KB, read, validated, deduplicated and written, against other tools.

    vs_datasets_map       rows per CPU second, against `datasets.map` with `jsonschema`, a duplicate filter and `to_json`
    vs_unvalidated_loop   CPU time, against a plain orjson loop that writes the same rows (id, origin) and hashes, without validating
    vs_bare_loop          the same, against a loop that writes rows as they came: parse, digest, write
    two_processes         wall time of one process over that of two. What this machine lets two processes gain at most: `two_apart`,
                          two whole conversions at once that share nothing, and `two_cores`, two plain loops
    growth_10x            CPU time for ten times the rows, against the mean of ten conversions, half of them before it and half after it;
                          `growth_10x_user` is that of the program alone, `growth_10x_loop` that of the unvalidated loop, with the system's
    peak_mb_2m            peak memory for 2 million rows, in MB (null with --quick)
    near_dup_recall       share of planted near-duplicates (3 % of the words replaced) that are found
    near_dup_precision    share of the found pairs that were planted
    near_dup_vs_datasketch  documents per CPU second, against datasketch with the same shingles, permutations and threshold

Every side runs in a process of its own, in turns, best of several. `recall_characters` is the recall for edits of single characters.
The last line is one JSON object. Where a library is not installed its ratios are null, and `notes` says so.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import convert_sides
from convert_sides import documents, write_rows


class Scale(NamedTuple):
    """How much is measured."""

    rows: int
    slow_rows: int  # for datasets.map, which takes 50 times as long
    rounds: int
    documents: int


FULL = Scale(rows=200_000, slow_rows=20_000, rounds=10, documents=100_000)
QUICK = Scale(rows=20_000, slow_rows=2_000, rounds=2, documents=5_000)


def run(side: str, *arguments: object) -> dict[str, Any]:
    """Run a side in a process of its own: its wall and CPU seconds, peak MB and findings."""
    argv = [sys.executable, str(Path(convert_sides.__file__)), side, *map(str, arguments)]
    os.sync()  # what the side before has written is written at its own cost
    result = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def best(sides: dict[str, tuple[object, ...]], rounds: int) -> dict[str, dict[str, Any]]:
    """Each side's best CPU and wall seconds and highest peak, run in turns."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, arguments in sides.items():
            now = run(*arguments)  # pyright: ignore[reportArgumentType]
            before = found.get(name, now)
            found[name] = (
                now
                | {key: min(before[key], now[key]) for key in ("cpu", "user", "wall")}
                | {"peak_mb": max(before["peak_mb"], now["peak_mb"])}
            )
    return found


def converting(scale: Scale, folder: Path, quick: bool, notes: list[str]) -> dict[str, Any]:
    """The ratios about conversion."""
    rows, slow, tenth = folder / "rows.jsonl", folder / "slow.jsonl", folder / "tenth.jsonl"
    write_rows(rows, scale.rows)
    write_rows(slow, scale.slow_rows)
    write_rows(tenth, scale.rows // 10)
    sides: dict[str, tuple[object, ...]] = {
        "bare loop": ("bare", rows, folder),
        "unvalidated loop": ("unvalidated", rows, folder),
        "recipekit": ("ours", rows, folder, 1),
        "recipekit, 2 processes": ("ours", rows, folder, 2),
        "recipekit, twice apart": ("apart", rows, folder),
        "recipekit, a tenth": ("ours", tenth, folder, 1),
        "one plain loop": ("spin", 1),
        "two plain loops": ("spin", 2),
    }
    found = best(sides, scale.rounds)
    if find_spec("datasets"):
        found |= best({"datasets.map": ("datasets_map", slow, folder)}, 1)
    else:
        notes.append("datasets is not installed in this python")
    ours = found["recipekit"]
    growth = {"growth_10x": ours["cpu"] / found["recipekit, a tenth"]["cpu"]}
    if not quick:
        many = folder / "many.jsonl"
        write_rows(many, 10 * scale.rows)
        found["recipekit, tenfold"] = big = tenfold(("ours", rows, folder, 1), ("ours", many, folder, 1))
        found["unvalidated, tenfold"] = loop = tenfold(("unvalidated", rows, folder), ("unvalidated", many, folder))
        growth = {"growth_10x": big["growth_cpu"], "growth_10x_user": big["growth_user"], "growth_10x_loop": loop["growth_cpu"]}
    for name, side in found.items():
        print(f"{name:24} {side['wall']:8.2f} s wall {side['cpu']:8.2f} s CPU {side['peak_mb']:8.0f} MB", flush=True)
    slow_rate = scale.slow_rows / found["datasets.map"]["cpu"] if "datasets.map" in found else None
    return {
        "vs_datasets_map": round(scale.rows / ours["cpu"] / slow_rate, 2) if slow_rate else None,
        "vs_unvalidated_loop": round(ours["cpu"] / found["unvalidated loop"]["cpu"], 3),
        "vs_bare_loop": round(ours["cpu"] / found["bare loop"]["cpu"], 3),
        "two_processes": round(ours["wall"] / found["recipekit, 2 processes"]["wall"], 2),
        "two_apart": round(2 * ours["wall"] / found["recipekit, twice apart"]["wall"], 2),
        "two_cores": round(2 * found["one plain loop"]["wall"] / found["two plain loops"]["wall"], 2),
        **{name: round(ratio, 2) for name, ratio in growth.items()},
        "peak_mb_2m": None if quick else round(found["recipekit, tenfold"]["peak_mb"]),
        "rows_per_s": round(scale.rows / ours["wall"]),
    }


def tenfold(short: tuple[object, ...], long: tuple[object, ...]) -> dict[str, Any]:
    """The long side, and its time against ten short ones around it. The best of several short runs against one long one would say how much
    faster this machine is in its best seconds."""
    parts = [run(*short) for _ in range(5)]  # pyright: ignore[reportArgumentType]
    big = run(*long)  # pyright: ignore[reportArgumentType]
    parts += [run(*short) for _ in range(5)]  # pyright: ignore[reportArgumentType]
    return big | {f"growth_{kind}": 10 * big[kind] / sum(part[kind] for part in parts) for kind in ("cpu", "user")}


def near_duplicates(scale: Scale, folder: Path, notes: list[str]) -> dict[str, Any]:
    """The ratios about near-duplicates."""
    texts, characters = folder / "words.json", folder / "characters.json"
    for path, unit in ((texts, "words"), (characters, "characters")):
        path.write_text(json.dumps(documents(scale.documents, unit, random.Random(7))))
    ours, edited = run("near", texts), run("near", characters)
    result = {
        "near_dup_recall": round(ours["recall"], 5),
        "near_dup_precision": round(ours["precision"], 5),
        "near_dup_vs_datasketch": None,
        "recall_characters": round(edited["recall"], 5),
        "documents_per_s": round(scale.documents / ours["wall"]),
    }
    if find_spec("datasketch"):
        other = run("datasketch", texts)
        result["near_dup_vs_datasketch"] = round(other["cpu"] / ours["cpu"], 1)
        result |= {"datasketch_recall": round(other["recall"], 5), "datasketch_precision": round(other["precision"], 5)}
        result |= {"wrong_pairs": [ours["wrong"], other["wrong"]]}
    else:
        notes.append("datasketch is not installed in this python")
    return result


def main() -> None:
    """Measure, print a table, and the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds: coarse, within a minute")
    options = parser.parse_args()
    scale, notes = QUICK if options.quick else FULL, []
    if options.quick:
        notes.append("growth is from a tenth of the rows; peak_mb_2m needs the full run")
    with tempfile.TemporaryDirectory(prefix="recipekit-", dir=os.environ.get("TMPDIR")) as scratch:
        result = converting(scale, Path(scratch), options.quick, notes) | near_duplicates(scale, Path(scratch), notes)
    print(json.dumps(result | {"rows": scale.rows, "documents": scale.documents, "notes": notes}))


if __name__ == "__main__":
    main()
