"""Secrets are replaced in every text: 25 shapes, values of variables, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.redact import MASK, redact

CORE = "aB3dE6gH9jK2mN5p"  # the part that must not be found
SHAPES = {
    "openai": f"sk-{CORE}", "openai project": f"sk-proj-{CORE}", "short": "sk-a1B2c3D4", "anthropic": f"sk-ant-api03-{CORE}", "langfuse": f"pk-lf-{CORE}",
    "stripe": f"sk_live_{CORE}", "groq": f"gsk_{CORE}", "hub": f"hf_{CORE}", "short hub": "hf_a1B2c3D4", "github": f"ghp_{CORE}",
    "github fine-grained": f"github_pat_11AB_{CORE}", "gitlab": f"glpat-{CORE}", "slack": f"xoxb-123-{CORE}", "aws": "AKIAB3DE6GH9JK2MN5PQ",
    "google": f"AIzaSy{CORE}{CORE}", "google oauth": f"ya29.{CORE}", "json web token": f"eyJhbGciOi.{CORE}.{CORE}", "sendgrid": f"SG.{CORE}.{CORE}",
    "pypi": f"pypi-{CORE}{CORE}", "vault": f"hvs.{CORE}", "bearer": f"Bearer {CORE}", "authorization": f"Authorization: Basic {CORE}",
    "password in an address": f"https://me:{CORE}@example.org/v1", "token in an address": f"https://{CORE}@example.org/x.git",
    "parameter": f"https://example.org/v1?api_key={CORE}&n=1", "assignment": f"DB_API_KEY={CORE}", "json": json.dumps({"api_key": CORE}),
    "account": f"me:{CORE}@example.org", "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{CORE}\n-----END RSA PRIVATE KEY-----",
}  # fmt: skip
HARMLESS = [
    "nothing here, sky is blue", "hf_hub_download and hf_transfer", "sk-learn", "pad_token: <|endoftext|>", "12 tokens trained", "key: value",
    "training.learning_rate: 2e-4", "https://example.org/a@b", "see mail@example.org", "bearer of news", "step 12/54 loss 4.315", "data.split_key",
]  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("around", ["{}", "wrong key {} here", '{{"error": "{}"}}', "a={},b", "({})"])
def test_every_shape_is_found_in_any_context(name: str, around: str) -> None:
    found = redact(around.format(SHAPES[name]))
    assert CORE not in found and "a1B2c3D4" not in found and "JK2MN5PQ" not in found
    assert MASK in found


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "name",
    ["X_KEY", "MY_API_KEY", "APIKEY", "HF_TOKEN", "CLIENT_SECRET", "DB_PASSWD", "DB_PASSWORD", "DB_PASS", "DB_PWD", "GH_PAT", "SENTRY_DSN"],
)
def test_values_of_variables_are_found_by_their_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = 'plain "value" of/mine'
    monkeypatch.setenv(name, value)
    for text in (f"it is {value}.", json.dumps({"said": value}), "q=plain%20%22value%22%20of%2Fmine"):
        assert MASK in redact(text) and "value" not in redact(text)


def test_paths_and_short_values_of_variables_stay(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("SHORT_TOKEN", "is")
    monkeypatch.setenv("SSH_KEY", str(tmp_path))
    assert redact(f"this is {tmp_path}") == f"this is {tmp_path}"


def test_given_keys_are_found() -> None:
    assert redact("my own key is k9-very-own", ["k9-very-own", "sky", ""]) == f"my own key is {MASK}"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60) | st.sampled_from(sorted(SHAPES.values()))))
def test_redacted_json_stays_json(values: dict[str, str]) -> None:
    json.loads(redact(json.dumps(values)))
    json.loads(redact(json.dumps(values, ensure_ascii=False)))


def test_an_error_holds_no_secret() -> None:
    assert str(UserError(f"cannot reach https://me:{CORE}@example.org", hint=f"export X_TOKEN={CORE}")) == (
        f"cannot reach https://{MASK}@example.org\n    hint: export X_TOKEN={MASK}"
    )
