"""The folder of predictions after kills: each segment told once, and nothing damaged in the way."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pipeline import parquet, storage
from pipeline.detector.settings import MergeConfig
from pipeline.inference.output import PredictionFolder, Provenance
from pipeline.segments.detections import VideoDetections
from pipeline.segments.settings import ResultsConfig
from pipeline.segments.tables import VideoOutcome, predictions_table

PROVENANCE = Provenance("run", "0", "1", 8, 4, MergeConfig())


def _folder(root: str) -> PredictionFolder:
    return PredictionFolder(root, PROVENANCE)


def _predict(out: PredictionFolder, name: str, *video_ids: str) -> None:
    outcomes = [
        VideoOutcome(
            video_id, VideoDetections(np.array([[0.0, 1.0]]), np.zeros(1, dtype=np.int64), np.ones(1))
        )
        for video_id in video_ids
    ]
    parquet.write_table(
        storage.join(out.folder("predictions"), f"{name}.parquet"), predictions_table(outcomes, ["run"])
    )


def _told(out: PredictionFolder) -> list[str]:
    return sorted(
        video_id
        for url in parquet.list_parquet(out.folder("segments"))
        for video_id in parquet.read_table(url)["video_id"].to_pylist()
    )


def test_a_kill_inside_the_flattening_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`b` was done again and its new file sorts first: one of both tells it, also after a kill between."""
    out = _folder(str(tmp_path))
    _predict(out, "1", "a", "b")
    out.write_segments()
    assert not out.lacks_segments()
    _predict(out, "0", "b")
    _predict(out, "2", "c")

    written = []
    write = parquet.write_table

    def killed(url: str, table: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(url)
        write(url, table)  # type: ignore[arg-type]

    monkeypatch.setattr(parquet, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        out.write_segments()
    monkeypatch.undo()
    assert out.lacks_segments()
    out.write_segments()
    assert _told(out) == ["a", "b", "c"]


def test_files_that_are_told_stay_and_a_file_that_goes_gives_its_videos_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = _folder(str(tmp_path))
    _predict(out, "1", "a", "b")
    _predict(out, "2", "b", "c")
    out.write_segments()
    _predict(out, "0", "a", "d")
    written: list[str] = []
    write = parquet.write_table

    def watched(url: str, table: Any) -> None:
        written.append(url.rsplit("/", 1)[-1])
        write(url, table)

    monkeypatch.setattr(parquet, "write_table", watched)
    out.write_segments()
    assert written == ["0.parquet"]
    assert _told(out) == ["a", "b", "c", "d"]
    storage.remove(f"{out.folder('predictions')}/1.parquet")
    assert out.lacks_segments()
    out.write_segments()
    assert _told(out) == ["a", "b", "c", "d"]
    assert not out.lacks_segments()


def test_a_video_predicted_twice_is_told_once(tmp_path: Path) -> None:
    out = _folder(str(tmp_path))
    _predict(out, "0", "a", "a")
    _predict(out, "1", "a", "b")
    out.write_segments()
    assert _told(out) == ["a", "b"]


@pytest.mark.parametrize("folder", ["predictions", "segments"])
def test_damaged_files_are_removed(tmp_path: Path, folder: str) -> None:
    out = _folder(str(tmp_path))
    for name, video_id in (("0", "a"), ("1", "b")):
        _predict(out, name, video_id)
    out.write_segments()
    damaged = tmp_path / folder / "1.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    (tmp_path / folder / "2.parquet.00.partial").write_bytes(b"half")
    out.heal()
    assert out.names(folder) == {"0.parquet"}
    assert not list(tmp_path.rglob("*.partial"))
    assert out.lacks_segments()
    assert set(out.outcomes()["video_id"].to_pylist()) == ({"a"} if folder == "predictions" else {"a", "b"})


def _results(out: PredictionFolder) -> dict[str, list[dict[str, object]]]:
    content: dict[str, list[dict[str, object]]] = json.loads(
        storage.read_bytes(storage.join(out.folder("results"), "activitynet.json"))
    )["results"]
    return content


def test_results_say_what_segments_say_or_are_gone(tmp_path: Path) -> None:
    out = _folder(str(tmp_path))
    _predict(out, "1", "a", "b")
    out.write_segments()
    assert out.write_results(ResultsConfig(), ["a", "b", "empty"])
    assert {video_id: len(found) for video_id, found in _results(out).items()} == {"a": 1, "b": 1, "empty": 0}
    assert "run 1" in (tmp_path / "results" / "a.vtt").read_text()
    storage.remove(storage.join(out.folder("predictions"), "1.parquet"))
    _predict(out, "2", "c")
    out.write_segments()
    assert out.write_results(ResultsConfig(min_score=2.0), ["c"])
    assert list(_results(out)) == ["c"]
    assert "-->" not in (tmp_path / "results" / "c.vtt").read_text()
    assert {path.name for path in (tmp_path / "results").iterdir()} == {
        "activitynet.json",
        "segments.csv",
        "c.vtt",
    }
    assert not out.write_results(ResultsConfig(write="never"), ["c"])
    assert not list((tmp_path / "results").iterdir())


@pytest.mark.parametrize(
    ("write", "videos", "wanted"),
    [("auto", 1000, True), ("auto", 1001, False), ("always", 1001, True), ("never", 1, False)],
)
def test_results_are_for_few_videos_unless_somebody_asks(
    write: Literal["auto", "always", "never"], videos: int, wanted: bool
) -> None:
    assert ResultsConfig(write=write).wanted(videos) is wanted


def test_folders_of_an_earlier_version_are_flattened_once_more(tmp_path: Path) -> None:
    out = _folder(str(tmp_path))
    _predict(out, "0", "a")
    out.write_segments()
    (tmp_path / "flattened.json").unlink()
    assert out.lacks_segments()
