"""Generate rows from start to end: serve local models, fill the log, make rows from it, judge them, and write them with the usage."""

from collections import Counter
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...converters.building.manifest import own_files
from ...converters.reading.records import GENERATED_BY
from ...schemas import VERSION
from ...schemas.base.counted import counted, counted_of, listed
from ...schemas.base.errors import GateError
from ...schemas.base.files import NewFile, new_folder, write_atomically
from ...schemas.base.redact import MASK
from ...schemas.generate_sections import Generate
from ..providers.asker import Asker
from ..providers.request_log import RequestLog, open_log
from ..runtime.console import Display
from .assemble import make_rows
from .job import Job
from .judge import RowJudge
from .usage import Usage

MANIFEST, ROWS, DROPPED, JUDGEMENTS, CANDIDATES = "manifest.json", "rows.jsonl", "dropped.jsonl", "judgements.jsonl", "candidates.jsonl"
LEAST_YIELD = 0.05  # minimum rows per item assumed for a further round: a first round without rows must not ask everything at once
MOST = 100  # values of the composition that are listed per kind


def generate_rows(generate: Generate, out: Path, log_path: Path, runs: Path, display: Display, key: str) -> dict[str, Any]:
    """Write rows.jsonl, dropped.jsonl, judgements.jsonl (with a judge) and manifest.json to `out`; return the manifest.

    `key` identifies the inputs, and is stored in the manifest. Replies in `log_path` are not requested again. Raises GateError at a limit,
    beyond max_dropped or below min_rows, UserError if a provider does not answer, Interrupted; then `out` is unchanged and the log keeps
    every reply.
    """
    job = Job.of(generate)._replace(most=generate.min_rows)
    asker = Asker(generate.limits, runs, display)
    with open_log(log_path, display) as log, new_folder(out, MANIFEST, own_files(out, (ROWS, DROPPED, JUDGEMENTS))) as folder:
        round_ = _round(job, asker, log, folder, runs, display)
        while (wanted := (generate.min_rows or 0) - round_.usage.rows) > 0:
            job = _further(job, wanted, round_.usage)
            display.say("generate", f"{round_.usage.rows:,} of {generate.min_rows:,} rows; generating more")
            round_ = _round(job, asker, log, folder, runs, display)
        manifest: dict[str, Any] = {"recipekit": VERSION, "key": key, "task": generate.task, **round_.judged}
        manifest |= round_.usage.checked(generate.max_dropped)
        manifest["composition"] = composition(folder / ROWS)
        manifest["files"] = {file.path.name: file.facts() for file in round_.files}
        write_atomically(folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return manifest


class _Round(NamedTuple):
    """What a round wrote, with its usage and the judge's."""

    usage: Usage
    judged: dict[str, Any]
    files: list[NewFile]


def _round(job: Job, asker: Asker, log: RequestLog, folder: Path, runs: Path, display: Display) -> _Round:
    """Request what the log lacks, and write the rows from the whole log, replacing those of the previous round."""
    generate = job.generate
    judge = RowJudge.of(generate) if generate.judge else None
    asker.ask(job, generate.providers, log, "generating", judge.providers if judge else ())
    kept, dropped = NewFile(folder / (ROWS if judge is None else CANDIDATES)), NewFile(folder / DROPPED)
    usage = make_rows(job, asker.known(generate.providers), log, kept, dropped, whole=judge is not None)
    kept.close()
    if judge is None:
        dropped.close()
        return _Round(usage, {}, [kept, dropped])
    judge = judge._replace(lines=kept.path)
    Asker(judge.scorer.limits, runs, display).ask(judge, judge.providers, log, "judging")
    files = [NewFile(folder / ROWS), dropped, NewFile(folder / JUDGEMENTS)]
    decided = judge.decide(asker.known(judge.providers), log, files[0], files[2], dropped, usage)
    kept.path.unlink()
    for file in files:
        file.close()
    return _Round(usage, {"judge": decided}, files)


def _further(job: Job, wanted: int, usage: Usage) -> Job:
    """Return the job with enough further items for the wanted rows at the yield so far. Raises GateError if there are none."""
    assert job.most is not None
    rows, there = usage.rows, sum(1 for _ in job._replace(most=None).task_items())
    if there <= job.most:
        what = f"only {counted_of(rows, rows + wanted, 'row')}: all {counted(usage.requests, 'request')} of the task were made"
        hint = "give more input rows or raise options.count, or lower generate.min_rows"
        raise GateError(f"{what}; dropped: {listed(dict(sorted(usage.ledger.dropped.items())))}", hint=hint)
    return job._replace(most=min(there, job.most + ceil(wanted / max(rows / job.most, LEAST_YIELD))))


def usage_lines(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the manifest in words, as (heading, line): what was requested, the outcome, and the usage."""
    fixed = f"; fixed: {listed(manifest['fixed'])}" if manifest["fixed"] else ""
    first = (f"{manifest['rows_in']:,} in ({counted(manifest['requests'], 'request')}), {manifest['rows_kept']:,} kept as "
             f"{counted(manifest['rows'], 'row')}; dropped: {listed(manifest['dropped'])}{fixed}")  # fmt: skip
    lines = [("generate", first)]
    for name, used in manifest["providers"].items():
        paid = "".join(f", {amount:,.4f} {currency}" for currency, amount in used.get("cost", {}).items())
        unmetered = used["unmetered"]
        guessed = f"; {counted(unmetered, 'reply')} without token counts, for which the maximum is assumed" if unmetered else ""
        tokens = f"{used['prompt_tokens']:,} prompt and {counted(used['completion_tokens'], 'reply token')}"
        lines.append(("", f"{name}: {used['kept']:,} kept of {used['requests']:,}, {used['asked_again']:,} asked again, "
                     f"{counted(used['retried'], 'retry')}, {tokens}{paid}{guessed}"))  # fmt: skip
    if redacted := manifest["redacted_replies"]:
        lines.append(("", f"{counted(redacted, 'reply', 'contain')} what looks like a secret; it was replaced with {MASK}"))
    if judge := manifest.get("judge"):
        secret = judge["redacted"]
        hidden = f"; {counted(secret, 'judgement')} with what looks like a secret, replaced with {MASK}" if secret else ""
        lines.append(("", f"judge {judge['model']}: {judge['passed']:,} of {judge['judged']:,} pass{hidden}"))
    return [*lines, *(("", line) for line in composition_lines(manifest["composition"]))]


def composition(path: Path) -> dict[str, dict[str, int]]:
    """Return the number of rows by each of these, the most frequent first; a kind that no row has is left out."""
    counts: dict[str, Counter[str]] = {"model": Counter(), "prompt": Counter(), "turns": Counter(), "emotion": Counter()}
    with path.open("rb") as stream:
        for line in stream:
            for kind, value in _facts(orjson.loads(line)):
                counts[kind][value] += 1
    return {kind: dict(found.most_common(MOST)) for kind, found in counts.items() if found}


def composition_lines(found: dict[str, dict[str, int]]) -> list[str]:
    """Return one line for each kind with several values."""
    return [f"rows by {kind}: {_listed(values)}" for kind, values in found.items() if len(values) > 1]


def _listed(values: dict[str, int]) -> str:
    first = [f"{value}: {count:,}" for value, count in list(values.items())[:8]]
    return ", ".join(first) + (f", {len(values) - 8:,} more" if len(values) > 8 else "")


def _facts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    meta = row["metadata"] if isinstance(row.get("metadata"), dict) else row
    made = meta.get(GENERATED_BY, {})
    if "model" in made:
        yield "model", f"{made['provider']}/{made['model']}"
    emotion = meta.get("label_0", meta.get("emotion"))  # of several labels the first
    for kind, value in (("prompt", made.get("prompt")), ("emotion", emotion)):
        if isinstance(value, str):
            yield kind, value
    if isinstance(turns := row.get("conversation"), list):
        yield "turns", str(len(turns))
    elif isinstance(messages := row.get("messages"), list):
        yield "turns", str(sum(message["role"] == "assistant" for message in messages))
