"""A real browser for the tests of the page, and the page that most of them look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.report.browsing import Browser, open_browser
from tests.pipeline.report.pages import write_demo_page

NEEDED = (
    "Chromium and its driver are not installed; apt-get install chromium chromium-driver (or `make browser`)"
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium for the session; `forget` makes it a new one between tests."""
    driver = shutil.which("chromedriver")
    binaries = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    binary = next(filter(None, binaries), None)
    if driver is None or binary is None:
        pytest.skip(NEEDED)
    browser = open_browser(binary, driver, tmp_path_factory.mktemp("downloads"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser with nothing kept from other tests; whatever a test does, the console stays empty."""
    chromium.forget()
    yield chromium
    assert chromium.complaints() == []


@pytest.fixture(scope="session")
def demo_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs in three videos that are there to play."""
    return write_demo_page(tmp_path_factory.mktemp("page"))
