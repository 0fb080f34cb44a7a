"""A model on the Hugging Face hub: its small files, and in one line why it cannot be had."""

import difflib
from pathlib import Path

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.model_rules import EMBEDDED
from .folder_check import check_model_folder
from .size import public_models

SMALL_FILES = ("config.json", "tokenizer*", "special_tokens_map.json", "vocab.json", "merges.txt", "*.model", "chat_template*")
_SECONDS = 10
_WITHOUT_HUB = f"name a model folder, or base_model: {EMBEDDED}; recipe run --smoke needs no hub for the models that it knows"


def small_files(name: str, revision: str | None = None) -> Path:
    """Fetch a model's configuration and tokenizer, without weights, into the hub's cache; return their folder.

    Raises UserError, one line and the way on, where there is no such model, where it is gated, or where the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )  # fmt: skip

    def refuse(what: str, hint: str) -> UserError:
        return UserError(Problem(Location(name), what, hint, "no-model"))

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(SMALL_FILES), etag_timeout=_SECONDS))
    except GatedRepoError:
        raise refuse("is gated on the hub", f"accept its licence at https://huggingface.co/{name}, then: hf auth login") from None
    except RevisionNotFoundError:
        raise refuse(f"has no revision {revision} on the hub", "check model.revision") from None
    except RepositoryNotFoundError:
        raise refuse("no such model on the hub, or a private one", _near(name)) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise refuse("the hub cannot be reached, and the model is not in its cache", _WITHOUT_HUB) from None
    except (HfHubHTTPError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
        raise refuse(f"the hub's answer: {reason}", "check the name and the network") from None
    if not (folder / "config.json").is_file() or not any(folder.glob("token*")):
        raise refuse("is incomplete in the hub's cache: no configuration or no tokenizer", "connect to the hub once") from None
    check_model_folder(folder)
    return folder


def cached_weights(name: str, revision: str | None = None) -> Path | None:
    """The model's folder in the hub's cache, where its weights are there; None where they must be fetched."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None
    return folder if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) else None


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, public_models(), n=1, cutoff=0.8)
    return f"did you mean {near[0]}?" if near else "check the name; a private model needs: hf auth login"
