"""Whether a chat template renders short chats within limits of time, memory and length, tried in a process that can be ended.

python -m recipekit.runner.models.template_check: the template on standard input, what is wrong with it on standard output; with a
further argument (`chats`, `texts`), a template and chats as JSON on standard input, and what becomes of the chats on standard output.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from functools import cache
from typing import Any, NamedTuple

SECONDS = 5
MAX_MEMORY = 1 << 30
MAX_CHARACTERS = 1 << 20
_PATIENCE = 60  # a machine that is busy gives a process few of its seconds
_CHAT = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "<think>\nIt is.\n</think>\n\nA cat."}]
CHATS = ([_CHAT[0]], [{"role": "system", "content": "Be brief."}, *_CHAT * 3], _CHAT * 20)


class Rendered(NamedTuple):
    """What becomes of chats, by their number: what the template says where it refuses one, and words that it leaves out, by role."""

    refused: dict[int, str]
    lost: dict[int, tuple[str, str]]


@cache
def template_fault(template: str) -> str:
    """Why the template cannot be used: "takes more than 5 seconds"; "" where nothing is wrong with it, or jinja2 is not installed."""
    done = _in_child(template.encode("utf-8", "surrogatepass"))
    if done is None or done.returncode == -signal.SIGXCPU:
        return f"takes more than {SECONDS} seconds for a short chat"
    if done.returncode < 0:
        return "crashes the process that renders it"
    return done.stdout.decode("utf-8", "replace").strip()


def render_chats(template: str, chats: list[list[dict[str, Any]]]) -> Rendered:
    """What the template does with the chats; nothing where it has a fault, or jinja2 is not installed."""
    done = _in_child(json.dumps({"template": template, "chats": chats}).encode(), "chats")
    found = json.loads(done.stdout) if done is not None and not done.returncode and done.stdout else {"refused": {}, "lost": {}}
    return Rendered({int(n): said for n, said in found["refused"].items()}, {int(n): tuple(lost) for n, lost in found["lost"].items()})


def chat_texts(template: str, chats: list[list[dict[str, Any]]], tokens: dict[str, str]) -> list[str]:
    """The text of each chat, with the special tokens that templates name (bos_token, eos_token). Empty where one of them is refused, the
    template has a fault, or jinja2 is not installed."""
    done = _in_child(json.dumps({"template": template, "chats": chats, "tokens": tokens}).encode(), "texts")
    return json.loads(done.stdout) if done is not None and not done.returncode and done.stdout.startswith(b"[") else []


def _in_child(given: bytes, *arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
    """The process of main(); None where it takes too long."""
    argv = [sys.executable, "-m", "recipekit.runner.models.template_check", *arguments]
    env = {**os.environ, "PYTHONSAFEPATH": "1"}
    try:
        return subprocess.run(argv, input=given, capture_output=True, timeout=_PATIENCE, env=env)
    except subprocess.TimeoutExpired:
        return None


def main() -> None:
    """Print the fault of the template on standard input, if it has one, or what it does with chats."""
    try:
        from jinja2.exceptions import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: F401
    except ImportError:
        return
    given = sys.stdin.buffer.read().decode("utf-8", "replace")
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        answer = {"chats": _rendered, "texts": _texts}
        print(json.dumps(answer[sys.argv[1]](**json.loads(given))) if sys.argv[1:] else _fault(_compiled(given)))
    except MemoryError:
        print(f"needs more than {MAX_MEMORY >> 30} GB of memory for a short chat")
    except RecursionError:
        print("nests without end")
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return  # what a template says about roles that it does not know; loading it says the rest


def _fault(compiled: Any) -> str:
    for chat in CHATS:
        parts = compiled.generate(messages=chat, add_generation_prompt=True, bos_token="", eos_token="", tools=None)
        if sum(map(len, parts)) > MAX_CHARACTERS:
            return f"makes more than {MAX_CHARACTERS:,} characters of a short chat"
    return ""


def _rendered(template: str, chats: list[list[dict[str, Any]]]) -> dict[str, Any]:
    compiled = _compiled(template)
    refused: dict[int, str] = {}
    lost: dict[int, tuple[str, str]] = {}
    for number, chat in enumerate(chats):
        try:
            text = compiled.render(messages=chat, add_generation_prompt=False, bos_token="", eos_token="", tools=None)
        except Exception as error:  # a template raises what it likes: its own message, or a type error of its code
            refused[number] = (str(error).strip() or type(error).__name__).splitlines()[0]
            continue
        words = ((message["role"], word) for message in chat for word in without_thoughts(message["content"]).split())
        if missing := next(((role, word) for role, word in words if word not in text), None):
            lost[number] = missing
    return {"refused": refused, "lost": lost}


def _texts(template: str, chats: list[list[dict[str, Any]]], tokens: dict[str, str]) -> list[str]:
    compiled = _compiled(template)
    return [compiled.render(messages=chat, add_generation_prompt=False, tools=None, **tokens) for chat in chats]


def without_thoughts(content: str) -> str:
    """The content after its reasoning, which templates treat in ways of their own: the audit of a run follows it."""
    return content.rpartition("</think>")[2]


def _compiled(template: str) -> Any:
    """The template as transformers compiles it, with the names that it gives to templates."""
    from datetime import datetime

    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} marks what a model wrote; here it is only rendered."""

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
