"""detect: a few videos without a cluster, on the screen and in files."""

import csv
import json
from pathlib import Path

import pytest

from jobs.detect import JOB
from pipeline.inference.detect import clock
from tests.raytad.trained import LABELS, save_run
from tests.videos import encode_audio, encode_video


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def detect(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        JOB.main(words)
    return int(ended.value.code or 0)


def test_words_are_videos_and_results_lie_in_the_current_folder(
    run: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = 'it\'s [a] "clip" #1, ü 🎬.mp4'
    encode_video(here / odd, seconds=6.0)
    encode_video(here / "b.mkv", seconds=4.0, seed=2)
    (here / "broken.mp4").write_bytes(b"junk")
    encode_audio(here / "audio.m4v")
    status = detect(odd, "b.mkv", "broken.mp4", "audio.m4v", f"run={run}", "rows=3")
    assert status == 3
    shown = capsys.readouterr().out
    assert "detect: 4 videos" in shown
    assert "broken" in shown
    assert "no_video_stream" in shown
    assert shown.count("┏") == 2  # a table a video
    results = here / "results"
    names = {Path(odd).stem, "b"}
    with open(results / "segments.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["video_id"] for row in rows} == names
    assert {row["label"] for row in rows} <= set(LABELS)
    written = json.loads((results / "activitynet.json").read_text())["results"]
    assert {video: len(found) for video, found in written.items()} == {
        name: sum(row["video_id"] == name for row in rows) for name in names
    }
    assert {path.suffix for path in results.iterdir()} == {".csv", ".json", ".vtt"}
    assert (results / "b.vtt").read_text().startswith("WEBVTT\n")
    # Each video is what it is alone, whatever else the command names.
    assert detect("b.mkv", f"run={run}", f"out={here / 'alone'}") == 0
    with open(here / "alone" / "segments.csv", newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [row for row in rows if row["video_id"] == "b"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "videos: is required"),
        (("nothing.mp4",), "nothing.mp4: not found"),
        (("a.mp4", "b/a.mp4"), "both have the id a"),
        (("a.mp4", "out=a.mp4"), "out={here}/a.mp4: is a file"),
        (("a.mp4", "results.min_score=x"), "results.min_score=x: must be a valid number"),
    ],
)
def test_mistakes_are_one_line(
    run: str, here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    encode_video(here / "a.mp4", seconds=1.0)
    encode_video(here / "b" / "a.mp4", seconds=1.0, seed=3)
    assert detect(*words, f"run={run}") == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert line.format(here=here) in told[0]
    assert not (here / "results").exists()


def test_times_of_the_screen() -> None:
    assert [clock(s) for s in (0.0, 59.96, 3723.44)] == ["0:00:00.0", "0:01:00.0", "1:02:03.4"]
