"""What stops a training before its first step says what would let it begin."""

from recipekit.runner.worker.prepared_rows import LONG_SHOWN, long_rows_fault


def test_rows_that_are_too_long_name_the_length_that_holds_them_all() -> None:
    said = long_rows_fault("train", {f"a.csv:{n}": 20 + n for n in range(LONG_SHOWN + 1000)}, 16)
    assert said.startswith("1,006 train rows are longer than training.sequence_len (16): a.csv:0 (20 tokens), a.csv:1 (21 tokens), ")
    assert " and 1,000 more: increase it to 1,025, shorten the rows" in said
    assert long_rows_fault("", {"a.csv:1": 17}, 16).startswith(
        "1 row is longer than training.sequence_len (16): a.csv:1 (17 tokens): increase"
    )
