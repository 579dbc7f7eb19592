"""The page in a real browser: what one sees, hears of and can do there."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from axe_core_python import sync_playwright  # where the package lies
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from tests.pipeline.evaluation.cases import segments_table
from tests.pipeline.report.browsing import Browser
from tests.pipeline.report.pages import FIRST, SECOND, TRUTH, write_page, write_truth

AXE = Path(sync_playwright.__file__).with_name("axe.min.js")


def open_videos(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("#tab-videos")
    browser.slide("#score", 0)


def shown(browser: Browser) -> str:
    return browser.text("#count")


def point(browser: Browser, video: str, label: str, row: int, seconds: float) -> tuple[int, int]:
    """Where a moment of a row of a lane is on the screen: row 0 is the truth's, then a row a run."""
    return browser.run(
        """
        const cards = [...document.querySelectorAll(".card")];
        const card = cards.find((one) => one.querySelector("bdi").textContent === arguments[0]);
        const names = [...card.querySelectorAll(".lane-name")];
        const lane = names.findIndex((name) => name.textContent === arguments[1]);
        const box = names[lane].getBoundingClientRect(), field = card.querySelector("canvas").getBoundingClientRect();
        const rows = 3, middle = box.top + box.height / 2 + (arguments[2] - (rows - 1) / 2) * 12;
        return [Math.round(field.left + (arguments[3] / 30) * field.width), Math.round(middle)];
        """,
        video, label, row, seconds,
    )  # fmt: skip


def at(browser: Browser, place: tuple[int, int]) -> ActionChains:
    actions = ActionChains(browser.driver)
    actions.w3c_actions.pointer_action.move_to_location(*place)
    return actions


def exported(browser: Browser) -> dict:
    browser.click("#export")
    browser.click("#download")
    file = browser.downloads / "corrected.json"
    browser.wait(file.exists)
    content = json.loads(browser.wait(file.read_bytes))
    file.unlink()
    return content


def test_it_asks_nothing_of_any_network_and_complains_of_nothing(browser: Browser, demo_page: Path) -> None:
    browser.open(demo_page)
    assert "first" in browser.text(".scores")
    browser.click("#tab-videos")
    fetched = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [
        name for name in fetched if not name.startswith((demo_page.parent.parent.as_uri(), "blob:"))
    ] == []
    assert browser.complaints() == []


def test_the_overview_tells_the_scores_that_evaluate_tells(browser: Browser, demo_page: Path) -> None:
    from pipeline.evaluation.evaluate import score
    from pipeline.evaluation.settings import EvaluateConfig

    truth = demo_page.parent.parent / "truth.json"
    config = EvaluateConfig(predictions="p", dataset={"annotations": str(truth)})
    browser.open(demo_page)
    rows = browser.run(
        "return [...document.querySelectorAll('.scores tbody tr')]"
        ".map((row) => [...row.children].map((one) => one.textContent))"
    )
    for row, predicted in zip(rows, (FIRST, SECOND), strict=True):
        result = score(segments_table(predicted), read_subset(config.dataset, "test", raw=True), config)
        averages = [result.detection.average, *result.detection.map_per_threshold]
        assert row[1:11] == [f"{100 * value:.1f}" for value in averages]


def test_the_slider_shows_fewer_the_higher_it_is(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    assert shown(browser) == "3 videos, 10 segments found"
    browser.slide("#score", 1000)
    assert shown(browser) == "3 videos, 2 segments found"
    assert browser.text("#score-value") == "0.900"
    assert [card.get_attribute("data-shown") for card in browser.all(".card")] == ["1", "1", "0"]


def test_filters_by_class_text_video_and_run(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    browser.click("#no-classes")
    assert shown(browser) == "0 of 3 videos, 0 segments found"
    browser.click("#class-2")  # swim
    browser.frame()
    assert shown(browser) == "1 of 3 videos, 3 segments found"
    assert browser.texts(".lane-name") == ["swim"]
    browser.click("#all-classes")
    browser.write("#search", "JUM")
    browser.frame()
    assert shown(browser) == "2 of 3 videos, 4 segments found"
    assert set(browser.texts(".lane-name")) == {"jump"}
    browser.write("#search", "b")
    browser.frame()
    assert browser.texts(".card h3") == ["b"]
    browser.write("#search", Keys.DELETE)
    browser.click("#run-0")
    browser.frame()
    assert shown(browser) == "3 videos, 2 segments found"
    browser.click("#run-0")
    browser.run(
        "const keep = document.getElementById('keep'); keep.value = 'misses'; keep.dispatchEvent(new Event('change'))"
    )
    browser.frame()
    assert browser.texts(".card h3") == ["a", "c"]
    browser.slide("#score", 1000)  # what is found with less than that is missed
    assert browser.texts(".card h3") == ["a", "b", "c"]


def test_a_click_on_a_segment_plays_the_video_from_there(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    at(browser, point(browser, "a", "run", 1, 12.0)).click().perform()
    time = browser.wait(lambda: browser.run("return document.getElementById('player').currentTime"))
    assert 10.0 <= time < 28.0
    assert browser.run("return document.getElementById('player').currentSrc").endswith("/videos/a.mp4")
    assert "run, 0:10.0 to 0:14.5, first, score 0.800, true positive" in browser.text("#said")
    at(browser, point(browser, "b", "swim", 1, 6.0)).click().perform()
    browser.wait(
        lambda: browser.run("return document.getElementById('player').currentSrc").endswith("/videos/b.mp4")
    )
    assert (
        5.0
        <= browser.wait(lambda: browser.run("return document.getElementById('player').currentTime"))
        < 12.0
    )


def test_hovering_tells_times_and_scores(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    at(browser, point(browser, "a", "jump", 1, 24.0)).perform()
    browser.frame()
    tip = browser.text("#tip")
    assert "jump" in tip
    assert "0:20.0 – 0:27.0" in tip
    assert "score 0.700" in tip
    assert "wrong label" in tip


def test_keys_go_from_segment_to_segment_and_from_video_to_video(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    browser.run("document.getElementById('list').focus()")
    said = []
    for _ in range(3):
        browser.keys(Keys.ARROW_RIGHT)
        browser.frame()
        said.append(browser.text("#said"))
    assert [text.split(", ")[:2] for text in said] == [["jump", "0:02.0 to 0:06.0"]] * 2 + [
        ["jump", "0:02.5 to 0:06.0"]
    ]
    browser.keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    browser.frame()
    assert browser.text("#said").startswith("swim, 0:05.0 to 0:09.0")
    assert browser.one(".card.current").get_attribute("data-video") == "1"
    browser.keys("?")
    assert browser.one("#keys-dialog").is_displayed()


def test_the_surest_false_alarms_and_the_longest_misses_are_a_click_away(
    browser: Browser, demo_page: Path
) -> None:
    browser.open(demo_page)
    lists = browser.all(".lists > div")
    alarms = [row.text.split() for row in lists[0].find_elements("css selector", "tbody tr")]
    assert [row[-1] for row in alarms] == ["0.700", "0.500", "0.400", "0.300", "0.200"]
    misses = [row.text for row in lists[1].find_elements("css selector", "tbody tr")]
    assert [text.split()[-2] for text in misses] == ["8.0", "3.0"]
    lists[1].find_element("css selector", "tbody button").click()
    browser.frame()
    assert browser.one("#tab-videos").get_attribute("aria-selected") == "true"
    assert browser.text("#said").startswith("run, 0:20.0 to 0:28.0, true")
    assert browser.one("#segment-start").get_attribute("value") == "20.00"


def test_corrections_are_exported_as_annotations_that_training_reads(
    browser: Browser, demo_page: Path, tmp_path: Path
) -> None:
    open_videos(browser, demo_page)
    at(browser, point(browser, "b", "swim", 1, 16.0)).click().perform()
    browser.frame()
    browser.click("#accept")
    browser.write("#segment-end", "17.25")
    browser.write("#segment-label", "dive")
    at(browser, point(browser, "b", "swim", 0, 7.0)).click().perform()
    browser.frame()
    browser.click("#reject")
    browser.frame()
    assert browser.text("#export") == "Export (2)"
    file = exported(browser)
    assert file["database"] == {
        "b": {"subset": "test", "duration": 30.0, "annotations": [{"segment": [15, 17.25], "label": "dive"}]}
    }
    (tmp_path / "annotations.json").write_text(json.dumps(file))
    dataset = DatasetConfig(annotations=str(tmp_path / "annotations.json"))
    read = read_subset(dataset, "test")
    assert read.instances.to_pylist() == [{"video_id": "b", "t_start": 15.0, "t_end": 17.25, "label": "dive"}]
    browser.click("#export")
    browser.write("#export-subset", "train")
    browser.keys(Keys.ESCAPE)
    assert exported(browser)["database"]["b"]["subset"] == "train"


def test_without_truth_what_is_undecided_is_exported_on_request(browser: Browser, tmp_path: Path) -> None:
    pq.write_table(segments_table(FIRST), tmp_path / "p.parquet")
    page = write_page(tmp_path / "report", f"predictions={tmp_path / 'p.parquet'}", "min_score=0.5")
    browser.open(page)
    browser.run("document.getElementById('list').focus()")
    browser.keys(Keys.ARROW_RIGHT, "a", Keys.ARROW_RIGHT, "x", Keys.ARROW_DOWN, "d", Keys.ARROW_DOWN)
    browser.frame()
    first = exported(browser)["database"]
    assert {video: one["annotations"] for video, one in first.items()} == {
        "a": [{"segment": [2.5, 6], "label": "jump"}],
        "b": [],  # it is done, and nothing in it was accepted
    }
    browser.click("#export")
    browser.click("#export-undecided")
    assert browser.text("#export-count") == "2 videos, 3 segments"
    browser.keys(Keys.ESCAPE)
    second = exported(browser)
    assert [one["label"] for one in second["database"]["a"]["annotations"]] == ["jump", "jump"]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "annotations.json").write_text(json.dumps(second))
    write_truth(tmp_path / "labels" / "earlier.json", {"z": [(1.0, 2.0, "run")]})
    dataset = DatasetConfig(annotations=str(tmp_path / "labels" / "*.json"))
    assert read_subset(dataset, "train").videos["video_id"].to_pylist() == ["a", "b"]
    assert read_subset(dataset, "test").videos["video_id"].to_pylist() == ["z"]


def test_an_end_is_dragged_and_a_segment_drawn(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    bar = point(browser, "b", "swim", 1, 17.0)
    at(browser, bar).click().perform()
    browser.frame()
    end, further = point(browser, "b", "swim", 1, 18.0), point(browser, "b", "swim", 1, 22.0)
    actions = at(browser, (end[0] - 1, end[1]))
    actions.w3c_actions.pointer_action.pointer_down()
    actions.w3c_actions.pointer_action.move_to_location(*further)
    actions.w3c_actions.pointer_action.release()
    actions.perform()
    browser.frame()
    start, stop = point(browser, "c", "run", 2, 10.0), point(browser, "c", "run", 2, 14.0)
    actions = at(browser, start)
    actions.w3c_actions.key_action.key_down(Keys.SHIFT)
    actions.w3c_actions.pointer_action.pointer_down()
    actions.w3c_actions.pointer_action.move_to_location(*stop)
    actions.w3c_actions.pointer_action.release()
    actions.w3c_actions.key_action.key_up(Keys.SHIFT)
    actions.perform()
    browser.frame()
    database = exported(browser)["database"]
    (dragged,) = [one for one in database["b"]["annotations"] if one["segment"][0] == 15]
    assert dragged["segment"][1] == pytest.approx(22.0, abs=0.2)
    (added,) = [one for one in database["c"]["annotations"] if one["label"] == "run"]
    assert added["segment"] == pytest.approx([10.0, 14.0], abs=0.2)


def test_what_was_done_is_undone_redone_and_kept(browser: Browser, demo_page: Path) -> None:
    open_videos(browser, demo_page)
    browser.run("document.getElementById('list').focus()")
    browser.keys(Keys.ARROW_RIGHT, "x", Keys.ARROW_RIGHT, "a", "d")
    browser.frame()
    assert browser.text("#export") == "Export (2)"
    browser.keys("ctrl+z", "ctrl+z")
    browser.frame()
    assert browser.text("#export") == "Export (1)"
    assert not browser.one("#done").is_selected()
    browser.keys("ctrl+y")
    browser.frame()
    assert browser.text("#export") == "Export (2)"
    open_videos(browser, demo_page)
    assert browser.text("#export") == "Export (2)"
    assert browser.texts(".segments tbody tr td:last-child")[:2] == ["rejected", "accepted"]


def test_other_predictions_have_other_corrections(browser: Browser, demo_page: Path, tmp_path: Path) -> None:
    open_videos(browser, demo_page)
    browser.run("document.getElementById('list').focus()")
    browser.keys(Keys.ARROW_RIGHT, "x")
    pq.write_table(segments_table(SECOND), tmp_path / "p.parquet")
    open_videos(browser, write_page(tmp_path / "report", f"predictions={tmp_path / 'p.parquet'}"))
    assert browser.text("#export") == "Export"


HOSTILE = [
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror=\"window.pwned = 1\">",
    "\"'`{{columns}}${window.pwned = 1}&lt;",
    "🏊🏽‍♀️ 👩‍👩‍👧",
    "x" * 300,
    "سباحة \u202e evil \u2066",
    "\u2028 line ]]> <!-- --",
]  # fmt: skip


def test_hostile_names_are_names(browser: Browser, tmp_path: Path) -> None:
    labels = [name + " label" for name in HOSTILE]
    rows = [(name, 1.0, 4.0, label, 0.5) for name, label in zip(HOSTILE, labels, strict=True)]
    write_truth(tmp_path / "truth.json", {row[0]: [row[1:4]] for row in rows})
    folder = tmp_path / "<b>run & 'co' \"x\""
    folder.mkdir()
    pq.write_table(segments_table(rows), folder / "p.parquet")
    words = [
        f"predictions={folder / 'p.parquet'}",
        f"dataset.annotations={tmp_path / 'truth.json'}",
        "min_score=0",
    ]
    page = write_page(tmp_path / "report", *words)
    browser.open(page)
    assert sorted(browser.texts(".classes tbody th")) == sorted(labels)
    browser.click("#tab-videos")
    seen: set[str] = set()
    for _ in HOSTILE:
        seen |= set(browser.texts(".card h3"))
        browser.run("document.getElementById('list').scrollTop += 300")
        browser.frame()
    assert seen == set(HOSTILE)
    assert browser.run("return window.pwned") is None
    assert len(browser.all("script")) == 3
    assert browser.all("img") == []
    for card in browser.all(".card"):
        assert card.size["width"] < 1400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_checker_of_accessibility_finds_nothing_serious(
    browser: Browser, demo_page: Path, scheme: str
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def serious() -> list[str]:
        found = browser.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((result) => done(result.violations))"
        )
        return [
            f"{one['id']}: {node['target']} {node['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    browser.open(demo_page)
    # A person's own tools may write into the page what its policy would not let it load.
    browser.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    assert serious() == []
    browser.click("#tab-videos")
    browser.run("document.getElementById('list').focus()")
    browser.keys(Keys.ARROW_RIGHT, "a")
    browser.frame()
    assert serious() == []
    browser.click("#export")
    assert serious() == []
    browser.keys(Keys.ESCAPE)
    browser.resize(400, 800)
    browser.frame()
    assert serious() == []


def test_light_and_dark_are_switched_and_kept(browser: Browser, demo_page: Path) -> None:
    browser.open(demo_page)
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(colour)
    browser.click("#theme")
    dark = browser.run(colour)
    assert dark != light
    browser.open(demo_page)
    assert browser.run(colour) == dark


def test_nothing_is_wider_than_a_narrow_screen(browser: Browser, demo_page: Path) -> None:
    browser.resize(400, 800)
    browser.open(demo_page)
    for tab in ("overview", "videos"):
        browser.click(f"#tab-{tab}")
        browser.frame()
        assert browser.run("return document.documentElement.scrollWidth") <= 400
    assert len(TRUTH) >= len(browser.all(".card")) >= 1
