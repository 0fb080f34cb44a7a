"""What a command came to with a damaged file, against what it came to with the whole run: what is wrong with it, if anything.

A command may refuse the run, with the file's name. It may do again what the file was for, and say which file it has not used: then the
results must be those of the whole run, bit for bit. What it prints may only differ without a word about the file where nothing is believed.
"""

import json
import re
import signal
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from recipekit.schemas.base.hashing import SEAL

from .run_files import CLOCK

# What differs each time: times, memory (also in per cent of what was predicted) and disk, ports, the name of a new run, and how far a bar
# has come.
CLOCKED = re.compile(
    r"[\d.,]+ ?(s|GB|MB|kB|minutes?|it\/s|tokens\/s)\b|\([+-]\d+%\)|:\d+/v1|\d{8}-\d{6}-[0-9a-f]{6}|\d+:\d\d elapsed.*|\d+/\d+.*left.*"
)
REPORTED = re.compile(r"damaged|changed|missing|cannot be read|not what|regular file|edited by hand")
WEIGHTS = (".safetensors", "tokenizer.json")
# What a command shows of a training under way is what its log says; the log is sealed when the training has ended.
UNDER_WAY = {"runs": ("metrics.jsonl",)}


class Ended(NamedTuple):
    """What a command came to: its exit code, what it printed, the report that it left, and the results of the run that it has changed."""

    code: int
    output: str
    report: bytes = b""
    results: dict[str, Any] = {}


def results_of(run: Path) -> dict[str, Any]:
    """What the run says and holds, without what the clock decides; what cannot be read is left out."""
    found: dict[str, Any] = {}
    for name in ("training.json", "tokens.json", "eval/metrics.json"):
        found[name] = json_of(run / name)
    status = json_of(run / "status.json")
    found["status.json"] = {key: status.get(key) for key in ("state", "stages")} if isinstance(status, dict) else status
    for name in ("metrics.jsonl", "eval/predictions.jsonl", "eval/rows.jsonl"):
        found[name] = [timeless(line) for line in lines_of(run / name)]
    paths = [path for folder in ("model", "merged", "data") for path in sorted((run / folder).rglob("*")) if path.is_file()]
    found |= {str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in paths
              if path.name.endswith(WEIGHTS) or path.suffix == ".jsonl"}  # fmt: skip
    adapter = json_of(run / "model" / "adapter_config.json") or {}
    found["adapter"] = {key: sorted(value) if isinstance(value, list) else value for key, value in adapter.items()}  # lists of a set
    return found


def json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def lines_of(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []


def timeless(line: bytes) -> Any:
    try:
        values = json.loads(line)
    except ValueError:
        return line
    return {key: value for key, value in values.items() if key not in CLOCK} if isinstance(values, dict) else values


def verdict(whole: Ended, found: Ended, file: str, under_way: str = "") -> str:
    """What is wrong with how the command ended; "" where it named the damage, or came to the same. `under_way` is the command that was
    given a run whose training has not ended."""
    name = Path(file).name
    if found.code == -signal.SIGALRM and whole.code != found.code:
        return "did not end"
    if "Traceback" in found.output or found.code not in (0, 1, 2, 3, 130, whole.code):
        return f"exit code {found.code}: {found.output[-700:]}"
    if whole.results:
        return verdict_of_results(whole, found, name)
    named = name in found.output or REPORTED.search(found.output) or file in UNDER_WAY.get(under_way, ())
    return "" if found.code or is_same(whole, found) or named else f"believed: {found.output[-300:]}"


def verdict_of_results(whole: Ended, found: Ended, name: str) -> str:
    """The same of a command whose results are compared, too: the file itself must be named, whatever the command made of it."""
    named = name in found.output or (name == "manifest.json" and "/data" in found.output)
    if name == SEAL:  # another hash in it is no other than a changed file
        named = bool(REPORTED.search(found.output))
    if found.code not in (0, whole.code):
        return "" if named else f"refused without the file's name, exit code {found.code}: {found.output[-400:]}"
    differing = [key for key in whole.results if found.results.get(key) != whole.results[key]]
    if differing == [name] == ["status.json"]:  # a stage's key is no result: a later `recipe run` does not find the run by it
        return ""
    if differing:
        return f"other results, {'named' if named else 'believed'}: {', '.join(differing)}: {found.output[-400:]}"
    return "" if named or is_same(whole, found) else f"done again without a word: {differing_lines(whole, found)}"


def differing_lines(whole: Ended, found: Ended) -> str:
    """What it printed otherwise, as a diff."""
    printed = [CLOCKED.sub("", ended.output).splitlines() for ended in (whole, found)]
    return "\n".join(unified_diff(*printed, "whole", "damaged", n=0, lineterm="")) or "the report differs"


def is_same(whole: Ended, found: Ended) -> bool:
    """Whether it printed and left the same."""
    return CLOCKED.sub("", found.output) == CLOCKED.sub("", whole.output) and found.report == whole.report
