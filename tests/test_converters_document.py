"""docs/converters.md is generated from the converters' modules and the schema of their options, with UPDATE_GOLDEN=1."""

import inspect
import json
from importlib import import_module

from recipekit.converters.sources.registry import CONVERTERS, is_stateless
from recipekit.schemas.json_schema import schema

from .support.golden import golden, markdown_row
from .support.paths import ROOT

DOCUMENT = ROOT / "docs" / "converters.md"
HEAD = """# Converters

Generated from the converters by `UPDATE_GOLDEN=1 pytest tests/test_converters_document.py`. A recipe names a converter and its options in
`data.sources`; on the command line it is `recipe convert --converter NAME PATH... --out DIR`.
Formats are detected from the content, gzip and zstd included. A converter that works row by row can be spread over `--processes` or a cluster.

| converter | what | record types | reads | row by row |
|---|---|---|---|---|
"""
INPUT = {"values": "JSON and tables", "lines": "text lines", "files": "whole texts"}


def modules():
    return {name: import_module(f"recipekit.converters.sources.{name}") for name in CONVERTERS}


def reads(module):
    return (
        INPUT[module.INPUT]
        if isinstance(module.INPUT, str)
        else inspect.getdoc(module.INPUT).splitlines()[0].removeprefix("Return ").rstrip(".")
    )


def local(name, module):
    if not callable(module.STATELESS):
        return "yes" if module.STATELESS else "no"
    reason = inspect.getdoc(module.STATELESS).partition(": ")[2].rstrip(".")
    return f"{'yes' if is_stateless(name, {}) else 'no'}: {reason}"


def paragraphs(module):
    """The docstring's paragraphs; those that are indented, which show a row, as code."""
    for text in module.__doc__.strip().split("\n\n"):
        lines = text.splitlines()
        if all(line.startswith("    ") or not line for line in lines):
            yield "\n".join(["```", *(line[4:] for line in lines), "```"])
        else:
            yield text


def kind(option):
    if "enum" in option:
        return " or ".join(f"`{value}`" for value in option["enum"])
    found = option.get("type") or "any"
    return " or ".join(found) if isinstance(found, list) else found


def options(name):
    rows = schema("recipe")["$defs"][name].get("properties", {})
    if not rows:
        return "No options."
    cells = [(f"`{key}`", kind(value), f"`{json.dumps(value['default'], ensure_ascii=False)}`" if "default" in value else "",
              value.get("description", "")) for key, value in rows.items()]  # fmt: skip
    table = [["option", "type", "default", "what it does"], ["---"] * 4, *cells]
    return "\n".join(map(markdown_row, table))


def document():
    found = modules()
    table = "".join(
        f"| [{name}](#{name}) | {module.__doc__.splitlines()[0].rstrip('.:')} | {', '.join(module.RECORD_TYPES)} | {reads(module)} | {local(name, module)} |\n"
        for name, module in found.items()
    )
    parts = ["\n".join([f"## {name}", "", "\n\n".join(paragraphs(module)), "", options(name)]) for name, module in found.items()]
    return HEAD + table + "\n" + "\n\n".join(parts) + "\n"


def test_the_document_says_what_the_converters_are():
    assert golden(DOCUMENT, document()) == document()


def test_every_converter_shows_a_row_and_describes_its_options():
    for name, module in modules().items():
        assert any(part.startswith("```") for part in paragraphs(module)) or name == "text", f"{name} shows no row"
        for key, option in schema("recipe")["$defs"][name].get("properties", {}).items():
            assert option.get("description"), f"{name}.{key}"
