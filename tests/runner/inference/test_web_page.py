"""`recipe chat --web` in a real browser: what is answered, and that nothing that a model, a label or a person says becomes markup."""

import json
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ...support.browser import requests
from ...support.recipe_process import start
from ...support.waiting import wait_until

for package in ("torch", "gradio"):
    pytest.importorskip(package, reason=f"needs the extra [serve]: {package}")

from recipekit.runner.inference.chat_session import Session
from recipekit.runner.inference.chat_settings import Settings
from recipekit.runner.inference.chat_stream import ChatModel
from recipekit.runner.models.reference import base_of, resolve_target
from recipekit.runner.worker.loading import load
from recipekit.schemas.base.terminal import printable

MARKUP = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>&lt;b&gt; **b** [x](javascript:window.ran=1) $x$ "
PAGE_ENDS = 60


@pytest.fixture(scope="module")
def hostile_run(tuned_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tuned run with a tokenizer that decodes some letters to markup, so that this is what the models say."""
    run = shutil.copytree(tuned_run, tmp_path_factory.mktemp("hostile") / "tiny" / "20260101-000000-aaaaaa")
    path = run / "model" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    markup = {"type": "Replace", "pattern": {"Regex": "[ae]"}, "content": "<img src=x onerror='window.ran=1'>"}
    tokenizer["decoder"] = {"type": "Sequence", "decoders": [tokenizer["decoder"], markup]}
    path.write_text(json.dumps(tokenizer))
    return run


@pytest.fixture(scope="module")
def serve() -> Iterator:
    """Starts `recipe chat ... --web` and gives the page's address."""
    processes = []

    def begin(*arguments: object) -> str:
        process = start("chat", *arguments, "--web", "--port", 0, COLUMNS="200", CUDA_VISIBLE_DEVICES="")
        processes.append(process)
        assert process.stderr is not None
        output = []
        for line in process.stderr:
            output.append(line)
            if line.startswith("web "):
                return line.split()[1]
        pytest.fail("".join(output))

    yield begin
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PAGE_ENDS)
        assert process.returncode == 130


@pytest.fixture(scope="module")
def chat(serve, hostile_run: Path) -> str:
    return serve(hostile_run, "--temperature", 0, "--max-tokens", 6)


@pytest.fixture(scope="module")
def python_replies(hostile_run: Path) -> list[list[str]]:
    """What base and tuned model answer to two lines, without any page."""
    target = resolve_target(str(hostile_run), hostile_run)
    settings = Settings(0.0, 1.0, 1.0, 6, None, "Be brief.", "")
    replies: list[list[str]] = []

    class Keeping:
        def show(self, made, growing) -> None:
            for _ in growing:
                pass
            replies.append([speech.text for speech in made])

    session = Session([ChatModel("base", load(base_of(target))), ChatModel("tuned", load(target).merged())], settings, False, Keeping())
    for line in LINES:
        session.respond(line)
    session.stop()
    return replies


LINES = [f"Where does the cat sleep? {MARKUP}", "And the dog?"]


class Page:
    """The page in the browser."""

    def __init__(self, browser, address: str) -> None:
        self.browser = browser
        requests(browser)
        browser.get(address)
        wait_until(lambda: self.all("#line textarea"))

    def all(self, selector: str) -> list:
        return self.browser.find_elements("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return self.browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.value ?? e.textContent)", selector
        )

    def status(self) -> str:
        return self.texts("#status textarea, #status input")[0]

    def say(self, line: str, taken: Callable[[], object]) -> None:
        """Type the line and send it, until the page has taken it: one that is still being put together loses what is typed and clicked."""

        def sent() -> object:
            typed = self.texts("#line textarea")  # before the look at what was taken: the page takes a line and empties the box at once
            if taken():
                return True
            if typed != [line]:
                self.all("#line textarea")[0].clear()
                self.all("#line textarea")[0].send_keys(line)
            self.all("#send")[0].click()  # ignored while an answer is under way
            time.sleep(1)
            return taken()

        wait_until(sent)

    def asked(self) -> int:
        """How many messages a person has sent."""
        return len(self.all("#pane-tuned .user .message-content"))

    def is_harmless(self, address: str) -> None:
        """Nothing ran, nothing was fetched from elsewhere, nothing is wider than the phone, nothing was refused."""
        assert self.browser.execute_script("return window.ran") is None
        assert [url for url in requests(self.browser) if not url.startswith((address, "data:"))] == []
        assert self.browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def shown(text: str) -> str:
    """The text as a pane shows it, with control characters as escapes; space aside."""
    return " ".join(printable(text).split()) or "(no text)"


def test_base_and_tuned_answer_as_without_a_page_and_markup_stays_text(browser, chat, python_replies):
    page = Page(browser, chat)
    assert "Be brief." in page.texts("#about textarea, #about input")[0]
    for number, line in enumerate(LINES):
        page.say(line, lambda: page.asked() == number + 1)  # noqa: B023 - waited for here
        for pane, replies in (("base", 0), ("tuned", 1)):
            expected = [shown(answers[replies]) for answers in python_replies[: number + 1]]
            selector = f"#pane-{pane} .bot .message-content"
            wait_until(lambda: [shown(text) for text in page.texts(selector)] == expected)  # noqa: B023 - waited for here
            assert [shown(text) for text in page.texts(f"#pane-{pane} .user .message-content")] == [
                shown(text) for text in LINES[: number + 1]
            ]
    assert "onerror" in python_replies[0][1] and "tokens in" in page.status()
    assert page.all(".pane .message img, .pane .message script, .pane .message b, .pane .message strong, .pane .message a") == []
    page.is_harmless(chat)
    page.all("#clear")[0].click()
    wait_until(lambda: page.all(".pane .message") == [])
    page.say(LINES[0], lambda: page.asked() == 1)
    wait_until(lambda: [shown(text) for text in page.texts("#pane-tuned .bot .message-content")] == [shown(python_replies[0][1])])


def test_a_line_without_room_for_a_reply_says_so(browser, chat):
    page = Page(browser, chat)

    def refused() -> bool:
        """Type and send, again if the page was still being put together."""
        browser.execute_script(
            "const a = document.querySelector('#line textarea'); a.value = 'dog '.repeat(900); a.dispatchEvent(new Event('input'))"
        )
        page.all("#send")[0].click()
        return "the model's context is 512 including the reply" in page.status()

    wait_until(refused)
    assert page.all(".pane .message") == []


@pytest.mark.parametrize(("width", "side_by_side"), [(390, False), (1280, True)])
def test_panes_are_side_by_side_where_there_is_room(browser, chat, width, side_by_side):
    page = Page(browser, chat)
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)  # loading a page undoes it
    wait_until(lambda: (len({page.all(f"#pane-{name}")[0].rect["y"] for name in ("base", "tuned")}) == 1) == side_by_side)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def luminance(colour: str) -> float:
    """The relative luminance of WCAG of a colour such as rgb(1, 2, 3)."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_name_of_the_button_can_be_read(browser, chat):
    button = Page(browser, chat).all("#send")[0]
    low, high = sorted(luminance(button.value_of_css_property(name)) for name in ("color", "background-color"))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_the_first_box_shows_its_whole_text_on_a_phone_also_once_it_is_turned(browser, chat):
    Page(browser, chat)
    hidden = "const box = document.querySelector('#about textarea'); return [window.innerWidth, box.scrollHeight - box.clientHeight]"
    for width in (390, 844, 390):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        )
        wait_until(lambda: browser.execute_script(hidden) == [width, 0])  # noqa: B023 - waited for here
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_classifier_shows_every_label_with_its_probability_as_text(browser, serve, tmp_path_factory, tiny_model):
    labels = ["<img src=x onerror='window.ran=1'>", "<script>window.ran=1</script>", "{{ 7 * 7 }}", "calm"]
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("classifier") / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["LlamaForSequenceClassification"], "id2label": dict(enumerate(labels))}
    (folder / "config.json").write_text(json.dumps(config))
    address = serve(folder)
    page = Page(browser, address)
    page.say("day 1: chess and a library", lambda: page.all("#label .confidence-set"))
    found = wait_until(lambda: page.all("#label .confidence-set"))
    text = page.texts("#label")[0]
    assert len(found) == 4 and all(label in text for label in labels) and text.count("%") == 4
    assert page.status().endswith(" tokens")
    page.is_harmless(address)


def test_other_sites_and_other_names_of_the_server_are_refused(chat):
    for headers, status in (({"Origin": "https://example.org"}, 403), ({"Host": "example.org"}, 400)):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{chat}/gradio_api/queue/join", b"{}", headers | {"Content-Type": "application/json"}))
        assert refused.value.code == status
        refused.value.close()
    with urlopen(chat) as page:
        text = page.read().decode()
        assert (
            "default-src 'self'" in page.headers["content-security-policy"] and "unsafe-eval" not in page.headers["content-security-policy"]
        )
    assert "preconnect" not in text and "cdnjs" not in text and "script>window.ran" not in text
