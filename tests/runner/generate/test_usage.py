"""The account of generating adds up, or says that it does not."""

import pytest
from recipekit.converters.reading.records import Drop, Row
from recipekit.runner.generate.outcomes import Rejected, Rows
from recipekit.runner.generate.usage import Usage
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.request_log import Entry, RequestLog
from recipekit.runner.providers.requests import ProviderRequest, Reply
from recipekit.schemas.base.errors import GateError, UserError
from recipekit.schemas.generate_sections import Price, Provider, Sampling

ENDPOINT = endpoint(Provider("local", "m", price=Price(1_000_000, 2_000_000, "USD")))
ASKED = ProviderRequest("local", "m", ({"role": "user", "content": "x"},), Sampling(), 1)


def ended(usage: Usage, outcome: Rows | Rejected, filtered: bool = False) -> None:
    outcome = outcome if isinstance(outcome, Rows) else outcome._replace(filtered=filtered)
    usage.ended(ENDPOINT, outcome)
    if isinstance(outcome, Rows):
        usage.ledger.kept += 1
    else:
        usage.ledger.drop(Drop(Row(None, "f", 1), outcome.reason, filtered=filtered))


def test_every_request_has_one_outcome() -> None:
    usage = Usage()
    for outcome, filtered in (
        (Rows([], "x"), False), (Rejected("refused"), False), (Rejected("empty"), False), (Rejected("failed"), False),
        (Rejected("no_dialogue"), False), (Rejected("not_novel"), True),
    ):  # fmt: skip
        ended(usage, outcome, filtered)
    facts = usage.as_json()
    assert (facts["rows_in"], facts["rows_kept"], facts["requests"]) == (6, 1, 6)
    used = facts["providers"]["local/m"]
    assert [used[how] for how in ("requests", "kept", "refused", "empty", "failed", "unusable", "filtered")] == [6, 1, 1, 1, 1, 1, 1]
    usage.providers["local/m"]["kept"] += 1
    with pytest.raises(AssertionError, match="do not add up"):
        usage.as_json()


def test_usage_is_counted_from_the_log(tmp_path) -> None:
    log, usage = RequestLog(tmp_path / "log.sqlite"), Usage()
    log.fail(ASKED, "status 500", True)
    log.keep([Entry(ASKED, Reply("x", "stop", 3, 4), None, None, 2, 0.1)])
    usage.asked(ENDPOINT, ASKED.key, 0, log)
    usage.asked(ENDPOINT, ASKED._replace(seed=9).key, 1, log)
    log.close()
    ended(usage, Rows([], "x"))
    used = usage.as_json()["providers"]["local/m"]
    assert (used["replies"], used["asked_again"], used["retried"], used["prompt_tokens"], used["completion_tokens"]) == (1, 1, 1, 3, 4)
    assert used["cost"] == {"USD": 3 + 2 * 4}


def test_rows_of_which_none_could_be_asked_name_the_options_of_the_task() -> None:
    usage = Usage()
    usage.ledger.drop(Drop(Row(None, "f", 1), "no_text", "text is missing or blank"))
    with pytest.raises(UserError, match="name the rows' keys in generate.options"):
        usage.checked(0)
    ended(usage := Usage(), Rejected("refused"))
    with pytest.raises(UserError, match="fix the rows"):
        usage.checked(0)


def test_filtered_rows_do_not_count_as_unusable() -> None:
    usage = Usage()
    ended(usage, Rows([], "x"))
    ended(usage, Rejected("not_novel"), filtered=True)
    usage.checked(0)
    ended(usage, Rejected("refused"))
    with pytest.raises(UserError, match="1 of 3 rows cannot be used"):
        usage.checked(0)
    with pytest.raises(GateError):
        usage.checked(0.3)
    usage.checked(0.34)
