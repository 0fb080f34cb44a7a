"""Fetch the small files of a model on the Hugging Face Hub, or explain in one line why the model is unavailable."""

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from ...converters.building.hub_client import hub_reply, is_invalid_reply, limit_hub_client, names_of_files
from ...converters.building.time_limit import with_timeout
from ...schemas.base.errors import Problem, UserError, first_line
from ...schemas.base.redact import redact
from ...schemas.base.suggestion import nearest
from ...schemas.model_rules import EMBEDDED
from .folder_check import check_model_folder, check_weight_names
from .known_config import public_models

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

SMALL_FILES = ("config.json", "tokenizer*", "special_tokens_map.json", "vocab.json", "merges.txt", "*.model", "chat_template*")
UNKNOWN = "check the name (a private model needs: hf auth login)"
SECONDS = 10  # for the first answer; without a limit, a hub that accepts the connection but stays silent would block forever
WHOLE_SECONDS = 300  # for the small files of a model


def require_weights(name: str, revision: str | None) -> None:
    """Raise UserError if the model's weights are neither cached nor on the hub, or are pickles there.

    Fetches only the small files.
    """
    if cached_weights(name, revision) is None:
        small_files(name, revision, with_weights=True)


def small_files(name: str, revision: str | None, *, with_weights: bool = False) -> Path:
    """Fetch a model's configuration and tokenizer, without weights, into the hub's cache; return their folder.

    Raises UserError, with what to do, if there is no such model, if it is gated, or if the hub cannot be reached; and `with_weights`, if
    its weights are pickles.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        limit_hub_client()
        names = hub_reply(lambda: names_of_files(HfApi().model_info(name, revision=revision, timeout=SECONDS)))
        if with_weights:
            check_weight_names(name, [path for path in names if "/" not in path])
        folder = with_timeout(WHOLE_SECONDS, lambda: hub_reply(lambda: _download(name, revision, names)))
    except (httpx.HTTPError, OSError, OfflineModeIsEnabled, ValueError) as error:
        # LocalEntryNotFoundError hides the real reason why a file could not be fetched.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
        refused = _refusal(name, revision, cause)
        cached = None if refused.problems[0].rule == "no-revision" else _cached(name, revision)
        if cached is None or not _is_whole(cached):
            raise refused from None
        folder = cached
    if folder is None or not _is_whole(folder):
        what = "is incomplete in the hub's cache: the configuration or the tokenizer is missing"
        raise UserError(Problem(name, what, f"connect to the hub once, {_instead(name)}", "no-model"))
    check_model_folder(folder)
    return folder


def _download(name: str, revision: str | None, names: list[str]) -> Path | None:
    """Fetch the small ones of the files into the hub's cache, and return their folder.

    One after the other: the threads of snapshot_download would keep the command from ending after a timeout.
    """
    from huggingface_hub import hf_hub_download

    folder = None
    for path in (path for path in names if any(fnmatch(path, pattern) for pattern in SMALL_FILES)):
        found = Path(hf_hub_download(name, path, revision=revision, etag_timeout=SECONDS))
        folder = folder or found.parents[path.count("/")]
    return folder


def _is_whole(folder: Path) -> bool:
    """Return whether the folder has a configuration and a tokenizer."""
    return (folder / "config.json").is_file() and any(folder.glob("token*"))


def cached_weights(name: str, revision: str | None) -> Path | None:
    """Return the model's folder in the hub's cache if it has the weights; None if they must be fetched."""
    folder = _cached(name, revision)
    return folder if folder and (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) else None


def _cached(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None


def _refusal(name: str, revision: str | None, error: BaseException) -> UserError:
    """Return an error that says in one line why the hub did not provide the model, and what to do."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    rule, login = "no-model", "hf auth login"
    if isinstance(error, GatedRepoError):
        what = "is gated on the hub: accept its licence first"
        then = "with the account of your token" if get_token() else f"and log in: {login}"
        hint = f"accept it at https://huggingface.co/{name} {then}"
    elif isinstance(error, RevisionNotFoundError):
        what, hint, rule = f"has no revision {revision} on the hub", "check model.revision", "no-revision"
    elif isinstance(error, RepositoryNotFoundError):
        what, hint = "no such model on the hub, or it is private", _near(name, UNKNOWN)
    elif isinstance(error, HfHubHTTPError) and error.response is not None:
        what, hint = _answer(error), "try again later"
        if error.response.status_code in (401, 403):
            hint = f"check your token: {login}, or unset HF_TOKEN"
    elif isinstance(error, HFValidationError):
        what, hint = "not a valid model name", "write it as OWNER/NAME"
    elif is_invalid_reply(error):
        what, hint = f"{_endpoint()} did not answer like a hub: {first_line(error)[:200]}", f"check HF_ENDPOINT and {_network()}"
    else:
        what = f"the hub cannot be reached ({_endpoint()}), and the model is not in its cache"
        hint = f"check {_network()}" if name in public_models() else _near(name, f"check {_network()}")
    return UserError(Problem(name, what, f"{hint}, {_instead(name)}", rule))


def _answer(error: "HfHubHTTPError") -> str:
    """Return `the hub answered 503 Service Unavailable`, with the hub's message if it sent one."""
    message = redact(error.server_message or "").strip().splitlines()  # before it is cut
    return f"the hub answered {error.response.status_code} {error.response.reason_phrase}" + (f": {message[0][:200]}" if message else "")


def _network() -> str:
    """Return what stands between this machine and the hub: the network, and the variables that name a proxy."""
    proxies = [
        name for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)
    ]
    return " and ".join(["the network", *proxies[:1]])


def _endpoint() -> str:
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else constants.ENDPOINT


def _instead(name: str) -> str:
    """Return what can be done without this model."""
    smoke = "; recipe run --smoke needs no hub" if name in public_models() else ""
    return f"or set model.base_model to a folder or {EMBEDDED}{smoke}"


def _near(name: str, otherwise: str) -> str:
    near = nearest(name, public_models(), cutoff=0.8)
    return f"did you mean {near}? Otherwise {otherwise}" if near else otherwise
