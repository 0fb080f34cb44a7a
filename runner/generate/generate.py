"""Generating from start to end: serve local models, fill the log, make rows of what it holds, judge them, write them with what was used."""

from pathlib import Path
from typing import Any

import orjson

from ...converters.building.verify import own_files
from ...schemas import VERSION
from ...schemas.base.files import NewFile, new_folder, write_atomically
from ...schemas.base.redact import MASK
from ...schemas.generate_sections import Generate
from ..providers.asker import Asker
from ..providers.request_log import open_log
from ..runtime.console import Display
from .assemble import make_rows
from .job import Job
from .judge import RowJudge

MANIFEST, ROWS, DROPPED, JUDGEMENTS, CANDIDATES = "manifest.json", "rows.jsonl", "dropped.jsonl", "judgements.jsonl", "candidates.jsonl"


def generate_rows(generate: Generate, out: Path, log_path: Path, runs: Path, display: Display, key: str) -> dict[str, Any]:
    """Write rows.jsonl, dropped.jsonl, judgements.jsonl (with a judge) and manifest.json to `out`; return the manifest.

    `key` says what they were made of, and stands in the manifest. Replies that `log_path` holds are not asked for again. Raises
    GateError at a ceiling or beyond max_dropped, UserError when a provider does not answer, Interrupted; then `out` stays as it was and
    the log keeps every reply.
    """
    job = Job.of(generate)
    judge = RowJudge.of(generate) if generate.judge else None
    asker = Asker(generate.limits, runs, display)
    with open_log(log_path) as log, new_folder(out, MANIFEST, own_files(out, (ROWS, DROPPED, JUDGEMENTS))) as folder:
        asker.ask(job, generate.providers, log, "generating")
        kept = NewFile(folder / (ROWS if judge is None else CANDIDATES))
        dropped = NewFile(folder / DROPPED)
        usage = make_rows(job, asker.known(generate.providers), log, kept, dropped, whole=judge is not None)
        kept.close()
        manifest: dict[str, Any] = {"recipekit": VERSION, "key": key, "task": generate.task}
        files = [kept, dropped]
        if judge:
            judge = judge._replace(lines=kept.path)
            Asker(judge.scorer.limits, runs, display).ask(judge, judge.providers, log, "judging")
            rows, judgements = NewFile(folder / ROWS), NewFile(folder / JUDGEMENTS)
            manifest["judge"] = judge.decide(asker.known(judge.providers), log, rows, judgements, dropped, usage)
            kept.path.unlink()
            files = [rows, dropped, judgements]
        for file in files[int(judge is None) :]:
            file.close()
        manifest |= usage.checked(generate.max_dropped)
        manifest["files"] = {file.path.name: file.facts() for file in files}
        write_atomically(folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return manifest


def usage_lines(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The manifest for people, (heading, line): what was asked, what became of it, what it used."""
    dropped = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in manifest["dropped"].items()) or "none"
    fixed = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in manifest["fixed"].items())
    first = (f"{manifest['rows_in']:,} in ({manifest['requests']:,} requests), {manifest['rows_kept']:,} kept as "
             f"{manifest['rows']:,} rows; dropped: {dropped}" + (f"; fixed: {fixed}" if fixed else ""))  # fmt: skip
    lines = [("generate", first)]
    for name, used in manifest["providers"].items():
        paid = "".join(f", {amount:,.4f} {currency}" for currency, amount in used.get("cost", {}).items())
        guessed = f"; {used['unmetered']:,} replies without a count taken for the longest" if used["unmetered"] else ""
        tokens = f"{used['prompt_tokens']:,} + {used['completion_tokens']:,} tokens"
        lines.append(("", f"{name}: {used['kept']:,} kept of {used['requests']:,}, {used['asked_again']:,} asked again, "
                     f"{used['retried']:,} retries, {tokens}{paid}{guessed}"))  # fmt: skip
    if redacted := manifest["redacted_replies"]:
        held = f"{redacted:,} replies contain" if redacted > 1 else "1 reply contains"
        lines.append(("", f"{held} what looks like a secret; it was replaced with {MASK}"))
    if judge := manifest.get("judge"):
        lines.append(("", f"judge {judge['model']}: {judge['passed']:,} of {judge['judged']:,} pass"))
    return lines
