"""Check in a separate process whether a chat template renders short chats within limits of time, memory and length.

python -m recipekit.runner.models.template_check: reads the template from standard input, and prints what is wrong with it; with the
argument `chats` or `texts`, it reads a template and chats as JSON, and prints what becomes of the chats.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from functools import cache
from typing import Any, NamedTuple

from ...schemas.base.errors import first_line

SECONDS = 5
MAX_MEMORY = 1 << 30
MAX_CHARACTERS = 1 << 20
_PATIENCE = 60  # a process gets little CPU time on a busy machine
_MODULE = "recipekit.runner.models.template_check"
_CHAT = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "<think>\nIt is.\n</think>\n\nA cat."}]
CHATS = ([_CHAT[0]], [{"role": "system", "content": "Be brief."}, *_CHAT * 3], _CHAT * 20)


class Rendered(NamedTuple):
    """The result for chats, by number: the message with which the template refuses one, and words that it leaves out, by role."""

    refused: dict[int, str]
    lost: dict[int, tuple[str, str]]


@cache
def template_fault(template: str) -> str:
    """Return why the template cannot be used ("takes more than 5 seconds"), or "" if it can, or jinja2 is not installed."""
    done = in_child(_MODULE, template.encode("utf-8", "surrogatepass"))
    if done is None or done.returncode == -signal.SIGXCPU:
        return f"takes more than {SECONDS} seconds for a short chat"
    if done.returncode < 0:
        return "crashes the process that renders it"
    return done.stdout.decode("utf-8", "replace").strip()


def render_chats(template: str, chats: list[list[dict[str, Any]]]) -> Rendered:
    """Return what the template does with the chats; empty if it has a fault, or jinja2 is not installed."""
    done = in_child(_MODULE, json.dumps({"template": template, "chats": chats}).encode(), "chats")
    found = json.loads(done.stdout) if done is not None and not done.returncode and done.stdout else {"refused": {}, "lost": {}}
    return Rendered(
        {int(n): message for n, message in found["refused"].items()}, {int(n): tuple(lost) for n, lost in found["lost"].items()}
    )


def chat_texts(template: str, chats: list[list[dict[str, Any]]], tokens: dict[str, str]) -> list[str]:
    """Return the text of each chat, with the special tokens that templates use (bos_token, eos_token); empty if one is refused, the
    template has a fault, or jinja2 is not installed."""
    done = in_child(_MODULE, json.dumps({"template": template, "chats": chats, "tokens": tokens}).encode(), "texts")
    return json.loads(done.stdout) if done is not None and not done.returncode and done.stdout.startswith(b"[") else []


def in_child(module: str, given: bytes, *arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
    """Run the module in a process, which limits itself; None if it takes too long."""
    argv = [sys.executable, "-m", module, *arguments]
    env = {**os.environ, "PYTHONSAFEPATH": "1"}
    try:
        return subprocess.run(argv, input=given, capture_output=True, timeout=_PATIENCE, env=env)
    except subprocess.TimeoutExpired:
        return None


def limit_this_process() -> None:
    """End this process after SECONDS of CPU time, and refuse it more than MAX_MEMORY."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def main() -> None:
    """Print the fault of the template on standard input, if any, or what it does with chats."""
    try:
        from jinja2.exceptions import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: F401
    except ImportError:
        return
    given = sys.stdin.buffer.read().decode("utf-8", "replace")
    limit_this_process()
    try:
        answer = {"chats": _rendered, "texts": _texts}
        print(json.dumps(answer[sys.argv[1]](**json.loads(given))) if sys.argv[1:] else _fault(_compiled(given)))
    except MemoryError:
        print(f"needs more than {MAX_MEMORY >> 30} GB of memory for a short chat")
    except RecursionError:
        print("recurses without end")
    except (TemplateError, SyntaxError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return  # the template refuses some roles; errors in it appear when it is loaded


def _fault(compiled: Any) -> str:
    for chat in CHATS:
        parts = compiled.generate(messages=chat, add_generation_prompt=True, bos_token="", eos_token="", tools=None)
        if sum(map(len, parts)) > MAX_CHARACTERS:
            return f"produces more than {MAX_CHARACTERS:,} characters for a short chat"
    return ""


def _rendered(template: str, chats: list[list[dict[str, Any]]]) -> dict[str, Any]:
    compiled = _compiled(template)
    refused: dict[int, str] = {}
    lost: dict[int, tuple[str, str]] = {}
    for number, chat in enumerate(chats):
        try:
            text = compiled.render(messages=chat, add_generation_prompt=False, bos_token="", eos_token="", tools=None)
        except Exception as error:  # a template may raise its own message, or a type error
            refused[number] = first_line(error)
            continue
        words = ((message["role"], word) for message in chat for word in without_thoughts(message["content"]).split())
        if missing := next(((role, word) for role, word in words if word not in text), None):
            lost[number] = missing
    return {"refused": refused, "lost": lost}


def _texts(template: str, chats: list[list[dict[str, Any]]], tokens: dict[str, str]) -> list[str]:
    compiled = _compiled(template)
    return [compiled.render(messages=chat, add_generation_prompt=False, tools=None, **tokens) for chat in chats]


def without_thoughts(content: str) -> str:
    """Return the content after its reasoning, which templates treat differently; the label audit of a run covers it."""
    return content.rpartition("</think>")[2]


def _compiled(template: str) -> Any:
    """Compile the template as transformers does, with the names that it provides."""
    from datetime import datetime

    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} marks the model's text; here it is only rendered."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False)
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    return environment.from_string(template)


if __name__ == "__main__":
    main()
