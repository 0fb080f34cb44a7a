"""`recipe push` to a hub on the loopback, by the hub's own client; and what is never sent to any."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="needs the extra [train]")

from recipekit.runner.runtime.seals import write_seal

from ....support.hub_uploads import TOKEN, serve

PLAIN = "a1loopbacktokenforuploads"  # as no pattern knows it
CARD = "---\nlicense: apache-2.0\nbase_model: owner/base\n---\n\n# tiny\n"


@pytest.fixture
def hub():
    with serve() as running:
        yield running


@pytest.fixture
def run(tuned_run: Path, tmp_path: Path) -> Path:
    """A run with an adapter on a base that is on the hub, trained from a folder of this machine, with its card."""
    folder = tmp_path / "runs" / "tiny" / "20260101-000000-aaaaaa"
    shutil.copytree(tuned_run, folder)
    recipe = (folder / "recipe.yml").read_text()
    start, end = recipe.index("model: {"), recipe.index("\n", recipe.index("model: {"))
    (folder / "recipe.yml").write_text(f"{recipe[:start]}model: {{base_model: owner/base}}{recipe[end:]}export: {{push_to_hub: me/tiny}}\n")
    (folder / "model" / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def push(recipe, hub, tmp_path):
    def pushed(*arguments, token: str = TOKEN):
        return recipe("push", *arguments, cwd=tmp_path, **hub.environment(tmp_path / "home", token))

    return pushed


def test_every_file_arrives_byte_for_byte_in_a_private_repository(run: Path, push, hub) -> None:
    done = push("tiny", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["repo"] == "me/tiny" and facts["commit"].startswith(f"{hub.url}/me/tiny/commit/")
    assert hub.private == {"me/tiny": True}
    there = hub.files["me/tiny"]
    here = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    adapter, of_run = json.loads(there.pop("adapter_config.json")), json.loads(here.pop("adapter_config.json"))
    assert there == here and any(name.endswith(".safetensors") for name in there)
    assert adapter == {**of_run, "base_model_name_or_path": "owner/base"}, "not the folder that it was trained from"
    assert facts["bytes"] == sum(file["bytes"] for file in facts["files"])
    assert TOKEN not in done.stdout + done.stderr


def test_a_second_push_sends_no_weight_again(run: Path, push, hub) -> None:
    assert push(run, "me/other", "--public").returncode == 0
    assert hub.private == {"me/other": False}
    hub.requests.clear()
    assert push(run, "me/other", "--public").returncode == 0
    assert not [request for request in hub.requests if request.startswith("PUT ")]


def test_a_dry_run_lists_files_without_requests(run: Path, push, hub) -> None:
    done = push(run, "me/tiny", "--dry-run", token="")
    assert done.returncode == 0, done.stderr
    size = (run / "model" / "adapter_model.safetensors").stat().st_size
    assert f"{size:,}  adapter_model.safetensors" in done.stderr
    assert "nothing was uploaded" in done.stderr and done.stdout == ""
    assert hub.requests == []


def test_what_was_put_next_to_the_saved_files_stays_here(run: Path, push) -> None:
    write_seal(run / "model")
    for name in (".DS_Store", "model-F16.gguf"):
        (run / "model" / name).write_bytes(b"of another program")
    done = push(run, "me/tiny", "--dry-run", token="")
    assert done.returncode == 0, done.stderr
    assert "README.md" in done.stderr and "adapter_model.safetensors" in done.stderr
    assert ".DS_Store" not in done.stderr and ".gguf" not in done.stderr


def test_weights_and_vocabularies_are_not_taken_for_secrets(run: Path, push) -> None:
    """A vocabulary has words such as `authorization` with numbers, and weights are random bytes."""
    vocabulary = {
        word: 27_109 + number for number, word in enumerate(("Ġauthorization", "password", "api_key", "token", "Bearer", ":", "="))
    }
    (run / "model" / "vocab.json").write_text(
        json.dumps({"model": {"vocab": vocabulary, "merges": [["Bearer", "Ġauthorization"]]}}, indent=1)
    )
    (run / "model" / "more.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{};password=a1b2c3d4e5; sk-" + b"b2" * 20)
    assert push(run, "me/tiny", "--dry-run").returncode == 0


SPOILT = {
    "no card": (lambda run: (run / "model" / "README.md").unlink(), "there is no model card"),
    "no safetensors": (lambda run: (run / "model" / "adapter_model.safetensors").unlink(), "has no weights in safetensors"),
    "a pickle": (lambda run: (run / "model" / "training_args.bin").write_bytes(b"\x80\x04"), "may run code when it is loaded"),
    "a secret": (lambda run: (run / "model" / "notes.txt").write_text("token: hf_" + "a1" * 17), "contains what looks like a secret"),
    "a secret in the weights' header": (
        lambda run: (run / "model" / "x.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}sk-" + b"b2" * 20), "contains what looks like a secret"),
    "a secret in JSON": (
        lambda run: (run / "model" / "notes.json").write_text('{"vocab": {"key": 1}, "login": [{"password": "hunter22"}]}'),
        "contains what looks like a secret"),
    "a secret of the environment": (lambda run: (run / "model" / "notes.txt").write_text(f"x={PLAIN}"), "contains what looks like a secret"),
    "a link": (lambda run: (run / "model" / "more.txt").symlink_to("/etc/hostname"), "is a symbolic link"),
    "a smoke run": (lambda run: (run / "status.json").write_text('{"state": "done", "smoke": true}'), "is a smoke run"),
    "a gate": (lambda run: (run / "status.json").write_text('{"state": "refused", "reason": "failed gates: acc"}'), "cannot be uploaded: failed gates: acc"),
    "a local base": (lambda run: (run / "recipe.yml").write_text((run / "recipe.yml").read_text().replace("owner/base", "./base")), "by a folder on this machine"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_an_unpublishable_run_is_refused_before_any_request(run: Path, push, hub, name: str) -> None:
    spoil, what = SPOILT[name]
    spoil(run)
    refused = push(run, "me/tiny", token=PLAIN)
    assert refused.returncode == 1, refused.stderr
    assert PLAIN not in refused.stderr
    assert what in refused.stderr and "Traceback" not in refused.stderr
    assert hub.requests == []


def test_without_a_token_and_without_merged_weights_it_says_how_to_get_them(run: Path, push, hub) -> None:
    assert "use `hf auth login`, or set HF_TOKEN" in push(run, "me/tiny", token="").stderr
    assert "recipe merge" in push(run, "me/tiny", "--merged").stderr
    assert hub.requests == []


def test_a_hub_refusal_is_reported_without_the_token(run: Path, push, hub) -> None:
    for arguments, token, what in (
        ((run, "others/tiny"), TOKEN, "refuses write access"),
        ((run, "me/tiny"), TOKEN[:-1], "refuses write access"),
        ((run, "me/ti ny"), TOKEN, "is not a valid repository name"),
    ):
        refused = push(*arguments, token=token)
        assert refused.returncode == 1 and what in refused.stderr, refused.stderr
        assert token not in refused.stderr and "Traceback" not in refused.stderr


def test_a_public_repository_gets_nothing_private(run: Path, push, hub) -> None:
    hub.files["me/tiny"], hub.private["me/tiny"] = {}, False
    refused = push(run, "me/tiny")
    assert refused.returncode == 1 and "is public: nothing was uploaded" in refused.stderr
    assert hub.files["me/tiny"] == {} and not [request for request in hub.requests if "commit" in request or "PUT" in request]


def test_weights_of_another_model_do_not_stay_next_to_these(run: Path, push, hub) -> None:
    hub.files["me/tiny"], hub.private["me/tiny"] = {"model-00001-of-00002.safetensors": b""}, True
    refused = push(run, "me/tiny")
    assert refused.returncode == 1 and "model-00001-of-00002.safetensors" in refused.stderr
