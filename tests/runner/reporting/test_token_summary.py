"""The audit in a line, for each record type."""

import pytest
from recipekit.runner.reporting.token_summary import token_summary

CHAT = {"rows": 2, "trained_rows": 2, "trained": 1200, "masked": 30, "longest": 900, "untrained_rows": []}
LABELLED = {"rows": 3, "trained_rows": 3, "labels": {"a": 2, "b": 1}, "tokens": 40, "longest": 20, "long_rows": {}}
TEXT = {"rows": 5, "trained_rows": 3, "tokens": 100, "trained": 95, "masked": 7, "longest": 40, "split_documents": 2, "fill": 0.85,
        "untrained_rows": []}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (CHAT, "1,200 tokens trained and 30 masked; longest row 900; 0 rows without a trained token"),
        (
            CHAT | {"long_rows": {"x": 9000}},
            "1,200 tokens trained and 30 masked; longest row 900; 0 rows without a trained token; 1 row longer than sequence_len",
        ),
        (
            CHAT
            | {
                "losses": {
                    "whitespace user": {"count": 3, "rows": {"x": ["\n", " "], "y": [" "]}},
                    "word user": {"count": 1, "rows": {"x": ["a"]}},
                }
            },
            "1,200 tokens trained and 30 masked; longest row 900; 0 rows without a trained token; "
            "the chat template leaves out white space at the ends of user messages in 2 rows",
        ),
        (LABELLED | {"long_rows": {"x": 21}}, "3 rows (2 a, 1 b) of 40 tokens; the longest has 20; 1 row longer than sequence_len"),
        (LABELLED, "3 rows (2 a, 1 b) of 40 tokens; the longest has 20"),
        (
            TEXT,
            "95 tokens trained and 7 masked (the first of each part); 5 texts in 3 blocks, 85% full, 2 texts split over blocks, none cut",
        ),
    ],
    ids=["chat", "a long chat", "a chat whose ends are stripped", "a long text with a label", "classification", "text"],
)
def test_a_split_in_a_line(facts, line):
    assert token_summary(facts) == line
