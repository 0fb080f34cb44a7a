"""A model on the Hugging Face hub: its small files, and in one line why it cannot be had."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.model_rules import EMBEDDED
from .folder_check import check_model_folder, check_weight_names
from .size import public_models

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

SMALL_FILES = ("config.json", "tokenizer*", "special_tokens_map.json", "vocab.json", "merges.txt", "*.model", "chat_template*")
SECONDS = 10  # for an answer; without a limit a hub that accepts the connection and is silent blocks for ever


def require_weights(name: str, revision: str | None = None) -> None:
    """Raise UserError where the model's weights are neither in the hub's cache nor on the hub, or where they are pickles there.

    Fetches only the small files.
    """
    if cached_weights(name, revision) is None:
        small_files(name, revision, with_weights=True)


def small_files(name: str, revision: str | None = None, *, with_weights: bool = False) -> Path:
    """Fetch a model's configuration and tokenizer, without weights, into the hub's cache; return their folder.

    Raises UserError, one line and what to do, where there is no such model, where it is gated, or where the hub cannot be reached; and
    where its weights are pickles, if it is to be loaded `with_weights`.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        facts = HfApi().model_info(name, revision=revision, timeout=SECONDS)
        if with_weights:
            check_weight_names(name, [file.rfilename for file in facts.siblings or () if "/" not in file.rfilename])
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(SMALL_FILES), etag_timeout=SECONDS))
    except (HfHubHTTPError, OSError, OfflineModeIsEnabled, ValueError, *_transport_errors()) as error:
        # LocalEntryNotFoundError stands for whatever kept a file from being fetched.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
        refused = _refusal(name, revision, cause)
        cached = None if refused.problems[0].rule == "no-revision" else _cached(name, revision)
        if cached is None:
            raise refused from None
        folder = cached
    if not (folder / "config.json").is_file() or not any(folder.glob("token*")):
        what, hint = "is incomplete in the hub's cache: no configuration or no tokenizer", f"connect to the hub once, {_instead(name)}"
        raise UserError(Problem(Location(name), what, hint, "no-model"))
    check_model_folder(folder)
    return folder


def cached_weights(name: str, revision: str | None = None) -> Path | None:
    """The model's folder in the hub's cache, where its weights are there; None where they must be fetched."""
    folder = _cached(name, revision)
    return folder if folder and (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) else None


def _cached(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None


def _transport_errors() -> tuple[type[Exception], ...]:
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL)


def _refusal(name: str, revision: str | None, error: BaseException) -> UserError:
    """Say in one line why the hub did not give the model, and what to do."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    rule, login = "no-model", "hf auth login"
    if isinstance(error, GatedRepoError):
        what = "is gated on the hub: its licence must be accepted first"
        then = "with the account of your token" if get_token() else f"and log in: {login}"
        hint = f"accept it at https://huggingface.co/{name} {then}"
    elif isinstance(error, RevisionNotFoundError):
        what, hint, rule = f"has no revision {revision} on the hub", "check model.revision", "no-revision"
    elif isinstance(error, RepositoryNotFoundError):
        what, hint = "no such model on the hub, or a private one", _near(name)
    elif isinstance(error, HfHubHTTPError) and error.response is not None:
        what, hint = _answer(error), "try again later"
        if error.response.status_code in (401, 403):
            hint = f"check your token: {login}, or unset HF_TOKEN"
    elif isinstance(error, HFValidationError):
        what, hint = "is not a model's name on the hub", "write it as OWNER/NAME"
    elif isinstance(error, ValueError):
        what, hint = f"what {_endpoint()} answered is not a hub's answer", "check HF_ENDPOINT and the network"
    else:
        what, hint = f"the hub cannot be reached ({_endpoint()}), and the model is not in its cache", "check the network"
    return UserError(Problem(Location(name), what, f"{hint}, {_instead(name)}", rule))


def _answer(error: "HfHubHTTPError") -> str:
    """`the hub answered 503 Service Unavailable`, with its own message where it sent one."""
    said = (error.server_message or "").strip().splitlines()
    return f"the hub answered {error.response.status_code} {error.response.reason_phrase}" + (f": {said[0][:200]}" if said else "")


def _endpoint() -> str:
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else constants.ENDPOINT


def _instead(name: str) -> str:
    """What can be done without this model."""
    smoke = "; recipe run --smoke needs no hub" if name in public_models() else ""
    return f"or set model.base_model to a folder or {EMBEDDED}{smoke}"


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, public_models(), n=1, cutoff=0.8)
    return f"did you mean {near[0]}?" if near else "check the name (a private model needs: hf auth login)"
