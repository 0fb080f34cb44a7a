"""Rows of evaluation sets that training has seen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.held_out import refuse_seen_rows
from recipekit.schemas.base.counted import counted
from recipekit.schemas.base.errors import GateError
from recipekit.schemas.sections import Data, Split

from ...support.jsonl import write_jsonl


def chat(number: object, question: str, **meta: object) -> dict:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]
    return {"id": f"f:{number}", "messages": messages, "meta": meta}


def write(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(path, rows)
    return path


@pytest.fixture
def check(tmp_path: Path):
    """Compare a set with training and validation rows; what was refused, or nothing."""

    def run(train: list[dict], held_out: list[dict], validation: list[dict] | None = None, kind="chat", **data: object) -> list[str]:
        write(tmp_path / "data" / "train.jsonl", train)
        write(tmp_path / "data" / "validation.jsonl", validation or [])
        path = write(tmp_path / "sets" / "plain" / "test.jsonl", held_out)
        try:
            refuse_seen_rows(Data("chat", (), **data), tmp_path / "data", {"plain": (kind, path)})
        except GateError as error:
            return [problem.what for problem in error.problems]
        return []

    return run


def test_a_row_that_was_trained_is_named_with_both_places(check) -> None:
    found = check([chat(1, "Is it?"), chat(2, "Was it?")], [chat(7, " Was it? "), chat(8, "New?")])
    assert found == ["the same conversation is in train (f:2) and plain (f:7)", "1 evaluated row is also in the training data"]


def test_a_system_message_hides_no_row(check) -> None:
    row = chat(1, "Is it?")
    row["messages"].insert(0, {"role": "system", "content": "Be brief."})
    assert check([row], [chat(2, "Is it?")]) != []


def test_validation_rows_count_as_seen_since_they_choose_the_checkpoint(check) -> None:
    assert check([], [chat(2, "Is it?")], [chat(1, "Is it?")])[0] == "the same conversation is in validation (f:1) and plain (f:2)"


def test_a_group_is_shared_by_the_keys_of_the_split(check) -> None:
    held_out = [chat(2, "Other?", text="one sentence")]
    train = [chat(1, "Is it?", text="one sentence")]
    assert check(train, held_out) == []
    assert "the same group" in check(train, held_out, split=Split(group_by=("text",)))[0]


def test_near_duplicates_are_looked_for_where_the_recipe_says_so(check) -> None:
    pytest.importorskip("rensa", reason="needs the extra [data]: rensa")
    question = "How would you describe the weather on a long autumn evening by the sea?"
    train, held_out = (
        [chat(n, f"Question number {n} of something else?") for n in range(5)] + [chat(9, question)],
        [chat(2, question + "!")],
    )
    assert check(train, held_out) == []
    assert check(train, held_out, check_leaks="near")[0] == "the same near-duplicate is in train (f:9) and plain (f:2)"
    assert check(train, held_out, check_leaks="none") == []


def test_rows_of_another_type_are_not_compared(check) -> None:
    assert check([chat(1, "Is it?")], [{"id": "f:2", "text": "Is it?", "meta": {}}], kind="text") == []


@given(train=st.lists(st.integers(0, 30)), held_out=st.lists(st.integers(0, 30), unique=True))
def test_a_set_is_refused_exactly_where_it_shares_a_row(tmp_path_factory, train: list[int], held_out: list[int]) -> None:
    folder = tmp_path_factory.mktemp("sets")
    write(folder / "data" / "train.jsonl", [chat(n, f"Question {n}?") for n in train])
    path = write(folder / "test.jsonl", [chat(n, f"Question {n}?") for n in held_out])
    shared = len({*train} & {*held_out})
    if not shared:
        refuse_seen_rows(Data("chat", ()), folder / "data", {"plain": ("chat", path)})
        return
    with pytest.raises(GateError) as refused:
        refuse_seen_rows(Data("chat", ()), folder / "data", {"plain": ("chat", path)})
    assert refused.value.problems[-1].what.startswith(counted(shared, "evaluated row", "are") + " also in")
