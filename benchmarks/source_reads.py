"""How often the bytes of a recipe's sources are read before the first training step, by the process's own counter (/proc/self/io rchar).

    read_for_key, read_to_convert   MB that were read for the data stage's key, and to convert the source
    times                           both together, as a multiple of the source's size

The key is computed as in a run that has earlier runs to compare with. Everything is one split, since dealing rows out to splits reads what
was converted again, and no source. The trainer reads the converted records, and no source. The last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from recipekit.converters.reading.file_hashes import SETTLED_NS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages import data as stage
from recipekit.runner.stages.context import RunContext
from recipekit.runner.stages.stage import key_of_stage
from recipekit.schemas.sections import Data, Source, Split

SUFFIXES = ("jsonl", "csv", "json")
REPLY = "An answer of a few words, as they are found in data of questions and answers. " * 5


def write_source(path: Path, megabytes: int) -> Path:
    """Write distinct questions and answers of about so many MB."""
    head, join, tail = {"jsonl": ("", "\n", "\n"), "json": ("[", ",\n", "]"), "csv": ("instruction,output\n", "\n", "\n")}[path.suffix[1:]]
    with path.open("w", encoding="utf-8") as stream:
        stream.write(head)
        number = 0
        while stream.tell() < megabytes << 20:
            rows = [(f"Question {n}?", f"{n} {REPLY}") for n in range(number, number + 10_000)]
            lines = [f'{q},"{a}"' if path.suffix == ".csv" else json.dumps({"instruction": q, "output": a}) for q, a in rows]
            stream.write((join if number else "") + join.join(lines))
            number += len(rows)
        stream.write(tail)
    time.sleep(2 * SETTLED_NS / 1e9)
    return path


def bytes_read() -> int:
    """How many bytes this process has read so far."""
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines())
    return int(counters["rchar"])


def measure(source: Path, folder: Path) -> dict[str, Any]:
    """Carry out the data stage of a run; what was read, as a multiple of the source's size."""
    data = Data("chat", (Source(str(source), "alpaca"),), split=Split(validation=0))
    loaded: Any = SimpleNamespace(recipe=SimpleNamespace(data=data, generate=None))
    display: Any = SimpleNamespace(say=lambda *words: None)
    context = RunContext(loaded, folder, display, RunFolder(folder / "run"))
    counts = [bytes_read()]
    for step in (lambda: key_of_stage(stage, context), lambda: stage.run(context)):
        step()
        counts.append(bytes_read())
    size, read = source.stat().st_size, [after - before for before, after in zip(counts, counts[1:], strict=False)]
    return {
        "source": source.name, "size": size >> 20, "read_for_key": read[0] >> 20, "read_to_convert": read[1] >> 20,
        "times": round(sum(read) / size, 3),
    }  # fmt: skip


def main() -> None:
    """Measure each format in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=1024, help="Size of the source in MB. Default: 1024")
    parser.add_argument("--formats", nargs="+", choices=SUFFIXES, default=SUFFIXES)
    asked = parser.parse_args()
    results = []
    for suffix in asked.formats:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(write_source(Path(folder) / f"rows.{suffix}", asked.mb), Path(folder)))
        print(
            "{source:<11} {size:>5} MB  key {read_for_key:>5} MB  conversion {read_to_convert:>5} MB  {times} times".format(**results[-1])
        )
    print(json.dumps({"source_reads": results}))


if __name__ == "__main__":
    main()
