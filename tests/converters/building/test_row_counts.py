"""Every row is counted once, by reason."""

from recipekit.converters.building.row_counts import LISTED, Ledger
from recipekit.converters.reading.records import Drop, Row


def drop(line, reason="empty_content", filtered=False):
    return Drop(Row({"large": "value"}, "a.jsonl", line), reason, "", filtered)


def test_rows_in_are_those_kept_and_those_dropped():
    ledger = Ledger()
    ledger.kept = 3
    ledger.drop(drop(1))
    ledger.drop(drop(2, "duplicate", filtered=True))
    assert ledger.rows_in == 5
    assert ledger.unusable == 1


def test_examples_are_of_unusable_rows_and_hold_no_values():
    ledger = Ledger()
    ledger.drop(drop(1, "duplicate", filtered=True))
    ledger.drop(drop(2))
    assert ledger.examples == [Drop(Row(None, "a.jsonl", 2), "empty_content")]


def test_the_number_of_examples_is_limited():
    ledger = Ledger()
    for line in range(LISTED + 5):
        ledger.drop(drop(line))
    assert len(ledger.examples) == LISTED
    assert ledger.dropped["empty_content"] == LISTED + 5


def test_parts_add_up_to_what_the_whole_would_have_counted():
    whole, parts = Ledger(), [Ledger(), Ledger()]
    for line in range(2 * LISTED):
        item = drop(line, "a" if line % 3 else "b", filtered=line % 5 == 0)
        whole.drop(item)
        parts[line // LISTED].drop(item)
    for ledger in (whole, *parts):
        ledger.read, ledger.kept = 2 * LISTED, 7
        ledger.fixed.update(["trimmed"])
    total = Ledger()
    for part in parts:
        total.add(part)
    assert total.examples == whole.examples
    assert total.dropped == whole.dropped
    assert total.filtered == whole.filtered
    assert (total.read, total.kept, total.fixed["trimmed"]) == (4 * LISTED, 14, 2)


def test_a_count_of_zero_adds_no_reason():
    ledger = Ledger()
    ledger.drop_filtered("duplicate", 0)
    ledger.drop_filtered("near_duplicate", 2)
    assert ledger.as_json()["dropped"] == {"near_duplicate": 2}
    assert ledger.unusable == 0


def test_the_manifest_lists_reasons_in_order():
    ledger = Ledger()
    for reason in ("z", "a", "m"):
        ledger.drop(drop(1, reason))
    assert list(ledger.as_json()["dropped"]) == ["a", "m", "z"]
