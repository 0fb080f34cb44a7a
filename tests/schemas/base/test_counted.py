from recipekit.schemas.base.counted import counted


def test_one_is_singular_and_any_other_number_plural():
    assert [counted(number, "row") for number in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]
