import pytest
from recipekit.schemas.base.counted import counted


def test_one_is_singular_and_any_other_number_plural():
    assert [counted(number, "row") for number in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]


@pytest.mark.parametrize(("verb", "one"), [("are", "is"), ("have", "has"), ("contain", "contains")])
def test_the_verb_agrees_with_the_number(verb, one):
    assert (counted(1, "row", verb), counted(2, "row", verb)) == (f"1 row {one}", f"2 rows {verb}")
