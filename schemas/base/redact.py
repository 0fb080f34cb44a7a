"""Replace secrets in every text before it is written or shown: what looks like a secret, and values of variables named like one.

The shapes and names are defined here only. The user's own data is not touched: it is trained as it is.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

MASK = "[redacted]"
_SHORTEST = 6

# Variable names: a part between underscores, or one of these words anywhere. TOKENIZER is no token, and the place of a key is no key.
_SECRET_NAME = re.compile(
    r"(?:(?:^|_)(?:API_?)?(?:KEYS?|PASS|PASSPHRASE|PAT|CREDENTIALS?|DSN)(?:_|\d|$)|._PWD$|APIKEY|TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD"
    r"|CONNECTION_STRING).*(?<!_PATH)(?<!_FILE)(?<!_DIR)$",
    re.IGNORECASE,
)
# What clients are given as the key of a server that asks for none.
_NO_KEYS = frozenset(("ollama", "lm-studio", "not-needed", "no-key-required", "dummy-key", "placeholder"))
# A key (`training.lora_r` too), an event or a state of a JSON file: no secret there, even if a password is the same word.
_WORD = re.compile(r"[a-z][a-z_]*(?:\.[a-z0-9_]+)*")

# After these a name is no secret: `sk-learn-2024`, `pk-qwen2-7b-instruct`.
_PART = r"(?:[A-Z]?[a-z]{1,15}\d{0,4}|\d{1,4}[a-z]{0,4})"
_NO_NAME = rf"(?!(?:{_PART}[_-]){{0,8}}{_PART}(?![\w-]))"
_ISSUED = "|".join((
    rf"(?:sk|pk|rk)[-_]{_NO_NAME}(?=[\w-]{{0,128}}[0-9A-Z]|[a-z]{{20}})[\w-]{{8,512}}",  # OpenAI, Anthropic, Stripe, Langfuse
    rf"(?:hf|api_org|gsk|r8|npm)_{_NO_NAME}(?=[a-z]{{0,64}}[0-9A-Z]|[a-z]{{20}})[A-Za-z0-9]{{8,512}}",  # Hugging Face, Groq, Replicate, npm
    rf"gh[oprsu]_{_NO_NAME}[A-Za-z0-9]{{8,512}}", r"(?:github|dckr)_pat_[\w-]{8,512}", r"glpat-[\w-]{8,512}",
    r"xox[abeoprs]-[A-Za-z0-9-]{8,512}", r"xapp-[A-Za-z0-9-]{8,512}", r"(?:AKIA|ASIA)(?=[A-Z]{0,16}\d)[A-Z0-9]{12,64}",
    r"AIza[\w-]{20,512}", r"ya29\.[\w-]{8,2048}", r"eyJ[\w-]{4,2048}\.[\w-]{8,2048}(?:\.[\w-]{0,2048})?",  # Google, a JSON web token
    rf"SG\.{_NO_NAME}[\w-]{{8,128}}\.[\w-]{{8,128}}", rf"pypi-{_NO_NAME}[\w-]{{16,512}}", r"dop_v1_[0-9a-f]{16,512}",
    r"hvs\.[\w-]{8,512}", rf"(?:nvapi|xai|pplx)-{_NO_NAME}[\w-]{{16,512}}",  # NVIDIA, xAI, Perplexity
))  # fmt: skip
# Where a word begins, also after an escaped line end, quote or colour (`\nsk-`, `\u0022sk-`, `\x1b[31msk-`, `%3Dsk-`).
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\x[0-9A-Fa-f]{2})|(?<=%[0-9A-Fa-f]{2})|(?<=[0-9\[]m))"
# A whole secret. Repetitions are bounded to keep the time linear.
_WHOLE = re.compile(
    rf"(?=[sprhagndxAyeS]){_START}(?:{_ISSUED})"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|\Z)"
    r"|(?:(?<=://)|(?<=http:/)|(?<=https:/))(?!git@)[^/\s@\"'\\]{1,512}(?=@)"  # user:password@ and token@ in an address or its path
    r"|(?<![\w/.:])(?!(?:mailto|e?mail|hf|run):)[\w.+-]{1,64}:[^\s:@/\"'\\]{1,128}(?=@(?!sha256:)[\w-])",
    re.DOTALL,
)
# A secret after a prefix that stays readable.
_GIVEN = r"(?:\\{0,16}[\"'])?\s{0,3}[:=]\s{0,3}(?:\\{0,16}[\"'])?"  # `: ` or `=`, also within JSON and JSON within JSON
_VALUE = r"(?!\[redacted)[^\s\"',;}&\]\\]{6,4096}"
_AFTER = re.compile(
    r"(bearer\s{1,8})(?=[\w.~+/:=-]{0,4096}\d|[\w.~+/:=-]{16})[\w.~+/:=-]{6,4096}"
    rf"|(authorization{_GIVEN}(?:\w{{1,20}}\s{{1,3}})?)(?!\w{{1,20}}\s{{1,3}}\[redacted)[\w.~+/:=-]{{3,4096}}"
    r"|([?&;](?:[\w-]{0,32}(?:key|token|secret|password|passwd|signature|credential)|sig|auth|pat)=)[^\s&#\"'\\]{1,4096}"
    r"|(\b(?:\w{0,64}(?:api[_-]?key|secret_?key|access_?key|account_?key|client_secret|password|passwd)|[a-z0-9_]{0,64}_(?:secret|pat))"
    rf"{_GIVEN}){_VALUE}"
    rf"|((?-i:(?<![A-Z0-9_])[A-Z][A-Z0-9_]{{0,64}}(?:API_?KEY|_KEY|TOKEN|SECRET|_PAT)){_GIVEN})(?!<){_VALUE}",  # <|end|> is a token of text
    re.IGNORECASE,
)
# Every shape contains one of these.
_HINTS = ("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "hf_", "api_org", "r8_", "npm_", "gh", "pat_", "glpat", "xox", "xapp", "akia", "asia",
          "aiza", "ya29", "eyj", "sg.", "pypi", "dop_", "hvs.", "nvapi", "xai-", "pplx", "private key", "@", "bearer",
          "authorization", "key", "token", "secret", "passw", "sig", "credential", "auth", "pat")  # fmt: skip


def redact(text: str, keys: Iterable[str] = ()) -> str:
    """Return the text with a mask for the keys, for every secret in the environment, and for what looks like one."""
    return _masked(text, spans(text, keys))


def _masked(text: str, found: Iterable[tuple[int, int]]) -> str:
    parts, kept = [], 0
    for start, end in _joined(found):
        parts += [text[kept:start], MASK]
        kept = end
    return "".join([*parts, text[kept:]])


def redacted_json(text: str, exact: Iterable[str] = ()) -> str:
    """Return a JSON object with every text redacted, except in the values of the keys `exact`, at any depth.

    Numbers and structure are kept: a mask in the JSON itself would break it if a secret is a number.
    """
    if redact(text) == text:
        return text
    return json.dumps(_redacted(json.loads(text), frozenset(exact)), ensure_ascii=False, indent=2 if "\n" in text else None)


def _redacted(value: Any, exact: frozenset[str], key: str = "") -> Any:
    """Return the value with every text redacted. A text is read together with its key, such as `password`."""
    if isinstance(value, dict):
        return {_redacted(name, exact): one if name in exact else _redacted(one, exact, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_redacted(one, exact) for one in value]
    if not isinstance(value, str):
        return value
    head, find = f"{key}: ", _shaped if _WORD.fullmatch(value) else spans
    shown = _masked(head + value, find(head + value))
    return shown.removeprefix(head) if shown.startswith(head) else _masked(value, find(value))


def spans(text: str, keys: Iterable[str] = ()) -> Iterator[tuple[int, int]]:
    """Yield the start and end of every secret in a text."""
    for value in {*_variants(keys), *environment_secrets()}:
        start = text.find(value)
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + len(value))
    yield from _shaped(text)


def _shaped(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of everything that looks like a secret."""
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        yield from (match.span() for match in _WHOLE.finditer(text))
        for match in _AFTER.finditer(text):
            yield match.end(match.lastindex or 0), match.end()


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name holds a secret."""
    return bool(_SECRET_NAME.search(name))


def environment_secrets() -> frozenset[str]:
    """Return the values of environment variables named like a secret, and secrets by shape in any other, except paths of files.

    The latter are then found wherever they stand. Two processes that share a pipe can write a secret right after a letter,
    where its shape alone does not show.
    """
    return _secrets_of(tuple(os.environ.items()))


@lru_cache(maxsize=8)
def _secrets_of(environment: tuple[tuple[str, str], ...]) -> frozenset[str]:
    values = {value for name, value in environment if is_secret_name(name) and len(value) >= _SHORTEST and not _is_setting(name, value)}
    for name, value in environment:
        if not is_secret_name(name):
            values.update(filter(_looks_random, (value[start:end] for start, end in _shaped(value))))
    return frozenset(_variants(value for value in values if not os.path.exists(value)))


def _is_setting(name: str, value: str) -> bool:
    """Return whether the value is a number of tokens, or stands for a key where none is needed: it would be masked in every text."""
    return value.lower() in _NO_KEYS or (name.upper().endswith("TOKENS") and value.isdecimal())


def _looks_random(text: str) -> bool:
    """Return whether a text is unlikely to be a word: what follows `password:` may be one, and it would be masked in every log."""
    return len(text) >= 10 and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _variants(values: Iterable[str]) -> Iterator[str]:
    """Yield the forms in which a value may be written: by line, in JSON, in a URL."""
    for value in values:
        for line in {value, *value.splitlines()}:
            if len(line.strip()) >= _SHORTEST:
                yield from {line, json.dumps(line)[1:-1], quote(line, safe="")}


def _joined(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans sorted, with overlapping or touching ones merged."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
