"""A text-classification model as a provider: texts go to a separate process, and scores are logged batch by batch.

An interrupted run keeps the scores of completed batches; only the others are computed again.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryFile

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.redact import redact
from ..models.reference import resolve_target
from ..runtime.child_environment import WITH_MODEL, child_environment
from .request_log import Entry, RequestLog
from .requests import ProviderRequest, Reply

_TAIL = 12


def classify(asked: Iterable[ProviderRequest], name: str, runs: Path, log: RequestLog, progress: Callable[[int], None]) -> None:
    """Log every label's score for each text, as a JSON object. Raises UserError if the model cannot be used."""
    pending = {request.key: request for request in asked}
    target = orjson.dumps(resolve_target(name, runs)._asdict()).decode()
    argv = [sys.executable, "-m", "recipekit.runner.worker.classify_texts", target]
    with TemporaryFile() as texts, TemporaryFile() as errors:
        for key, request in pending.items():
            texts.write(orjson.dumps({"key": key, "text": request.messages[-1]["content"]}) + b"\n")
        texts.seek(0)
        child = subprocess.Popen(
            argv, stdin=texts, stdout=subprocess.PIPE, stderr=errors, env=child_environment(WITH_MODEL), start_new_session=True
        )
        try:
            assert child.stdout
            done = 0
            for line in child.stdout:
                found = orjson.loads(line)
                log.keep([_entry(pending[key], scores, tokens) for key, scores, tokens in found])
                progress(done := done + len(found))
            if child.wait() or done < len(pending):
                errors.seek(0)
                output = redact(errors.read().decode("utf-8", "replace")).strip().splitlines()[-_TAIL:]
                what = "cannot classify:\n" + "\n".join(f"    | {text}" for text in output)
                raise UserError(Problem(name, what, "use a model with a text-classification head", "no-model"))
        finally:
            child.kill()
            child.communicate()


def _entry(request: ProviderRequest, scores: dict[str, float], tokens: int) -> Entry:
    return Entry(request, Reply(orjson.dumps(scores).decode(), "stop", tokens, 0), None, None, 1, 0.0)
