"""Secrets are replaced in every text: 34 shapes, values of variables, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.errors import UserError, first_line
from recipekit.schemas.base.redact import MASK, redact, redacted_json

from ...support.planted import CORE, VARIABLES, shapes

SHAPES = {**shapes(), "short": "sk-a1B2c3D4", "short hub": "hf_a1B2c3D4"}
HARMLESS = [
    "nothing here, sky is blue", "hf_hub_download and hf_transfer", "sk-learn", "pad_token: <|endoftext|>", "12 tokens trained", "key: value",
    "training.learning_rate: 2e-4", "https://example.org/a@b", "see mail@example.org", "bearer of news", "step 12/54 loss 4.315", "data.split_key",
    "sk-learn-contrib-2024", "sk-learn/iris-2024", "pk-qwen2-7b-instruct", "rk-llama3-8b-4bit", "sk-emotion-go28", "hf_dataset2024",
    "hf_llama3-instruct", "hf_transfer1", "npm_packages2024", "r8_resnet50", "gsk_dataset", "gsm8k", "ghs_conversations", "ASIAPACIFICREGION",
    "asia-emotion-dataset-v2", "pypi-package-descriptions-2024", "SG.Singapore.training.json", "xai-explanations-of-models",
    "nvapi-reference-dataset-2025", "pplx-embed-context-v1-0.6b", "python:3.12@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "hf:squad@main", "run:quickstart@best", "mailto:me@example.org", "git@github.com:owner/repo.git", "ssh://git@github.com/owner/repo.git",
    "user@host:/data/rows", "llama3:8b", "bearer tokens are required", 'Bearer realm="x"', "TURKEY: istanbul", "COMPAT: enabled", "MONKEY: 1234567",
    "PAD_TOKEN: <|endoftext|>", "EOS_TOKEN = '<|im_end|>'", "max_new_tokens=1024000", "format: parquet", "question_key: question",
    "keyring set recipekit OPENAI_API_KEY", "export OPENAI_API_KEY=..., or", "auth_key_fingerprint", "target_tokens: 1024200",
    "5f8a1c0e9b7d3f2a4c6e8d0b1a3c5e7f9a0b2c4d", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Qwen/Qwen2.5-0.5B-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
    "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "runs/quickstart/20261128-004031-3b9b4e", "checkpoint-500/optimizer.pt", "password reset",
    "hub/models--Qwen--Qwen2.5-0.5B/snapshots/060db6499f32faf8b98477b0a26969ef7d8b9987", "lora_target_modules: [q_proj, k_proj, v_proj]",
]  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("around", [
    "{}", "wrong key {} here", '{{"error": "{}"}}', "a={},b", "({})", r"line\n{}\n", r"\u0022{}\u0022", r"\x1b[31m{}\x1b[0m", "\x1b[1m{}\x1b[0m", "q%3D{}",
])  # fmt: skip
def test_every_shape_is_found_in_any_context(name: str, around: str) -> None:
    found = redact(around.format(SHAPES[name]))
    assert CORE not in found and CORE.upper() not in found and "a1B2c3D4" not in found
    assert MASK in found


@pytest.mark.parametrize("name", SHAPES)
def test_a_text_that_is_redacted_again_stays(name: str) -> None:
    """A message of a run is masked when the error is made, when the status is written, and when the status is shown."""
    once = redact(f"refused {SHAPES[name]} here")
    assert redact(once) == once and "]]" not in once


@pytest.mark.parametrize(
    ("text", "keys", "shown"),
    [
        ("canary one, canary one", ("canary one",), "[redacted], [redacted]"),
        ("a outer-inner-outer b", ("outer-inner-outer", "-inner-"), "a [redacted] b"),
        ("b second line a", ("first line\nsecond line",), "b [redacted] a"),
    ],
    ids=["each time that it is there", "one within another", "a line of several"],
)
def test_a_key_is_masked_as_a_whole_wherever_it_stands(text, keys, shown):
    assert redact(text, keys) == shown


@given(st.lists(st.sampled_from(sorted(SHAPES.values())) | st.text(max_size=5), max_size=4), st.integers(0, 3))
def test_text_that_was_quoted_again_and_again_holds_no_secret(parts: list[str], times: int) -> None:
    """An error is repeated within JSON, within a repr, within a log line."""
    text = " ".join(parts)
    for number in range(times):
        text = repr(text) if number % 2 else json.dumps(text)
    assert CORE not in redact(text) and CORE.upper() not in redact(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_unchanged(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", VARIABLES)
def test_values_of_variables_are_found_by_their_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = 'plain "value" of/mine'
    monkeypatch.setenv(name, value)
    for text in (f"it is {value}.", json.dumps({"said": value}), "q=plain%20%22value%22%20of%2Fmine"):
        assert MASK in redact(text) and "value" not in redact(text)


def test_paths_and_short_values_of_variables_stay(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("SHORT_TOKEN", "is")
    monkeypatch.setenv("SSH_KEY", str(tmp_path))
    assert redact(f"this is {tmp_path}") == f"this is {tmp_path}"


SETTINGS = {
    "MAX_TOKENS": "1000000", "TOKENIZER_NAME": "Qwen/Qwen2.5-0.5B", "TOKENIZERS_PARALLELISM": "enabled", "HF_TOKEN_PATH": "/root/no/token",
    "DB_PASSWORD_FILE": "/run/no/secret", "KEY_DIR": "/etc/no/keys", "OPENAI_API_KEY": "ollama", "LOCAL_API_KEY": "not-needed",
}  # fmt: skip


def test_a_setting_in_the_environment_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's name, a number of tokens, or what stands for a key where none is needed would be masked wherever it stands."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    text = " ".join(SETTINGS.values())
    assert redact(text) == text


@pytest.mark.parametrize("name", SHAPES)
def test_a_secret_in_the_environment_is_found_right_after_a_letter(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Processes that share a pipe write into each other's words."""
    monkeypatch.setenv("SETTINGS", json.dumps({"all": SHAPES[name]}))
    monkeypatch.setenv("LINES", SHAPES[name])
    found = redact(f"Saving the datas{SHAPES[name]}et")
    assert CORE not in found and CORE.upper() not in found and "a1B2c3D4" not in found and MASK in found


def test_a_word_after_password_in_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGE", "password: instructions follow")
    assert redact("the instructions follow") == "the instructions follow"


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


def test_a_secret_that_is_a_number_does_not_break_json(monkeypatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "123456")
    values = {"loss": 0.123456, "tokens": [1234567], "said": "it is 123456", "a 123456": None}
    expected = {"loss": 0.123456, "tokens": [1234567], "said": f"it is {MASK}", f"a {MASK}": None}
    assert json.loads(redacted_json(json.dumps(values))) == expected


def test_a_text_is_redacted_with_its_key_and_exact_values_are_kept() -> None:
    values = {"login": {"user": "me", "password": "hunter22"}, "path": "/data/token=abcdef123", "url": "https://x.org/?token=abcdef123"}
    shown = json.loads(redacted_json(json.dumps(values), ["path"]))
    assert shown["login"] == {"user": "me", "password": MASK}
    assert shown["path"] == values["path"] and "abcdef123" not in shown["url"]


def test_exact_values_are_kept_at_any_depth(monkeypatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter22")
    values = {"train": {"labels": {"hunter22": 3, "password: forgotten": 2}}, "label": ["it is hunter22", {"labels": ["hunter22"]}]}
    kept = {**values, "label": [f"it is {MASK}", {"labels": ["hunter22"]}]}
    assert json.loads(redacted_json(json.dumps(values), ["labels"])) == kept


@pytest.mark.parametrize("word", ["running", "reason", "predict", "models", "bleu_score"])
def test_a_password_that_is_a_word_of_the_format_does_not_damage_a_file(monkeypatch, word) -> None:
    """Whoever has DB_PASSWORD=running cannot read a run whose state is masked. In a sentence, and as the password, the word is masked."""
    monkeypatch.setenv("DB_PASSWORD", word)
    values = {
        "state": word,
        word: [word, {word: 1}],
        f"data.0.{word}": word,
        f"{word}.lora_r": "x",
        "said": f"it is {word}",
        "password": word,
    }
    expected = {**values, "said": f"it is {MASK}", "password": MASK}
    assert json.loads(redacted_json(json.dumps(values))) == expected


def test_the_first_line_of_an_error_can_be_cut(monkeypatch) -> None:
    """A part of a password would not be found any more."""
    monkeypatch.setenv("DB_PASSWORD", "correct horse battery")
    assert first_line(ValueError("refused correct horse battery"))[:20] == f"refused {MASK}"
    assert first_line(ValueError("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----")) == MASK
