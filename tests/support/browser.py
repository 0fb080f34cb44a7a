"""Fixtures: a real browser, and axe-core in it.

axe-core is an npm package: `npm install --no-save axe-core`, or AXE_CORE=path/to/axe.min.js.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from .paths import ROOT

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
RUN = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations))"


@pytest.fixture(scope="session")
def chromium():
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


@pytest.fixture
def browser(chromium):
    """The same Chromium for every test, with nothing noted yet."""
    for log in ("browser", "performance"):
        chromium.get_log(log)
    return chromium


def requests(browser) -> list[str]:
    """The addresses that were asked for since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="session")
def axe() -> str:
    path = Path(os.environ.get("AXE_CORE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
    if not path.is_file():
        pytest.skip("needs axe-core: npm install --no-save axe-core")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def serious(axe, browser):
    """What axe finds on a page that people cannot read or use, in both colour schemes."""

    def look(path: Path) -> list[tuple]:
        found = []
        for scheme in ("light", "dark"):
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            browser.get(path.as_uri())
            browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
            violations = browser.execute_async_script(RUN)
            found += [(scheme, v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")]
        return found

    return look
