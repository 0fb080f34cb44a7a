"""The review page in a real browser: it names no model, runs nothing of the replies, works by keyboard, and saves what was chosen."""

import json
from pathlib import Path

import pytest
from recipekit.runner.evaluation.human_review import Pair, Review, make_review
from recipekit.runner.reporting.report import write_report
from recipekit.runner.reporting.review import shared_system_prompt, write_review_page

from ...support.browser import requests
from ...support.finished_runs import HOSTILE, write_chat_run
from ...support.jsonl import write_jsonl

for package in ("jinja2", "scipy"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")


@pytest.fixture
def page(tmp_path):
    """The page of a run whose every text is hostile, and its review."""
    run = write_chat_run(tmp_path, ["some text", *HOSTILE])
    rows = [
        {"id": f"r{n}", "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "-"}]}
        for n, text in enumerate(HOSTILE)
    ]
    write_jsonl(run / "eval" / "rows.jsonl", rows)
    scored = {"reference": "-", "stopped": True, "reply_tokens": 2, "nll": 3.0, "target_tokens": 4, "correct": 1}
    predictions = [
        {**scored, "id": row["id"], "model": m, "reply": f"{'xy'[m == 'base']} {HOSTILE[0]}"} for row in rows for m in ("base", "tuned")
    ]
    write_jsonl(run / "eval" / "predictions.jsonl", predictions)
    review = make_review(run, 25, 42)
    return write_review_page(review, "tiny", tmp_path / "review.html"), review, run


def test_the_page_says_nowhere_which_side_is_which_model(page):
    text = page[0].read_text().casefold().partition("</style>")[2]
    assert "tuned" not in text and "base model" not in text and '"base"' not in text


def chat(*contents: tuple[str, str]) -> Pair:
    return Pair("r", [{"role": role, "content": content} for role, content in contents], {"A": "a", "B": "b"}, "A")


def test_a_system_prompt_that_all_conversations_share_is_shown_once(tmp_path):
    pairs = [chat(("system", "Be brief."), ("user", f"question {n}")) for n in range(3)]
    text = write_review_page(Review("x", pairs), "tiny", tmp_path / "review.html").read_text()
    assert text.count("Be brief.") == 1 and all(f"question {n}" in text for n in range(3))
    pairs.append(chat(("system", "Be kind."), ("user", "question 3")))
    text = write_review_page(Review("x", pairs), "tiny", tmp_path / "review.html").read_text()
    assert (text.count("Be brief."), text.count("Be kind.")) == (3, 1), "they differ: each is where it belongs"


@pytest.mark.parametrize("pairs", [[], [chat(("user", "q"))], [chat(("system", "s"), ("user", "q")), chat(("user", "q"))], [chat()]])
def test_conversations_without_one_system_prompt_share_none(pairs):
    assert shared_system_prompt(pairs) is None


def test_replies_run_nothing_and_nothing_is_fetched(browser, page):
    browser.get(page[0].as_uri())
    assert all(url.startswith("file:") for url in requests(browser))
    assert browser.execute_script("return window.pwned") is None
    assert browser.execute_script("return document.querySelectorAll('article').length") == len(page[1].pairs)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_choices_are_made_by_keyboard_and_saved_as_votes(browser, page):
    from selenium.webdriver.common.keys import Keys

    path, review, run = page
    browser.get(path.as_uri())
    browser.execute_script("URL.createObjectURL = blob => { blob.text().then(text => window.saved = text); return '#'; }")
    browser.find_element("id", "rater").send_keys(
        "Ann", Keys.TAB, Keys.SPACE, Keys.TAB, Keys.SPACE, Keys.ARROW_RIGHT, Keys.TAB, Keys.SPACE, Keys.ARROW_LEFT
    )
    active = browser.switch_to.active_element
    active.send_keys(Keys.ENTER)
    saved = json.loads(
        browser.execute_async_script(
            "const done = arguments[0]; const wait = () => window.saved ? done(window.saved) : setTimeout(wait, 20); wait()"
        )
    )
    assert saved["review"] == review.name and saved["rater"] == "Ann"
    (vote,) = saved["votes"]
    assert vote["item"] == 1 and vote["preference"] == "A" and set(vote) > {"item", "preference"}
    assert "of" in browser.find_element("tag name", "output").text


@pytest.mark.parametrize("width", [390, 1280])
def test_no_width_needs_scrolling_sideways(browser, page, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    )
    browser.get(page[0].as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_axe_finds_nothing_serious(serious, page):
    assert serious(page[0]) == []


def test_the_report_shows_the_votes(page, tmp_path):
    from recipekit.runner.evaluation.human_review import add_votes

    _, review, run = page
    votes = [{"item": item, "preference": pair.tuned} for item, pair in enumerate(review.pairs, 1)]
    (tmp_path / "votes.json").write_text(json.dumps({"review": review.name, "rater": "<i>Ann</i>", "votes": votes}))
    add_votes(run, review, tmp_path / "votes.json")
    text = Path(write_report(run)).read_text()
    assert "Blind review by people" in text and f">{len(votes)}</td>" in text and "<i>Ann</i>" not in text
