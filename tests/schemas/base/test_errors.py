"""How a user's mistakes are reported."""

import pytest
from recipekit.schemas.base.errors import GateError, Interrupted, Location, Problem, UserError, first_line, hints_once


@pytest.mark.parametrize(
    ("location", "text"),
    [(Location("a"), "a"), (Location("a", 3), "a:3"), (Location("a", 3, 4), "a:3:4"), (Location("--set x=1"), "--set x=1")],
)
def test_a_location_shows_what_is_known(location: Location, text: str) -> None:
    assert str(location) == text


def test_a_problem_is_a_line_and_a_hint() -> None:
    assert str(Problem(Location("a", 3), "wrong", "mend it")) == "a:3: wrong\n    hint: mend it"
    assert str(Problem(Location(""), "wrong")) == "wrong"


def test_a_hint_of_several_problems_in_a_row_follows_the_last() -> None:
    problems = [Problem("a", "wrong", hint) for hint in ("mend", "mend", "", "mend", "other")]
    assert [problem.hint for problem in hints_once(problems)] == ["", "mend", "", "mend", "other"]
    assert hints_once([]) == []


def test_an_error_has_every_problem_and_words_become_one() -> None:
    error = UserError(Problem(Location("a"), "one"), "two", hint="mend two")
    assert str(error) == "a: one\ntwo\n    hint: mend two"
    assert [problem.rule for problem in error.problems] == ["invalid", "environment"]


@pytest.mark.parametrize("error", [TimeoutError(), TimeoutError(""), TimeoutError(" \n"), TimeoutError("TimeoutError\nmore")])
def test_an_error_without_a_message_is_named_by_its_type(error: Exception) -> None:
    assert first_line(error) == "TimeoutError"


def test_places_sort_by_file_line_and_column() -> None:
    locations = [Location("b", 1), Location("a", 10), Location("a", 9, 2), Location("a", 9, 1)]
    assert sorted(locations) == locations[::-1]


@pytest.mark.parametrize(("kind", "code"), [(UserError, 1), (GateError, 3), (Interrupted, 130)])
def test_every_user_error_has_its_exit_code(kind: type[UserError], code: int) -> None:
    assert kind("x").exit_code == code
    assert isinstance(kind("x"), UserError)
