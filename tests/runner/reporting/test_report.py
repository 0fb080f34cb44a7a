"""report.html: what it shows, and that nothing in it runs. Opened in a real browser where there is one."""

import html
import json
import re

import pytest
from recipekit.runner.reporting.report import charts, cost, write_report
from recipekit.runner.reporting.verdicts import answer
from recipekit.runner.runtime.run_files import MANIFEST, METRICS, ORIGINS
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.terminal import printable

from ...support.browser import requests
from ...support.finished_runs import HOSTILE, PROBES, write_chat_run
from ...support.jsonl import write_jsonl
from ...support.run_files import manifest_with

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
HUGE = ["W" * 60_000, "🌙" * 20_000, "word " * 20_000, "\n" * 500]


def visible(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("</style>")[2])))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    return write_report(write_chat_run(tmp_path_factory.mktemp("plain"), ["some text"])).read_text(encoding="utf-8")


def test_the_page_answers_first(plain):
    text = visible(plain)
    assert "On 20 validation rows the tuned model's perplexity is better than that of the base model: 4.00 against 9.00." in text
    assert text.index("On 20 validation rows") < text.index("Numbers") < text.index("Training") < text.index("Data")


def test_a_reply_without_text_says_so_and_a_large_gain_is_a_plain_number(tmp_path):
    run = write_chat_run(tmp_path, [" \n"])
    lines = [json.loads(line) for line in (run / "eval" / "predictions.jsonl").read_text().splitlines()]
    write_jsonl(run / "eval" / "predictions.jsonl", [line | ({"nll": 500.0} if line["model"] == "base" else {}) for line in lines])
    text = visible(write_report(run).read_text(encoding="utf-8"))
    assert "(no text)" in text
    assert re.search(r"perplexity better by \d{4,}\.\d\d ", text)


@pytest.mark.parametrize(
    "shown",
    ["9.00 [8.00, 10.00]", "-5.00, better", "32.00 [31.00, 33.00]", "1,200 rows in", "−100 dropped: some text", "1,100 rows kept",
     "3 fixed: some text", "1,000 train", "12,345 tokens trained and 54,321 masked", "passed: perplexity is 4.00, at most 5 is required", "base (did not stop)",
     "95 % intervals"],
)  # fmt: skip
def test_the_page_shows(plain, shown):
    assert shown in visible(plain)


def test_the_page_is_self_contained(plain):
    assert not re.search(r"<(script|link|img|iframe|object|embed|base|form)\b", plain)
    assert not re.search(r"""(src|href|action)\s*=|@import|url\(|https?://""", plain)
    assert "default-src 'none'" in plain


def test_best_and_worst_rows_are_distinct(plain):
    ids = re.findall(r"<article><h3>(\d+) some text: perplexity", plain)
    assert ids[:8] == [str(n) for n in range(14, 6, -1)], "the base did worst on the last rows, the tuned model the same on all"
    assert ids[8:] == [str(n) for n in range(7)]


def test_the_masks_of_three_rows_are_shown(plain):
    assert plain.count("<mark>some text</mark>") == 6


def test_a_recipes_values_are_shown_with_their_origin(tmp_path, minimal):
    from recipekit.schemas.yaml_writing import to_yaml

    run = write_chat_run(tmp_path, ["x"])
    (run / "recipe.yml").write_text(to_yaml(minimal()))
    run.write(ORIGINS, {"training.learning_rate": "small.yml:9:3", "model.base_model": "--set", "training.seed": "default"})
    text = visible(write_report(run).read_text(encoding="utf-8"))
    assert "training.learning_rate 0.0001 small.yml:9:3" in text and "model.base_model some/model --set" in text
    assert "Keys at their defaults training.seed 42" in text


def test_the_leak_check_is_described(tmp_path):
    run = write_chat_run(tmp_path, ["x"])
    near = {"threshold": 0.7, "rows": {"validation": 1}, "examples": [["<a>:1", "b:2"]]}
    leaks = {"identical": True, "group_by": ["tree_id"], "near_duplicates": near}
    run.write(MANIFEST, run.read(MANIFEST) | {"splits": {"train": 9, "validation": 4}, "leaks": leaks})
    page = write_report(run).read_text(encoding="utf-8")
    assert "no identical rows (after Unicode normalization); no shared tree_id; near-duplicates: 1 of 4 validation rows" in visible(page)
    assert "b:2 of &lt;a&gt;:1" in page


def test_the_page_stays_small(tmp_path):
    assert write_report(write_chat_run(tmp_path, HUGE)).stat().st_size < 5_000_000


def test_every_tag_is_closed(plain):
    from html.parser import HTMLParser

    class Stack(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                self.open.append(tag)

        def handle_startendtag(self, tag, attrs):
            """It closes itself."""

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    stack = Stack()
    stack.feed(plain)
    assert stack.open == []


def test_a_run_without_an_evaluation_has_no_report(tmp_path):
    run = write_chat_run(tmp_path, ["x"])
    (run / "eval" / "metrics.json").unlink()
    with pytest.raises(UserError, match="has not been evaluated: it is done"):
        write_report(run)
    assert not (run / "report.html").exists()


def change(value, significant):
    return {"value": value, "significant": significant}


def facts_of(**metrics):
    """metrics.json's content for name=(better, base, tuned, significant)."""
    return {
        "rows": 9, "split": "test", "baseline": "base", "confidence": 0.95, "metrics": {name: {"unit": "%", "higher_is_better": row[0]} for name, row in metrics.items()},
        "models": {m: {name: {"value": row[i]} for name, row in metrics.items()} for i, m in ((1, "base"), (2, "tuned"))},
        "differences": {name: change(row[2] - row[1], row[3]) for name, row in metrics.items()},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"stop_rate": (True, 50, 60, True)}, "stop rate is better than that of the base model: 60.00 % against 50.00 %."),
        ({"stop_rate": (True, 60, 50, True)}, "stop rate is worse than that of the base model: 50.00 % against 60.00 %."),
        (
            {"stop_rate": (True, 50, 60, False)},
            "On 9 test rows there is no significant difference between the tuned model and the base model.",
        ),
        (
            {"emoji_rate": (None, 0, 9, True)},
            "On 9 test rows the tuned model is not significantly better or worse than the base model; changed: emoji rate.",
        ),
        ({"a": (False, 2, 2, False), "b": (False, 2, 1, True)}, "b is better"),
        (
            {"a": (False, 3, 2, True), "b": (True, 5, 3, True), "c": (True, 5, 3, False), "d": (None, 1, 2, True)},
            "a is better than that of the base model: 2.00 % against 3.00 %. But it is worse in b.",
        ),
        ({"a": (False, 2, 3, True), "b": (True, 3, 5, True), "c": (True, 5, 3, True)}, "3.00 % against 2.00 %. But it is better in b."),
    ],
)
def test_the_verdict_states_only_what_was_measured(metrics, words):
    assert words in answer(facts_of(**metrics))


def test_an_unmeasurable_difference_is_not_called_equal():
    facts = facts_of(perplexity=(False, 0, 60, False))
    facts["models"]["tuned"]["perplexity"]["value"] = None
    assert "the tuned model's perplexity could not be measured, while that of the base model could" in answer(facts)


@pytest.mark.parametrize(("majority", "expected"), [(60, True), (70, True), (59, False), (None, False)])
def test_the_majority_baseline_tempers_the_praise(majority, expected):
    facts = facts_of(accuracy=(True, 0, 60, True))
    facts["models"]["majority"] = {"accuracy": {"value": majority}}
    sentence = answer(facts)
    assert "accuracy is better than that of the base model" in sentence
    assert ("no better than a baseline without a language model (majority class" in sentence) is expected


@pytest.mark.parametrize(("near", "is_named"), [({"test": 3}, True), ({"test": 2}, False), ({"validation": 9}, False), ({}, False)])
def test_rows_that_training_has_nearly_seen_are_named_with_the_verdict(near, is_named):
    manifest = manifest_with(splits={"train": 90, "validation": 9, "test": 10}, leaks={"near_duplicates": {"rows": near}})
    text = answer(facts_of(accuracy=(True, 0, 60, True)), manifest)
    assert ("3 of 10 test rows are near-duplicates of training rows" in text) is is_named
    assert answer(facts_of(accuracy=(True, 0, 60, True)), manifest_with()) == answer(facts_of(accuracy=(True, 0, 60, True)))


def test_curves_are_drawn_of_existing_points():
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": "nan"}, {"step": 2, "eval_loss": 2.0}]
    assert list(charts(lines)) == ["Loss"]
    assert charts([]) == {}


def test_the_cost_is_what_was_measured():
    lines = [{"step": n, "tokens_per_s": speed} for n, speed in enumerate((10.0, 900.0, 1000.0))]
    memory = {"predicted": None, "device": "a GPU", "peak": 3 << 29}
    assert cost(lines, memory, None) == ["900 tokens per second (median over 3 logged steps)", "peak memory 1.61 GB (a GPU)"]
    predicted = memory | {"predicted": {"needed": 7 << 28, "tokens": 1024, "per": "row"}}
    assert cost([], predicted, None) == ["peak memory 1.61 GB (a GPU); predicted 1.88 GB at 1,024 tokens per row (+17%)"]
    assert cost([], None, None) == []
    timing = {
        "seconds": 120.0,
        "whole": True,
        "resumed": False,
        "predicted": {"tokens": 1, "seconds": 132.0, "source": "3 earlier runs on this machine"},
    }
    assert cost([], None, timing) == ["trained for 2 min 0 s; predicted 2 min 12 s by 3 earlier runs on this machine (+10%)"]
    resumed = timing | {"whole": False, "resumed": True}
    assert cost([], None, resumed) == ["trained for 2 min 0 s since it was resumed"], "what was trained before it is not in the time"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(tmp_path, text):
    page = write_report(write_chat_run(tmp_path, [text])).read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe|base|animate|a)\b", page)
    assert page.count("<style>") == page.count("</style>") == 1
    assert printable(" ".join(text.split())) in visible(page)


@pytest.fixture
def opened(browser, tmp_path_factory):
    """Opens the report of a run that is made of these texts and gives its address."""

    def run(texts):
        path = write_report(write_chat_run(tmp_path_factory.mktemp("report"), texts))
        requests(browser)
        browser.get(path.as_uri())
        return path.as_uri()

    return run


@pytest.mark.parametrize("texts", [HOSTILE, HUGE], ids=["hostile", "huge"])
def test_the_page_runs_nothing_fetches_nothing_and_fits_a_phone(browser, opened, texts):
    from selenium.common.exceptions import NoAlertPresentException

    address = opened(texts)
    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert.text
    assert browser.execute_script("return window.ran") is None
    assert browser.current_url == address
    assert requests(browser) == [address]
    assert browser.execute_script("return document.querySelectorAll('script, img, iframe, link, a, base').length") == 0
    assert browser.execute_script("return document.documentElement.clientWidth") == 390
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_browser_test_detects_scripts_and_requests(browser, tmp_path):
    """The test of the tests above: a page that does what they forbid is seen doing it."""
    page = tmp_path / "bad.html"
    page.write_text("<script>window.ran = 1</script><img src='file:///nowhere.png'><p style='width: 900px'>x</p>")
    requests(browser)
    browser.get(page.as_uri())
    assert browser.execute_script("return window.ran") == 1
    assert len(requests(browser)) == 2


def test_a_phone_shows_the_answer_first(browser, opened):
    opened(["some text"])
    top = browser.execute_script("return document.querySelector('.answer').getBoundingClientRect().bottom")
    assert 0 < top < 844
    charts_seen = browser.execute_script("return [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width)")
    assert len(charts_seen) == 3 and all(200 < width <= 390 for width in charts_seen)


def test_the_probes_are_shown_as_pictures_that_can_be_read(tmp_path):
    run = write_chat_run(tmp_path, ["some text"])
    run.write(METRICS, {**run.read(METRICS), **PROBES})
    page = write_report(run).read_text(encoding="utf-8")
    text = visible(page)
    for part in ("Logit lens", "embedding <i> a", "layer 2 <i> a", "4 positive prompts base tuned change positive (%) 75.00 [19.41, 99.37]", "prompt anger love joy 1 3",
                 "200 minimal pairs of pairs in 1 file", "binding (%) 50.00 [42.87, 57.13] 75.00 [68.40, 80.84] +25.00, better", "829 of 900 are distinct; distinct-1 0.100; distinct-2 0.500",
                 "(temperature 0.7, top_p 0.9, seed 7, at most 64 tokens). No metric is computed from them. System prompt: Be <b>.",
                 "Say <i> base (did not stop) <script>window.ran = 1</script> tuned Fine 🙂.",
                 "Long base (no reply: the prompt has 600 tokens) tuned (no reply: the prompt has 600 tokens)"):  # fmt: skip
        assert part in text, part
    assert "<i>" not in page and "<script" not in page and 'style="--share: 0.90">a</td>' in page
