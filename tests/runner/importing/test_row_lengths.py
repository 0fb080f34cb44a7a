"""What sequence_len must hold: rows in tokens where the tokenizer is at hand, else in bytes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.records import Record, Row
from recipekit.runner.importing.row_lengths import PER_MESSAGE, TEMPLATE, local_tokenizer, sequence_len


def chat(*contents: str) -> Record:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    return Record(Row(None, "a", 1), {"messages": messages})


@pytest.fixture(scope="module")
def folder(tiny_model: Path) -> str:
    return str(tiny_model)


@pytest.fixture(scope="module")
def tokenizer(folder: str) -> Any:
    found = local_tokenizer(folder)
    assert found is not None
    return found


@given(rows=st.lists(st.lists(st.text(max_size=60), min_size=2, max_size=4), min_size=1, max_size=40))
def test_every_row_fits_with_its_template(rows: list[list[str]], folder: str, tokenizer: Any) -> None:
    length, why = sequence_len([chat(*row) for row in rows], folder, True)
    counts = [
        sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in row) + TEMPLATE + PER_MESSAGE * len(row) for row in rows
    ]
    assert length >= max(counts) > length - 64 or length == 64
    assert f"about {max(counts):,} with the chat template" in why


def test_a_model_that_is_not_at_hand_is_estimated_by_bytes_and_says_so() -> None:
    length, why = sequence_len([chat("a" * 300, "b" * 300)], "nobody/nothing", True)
    assert length == 256
    assert (
        why
        == "the longest of 1 rows has 600 bytes, about 200 tokens, about 248 with the chat template: the model's tokenizer is not at hand"
    )


def test_rows_that_were_not_looked_at_get_a_margin(folder: str) -> None:
    rows = [chat("word " * 200, "word " * 200)]
    assert sequence_len(rows, folder, False)[0] > sequence_len(rows, folder, True)[0]
    assert sequence_len(rows, folder, False)[1].startswith("the longest of the first 1 rows")


def test_texts_are_split_into_blocks() -> None:
    assert sequence_len([Record(Row(None, "a", 1), {"text": "a" * 90_000})], "nobody/nothing", True)[0] == 512
