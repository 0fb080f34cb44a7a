"""A model on its way to the Hugging Face hub: everything that is checked before a byte is sent, then one commit.

The token is the hub client's own business (HF_TOKEN, or `hf auth login`): it is read by that, and stands in nothing that is printed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...converters.building.hub_client import limit_hub_client
from ...schemas import VERSION
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.redact import redact
from ..runtime.run_files import MERGE_RESULT
from ..runtime.seals import SEAL

CARD, ADAPTER = "README.md", "adapter_config.json"
WEIGHTS = ".safetensors"
# Formats whose loading runs what stands in them.
UNSAFE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras", ".msgpack", ".py")
_HEADER_BYTES = 1 << 20  # of weights: where their metadata stands


class Upload(NamedTuple):
    """A file as it is sent: `content` is what is sent in the place of the file's own bytes, None for those; `note` says why."""

    path: str
    size: int
    source: Path
    content: bytes | None = None
    note: str = ""


def outgoing(folder: Path, base: str | None) -> list[Upload]:
    """The files of a model folder as they are sent. `base` is the hub's name of the base model, where it has one.

    Raises UserError with everything that must not be sent, or that is missing.
    """
    left_out = (MERGE_RESULT.name, SEAL)
    paths = (path for path in sorted(folder.rglob("*")) if (path.is_file() or path.is_symlink()) and path.name not in left_out)
    files = [_file(folder, path, base) for path in paths]
    names = {file.path for file in files}
    problems = [Problem(Location(str(file.source)), *wrong, "not-pushed") for file in files if (wrong := _fault(file))]
    if CARD not in names:
        problems.append(Problem(Location(str(folder / CARD)), "there is no model card", "recipe eval writes it again", "not-pushed"))
    if not any(name.endswith(WEIGHTS) for name in names):
        problems.append(Problem(Location(str(folder)), "has no weights in safetensors", rule="not-pushed"))
    if ADAPTER in names and base is None:
        what = "names a base model by a folder of this machine, where nobody else finds it"
        problems.append(Problem(Location(str(folder / ADAPTER)), what, "recipe merge RUN, then push with --merged", "not-pushed"))
    if problems:
        raise UserError(*problems)
    return files


def send(files: Sequence[Upload], repo: str, private: bool, message: str) -> str:
    """Make the repository where there is none, and commit the files to it; return the commit's address.

    Raises UserError where the hub says no, and where a repository is there already that more, or fewer, people see than was asked for.
    """
    import httpx
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HFValidationError

    limit_hub_client()
    api = HfApi(library_name="recipekit", library_version=VERSION)
    operations = [CommitOperationAdd(file.path, file.content if file.content is not None else file.source) for file in files]
    try:
        repo = api.create_repo(repo, private=private, exist_ok=True).repo_id  # with its owner
        found = api.model_info(repo)
        if bool(found.private) != private:
            seen, option = ("private", "--private") if found.private else ("public", "--public")
            hint = f"push with {option}, or change it in the repository's settings"
            raise UserError(Problem(Location(repo), f"is there already, and is {seen}: nothing was uploaded", hint, "not-pushed"))
        _refuse_other_weights(repo, [sibling.rfilename for sibling in found.siblings or ()], files)
        return str(api.create_commit(repo, operations, commit_message=message).commit_url)
    except HFValidationError as error:
        raise UserError(Problem(Location(repo), f"is no repository's name: {error}", "for example you/model", "not-pushed")) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise UserError(Problem(Location(repo), *_said(error), "not-pushed")) from None


def require_token() -> None:
    """Raise UserError where the hub's client knows no token."""
    from huggingface_hub import get_token

    if not get_token():
        raise UserError("the hub takes nothing without a token", hint="`hf auth login`, or the variable HF_TOKEN")


def _file(folder: Path, path: Path, base: str | None) -> Upload:
    """The file; an adapter's configuration with the base model by its name on the hub, where it stands there by a folder of ours."""
    name = path.relative_to(folder).as_posix()
    if name != ADAPTER or base is None:
        return Upload(name, path.lstat().st_size, path)
    values = orjson.loads(path.read_bytes())
    if values.get("base_model_name_or_path") == base:
        return Upload(name, path.lstat().st_size, path)
    content = orjson.dumps({**values, "base_model_name_or_path": base}, option=orjson.OPT_INDENT_2) + b"\n"
    return Upload(name, len(content), path, content, f"base model: {base}")


def _fault(file: Upload) -> tuple[str, str] | None:
    """What is wrong with sending the file, and what to do."""
    if file.source.is_symlink():
        return "is a link: what it points to would be sent", "put the file itself there"
    if file.source.suffix in UNSAFE:
        return "may run code when it is loaded", "weights are sent as safetensors alone; take it away"
    with file.source.open("rb") as stream:
        head = stream.read(_HEADER_BYTES if file.source.suffix == WEIGHTS else -1) if file.content is None else file.content
    text = head.decode("utf-8", "replace")
    if redact(text) != text:
        return "holds what looks like a secret", "take it out: what was pushed once cannot be called back"
    return None


def _refuse_other_weights(repo: str, there: Sequence[str], files: Sequence[Upload]) -> None:
    """Raise UserError where weights of another model would stay beside these, and be loaded with them, or in their place."""
    ours = {file.path for file in files}
    if stale := sorted(name for name in there if name.endswith((WEIGHTS, ".bin")) and name not in ours):
        what = f"has weights that would stay beside these: {', '.join(stale[:5])}"
        raise UserError(Problem(Location(repo), what, "delete them there, or push to another repository", "not-pushed"))


def _said(error: Any) -> tuple[str, str]:
    """What the hub answered, and what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = redact(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
    if status in (401, 403):
        return f"the hub does not let you write there ({status})", "a token with write access, and a name that is yours: `hf auth login`"
    if status:
        return f"the hub answered {status}: {said}", "see https://status.huggingface.co, then try again: nothing is sent twice"
    return f"the hub cannot be reached: {said}", "check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
