"""report.html: what it shows, and that nothing in it runs. Opened in a real browser where there is one."""

import json
import re
import shutil
from itertools import cycle
from pathlib import Path

import pytest
from recipekit.runner.reporting.report import answer, charts, cost, write_report
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
HOSTILE = [
    "<script>alert(1); window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "</pre></article></style><img src=x onerror='window.ran = 1; alert(1)'>",
    "<svg onload='window.ran = 1'><animate onbegin='window.ran = 1'></svg>",
    "<iframe src='https://example.org/'></iframe><link rel=stylesheet href='https://example.org/a.css'>",
    "javascript:window.ran=1",
    "<a href='javascript:window.ran=1'>x</a>",
    "{{ 7 * 7 }}{% raw %}",
    "\" autofocus onfocus='window.ran = 1' x=\"",
    "<!-- ]]> &lt;script&gt; \u202e \u0000 \ud83c".encode("utf-8", "replace").decode(),
    "<style>body { background: url(https://example.org/b.png) }</style>",
    "<base href='https://example.org/'><meta http-equiv=refresh content='0;url=https://example.org/'>",
]
HUGE = ["W" * 60_000, "🌙" * 20_000, "word " * 20_000, "\n" * 500]


def estimate(value, **more):
    return {"value": value, "low": value - 1, "high": value + 1, **more}


def write_run(folder: Path, texts: list[str]) -> RunFolder:
    """A finished run in which every text that comes from outside is one of `texts`, in turn."""
    given = cycle(texts)
    run = RunFolder(folder / "runs" / "tiny" / "20250101-000000-abcdef")
    run.write("status.json", {"recipe": next(given), "state": "done", "reason": next(given), "stages": {}})
    run.write("lock.json", {"recipekit": next(given), "python": "3.11", "packages": {next(given): next(given)},
                            "model": {"note": next(given)}, "machine": {"gpu_name": next(given), "cores": 2}})  # fmt: skip
    run.write("data/manifest.json", {"rows_in": 1200, "rows_kept": 1100, "dropped": {next(given): 100}, "fixed": {next(given): 3},
                                     "splits": {"train": 1000, "validation": 100}})  # fmt: skip
    facts = {
        "rows": 1000,
        "trained_rows": 1000,
        "trained": 12345,
        "masked": 54321,
        "longest": 99,
        "untrained_rows": [],
        "open_ended_rows": [],
    }
    run.write("tokens.json", {"train": facts})
    metrics = {
        "rows": 20, "split": "validation", "against": "base", "base_model": next(given), "confidence": 0.95,
        "metrics": {"perplexity": {"unit": "", "better": "lower"}, "token_reduction": {"unit": "%", "better": "higher"}},
        "models": {"base": {"perplexity": estimate(9.0), "token_reduction": estimate(1.0)},
                   "tuned": {"perplexity": estimate(4.0), "token_reduction": estimate(30.0)},
                   "reference": {"token_reduction": estimate(32.0)}},
        "differences": {"perplexity": estimate(-5.0, distinguishable=True), "token_reduction": estimate(29.0, distinguishable=True)},
        "gates": {"perplexity": {"value": 4.0, "min": None, "max": 5, "passed": True}},
    }  # fmt: skip
    run.write("eval/metrics.json", metrics)
    lines = [{"step": n, "loss": 3 - n / 50, "learning_rate": 1e-4, "tokens_per_s": 300.0} for n in range(1, 60)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"step": 30, "eval_loss": 2.5}]))
    (run / "recipe.yml").write_text(f"name: {next(given)}\n", encoding="utf-8")
    rows, predictions = [], []
    for number in range(15):
        row = f"{number} {next(given)}"
        rows.append({"id": row, "messages": [{"role": "user", "content": next(given)}, {"role": "assistant", "content": next(given)}]})
        predictions += [{"model": model, "id": row, "reference": next(given), "reply": next(given), "stopped": model == "tuned",
                         "reply_tokens": 3, "nll": number if model == "base" else 5.0, "trained": 10, "correct": 3}
                        for model in ("base", "tuned")]  # fmt: skip
    masks = [{"id": next(given), "label": None, "segments": [{"trained": bool(n % 2), "text": next(given)} for n in range(4)]}] * 3
    (run / "eval" / "masks.jsonl").write_text("".join(json.dumps(mask) + "\n" for mask in masks))
    run.write("memory.json", {"device": next(given), "peak": 3 << 29})
    for name, values in (("rows", rows), ("predictions", predictions)):
        (run / "eval" / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    return run


def visible(page: str) -> str:
    import html

    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("</style>")[2])))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    return write_report(write_run(tmp_path_factory.mktemp("plain"), ["some text"])).read_text(encoding="utf-8")


def test_the_page_answers_first(plain):
    text = visible(plain)
    assert "On 20 held-out rows the tuned model's perplexity is better than that of the base model: 4.00 against 9.00." in text
    assert text.index("On 20 held-out rows") < text.index("Numbers") < text.index("Training") < text.index("Data")


@pytest.mark.parametrize(
    "shown",
    ["9.00 [8.00, 10.00]", "-5.00, better", "32.00 [31.00, 33.00]", "1,200 rows in", "−100 dropped: some text", "1,100 rows kept",
     "3 fixed: some text", "1,000 train", "12,345 tokens trained and 54,321 masked", "passed: perplexity is 4.0", "base (did not stop)",
     "95 % intervals"],
)  # fmt: skip
def test_the_page_shows(plain, shown):
    assert shown in visible(plain)


def test_the_page_stands_alone(plain):
    assert not re.search(r"<(script|link|img|iframe|object|embed|base|form)\b", plain)
    assert not re.search(r"""(src|href|action)\s*=|@import|url\(|https?://""", plain)
    assert "default-src 'none'" in plain


def test_the_best_and_the_worst_rows_are_shown_and_none_twice(plain):
    ids = re.findall(r"<article><h3>(\d+) some text: perplexity", plain)
    assert ids[:8] == [str(n) for n in range(14, 6, -1)], "the base did worst on the last rows, the tuned model the same on all"
    assert ids[8:] == [str(n) for n in range(7)]


def test_the_masks_of_three_rows_are_shown(plain):
    assert plain.count("<mark>some text</mark>") == 6


def test_a_recipes_values_stand_with_their_origin(tmp_path, minimal):
    from recipekit.schemas.yaml_writing import to_yaml

    run = write_run(tmp_path, ["x"])
    (run / "recipe.yml").write_text(to_yaml(minimal({"data.split.group_by": ["tree_id"]})))
    run.write("origins.json", {"training.learning_rate": "small.yml:9:3", "model.base_model": "--set", "training.seed": "default"})
    text = visible(write_report(run).read_text(encoding="utf-8"))
    assert "training.learning_rate 0.0001 small.yml:9:3" in text and "model.base_model some/model --set" in text
    assert "Keys at their defaults training.seed 42" in text
    assert "leaks none between splits; looked for equal rows, groups by tree_id" in text


def test_the_page_stays_small(tmp_path):
    assert write_report(write_run(tmp_path, HUGE)).stat().st_size < 5_000_000


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
    run = write_run(tmp_path, ["x"])
    (run / "eval" / "metrics.json").unlink()
    with pytest.raises(UserError, match="has not been evaluated: it is done"):
        write_report(run)
    assert not (run / "report.html").exists()


def change(value, distinguishable):
    return {"value": value, "distinguishable": distinguishable}


def facts_of(**metrics):
    """metrics.json's content for name=(better, base, tuned, distinguishable)."""
    return {
        "rows": 9, "split": "test", "against": "base", "metrics": {name: {"unit": "%", "better": row[0]} for name, row in metrics.items()},
        "models": {m: {name: {"value": row[i]} for name, row in metrics.items()} for i, m in ((1, "base"), (2, "tuned"))},
        "differences": {name: change(row[2] - row[1], row[3]) for name, row in metrics.items()},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"stop_rate": ("higher", 50, 60, True)}, "stop rate is better than that of the base model: 60.00 % against 50.00 %."),
        ({"stop_rate": ("higher", 60, 50, True)}, "stop rate is worse than that of the base model: 50.00 % against 60.00 %."),
        ({"stop_rate": ("higher", 50, 60, False)}, "On 9 test rows the tuned model cannot be told from the base model."),
        ({"emoji_rate": ("", 0, 9, True)}, "On 9 test rows the tuned model cannot be told from the base model."),
        ({"a": ("lower", 2, 2, False), "b": ("lower", 2, 1, True)}, "b is better"),
    ],
)
def test_the_answer_claims_no_more_than_was_measured(metrics, words):
    assert words in answer(facts_of(**metrics))


def test_a_model_whose_numbers_are_not_finite_is_not_called_equal_to_the_base():
    facts = facts_of(perplexity=("lower", 0, 60, False))
    facts["models"]["tuned"]["perplexity"]["value"] = None
    assert "the tuned model's perplexity could not be measured, that of the base model could" in answer(facts)


@pytest.mark.parametrize(("majority", "told"), [(60, True), (70, True), (59, False), (None, False)])
def test_a_model_that_only_says_the_commonest_label_is_not_praised_for_beating_the_base(majority, told):
    facts = facts_of(accuracy=("higher", 0, 60, True))
    facts["models"]["majority"] = {"accuracy": {"value": majority}}
    said = answer(facts)
    assert "accuracy is better than that of the base model" in said
    assert ("no better than a baseline without a language model (commonest label" in said) is told


def test_curves_are_drawn_of_what_is_there():
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": "nan"}, {"step": 2, "eval_loss": 2.0}]
    assert list(charts(lines)) == ["Loss"]
    assert charts([]) == {}


def test_the_cost_is_what_was_measured():
    lines = [{"step": n, "tokens_per_s": speed} for n, speed in enumerate((10.0, 900.0, 1000.0))]
    memory = {"device": "a GPU", "peak": 3 << 29}
    assert cost(lines, memory) == ["900 tokens per second (median over 3 logged steps)", "1.50 GiB of memory at most (a GPU)"]
    predicted = memory | {"predicted": {"needed": 7 << 28, "tokens": 1024}}
    assert cost([], predicted) == ["1.50 GiB of memory at most (a GPU); 1.75 GiB were predicted for rows of 1,024 tokens"]
    assert cost([], {}) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(tmp_path, text):
    page = write_report(write_run(tmp_path, [text])).read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe|base|animate|a)\b", page)
    assert page.count("<style>") == page.count("</style>") == 1
    assert " ".join(text.split()) in visible(page)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium as wide as a phone that notes every request."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"):
        options.add_argument(flag)
    options.add_experimental_option("mobileEmulation", {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 1.0}})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def requests(browser) -> list[str]:
    """The addresses that were asked for since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Opens the report of a run that is made of these texts and gives its address."""

    def run(texts):
        path = write_report(write_run(tmp_path_factory.mktemp("report"), texts))
        requests(browser)
        browser.get(path.as_uri())
        return path.as_uri()

    return run


@pytest.mark.parametrize("texts", [HOSTILE, HUGE], ids=["hostile", "huge"])
def test_in_a_browser_nothing_runs_nothing_is_fetched_and_a_phone_need_not_scroll_sideways(browser, opened, texts):
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


def test_the_browser_would_notice_a_script_and_a_request(browser, tmp_path):
    """The test of the tests above: a page that does what they forbid is seen doing it."""
    page = tmp_path / "bad.html"
    page.write_text("<script>window.ran = 1</script><img src='file:///nowhere.png'><p style='width: 900px'>x</p>")
    requests(browser)
    browser.get(page.as_uri())
    assert browser.execute_script("return window.ran") == 1
    assert len(requests(browser)) == 2


def test_on_a_phone_the_answer_is_on_the_first_screen_and_the_curves_are_seen(browser, opened):
    opened(["some text"])
    top = browser.execute_script("return document.querySelector('.answer').getBoundingClientRect().bottom")
    assert 0 < top < 844
    charts_seen = browser.execute_script("return [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)")
    assert len(charts_seen) == 3 and all(200 < width <= 390 for width in charts_seen)


PROBES = {
    "lens": {
        model: [{"prompt": "Once <b>", "tokens": ["On", "ce"], "layers": [[{"token": "<i>", "p": 0.1}, {"token": "a", "p": 0.9}]] * 3}]
        for model in ("base", "tuned")
    },
    "sentiment": {
        "classifier": "some/model", "rows_without_emotion": 2,
        "models": {model: {"counts": {"joy": {"love": 3, "anger": 1}}, "groups": {"positive": {"rows": 4, "positive": 75.0, "neutral": 0.0, "negative": 25.0}}}
                   for model in ("base", "tuned")},
    },
    "blimp": {model: {"phenomena": {"binding": 61.5}, "pairs": {"binding": 200}, "mean": 61.5} for model in ("base", "tuned")},
    "prompt_diversity": {"prompts": 900, "distinct": 829, "mean_words": 9.0, "distinct_1": 0.1, "distinct_2": 0.5, "nearest": 0.25, "compared": 400},
}  # fmt: skip


def test_the_probes_are_shown_as_pictures_that_can_be_read(tmp_path):
    run = write_run(tmp_path, ["some text"])
    run.write("eval/metrics.json", {**run.read("eval/metrics.json"), **PROBES})
    page = write_report(run).read_text(encoding="utf-8")
    text = visible(page)
    for part in ("Logit lens", "embedding <i> a", "layer 2 <i> a", "positive base 4 75.00 0.00 25.00", "prompt anger love joy 1 3",
                 "binding 200 61.50 61.50", "829 of 900 training questions are distinct"):  # fmt: skip
        assert part in text, part
    assert "<i>" not in page and 'style="--share: 0.90">a</td>' in page
