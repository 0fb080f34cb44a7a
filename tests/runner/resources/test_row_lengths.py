"""What sequence_len and memory must hold: rows in tokens where the tokenizer is at hand, else in bytes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.resources.forward_pass import ForwardPass
from recipekit.runner.resources.row_lengths import PER_MESSAGE, TEMPLATE, Length, forward_pass_of, local_tokenizer, longest, row_tokens
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.yaml_writing import to_yaml

from ...support.jsonl import write_jsonl

CPU = Machine(memory=64 << 30, cores=8)


def chat(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]}


@pytest.fixture(scope="module")
def folder(tiny_model: Path) -> str:
    return str(tiny_model)


@pytest.fixture(scope="module")
def tokenizer(folder: str) -> Any:
    found = local_tokenizer(folder)
    assert found is not None
    return found


@given(rows=st.lists(st.lists(st.text(max_size=60), min_size=2, max_size=4), min_size=1, max_size=400))
def test_the_longest_row_is_found(rows: list[list[str]], tokenizer: Any) -> None:
    counts = [
        sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in row) + TEMPLATE + PER_MESSAGE * len(row) for row in rows
    ]
    assert longest([chat(*row) for row in rows], tokenizer).total == max(counts)


def test_without_a_tokenizer_bytes_are_counted() -> None:
    assert local_tokenizer("nobody/nothing") is None
    assert longest([chat("a" * 300, "b" * 300), chat("a", "b")], None) == Length(600, 200, 200 + TEMPLATE + 2 * PER_MESSAGE, False)
    assert longest([], None).total == 0


@pytest.mark.parametrize(("characters", "tokens"), [(3, 64), (300, 192), (30_000, 512)])
def test_memory_is_estimated_at_the_longest_row(tmp_path: Path, minimal: Any, characters: int, tokens: int) -> None:
    rows = tmp_path / "train.jsonl"
    write_jsonl(rows, [chat("Why?", "a" * size) for size in (1, characters)])
    (tmp_path / "r.yml").write_text(to_yaml(minimal({"training.sequence_len": 512})))
    recipe = load_recipe(str(tmp_path / "r.yml")).recipe
    assert forward_pass_of(recipe, CPU, rows, "nobody/nothing", None) == ForwardPass(tokens, tokens)


def test_packed_rows_are_as_long_as_the_block(tmp_path: Path, minimal: Any) -> None:
    (tmp_path / "r.yml").write_text(to_yaml(minimal({"training.sample_packing": True})))
    recipe = load_recipe(str(tmp_path / "r.yml")).recipe
    assert forward_pass_of(recipe, CPU, tmp_path / "absent", "nobody/nothing", None).longest == recipe.training.sequence_len


def test_the_lengths_of_all_rows_are_estimated_from_their_bytes(tmp_path: Path, minimal: Any) -> None:
    rows = tmp_path / "train.jsonl"
    write_jsonl(rows, [chat("Why?", "a" * size) for size in (2, 302, 32)])
    (tmp_path / "r.yml").write_text(to_yaml(minimal({})))
    recipe, template = load_recipe(str(tmp_path / "r.yml")).recipe, TEMPLATE + 2 * PER_MESSAGE
    assert row_tokens(recipe, rows, "nobody/nothing", every=True) == [102 + template, 12 + template, 2 + template]
    assert row_tokens(recipe, rows, "nobody/nothing", every=False) == [102 + template]
