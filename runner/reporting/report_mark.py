"""Whether report.html and the model cards show the current metrics: a run killed right after an evaluation keeps the older ones."""

from hashlib import sha256

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import open_regular
from ..runtime.run_files import METRICS, REPORT
from ..runtime.run_folder import RunFolder
from ..runtime.seals import read_sealed

_HEAD = 4096  # bytes that contain the mark


def numbers_mark(run: RunFolder) -> str:
    """Return a hash of the run's metrics; "" without metrics. Raises UserError if they differ from their seal, or cannot be read."""
    path = run / METRICS.name
    try:
        return sha256(read_sealed(path)).hexdigest()[:16]
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UserError(Problem(path, f"is damaged: {error.strerror}", f"recipe eval {run.path}", "damaged")) from None


def is_outdated(run: RunFolder) -> bool:
    """Return whether the report was written from other metrics. Model cards are written before the report.

    Raises UserError if the metrics differ from their seal, or cannot be read.
    """
    try:
        with open_regular(run / REPORT) as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    return f'<meta name="numbers" content="{numbers_mark(run)}">'.encode() not in head


def outdated_note(run: RunFolder) -> str:
    """Return how to update an outdated report; "" if it is current."""
    return f"report.html is older than eval/metrics.json: recipe report {run.path}" if is_outdated(run) else ""
