"""Pages of large runs in a real browser: only what is seen exists, and what does not fit is a link away."""

from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.segments.schema import SEGMENTS_SCHEMA
from tests.pipeline.evaluation.cases import segments_table
from tests.pipeline.report.browsing import Browser
from tests.pipeline.report.pages import write_page, write_truth


def many(videos: int, segments: int) -> pa.Table:
    """`segments` predictions of ten classes in each of `videos` videos of 1000 s."""
    rng = np.random.default_rng(0)
    rows = videos * segments
    start = rng.uniform(0, 900, rows)
    columns = {
        "video_id": np.repeat([f"video {number:05d}" for number in range(videos)], segments),
        "t_start": start,
        "t_end": start + rng.uniform(1, 90, rows),
        "label": np.array([f"class {number}" for number in range(10)])[rng.integers(0, 10, rows)],
        "score": rng.uniform(0, 1, rows),
    }
    return pa.table(columns, schema=SEGMENTS_SCHEMA)


def test_two_thousand_videos_of_two_hundred_segments(browser: Browser, tmp_path: Path) -> None:
    pq.write_table(many(2000, 200), tmp_path / "p.parquet")
    page = write_page(tmp_path / "report", f"predictions={tmp_path / 'p.parquet'}", "min_score=0")
    assert page.stat().st_size < 8e6
    assert [path.name for path in page.parent.iterdir()] == ["index.html"]
    browser.open(page)
    assert browser.text("#count") == "2,000 videos, 400,000 segments found"
    assert 0 < len(browser.all(".card")) < 20
    assert browser.run("return document.querySelectorAll('*').length") < 3500
    browser.slide("#score", 900)
    first = int(browser.text("#count").split(", ", 1)[1].replace(",", "").split()[0])
    assert 35_000 < first < 45_000
    browser.run("document.getElementById('list').scrollTop = 1e9")
    browser.frame()
    assert browser.texts(".card h3")[-1] == "video 01999"
    assert len(browser.all(".card")) < 20


def test_what_does_not_fit_has_a_page_of_its_own(browser: Browser, tmp_path: Path) -> None:
    table = many(6, 50)
    awkward = "a/b ?#%20 <i>.mp4"
    rows = table.to_pylist() + [
        {"video_id": awkward, "t_start": float(i), "t_end": i + 1.0, "label": "class 1", "score": 0.5}
        for i in range(40)
    ]
    pq.write_table(pa.Table.from_pylist(rows, SEGMENTS_SCHEMA), tmp_path / "p.parquet")
    words = [f"predictions={tmp_path / 'p.parquet'}", "min_score=0"]
    page = write_page(tmp_path / "report", *words, "page.max_segments=70", "page.max_videos=7")
    browser.open(page)
    assert browser.text("#count") == "7 videos, 70 segments found"
    assert "10 best predictions" in browser.text(".note")
    links = {
        card.find_element("css selector", "h3").text: card.find_element("css selector", "a").get_attribute(
            "href"
        )
        for card in browser.all(".card")
    }
    assert links
    for video in ("video 00000", awkward):
        if video not in links:
            continue
        browser.open(links[video])
        assert browser.text("h1") == video
        assert browser.text("#count") == f"1 video, {40 if video == awkward else 50} segments found"
        browser.run("document.getElementById('list').focus()")
        browser.keys("n")
        browser.one(".head a").click()
        browser.wait(lambda: "7 videos" in browser.text("#count"))
    assert Path(unquote(links[awkward].removeprefix("file://"))).exists()
    (page.parent / "pages" / "mine.txt").write_text("mine")
    again = write_page(tmp_path / "report", *words, "page.max_videos=3")
    browser.open(again)
    assert browser.text("#count").startswith("3 videos, ")
    assert "3 of 7 videos are shown" in browser.text(".note")
    assert list(again.parent.rglob("*.html")) == [again]
    assert (again.parent / "pages" / "mine.txt").read_text() == "mine"


def test_the_figures_are_of_everything_whatever_fits(browser: Browser, tmp_path: Path) -> None:
    truth = {f"v{i}": [(10.0, 20.0, "run")] for i in range(8)}
    write_truth(tmp_path / "truth.json", truth)
    rows = [(video, 10.0, 20.0, "run", 0.9) for video in truth]
    rows += [(video, 1.0, 2.0 + i, "run", 0.1) for video in truth for i in range(5)]
    pq.write_table(segments_table(rows), tmp_path / "p.parquet")
    words = [f"predictions={tmp_path / 'p.parquet'}", f"dataset.annotations={tmp_path / 'truth.json'}"]
    whole = write_page(tmp_path / "whole", *words)
    part = write_page(tmp_path / "part", *words, "page.max_videos=3", "page.max_segments=6")
    scores = []
    for page in (whole, part):
        browser.open(page)
        scores.append(browser.text(".scores"))
    assert scores[0] == scores[1]
    browser.click("#tab-videos")
    browser.slide("#score", 0)
    assert browser.text("#count") == "3 videos, 6 segments found"
