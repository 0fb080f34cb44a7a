"""A hub on the loopback that takes models: the endpoints that huggingface_hub asks for when it makes a repository and commits to it.

One thread a request; `requests` keeps what was asked. Weights come by the LFS protocol, all else in the commit itself. `token` is the
only one that may write.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .hub_server import listening

TOKEN = "hf_loopbacktokenforuploads0123456789"


class Uploads(NamedTuple):
    """`files`: repository -> path -> bytes of its last commit; `private`: repository -> whether it is."""

    url: str
    files: dict[str, dict[str, bytes]]
    private: dict[str, bool]
    objects: dict[str, bytes]
    requests: list[str]

    def environment(self, folder, token: str = TOKEN) -> dict[str, str]:
        """What makes a process push to this hub and to no other."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(folder), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0", "HF_TOKEN": token,
                "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}  # fmt: skip


@contextmanager
def serve() -> Iterator[Uploads]:
    """The hub, empty, until the block ends."""

    class Handler(_Handler):
        pass

    with listening(Handler) as url:
        Handler.hub = Uploads(url, {}, {}, {}, [])
        yield Handler.hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Uploads

    def log_message(self, format, *args) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        signed = path.startswith("/objects/")  # an address that was signed needs no token
        if not signed and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send(401, {"error": "Invalid username or password."})
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif signed and self.command == "PUT":
            self.hub.objects[path.removeprefix("/objects/")] = body
            self.send(200, {})
        elif path == "/api/validate-yaml":
            self.send(200, {"errors": [], "warnings": []})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self.batch(json.loads(body))
        elif path.endswith("/verify"):
            asked = json.loads(body)
            found = self.hub.objects.get(asked["oid"], b"")
            whole = sha256(found).hexdigest() == asked["oid"] and len(found) == asked["size"]
            self.send(200 if whole else 404, {})
        elif path.startswith("/api/models/"):
            owner, name, *rest = path.removeprefix("/api/models/").split("/")
            self.model(f"{owner}/{name}", rest, body)
        else:
            self.send(404, {"error": "no such page"})

    do_POST = do_PUT = do_HEAD = do_GET

    def create(self, asked) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name.startswith("others/"):
            self.send(403, {"error": "You don't have the rights to create a model under this namespace"})
        elif name in self.hub.files:
            self.send(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
        else:
            self.hub.files[name], self.hub.private[name] = {}, asked.get("visibility") == "private" or bool(asked.get("private"))
            self.send(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def model(self, name, rest, body) -> None:
        files = self.hub.files.get(name)
        if files is None:
            self.send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["preupload"]:
            modes = [
                {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.send(200, {"files": modes})
        elif rest[:1] == ["commit"]:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
            commit = sha1(body).hexdigest()
            self.send(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit, "hookOutput": ""})
        else:
            siblings = [{"rfilename": path} for path in files]
            self.send(200, {"id": name, "sha": "0" * 40, "private": self.hub.private[name], "siblings": siblings, "tags": []})

    def batch(self, asked) -> None:
        found = []
        for wanted in asked["objects"]:
            actions = {"upload": {"href": f"{self.hub.url}/objects/{wanted['oid']}"}, "verify": {"href": f"{self.hub.url}/verify"}}
            found.append({**wanted, "actions": actions} if wanted["oid"] not in self.hub.objects else wanted)
        self.send(200, {"transfer": "basic", "objects": found}, kind="application/vnd.git-lfs+json")

    def send(self, status, content, headers=None, kind="application/json") -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
