"""Nothing asks the network without a limit: SECURITY.md names every file that imports a library for it, and what limits it there."""

import ast
import re

from .support.paths import ROOT

LIBRARIES = {
    "aiohttp", "asyncssh", "boto3", "datasets", "fsspec", "ftplib", "gradio_client", "hf_xet", "http", "httpcore", "httpcore2", "httpx", "httpx2",
    "huggingface_hub", "imaplib", "openai", "paramiko", "poplib", "pycurl", "ray", "requests", "smtplib", "socket", "ssl", "telnetlib", "urllib3",
    "websocket", "websockets", "xmlrpc",
}  # fmt: skip


def imported(tree: ast.AST) -> set[str]:
    """The packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module)
    return {"urllib.request" if name.startswith("urllib.request") else name.partition(".")[0] for name in found}


def test_security_md_names_every_file_that_may_use_the_network() -> None:
    section = (ROOT / "SECURITY.md").read_text().partition("## What uses the network")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:converters|runner|schemas)/[\w/]+\.py)`", section))
    sources = [path for room in ("converters", "runner", "schemas") for path in (ROOT / room).rglob("*.py")]
    assert {
        str(path.relative_to(ROOT)) for path in sources if imported(ast.parse(path.read_text())) & {*LIBRARIES, "urllib.request"}
    } == named
