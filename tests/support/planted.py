"""Secrets to plant: every shape and every kind of name that the redaction knows, each with a core of its own that is searched for."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

CORE = "aB3dE6gH9jK2mN5p"  # the part that must not be found


def shapes(core: str = CORE) -> dict[str, str]:
    """Name -> a secret of that shape around the core."""
    upper = core.upper()
    return {
        "openai": f"sk-{core}", "openai project": f"sk-proj-{core}", "anthropic": f"sk-ant-api03-{core}", "langfuse": f"pk-lf-{core}",
        "stripe": f"sk_live_{core}", "groq": f"gsk_{core}", "hub": f"hf_{core}", "replicate": f"r8_{core}", "npm": f"npm_{core}",
        "github": f"ghp_{core}", "github fine-grained": f"github_pat_11AB_{core}", "gitlab": f"glpat-{core}", "docker": f"dckr_pat_{core}",
        "slack": f"xoxb-123-{core}", "slack app": f"xapp-1-{core}", "aws": f"AKIA{upper}", "google": f"AIzaSy{core}{core}",
        "google oauth": f"ya29.{core}", "json web token": f"eyJhbGciOi.{core}.{core}", "sendgrid": f"SG.{core}.{core}",
        "pypi": f"pypi-{core}{core}", "vault": f"hvs.{core}", "nvidia": f"nvapi-{core}", "xai": f"xai-{core}", "perplexity": f"pplx-{core}",
        "bearer": f"Bearer {core}", "authorization": f"Authorization: Basic {core}",
        "password in an address": f"https://me:{core}@example.org/v1", "token in an address": f"https://{core}@example.org/x.git",
        "parameter": f"https://example.org/v1?api_key={core}&n=1", "assignment": f"DB_API_KEY={core}", "json": json.dumps({"api_key": core}),
        "account": f"me:{core}@example.org", "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{core}\n-----END RSA PRIVATE KEY-----",
    }  # fmt: skip


VARIABLES = (
    "X_KEY",
    "MY_API_KEY",
    "APIKEY",
    "HF_TOKEN",
    "CLIENT_SECRET",
    "DB_PASSWD",
    "DB_PASSWORD",
    "DB_PASS",
    "DB_PWD",
    "GH_PAT",
    "SENTRY_DSN",
)


def own_core(name: str) -> str:
    """A core that no other name has, with letters of both cases and digits."""
    return "Zq7" + sha256(name.encode()).hexdigest()[:13]


PLANTED = {name: shapes(own_core(name))[name] for name in shapes()}
ENVIRONMENT = {name: f"plain words of {own_core(name)}" for name in VARIABLES}
# Settings of other tools, which hold a password.
ELSEWHERE = dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "DATABASE_URL"), PLANTED["password in an address"])


def make_repository(folder: Path) -> None:
    """Make the folder a git repository with a token in the address of its remote, and with a key in a change that is not committed."""
    (folder / "settings.py").write_text("KEY = None\n")
    for arguments in (
        ("init", "-q"), ("add", "settings.py"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "begin"),
        ("remote", "add", "origin", PLANTED["token in an address"]),
    ):  # fmt: skip
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    (folder / "settings.py").write_text(f"KEY = '{PLANTED['aws']}'\n")


def leaks(
    texts: Iterable[str | bytes], folders: Iterable[Path] = (), planted: Iterable[str] = (*PLANTED, *ENVIRONMENT)
) -> Mapping[str, str]:
    """Planted secrets that stand in the texts or in any byte of any file (its name too) below the folders: name -> where."""
    cores = {name: own_core(name).lower().encode() for name in planted}
    places = [(f"text {number}", text.encode() if isinstance(text, str) else text) for number, text in enumerate(texts)]
    for folder in folders:
        places += [(str(path), os.fsencode(path) + path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return {name: place for place, content in places for name, core in cores.items() if core in content.lower()}
