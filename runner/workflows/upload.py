"""Upload a model to the Hugging Face Hub: check everything before sending a byte, then make one commit.

Only the hub's client reads the token (HF_TOKEN, or `hf auth login`); it is never printed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...converters.building.hub_client import hub_reply, is_invalid_reply, limit_hub_client, names_of_files
from ...schemas import VERSION
from ...schemas.base.errors import Problem, UserError, first_line
from ...schemas.base.hashing import SEAL
from ...schemas.base.redact import redact
from ..reporting.report_mark import outdated_note
from ..runtime.run_files import MERGE_RESULT
from ..runtime.run_folder import RunFolder
from ..runtime.seals import read_seal, require_sealed

CARD, ADAPTER = "README.md", "adapter_config.json"
WEIGHTS = ".safetensors"
# formats that can run code when loaded
UNSAFE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras", ".msgpack", ".py")
_MAX_HEADER = 100 << 20  # as in safetensors
_APART = "\n" * 9  # between texts: no shape of a secret crosses so many line ends


class Upload(NamedTuple):
    """A file to send: `content` replaces the file's own bytes unless it is None; `note` says why."""

    path: str
    size: int
    source: Path
    content: bytes | None = None
    note: str = ""


def folder_to_upload(run: RunFolder, merged: bool) -> Path:
    """Return the folder to upload. Raises UserError for an unfinished run or a smoke run."""
    status = run.status
    if status.get("smoke"):
        raise UserError(Problem(run.path, "is a smoke run: it cannot be uploaded", rule="not-pushed"))
    if status.get("state") != "done":
        reason = status.get("reason") or run.state or "it has no state"
        hint = run.completion_hint()
        if status.get("state") == "refused":
            hint = f"recipe eval {run.path} --set evaluation.gates=... decides by other gates"
        raise UserError(Problem(run.path, f"cannot be uploaded: {reason}", hint, "not-pushed"))
    folder = run / ("merged" if merged else "model")
    if not folder.is_dir():
        hint = f"recipe merge {run.path}" if merged else f"recipe resume {run.path}"
        raise UserError(Problem(folder, "no such folder", hint, "not-pushed"))
    require_sealed(folder)
    if note := outdated_note(run):
        raise UserError(Problem(run.path, f"its model card may have older metrics: {note}", rule="not-pushed"))
    return folder


def uploads(folder: Path, base: str | None) -> list[Upload]:
    """Return the files of a model folder to send: what was saved there, and the card. `base` is the base model's name on the hub, if any.

    Raises UserError with everything that must not be sent or is missing.
    """
    saved, left_out = read_seal(folder), (MERGE_RESULT.name, SEAL)
    paths = (path for path in sorted(folder.rglob("*")) if (path.is_file() or path.is_symlink()) and path.name not in left_out)
    files = [file for path in paths if (file := _file(folder, path, base)).path == CARD or saved is None or file.path in saved]
    names = {file.path for file in files}
    problems = [Problem(file.source, *wrong, "not-pushed") for file in files if (wrong := _fault(file))]
    if CARD not in names:
        problems.append(Problem(folder / CARD, "there is no model card", "recipe eval writes it again", "not-pushed"))
    if not any(name.endswith(WEIGHTS) for name in names):
        problems.append(Problem(folder, "has no weights in safetensors", rule="not-pushed"))
    if ADAPTER in names and base is None:
        what = "names the base model by a folder on this machine, which others do not have"
        problems.append(Problem(folder / ADAPTER, what, "recipe merge RUN, then push with --merged", "not-pushed"))
    if problems:
        raise UserError(*problems)
    return files


def send(files: Sequence[Upload], repo: str, private: bool, message: str) -> str:
    """Create the repository if it does not exist, commit the files, and return the commit's URL.

    Raises UserError if the hub refuses, or if the repository exists with another visibility.
    """
    import httpx
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HFValidationError

    limit_hub_client()
    api = HfApi(library_name="recipekit", library_version=VERSION)
    operations = [CommitOperationAdd(file.path, file.content if file.content is not None else file.source) for file in files]
    try:
        repo = hub_reply(lambda: api.create_repo(repo, private=private, exist_ok=True)).repo_id  # including its owner
        found = hub_reply(lambda: api.model_info(repo))
        there = hub_reply(lambda: names_of_files(found))
        if bool(found.private) != private:
            seen, option = ("private", "--private") if found.private else ("public", "--public")
            hint = f"push with {option}, or change it in the repository's settings"
            raise UserError(Problem(repo, f"already exists and is {seen}: nothing was uploaded", hint, "not-pushed"))
        _refuse_other_weights(repo, there, files)
        return str(hub_reply(lambda: api.create_commit(repo, operations, commit_message=message)).commit_url)
    except HFValidationError as error:
        raise UserError(Problem(repo, f"is not a valid repository name: {error}", "for example you/model", "not-pushed")) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise UserError(Problem(repo, *_refusal(error), "not-pushed")) from None


def require_token() -> None:
    """Raise UserError if the hub's client has no token."""
    from huggingface_hub import get_token

    if not get_token():
        raise UserError("a Hugging Face token is required to upload", hint="use `hf auth login`, or set HF_TOKEN")


def _file(folder: Path, path: Path, base: str | None) -> Upload:
    """Return the file; in an adapter's configuration, replace the base model's local folder by its name on the hub."""
    name = path.relative_to(folder).as_posix()
    if name != ADAPTER or base is None:
        return Upload(name, path.lstat().st_size, path)
    values = orjson.loads(path.read_bytes())
    if values.get("base_model_name_or_path") == base:
        return Upload(name, path.lstat().st_size, path)
    content = orjson.dumps({**values, "base_model_name_or_path": base}, option=orjson.OPT_INDENT_2) + b"\n"
    return Upload(name, len(content), path, content, f"base model: {base}")


def _fault(file: Upload) -> tuple[str, str] | None:
    """Return why the file must not be sent, and a hint."""
    if file.source.is_symlink():
        return "is a symbolic link: its target would be sent", "replace it by the file"
    if file.source.suffix in UNSAFE:
        return "may run code when it is loaded", "only safetensors weights are uploaded; remove it"
    content = _scanned(file)
    if _has_secret(content.decode("utf-8", "replace")):
        return "contains what looks like a secret", "remove it: an upload cannot be undone"
    return None


def _scanned(file: Upload) -> bytes:
    """Return the bytes that may hold a secret: of weights only their header, because random bytes have every shape."""
    if file.content is not None:
        return file.content
    if file.source.suffix != WEIGHTS:
        return file.source.read_bytes()
    with file.source.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        return stream.read(min(size, _MAX_HEADER))


def _has_secret(text: str) -> bool:
    """Return whether a text contains a secret. In JSON keys and texts are looked at one by one: the numbers of a vocabulary are none."""
    if redact(text) == text:
        return False
    try:
        texts = _APART.join(_texts(orjson.loads(text)))
    except orjson.JSONDecodeError:
        return True
    return redact(texts) != texts


def _texts(value: Any, key: str = "") -> Iterator[str]:
    """Yield every key and every text, which is read together with its key, such as `password`."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield f"{key}: {value}" if key else value


def _refuse_other_weights(repo: str, there: Sequence[str], files: Sequence[Upload]) -> None:
    """Raise UserError if weights of another model would remain next to these, and be loaded with or instead of them."""
    ours = {file.path for file in files}
    if stale := sorted(name for name in there if name.endswith((WEIGHTS, ".bin")) and name not in ours):
        what = f"has weights that would remain next to these: {', '.join(stale[:5])}"
        raise UserError(Problem(repo, what, "delete them there, or push to another repository", "not-pushed"))


def _refusal(error: Any) -> tuple[str, str]:
    """Return the hub's answer, and a hint."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    text = first_line(error)
    if status in (401, 403):
        return f"the hub refuses write access ({status})", "use a token with write access to this name: `hf auth login`"
    if status:
        return f"the hub answered {status}: {text}", "see https://status.huggingface.co, then try again: nothing is sent twice"
    if is_invalid_reply(error):
        return f"the hub did not answer as expected: {text}", "check HF_ENDPOINT; the repository may have been created"
    return f"the hub cannot be reached: {text}", "check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
