"""Fields of meta are counted in bounded memory."""

from recipekit.runner.inspection.distributions import FIELDS, Meta


def test_fields_beyond_the_limit_are_counted_together():
    meta = Meta()
    meta.add({f"key {number}": number for number in range(FIELDS + 7)})
    facts = meta.as_json()
    assert len(facts["meta"]) == FIELDS
    assert facts["values_of_further_fields"] == 7


def test_an_origin_is_reported_by_file_and_converter():
    meta = Meta()
    meta.add({"origin": {"file": "a.json", "converter": "emogpt@1"}})
    meta.add({"origin": "by hand"})
    facts = meta.as_json()
    assert facts["sources"]["counts"] == {"a.json": 1}
    assert facts["converters"]["counts"] == {"emogpt@1": 1}
    assert facts["meta"]["origin"]["most_common"]["counts"] == {"by hand": 1}


def test_truth_values_are_not_numbers():
    meta = Meta()
    meta.add({"flag": True})
    assert meta.as_json()["meta"]["flag"] == {
        "rows": 1, "types": {"true or false": 1}, "most_common": {"counts": {"true": 1}, "different": 1, "not_listed": 0},
    }  # fmt: skip
