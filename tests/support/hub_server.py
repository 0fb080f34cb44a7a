"""A hub on the loopback: what huggingface_hub and datasets ask of one, for datasets whose files are given as bytes.

One thread per request; `requests` keeps what was asked. A dataset is private if it has a `token`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit


class Repository(NamedTuple):
    """Branches and tags -> commit; commit -> path -> bytes."""

    refs: dict[str, str]
    files: dict[str, dict[str, bytes]]
    token: str = ""


class Hub(NamedTuple):
    url: str
    repositories: dict[str, Repository]
    requests: list[str]

    def environment(self, folder) -> dict[str, str]:
        """What makes a process ask this hub and keep its cache in the folder."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(folder), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0",
                "HF_DATASETS_OFFLINE": "0", "HF_TOKEN": "", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}  # fmt: skip


@contextmanager
def serve() -> Iterator[Hub]:
    """The hub, empty, until the block ends."""
    repositories: dict[str, Repository] = {}
    requests: list[str] = []

    class Handler(_Handler):
        pass

    Handler.repositories, Handler.requests = repositories, requests
    with listening(Handler) as url:
        yield Hub(url, repositories, requests)


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on a free port of the loopback, with a thread a request, until the block ends: its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: dict[str, Repository]
    requests: list[str]

    def log_message(self, format, *args) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_GET

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.requests.append(f"{self.command} {path}")
        api = path.startswith("/api/")
        parts = path.removeprefix("/api").removeprefix("/datasets").removeprefix("/models").removeprefix("/").split("/")
        name, what, rest = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "revision", parts[3:]
        repository = self.repositories.get(name)
        if repository is None or (repository.token and self.headers.get("Authorization") != f"Bearer {repository.token}"):
            self.send(401, {"error": "Invalid username or password."}, {"X-Error-Message": "Invalid username or password."})
            return
        revision = rest[0] if rest else "main"
        commit = repository.refs.get(revision, revision)
        files = repository.files.get(commit)
        if files is None:
            self.send(404, {"error": f"Invalid rev id: {revision}"}, {"X-Error-Code": "RevisionNotFound"})
        elif not api:
            self.file(files, commit, "/".join(rest[1:]))
        elif what == "revision":
            self.send(200, {"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in files], "tags": [], "private": False})
        elif what == "tree":
            under = "/".join(rest[1:])
            self.send(200, self.tree(files, under, parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"))
        elif what == "paths-info":
            asked = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
            entries = self.tree(files, "", True)
            self.send(200, [entry for entry in entries if entry["path"] in asked])
        else:
            self.send(404, {"error": "no such page"})

    @staticmethod
    def tree(files, under, recursive):
        found = {}
        for path, content in files.items():
            if under and not path.startswith(under + "/"):
                continue
            parts = path.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                found[folder] = {"type": "directory", "path": folder, "oid": sha1(folder.encode()).hexdigest(), "size": 0}
            found[path] = {"type": "file", "path": path, "oid": sha1(content).hexdigest(), "size": len(content)}
        level = under.count("/") + 1 if under else 0
        return [entry for path, entry in sorted(found.items()) if path != under and (recursive or path.count("/") == level)]

    def file(self, files, commit, path):
        if path not in files:
            self.send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        content = files[path]
        headers = {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        span = self.headers.get("Range", "")
        if span.startswith("bytes="):
            start, _, stop = span.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(stop or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self.send(206, content[first : last + 1], headers)
        else:
            self.send(200, content, headers)

    def send(self, status, content, headers=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
