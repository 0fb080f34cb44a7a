"""Whatever a chat template says, the process that tries it prints one line, or nothing; and chats come out as texts, or are refused."""

import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.runner.models import template_check

pytest.importorskip("jinja2", reason="needs the extra [eval]")

PARTS = st.sampled_from(
    ["{% for m in messages %}", "{% endfor %}", "{{ m.content }}", "{{ m['role'] }}", "{{ messages }}", "{% if tools %}", "{% else %}", "{% endif %}", "{{ bos_token }}",
     "{{ eos_token + 1 }}", "{{ messages[9].content }}", "{{ raise_exception('no') }}", "{{ strftime_now('%Y') }}", "{{ strftime_now('\\x00%') }}", "{{ m | tojson }}",
     "{{ x | tojson(indent=2) }}", "{{ messages | map(attribute='role') | join }}", "{% generation %}", "{% endgeneration %}", "{% set n = namespace(a=1) %}",
     "{% set n.a = n.a + 1 %}", "{{ 1 / 0 }}", "{{ 'a' * 3 }}", "{{ [].__class__ }}", "{{ messages.append(1) }}", "{{ ''.format(1) }}", "{{ '{0.a}'.format(m) }}",
     "{% macro f(a) %}{{ a }}{% endmacro %}", "{{ f(1) }}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% block a %}{% endblock %}", "{% break %}",
     "{{ range(3) | list }}", "{{ range(10**9) }}", "{{ m.content.split('<')[1] }}", "{{ undefined.a.b }}", "{# note #}", "{{", "%}", "{{ '\\ud800' }}", "text", "\\n", "😀",
     "{{ m.content | int }}", "{{ lipsum() }}", "{{ cycler('a') }}", "{{ joiner }}", "{{ dict(a=1).items() }}", "{{ messages | sort }}", "{{ messages | sum }}", "{{ 'x' | indent(9) }}"]
)  # fmt: skip


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: bytes, *arguments: str) -> str:
    """What the process prints for this input, in this process and without its limits."""
    monkeypatch.setattr(template_check, "limit_this_process", lambda: None)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
    monkeypatch.setattr(sys, "argv", ["template_check", *arguments])
    capsys.readouterr()
    template_check.main()
    return capsys.readouterr().out


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARTS, max_size=7))
def test_any_template_is_tried_to_its_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parts: list[str]) -> None:
    template = "".join(parts)
    fault = printed(monkeypatch, capsys, template.encode("utf-8", "surrogatepass"))
    assert fault.count("\n") <= 1
    chats: list[list[dict[str, Any]]] = [*template_check.CHATS, [], [{"role": "user", "content": "\ud800"}]]
    found = printed(monkeypatch, capsys, json.dumps({"template": template, "chats": chats}).encode(), "chats")
    assert not found or {*json.loads(found)} == {"refused", "lost"}
    texts = printed(
        monkeypatch, capsys, json.dumps({"template": template, "chats": chats, "tokens": {"bos_token": "<s>"}}).encode(), "texts"
    )
    assert not texts.startswith("[") or len(json.loads(texts)) == len(chats)
