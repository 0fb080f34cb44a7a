"""Small jobs against servers on loopback."""

import csv

import pytest
from recipekit.runner.generate.generate import generate_rows
from recipekit.schemas.generate_sections import Generate
from recipekit.schemas.values import built

from ...support.llm_server import KEY, Quiet, reserved_port, serving
from ...support.waiting import PATIENCE


@pytest.fixture
def quiet():
    return Quiet()


@pytest.fixture
def questions(tmp_path):
    """Writes a small subtitles.csv and gives its path."""

    def write(count=3, folder=tmp_path):
        path = folder / "subtitles.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["name", "chinese", "english"])
            writer.writerows([f"s{number}", f"第{number}句话", ""] for number in range(count))
        return path

    return write


@pytest.fixture
def section(tmp_path):
    """A generate section that asks one server, with changes."""
    prompt = tmp_path / "prompt.yml"
    prompt.write_text("prompt: 1\nuser: 'Emotions in {text}?'\n", encoding="utf-8")

    def build(url, path=None, **changes):
        provider = {"provider": "openai_compatible", "model": "m", "base_url": url, "key_name": "PLANTED_API_KEY"} | changes.pop(
            "provider", {}
        )
        limits = {"concurrency": 4, "timeout": PATIENCE, "retries": 2, "attempts": 1} | changes.pop("limits", {})
        values = {"task": "ask", "prompt": str(prompt), "input": str(path or tmp_path / "subtitles.csv"), "providers": [provider],
                  "options": {"runs": 2}, "limits": limits} | changes  # fmt: skip
        return built(Generate, values)

    return build


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    return KEY


@pytest.fixture
def generating(tmp_path, quiet, section, questions, planted):
    """Runs a job against a server that behaves so, at one address for the whole test; returns the manifest and the server."""
    with reserved_port() as port:

        def run(behave, count=3, **changes):
            questions(count)
            with serving(behave, port) as server:
                job = section(server.url, **changes)
                return generate_rows(job, tmp_path / "out", tmp_path / "requests.sqlite", tmp_path, quiet, "key"), server

        yield run
