"""`recipe --help` and `recipe check` stay light: they import what is listed here and nothing else."""

import json
import subprocess
import sys

import pytest

ALLOWED = {"click", "colorama", "jsonschema_rs", "recipekit", "yaml", "_yaml"}
BARE = {"click", "colorama", "recipekit"}
JSONSCHEMA = {"jsonschema", "jsonschema_specifications", "referencing", "attr", "attrs", "idna", "orjson", "rpds", "typing_extensions"}
LIGHT = {
    "help": (["--help"], BARE),
    "version": (["--version"], BARE),
    "help of check": (["check", "--help"], ALLOWED),
    "check": (["check", "emogpt_qwen", "quickstart"], ALLOWED),
    "check as JSON": (["check", "emogpt_qwen", "--json"], ALLOWED),
    "schema": (["schema"], ALLOWED),
    "a wrong recipe": (["check", "emogpt_qwen", "--set", "a=1"], ALLOWED | JSONSCHEMA),
}  # fmt: skip
HEAVY = {"torch", "transformers", "datasets", "axolotl", "pydantic", "numpy", "pyarrow", "rich", "jsonschema", "pandas", "requests"}
SCRIPT = """
import sys
before = set(sys.modules)  # what the interpreter and the installation itself bring
sys.argv = ["recipe", *{arguments!r}]
from recipekit.runner.__main__ import main
try:
    main()
except SystemExit:
    pass
import json
third_party = {{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names
print()
print(json.dumps(sorted(third_party)))
"""


def imported(arguments: list[str]) -> set[str]:
    result = subprocess.run([sys.executable, "-c", SCRIPT.format(arguments=arguments)], capture_output=True, text=True, check=True)
    return {
        name
        for name in json.loads(result.stdout.splitlines()[-1])
        if not name.startswith(("__editable__", "_virtualenv", "cython_runtime", "_cython_"))
    }


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_command_imports_only_what_is_allowed(name: str) -> None:
    arguments, allowed = LIGHT[name]
    found = imported(arguments)
    assert found - allowed == set()
    assert "recipekit" in found


def test_a_valid_recipe_is_checked_without_anything_heavy() -> None:
    assert imported(["check", "emogpt_qwen"]) & HEAVY == set()


def test_a_valid_recipe_is_checked_without_slow_standard_modules() -> None:
    slow = {"difflib", "hashlib", "unicodedata"}
    code = f"import atexit, sys; sys.argv = ['recipe', 'check', 'quickstart']; atexit.register(lambda: print({slow} & set(sys.modules))); "
    code += "from recipekit.runner.__main__ import main; main()"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_garbage_is_collected_while_a_command_runs() -> None:
    code = "import atexit, gc, sys; sys.argv = ['recipe', 'ls']; atexit.register(lambda: print(gc.isenabled())); "
    code += "from recipekit.runner.__main__ import main; main()"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.endswith("\nTrue\n")


def test_a_report_loads_no_client_of_a_provider() -> None:
    code = "import sys, recipekit.runner.reporting.report; sys.exit(bool({'openai', 'httpx2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("verb", ["chat", "serve", "predict"])
def test_an_unavailable_model_is_refused_before_torch_is_loaded(verb: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "rows.jsonl").write_text('{"prompt": "Why?", "completion": "So."}\n')
    arguments = [verb, "nobody/nothing", *(["rows.jsonl", "--converter", "prompt_completion"] if verb == "predict" else [])]
    found = imported(arguments)
    assert "huggingface_hub" in found and found.isdisjoint({"torch", "transformers", "axolotl"})
