"""Whether a chat template renders short chats within limits of time, memory and length, tried in a process that can be ended.

python -m recipekit.runner.models.template_check: the template on standard input, what is wrong with it on standard output.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from functools import cache
from typing import Any

SECONDS = 5
MAX_MEMORY = 1 << 30
MAX_CHARACTERS = 1 << 20
_PATIENCE = 60  # a machine that is busy gives a process few of its seconds
_CHAT = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "<think>\nIt is.\n</think>\n\nA cat."}]
CHATS = ([_CHAT[0]], [{"role": "system", "content": "Be brief."}, *_CHAT * 3], _CHAT * 20)


@cache
def template_fault(template: str) -> str:
    """Why the template cannot be used: "takes more than 5 seconds"; "" where nothing is wrong with it, or jinja2 is not installed."""
    argv = [sys.executable, "-m", "recipekit.runner.models.template_check"]
    try:
        env = {**os.environ, "PYTHONSAFEPATH": "1"}
        done = subprocess.run(argv, input=template.encode("utf-8", "surrogatepass"), capture_output=True, timeout=_PATIENCE, env=env)
    except subprocess.TimeoutExpired:
        return f"takes more than {SECONDS} seconds for a short chat"
    if done.returncode == -signal.SIGXCPU:
        return f"takes more than {SECONDS} seconds for a short chat"
    if done.returncode < 0:
        return "crashes the process that renders it"
    return done.stdout.decode("utf-8", "replace").strip()


def main() -> None:
    """Print the fault of the template on standard input, if it has one."""
    try:
        from jinja2.exceptions import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: F401
    except ImportError:
        return
    template = sys.stdin.buffer.read().decode("utf-8", "replace")
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        print(_fault(_compiled(template)))
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
