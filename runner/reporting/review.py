"""The review page: one offline HTML file for a blind comparison of replies. It does not name the models, and loads nothing."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ...schemas.base.files import write_atomically
from ..evaluation.human_review import CHOICES, QUESTIONS, Pair, Review
from .templates import environment


def write_review_page(review: Review, title: str, path: Path) -> Path:
    """Write the page; return its path. Its only script is allowed by its hash, so that nothing in the replies can run."""
    found = environment()
    script = found.get_template("review_script.js.j2").render()
    page = found.get_template("review.html.j2").render(
        title=title, review=review, system=shared_system_prompt(review.pairs), questions=QUESTIONS, choices=CHOICES, script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )  # fmt: skip
    write_atomically(path, page.encode())
    return path


def shared_system_prompt(pairs: Sequence[Pair]) -> str | None:
    """Return the system prompt with which every conversation begins, or None if there is none or they differ. The page shows it once."""
    first = [pair.conversation[0] for pair in pairs if pair.conversation]
    prompts = {message["content"] if message["role"] == "system" else None for message in first}
    return prompts.pop() if len(prompts) == 1 and len(first) == len(pairs) else None
