"""How what a person did wrong is told."""

import pytest
from recipekit.schemas.base.errors import GateError, Interrupted, Mark, Problem, UserError


@pytest.mark.parametrize(
    ("mark", "text"), [(Mark("a"), "a"), (Mark("a", 3), "a:3"), (Mark("a", 3, 4), "a:3:4"), (Mark("--set x=1"), "--set x=1")]
)
def test_a_place_is_written_as_far_as_it_is_known(mark: Mark, text: str) -> None:
    assert str(mark) == text


def test_a_problem_is_a_line_and_a_hint() -> None:
    assert str(Problem(Mark("a", 3), "wrong", "mend it")) == "a:3: wrong\n    hint: mend it"
    assert str(Problem(Mark(""), "wrong")) == "wrong"


def test_an_error_has_every_problem_and_words_become_one() -> None:
    error = UserError(Problem(Mark("a"), "one"), "two", hint="mend two")
    assert str(error) == "a: one\ntwo\n    hint: mend two"
    assert [problem.rule for problem in error.problems] == ["invalid", "environment"]


def test_places_sort_by_file_line_and_column() -> None:
    marks = [Mark("b", 1), Mark("a", 10), Mark("a", 9, 2), Mark("a", 9, 1)]
    assert sorted(marks) == marks[::-1]


@pytest.mark.parametrize(("kind", "code"), [(UserError, 1), (GateError, 3), (Interrupted, 130)])
def test_every_kind_has_its_exit_code_and_is_the_users(kind: type[UserError], code: int) -> None:
    assert kind("x").exit_code == code
    assert isinstance(kind("x"), UserError)
