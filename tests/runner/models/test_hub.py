"""A model that cannot be had: one line that says why and what to do, from a hub on the loopback that answers as the real one does."""

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
from recipekit.runner.models import hub
from recipekit.runner.models.hub import small_files
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.yaml_writing import to_yaml

from ...support.hub_server import listening
from ...support.llm_server import reserved_port

FILES = ("config.json", "tokenizer.json")
INSTEAD = "or set model.base_model to a folder or embedded:smollm2-135m-instruct"


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Ask a hub for a model's small files, and return the problem. `api` and `file` are its status and error code for either request."""

    def asked(api, file=(200, ""), token="", name="someone/model", revision=None):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format, *args):
                pass

            def do_GET(self):
                status, code = api if self.path.startswith("/api/") else file
                facts = {"id": name, "sha": "a" * 40, "siblings": [{"rfilename": path} for path in FILES], "tags": []}
                body = json.dumps(facts if status == 200 else {"error": "so it is"}).encode() if status else b"<html>"
                self.send_response(status or 200)
                for head, value in (("X-Error-Code", code), ("X-Repo-Commit", "a" * 40), ("Content-Length", str(len(body)))):
                    if value:
                        self.send_header(head, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

        with listening(Handler) as url:
            return refused(url, token, name, revision)

    def refused(url, token="", name="someone/model", revision=None):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.get_token", lambda: token or None)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(
            "huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None)
        )  # between its tries: 23 seconds
        with pytest.raises(UserError) as caught:
            small_files(name, revision)
        (problem,) = caught.value.problems
        assert "\n" not in problem.what and INSTEAD in problem.hint
        return problem

    asked.refused = refused  # pyright: ignore[reportFunctionMemberAccess]
    return asked


@pytest.mark.parametrize(
    "answers", [{"api": (401, "GatedRepo")}, {"api": (403, "GatedRepo")}, {"api": (200, ""), "file": (401, "GatedRepo")}]
)
def test_a_gated_model_says_where_its_licence_is_accepted(ask, answers):
    problem = ask(**answers)
    assert "is gated" in problem.what
    assert "https://huggingface.co/someone/model and log in: hf auth login" in problem.hint
    assert "with the account of your token" in ask(**answers, token="hf_x").hint


@pytest.mark.parametrize("status", [401, 404])
def test_a_missing_name_is_reported(ask, status):
    problem = ask((status, "RepoNotFound"), name="Qwen/Qwen2.5-1.5B-Instuct")
    assert problem.what.startswith("no such model on the hub") and "did you mean Qwen/Qwen2.5-1.5B-Instruct?" in problem.hint


def test_a_missing_revision_is_reported(ask):
    assert ask((404, "RevisionNotFound"), revision="v9").what == "has no revision v9 on the hub"


def test_an_invalid_name_is_reported(ask):
    assert ask((200, ""), name="some one/mo:del").what == "not a valid model name"


@pytest.mark.parametrize(
    ("status", "what", "hint"),
    [(401, "401", "check your token"), (403, "403", "check your token"), (429, "429", "try again"), (503, "503", "")],
)
def test_the_hubs_answer_is_reported(ask, status, what, hint):
    for problem in (ask((status, "")), ask((200, ""), (status, ""))):
        assert problem.what.startswith(f"the hub answered {what}") and hint in problem.hint


def test_a_page_that_is_not_a_hub_response_is_reported(ask):
    assert "did not answer like a hub" in ask((0, "")).what


def test_a_refused_connection_names_the_address(ask):
    with reserved_port() as port:
        assert f"cannot be reached (http://127.0.0.1:{port})" in ask.refused(f"http://127.0.0.1:{port}").what


def test_a_hub_that_never_answers_times_out(ask, monkeypatch):
    """The connection is accepted, and nothing comes: without a limit the command would hang."""
    monkeypatch.setattr(hub, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "cannot be reached" in ask.refused(f"http://127.0.0.1:{server.getsockname()[1]}").what


def silent(handler):
    """Promise a file, and send nothing of it."""
    handler.connection.recv(1)


def slow(handler):
    """Send a byte of a file now and then."""
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"{")
            time.sleep(0.05)


@pytest.mark.parametrize("behave", [silent, slow])
def test_a_stalled_download_times_out(ask, monkeypatch, behave):
    monkeypatch.setattr(hub, "WHOLE_SECONDS", 1)
    before = {*threading.enumerate()}  # of other tests

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

        def do_HEAD(self):
            facts = {"id": "someone/model", "sha": "a" * 40, "siblings": [{"rfilename": path} for path in FILES], "tags": []}
            is_api = self.path.startswith("/api/")
            body = json.dumps(facts).encode() if is_api else b""
            self.send_response(200)
            for head, value in (("X-Repo-Commit", "a" * 40), ("ETag", '"x"'), ("Content-Length", str(len(body) or 1 << 20))):
                self.send_header(head, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body) if is_api else behave(self)

        do_GET = do_HEAD

    with listening(Handler) as url:
        assert "cannot be reached" in ask.refused(url).what
    assert [thread for thread in threading.enumerate() if not (thread.daemon or thread in before)] == [], "the command would not end"


def test_a_hub_whose_name_is_unknown_cannot_be_reached(ask):
    assert "cannot be reached (http://nowhere.invalid)" in ask.refused("http://nowhere.invalid").what


@pytest.mark.parametrize("verb", ["run", "plan", "mask", "verify-resume"])
def test_an_unavailable_model_is_reported_before_conversion(command_line, recipe_file, minimal, monkeypatch, tmp_path, verb):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rows = [{"path": str(tmp_path / "not-there.jsonl"), "converter": "messages"}]
    recipe = recipe_file(to_yaml(minimal({"model.base_model": "some/model", "data.sources": rows})), "mine.yml")
    outcome = command_line(verb, recipe)
    assert outcome.code == 1 and "some/model: the hub cannot be reached (HF_HUB_OFFLINE is set)" in outcome.err
    assert INSTEAD in outcome.err and "not-there" not in outcome.err
    assert [*tmp_path.glob("runs/verify-resume-*")] == []


def test_a_hub_behind_a_proxy_that_does_not_answer_is_blamed_on_the_proxy_too(command_line, recipe_file, minimal, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:9")
    outcome = command_line("plan", recipe_file(to_yaml(minimal({"model.base_model": "some/model"})), "mine.yml"))
    assert "hint: check the network and HTTPS_PROXY, " in outcome.err and "secret" not in outcome.err
