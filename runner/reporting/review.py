"""The review page: one offline HTML file for a blind comparison of replies. It does not name the models, and loads nothing."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from ...schemas.base.files import write_atomically
from ..evaluation.human_review import CHOICES, QUESTIONS, Review
from .report import environment


def write_review_page(review: Review, title: str, path: Path) -> Path:
    """Write the page; return its path. Its only script is allowed by its hash, so that nothing in the replies can run."""
    found = environment()
    script = found.get_template("review_script.js.j2").render()
    page = found.get_template("review.html.j2").render(
        title=title, review=review, questions=QUESTIONS, choices=CHOICES, script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )  # fmt: skip
    write_atomically(path, page.encode())
    return path
