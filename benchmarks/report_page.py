"""The report's page of 2,000 videos of 200 segments in a headless Chromium, beside a bare page of as many bytes.

Loading: from asking for the page until it can be used; the bare page holds the same bytes and does nothing. A slider
move: from the event until the browser has drawn what follows; the bare page's slider writes a number. Ratios of the
medians, page and bare page taking turns. Fails where loading takes 3 s or a move 100 ms on top of the bare page's.
"""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from measure import record, take_turns
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the tests are, which hold the browser

from tests.pipeline.report.browsing import Browser, open_browser
from tests.pipeline.report.pages import write_page
from tests.pipeline.report.test_large_page import many

VIDEOS, SEGMENTS, ROUNDS, MOVES = 2000, 200, 5, 20
MOST_LOAD, MOST_MOVE = 3.0, 0.1  # seconds
BARE = (
    "<!doctype html><title>bare</title><input type=range id=score max=1000><output id=said></output>"
    "<script>const s = document.getElementById('score');"
    "s.addEventListener('input', () => { document.getElementById('said').textContent = s.value; });"
    "document.documentElement.dataset.ready = 'true'</script><script type='application/octet-stream'>"
)
_MOVE = """
const [value, done] = arguments, slider = document.getElementById("score");
const begin = performance.now();
slider.value = value;
slider.dispatchEvent(new Event("input", {bubbles: true}));
requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - begin) / 1000)));
"""


def moves(browser: Browser, page: Path) -> float:
    """The median of some moves of a page's slider, in seconds."""
    browser.open(page)
    values = [(place * 617) % 1000 for place in range(1, MOVES + 1)]
    return statistics.median(browser.driver.execute_async_script(_MOVE, value) for value in values)


def main() -> None:
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if binary is None or driver is None:
        print("report_page: needs chromium and chromedriver (make browser)")
        return
    with tempfile.TemporaryDirectory() as folder:
        table = many(VIDEOS, SEGMENTS)
        pq.write_table(table, f"{folder}/p.parquet")
        page = write_page(Path(folder) / "report", f"predictions={folder}/p.parquet", "min_score=0")
        size = page.stat().st_size
        bare = Path(folder) / "bare.html"
        bare.write_text(BARE + "A" * (size - len(BARE)) + "</script>")
        browser = open_browser(binary, driver, Path(folder))
        pages = {"report": page, "bare": bare}
        loads = take_turns({name: lambda url=url: browser.open(url) for name, url in pages.items()}, ROUNDS)
        slides = take_turns(
            {name: lambda url=url: moves(browser, url) for name, url in pages.items()},
            ROUNDS,
            lambda job: job(),
        )
        browser.driver.quit()
    rows = []
    for what, times, most in (("load", loads, MOST_LOAD), ("slider move", slides, MOST_MOVE)):
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        rows.append(
            {
                "what": what,
                "videos": VIDEOS,
                "segments": VIDEOS * SEGMENTS,
                "page_mb": size / 1e6,
                "report_s": medians["report"],
                "bare_s": medians["bare"],
                "ratio": medians["report"] / medians["bare"],
            }
        )
        assert medians["report"] - medians["bare"] < most, f"{what}: {medians}"
    shown = Table(*rows[0])
    for row in rows:
        shown.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(shown)
    record("report_page", rows)


if __name__ == "__main__":
    main()
