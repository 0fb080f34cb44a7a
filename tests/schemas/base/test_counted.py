import pytest
from recipekit.schemas.base.counted import counted, counted_of


def test_one_is_singular_and_any_other_number_plural():
    assert [counted(number, "row") for number in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]


def test_nouns_in_y_and_s_have_their_own_plural():
    plurals = [counted(2, noun) for noun in ("reply", "key", "loss", "process", "training row")]
    assert plurals == ["2 replies", "2 keys", "2 losses", "2 processes", "2 training rows"]


def test_of_a_number_the_verb_agrees_with_the_part_and_the_noun_with_the_whole():
    found = [counted_of(part, whole, "row", "are") for part, whole in ((1, 1), (1, 20), (2, 2000))]
    assert found == ["1 of 1 row is", "1 of 20 rows is", "2 of 2,000 rows are"]


@pytest.mark.parametrize(("verb", "one"), [("are", "is"), ("have", "has"), ("were", "was"), ("do", "does"), ("contain", "contains")])
def test_the_verb_agrees_with_the_number(verb, one):
    assert (counted(1, "row", verb), counted(2, "row", verb)) == (f"1 row {one}", f"2 rows {verb}")
