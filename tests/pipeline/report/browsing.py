"""A headless Chromium as the tests use it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

PATIENCE = 60  # seconds, for a machine that is busy with other things
SIZE = (1400, 900)


@dataclass
class Browser:
    """A driver and the folder to which it downloads."""

    driver: webdriver.Chrome
    downloads: Path

    def forget(self) -> None:
        """As if it had just been installed; with an empty console."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
        self.driver.execute_cdp_cmd(
            "Storage.clearDataForOrigin", {"origin": "file://", "storageTypes": "all"}
        )
        self.resize(*SIZE)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.driver.get_log("browser")
        for file in self.downloads.iterdir():
            file.unlink()

    def open(self, page: Path | str, search: str = "") -> None:
        """Open a page of a report and wait until it is there."""
        url = (page.as_uri() if isinstance(page, Path) else page) + search
        self.driver.get(url)
        self.wait(lambda: self.run("return document.documentElement.dataset.ready === 'true'"))

    def complaints(self) -> list[str]:
        """What the console was told since this was asked last: errors, and what the page's own policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def run(self, script: str, *values: Any) -> Any:
        """What a script returns in the page."""
        return self.driver.execute_script(script, *values)

    def wait(self, holds: Callable[[], Any]) -> Any:
        """What `holds` gives when that is something."""
        end = time.monotonic() + PATIENCE
        while not (value := holds()):
            assert time.monotonic() < end, "the page did not come to what was waited for"
            time.sleep(0.02)
        return value

    def one(self, selector: str) -> WebElement:
        """The element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements of a CSS selector, as the page holds them."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )

    def text(self, selector: str) -> str:
        """The text of the element of a CSS selector."""
        return self.texts(selector)[0]

    def click(self, selector: str) -> None:
        """A click on an element, though the page may put a new one in its place meanwhile."""
        for _ in range(20):
            try:
                self.one(selector).click()
            except StaleElementReferenceException:
                continue
            return

    def keys(self, *keys: str) -> None:
        """Keys for whatever has the focus, one after the other; `ctrl+z` holds one down."""
        for key in keys:
            if key.startswith("ctrl+"):
                ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(key[5:]).key_up(
                    Keys.CONTROL
                ).perform()
            else:
                ActionChains(self.driver).send_keys(key).perform()

    def write(self, selector: str, text: str) -> None:
        """Put a text into a field in place of what was there, and leave it."""
        field = self.one(selector)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text, Keys.TAB)

    def slide(self, selector: str, value: float) -> None:
        """Move a slider as a hand would."""
        self.run(
            "const slider = document.querySelector(arguments[0]); slider.value = arguments[1];"
            "slider.dispatchEvent(new Event('input', {bubbles: true}));",
            selector,
            str(value),
        )
        self.frame()

    def frame(self) -> None:
        """Let the page draw twice, after which everything that was put off is done."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));"
        )

    def resize(self, width: int, height: int) -> None:
        """Let the page be so many pixels wide and high."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def open_browser(binary: str, driver: str, downloads: Path) -> Browser:
    """Start Chromium; nothing is downloaded for it."""
    options = Options()
    options.binary_location = binary
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
        "--disable-background-networking", "--no-first-run", f"--window-size={SIZE[0]},{SIZE[1]}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    chrome.set_script_timeout(PATIENCE)
    chrome.set_page_load_timeout(3 * PATIENCE)
    chrome.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    return Browser(chrome, downloads)
