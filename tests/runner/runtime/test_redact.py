"""Keys are taken out of texts."""

import pytest
from recipekit.runner.runtime.redact import scrub


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("wrong key sk-abcdef0123456789", "wrong key ***"),
        ("Authorization: Bearer abc.def-ghi==", "Authorization: ***"),
        ("https://me:secret@host/v1", "https://***@host/v1"),
        ("my own key is k9-very-own", "my own key is ***"),
        ("set elsewhere: from-environment", "set elsewhere: ***"),
        ("nothing here, sky is blue", "nothing here, sky is blue"),
    ],
)
def test_what_is_or_looks_secret_is_taken_out(monkeypatch: pytest.MonkeyPatch, text: str, clean: str) -> None:
    monkeypatch.setenv("SOME_API_KEY", "from-environment")
    monkeypatch.setenv("SHORT_TOKEN", "is")
    assert scrub(text, ["k9-very-own", "sky", ""]) == clean
