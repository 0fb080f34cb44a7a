"""The sides of convert.py: each runs alone in a process and prints what it took as one JSON object."""

import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b, file_digest
from importlib import import_module
from multiprocessing import Process
from pathlib import Path
from typing import Any

import orjson

WORDS = (
    "learning model the gradient of a emoji ✅ install python 数据 模型 训练 how we is that loss batch token you can it to and 💻 when with"
).split()
THRESHOLD = 0.7


def write_rows(path: Path, count: int) -> None:
    """Chat rows of about 1 KB: one to four exchanges, a third with a system message, 3 % repeated."""
    draw = random.Random(1)
    line = b""
    with path.open("wb") as stream:
        for number in range(count):
            if number % 33 != 32:
                line = orjson.dumps({"messages": _messages(number, draw)}, option=orjson.OPT_APPEND_NEWLINE)
            stream.write(line)


def _messages(number: int, draw: random.Random) -> list[dict[str, str]]:
    turns = draw.choices([1, 2, 4], [40, 40, 20])[0]
    messages = [{"role": "system", "content": "You are a helpful assistant."}] if number % 3 == 0 else []
    for turn in range(turns):
        for role in ("user", "assistant"):
            messages.append({"role": role, "content": " ".join(draw.choices(WORDS, k=1000 // (12 * turns))) + f" {number}.{turn}"})
    return messages


def documents(count: int, unit: str, draw: random.Random) -> dict[str, Any]:
    """Documents of about 620 characters; 6 % are an earlier one with 3 % of its words or characters replaced. `root` says of which."""
    letters = "etaoinshrdlucmfwypvbgkjxqz"
    weights = [12, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 3, 2, 2, 2, 2, 1, 1.5, 2, 1, 0.2, 0.2, 0.1, 0.1]
    words = ["".join(draw.choices(letters, weights, k=max(2, round(draw.gauss(5, 2))))) for _ in range(20_000)]
    texts: list[str] = []
    planted: list[tuple[int, int]] = []
    root: dict[int, int] = {}
    for number in range(count):
        if number < 10 or draw.random() > 0.06:
            texts.append(" ".join(draw.choices(words, k=110))[:620])
            continue
        original = draw.randrange(number)
        parts = texts[original].split(" ") if unit == "words" else list(texts[original])
        for place in draw.sample(range(len(parts)), max(1, round(0.03 * len(parts)))):
            parts[place] = draw.choice(words if unit == "words" else letters)
        texts.append((" " if unit == "words" else "").join(parts))
        planted.append((original, number))
        root[number] = root.get(original, original)
    return {"texts": texts, "planted": planted, "root": root}


def bare(rows: str, folder: str) -> None:
    """Parse, digest, skip what was seen, write."""
    seen: set[bytes] = set()
    with Path(rows).open("rb") as stream, Path(folder, "bare.jsonl").open("wb") as out:
        for line in stream:
            row = orjson.loads(line)
            digest = blake2b(orjson.dumps(row["messages"]), digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def unvalidated(rows: str, folder: str) -> None:
    """The rows that recipekit writes, with their ids and origins, and the hashes of both files: everything but the validation."""
    seen: set[bytes] = set()
    name, target = Path(rows).name, Path(folder, "unvalidated.jsonl")
    with Path(rows).open("rb") as stream, target.open("wb") as out:
        for number, line in enumerate(stream, 1):
            messages = orjson.loads(line)["messages"]
            content = [(message["role"], message["content"]) for message in messages if message["role"] != "system"]
            digest = blake2b(orjson.dumps(content), digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                origin = {"file": name, "line": number, "converter": "messages@1"}
                row = {"id": f"{name}:{number}", "messages": messages, "meta": {"origin": origin}}
                out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    for path in (Path(rows), target):
        with path.open("rb") as stream:
            file_digest(stream, "sha256")


def ours(rows: str, folder: str, processes: str) -> None:
    """recipekit's conversion."""
    from recipekit.converters.building.pipeline import build
    from recipekit.schemas.sections import Data, Source, Split

    data = Data("chat", (Source(rows, "messages"),), split=Split(0, 0))
    build(data, Path(folder, "out"), processes=int(processes))


def apart(rows: str, folder: str) -> None:
    """Two conversions at once that have nothing to say to each other: what two processes could gain at most on this machine."""
    _at_once([Process(target=ours, args=(rows, str(Path(folder, name)), "1")) for name in ("first", "second")])


def datasets_map(rows: str, folder: str) -> None:
    """What a script with `datasets` and `jsonschema` does: load, map (validate, digest), filter duplicates, write."""
    import datasets
    from jsonschema import Draft202012Validator
    from recipekit.schemas.json_schema import schema

    datasets.disable_progress_bars()
    validator = Draft202012Validator(schema("chat"))

    def check(row: dict[str, Any], number: int) -> dict[str, Any]:
        messages = [{"role": message["role"], "content": message["content"]} for message in row["messages"]]
        turns = [message["role"] for message in messages if message["role"] != "system"]
        alternate = all(role == ("user", "assistant")[place % 2] for place, role in enumerate(turns)) and turns[-1] == "assistant"
        row = {"id": f"rows:{number}", "messages": messages}
        content = json.dumps([message for message in messages if message["role"] != "system"])
        return {**row, "valid": validator.is_valid(row) and alternate, "digest": blake2b(content.encode(), digest_size=16).hexdigest()}

    seen: set[str] = set()

    def fresh(row: dict[str, Any]) -> bool:
        known = row["digest"] in seen
        seen.add(row["digest"])
        return row["valid"] and not known

    data = datasets.load_dataset("json", data_files=rows, split="train", cache_dir=str(Path(folder, "cache")))
    kept = data.map(check, with_indices=True).filter(fresh).remove_columns(["valid", "digest"])
    kept.to_json(str(Path(folder, "datasets.jsonl")), force_ascii=False)


def spin(processes: str) -> None:
    """Plain Python loops, one a process: what more processes can gain on this machine at all."""
    _at_once([Process(target=_loop) for _ in range(int(processes))])


def _at_once(workers: list[Process]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise RuntimeError(f"a side ended with {worker.exitcode}")


def _loop() -> None:
    total = 0
    for number in range(10_000_000):
        total += number


def near(path: str) -> dict[str, Any]:
    """recipekit's near-duplicate search."""
    from recipekit.converters.building.near_duplicates import near_pairs, signatures

    data, clock = json.loads(Path(path).read_text()), Clock()
    stored = Path(path).with_suffix(".signatures")
    with stored.open("wb") as stream:
        for start in range(0, len(data["texts"]), 1000):
            stream.write(signatures(data["texts"][start : start + 1000]))
    pairs = near_pairs(stored, THRESHOLD)
    return clock.read() | _judged(pairs, data)


def datasketch(path: str) -> dict[str, Any]:
    """The same with datasketch."""
    import datasketch as library
    import xxhash
    from recipekit.converters.building.near_duplicates import PERMUTATIONS, SHINGLE

    data, clock = json.loads(Path(path).read_text()), Clock()
    index = library.MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    pairs = []
    for number, text in enumerate(data["texts"]):
        sketch = library.MinHash(num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch([text[at : at + SHINGLE].encode() for at in range(len(text) - SHINGLE + 1)])
        pairs += [(other, number) for other in index.query(sketch)]
        index.insert(number, sketch)
    return clock.read() | _judged(pairs, data)


def _judged(pairs: Sequence[tuple[Any, Any]], data: dict[str, Any]) -> dict[str, Any]:
    """Recall of the planted pairs; a found pair is right when both are edits of one document."""
    root = {int(number): of for number, of in data["root"].items()}
    found = {(int(a), int(b)) for a, b in pairs}
    planted = {(a, b) for a, b in data["planted"]}
    wrong = sum(root.get(a, a) != root.get(b, b) for a, b in found)
    return {"recall": len(planted & found) / len(planted), "precision": 1 - wrong / max(len(found), 1), "wrong": wrong}


class Clock:
    """Wall and CPU seconds (those of the program alone too) since it was made, children included, and the peak memory of the process."""

    def __init__(self) -> None:
        self.wall, self.user, self.cpu = time.perf_counter(), *self._cpu()

    @staticmethod
    def _cpu() -> tuple[float, float]:
        times = os.times()
        return times.user + times.children_user, sum(times[:4])

    def read(self) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        user, cpu = self._cpu()
        return {"wall": time.perf_counter() - self.wall, "user": user - self.user, "cpu": cpu - self.cpu, "peak_mb": peak}


SIDES: dict[str, Callable[..., Any]] = {
    side.__name__: side for side in (bare, unvalidated, ours, apart, datasets_map, spin, near, datasketch)
}


NEEDS = {
    "ours": ("recipekit.converters.building.pipeline",),
    "apart": ("recipekit.converters.building.pipeline",),
    "datasets_map": ("datasets", "jsonschema"),
    "near": ("recipekit.converters.building.near_duplicates", "numpy", "rensa"),
    "datasketch": ("datasketch", "xxhash"),
}


def main() -> None:
    """Run the side that is named and print what it took. Imports come first: they are no part of the work."""
    side, *arguments = sys.argv[1:]
    for module in NEEDS.get(side, ()):
        import_module(module)
    clock = Clock()
    found = SIDES[side](*arguments)
    print(json.dumps(found or clock.read()))


if __name__ == "__main__":
    main()
