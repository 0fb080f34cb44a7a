"""The account of generating adds up, or says that it does not."""

import pytest
from recipekit.converters.reading.records import Drop, Row
from recipekit.runner.generate.outcomes import Rejected, Rows
from recipekit.runner.generate.usage import Account
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.request_log import Entry, RequestLog
from recipekit.runner.providers.requests import ProviderRequest, Reply
from recipekit.schemas.base.errors import GateError, UserError
from recipekit.schemas.generate_sections import Price, Provider, Sampling

ENDPOINT = endpoint(Provider("local", "m", price=Price(1_000_000, 2_000_000, "USD")))
ASKED = ProviderRequest("local", "m", ({"role": "user", "content": "x"},), Sampling(), 1)


def ended(account: Account, outcome: Rows | Rejected, filtered: bool = False) -> None:
    account.ended(ENDPOINT, outcome, filtered)
    if isinstance(outcome, Rows):
        account.ledger.kept += 1
    else:
        account.ledger.drop(Drop(Row(None, "f", 1), outcome.reason, filtered=filtered))


def test_every_request_ends_in_one_way_and_the_ways_add_up() -> None:
    account = Account()
    for outcome, filtered in (
        (Rows([], "x"), False), (Rejected("refused"), False), (Rejected("empty"), False), (Rejected("failed"), False),
        (Rejected("no_dialogue"), False), (Rejected("not_novel"), True),
    ):  # fmt: skip
        ended(account, outcome, filtered)
    facts = account.as_json()
    assert (facts["rows_in"], facts["rows_kept"], facts["requests"]) == (6, 1, 6)
    used = facts["providers"]["local/m"]
    assert [used[how] for how in ("requests", "kept", "refused", "empty", "failed", "unusable", "filtered")] == [6, 1, 1, 1, 1, 1, 1]
    account.providers["local/m"]["kept"] += 1
    with pytest.raises(AssertionError, match="do not add up"):
        account.as_json()


def test_what_was_used_is_counted_from_the_log(tmp_path) -> None:
    log, account = RequestLog(tmp_path / "log.sqlite"), Account()
    log.fail(ASKED, "status 500", True)
    log.keep([Entry(ASKED, Reply("x", "stop", 3, 4), None, None, 2, 0.1)])
    account.asked(ENDPOINT, ASKED.key, 0, log)
    account.asked(ENDPOINT, ASKED._replace(seed=9).key, 1, log)
    log.close()
    ended(account, Rows([], "x"))
    used = account.as_json()["providers"]["local/m"]
    assert (used["replies"], used["asked_again"], used["retried"], used["prompt_tokens"], used["completion_tokens"]) == (1, 1, 1, 3, 4)
    assert used["cost"] == {"USD": 3 + 2 * 4}


def test_more_lost_than_allowed_stops_it_and_what_was_filtered_is_not_lost() -> None:
    account = Account()
    ended(account, Rows([], "x"))
    ended(account, Rejected("not_novel"), filtered=True)
    account.checked(0)
    ended(account, Rejected("refused"))
    with pytest.raises(UserError, match="1 of 3 rows cannot be used"):
        account.checked(0)
    with pytest.raises(GateError):
        account.checked(0.3)
    account.checked(0.34)
