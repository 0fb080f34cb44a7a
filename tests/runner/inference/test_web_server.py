"""What `recipe chat --web` answers to clients that are no browser: no file is kept, no long body is read, nothing is logged as an error."""

import asyncio
import logging

import pytest

for package in ("torch", "gradio"):
    pytest.importorskip(package, reason=f"needs the extra [serve]: {package}")

import gradio as gr
from recipekit.runner.inference.web_server import create_web_app
from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def client():
    async def create():
        with gr.Blocks() as page:
            line, shown = gr.Textbox(), gr.Textbox()
            line.submit(str.upper, [line], [shown], api_visibility="private")
        return create_web_app(page.queue(api_open=False))

    # Where no event loop runs, gradio begins one for each of its locks and leaves it open: a later test would be charged with it.
    return TestClient(asyncio.run(create()), base_url="http://localhost")


FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
TYPE = {"content-type": "multipart/form-data; boundary=x"}
JOIN = "/gradio_api/queue/join"
# (path, body, headers) and the statuses that may be answered
ASKED = {
    "a file": ("/gradio_api/upload", FILE, TYPE, {404}),
    "a file by another name of the route": ("/gradio_api/upload/", FILE, TYPE, {404}),
    "a file by the old route": ("/upload", FILE, TYPE, {404}),
    "a file that is none": ("/gradio_api/upload", b"zz", TYPE, {404}),
    "a long body": (JOIN, b'{"data": ["' + b"x" * (5 << 20) + b'"], "fn_index": 0, "session_hash": "x"}', {}, {400}),
    "a deep body": (JOIN, b"[" * 3000, {}, {400}),
    "another site": (JOIN, b"{}", {"origin": "https://evil.example"}, {403}),
    "another host": (JOIN, b"{}", {"host": "evil.example"}, {400}),
    "no event": (JOIN, b"{}", {}, {422}),
    "a list": (JOIN, b"[]", {}, {422}),
    "a function that is none": (JOIN, b'{"data": [], "fn_index": -1, "session_hash": "x"}', {}, {500}),
    "another host's page": ("/gradio_api/proxy=http://evil.example/", b"", {}, {404, 405}),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_no_page_sends_is_refused(client, caplog, name) -> None:
    path, body, headers, statuses = ASKED[name]
    answer = client.post(path, content=body, headers={"content-type": "application/json"} | headers)
    assert answer.status_code in statuses, answer.text
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["/gradio_api/file=/etc/passwd", "/gradio_api/file=../../etc/passwd", "/static/../../../etc/passwd"])
def test_files_of_the_machine_are_not_shown(client, path) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 403, 404) and "root:" not in answer.text
