"""The output folder belongs to what made it, and says each video once."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import parquet
from pipeline.detector.settings import MergeConfig
from pipeline.errors import InputError
from pipeline.inference.output import PredictionFolder, Provenance
from pipeline.segments.detections import VideoDetections
from pipeline.segments.tables import VideoOutcome, predictions_table

PROVENANCE = Provenance("/run/checkpoints/epoch_00001", "c" * 64, "f" * 64, 32, 16, MergeConfig())
FOUND = VideoDetections(np.array([[1.0, 2.0]]), np.array([0]), np.array([0.5]))


@pytest.fixture
def folder(tmp_path) -> PredictionFolder:
    return PredictionFolder(str(tmp_path / "out"), PROVENANCE)


def put(folder: PredictionFolder, name: str, *outcomes: VideoOutcome) -> None:
    path = f"{folder.folder('predictions')}/{name}.parquet"
    pa.fs.LocalFileSystem().create_dir(folder.folder("predictions"))
    pq.write_table(predictions_table(outcomes, ("jump",)), path)


def segments(folder: PredictionFolder) -> dict[str, list[str]]:
    files = parquet.list_parquet(folder.folder("segments"))
    return {url.rsplit("/", 1)[1]: pq.read_table(url)["video_id"].to_pylist() for url in files}


def test_a_video_tried_again_counts_by_its_good_row(folder: PredictionFolder) -> None:
    put(
        folder,
        "b",
        VideoOutcome("v", error="crash: gone"),
        VideoOutcome("w", FOUND),
        VideoOutcome("x", error="crash: a"),
    )
    put(folder, "a", VideoOutcome("v", FOUND))
    put(folder, "c", VideoOutcome("x", error="crash: b"))
    outcomes = folder.outcomes().sort_by("video_id").to_pydict()
    assert outcomes == {"video_id": ["v", "w", "x"], "error": [None, None, "crash: b"]}
    folder.write_segments()
    assert segments(folder) == {"a.parquet": ["v"], "b.parquet": ["w"], "c.parquet": []}


def test_a_video_written_twice_is_flattened_once(folder: PredictionFolder) -> None:
    put(folder, "a", VideoOutcome("v", FOUND))
    put(folder, "b", VideoOutcome("v", FOUND), VideoOutcome("w", FOUND))
    folder.write_segments()
    assert segments(folder) == {"a.parquet": ["v"], "b.parquet": ["w"]}


def test_segments_of_files_that_are_gone_go_too(folder: PredictionFolder) -> None:
    put(folder, "a", VideoOutcome("v", FOUND))
    folder.write_segments()
    pa.fs.LocalFileSystem().delete_file(f"{folder.folder('predictions')}/a.parquet")
    put(folder, "b", VideoOutcome("v", FOUND))
    folder.write_segments()
    assert segments(folder) == {"b.parquet": ["v"]}


def test_only_files_that_hold_wanted_videos_are_read(folder: PredictionFolder) -> None:
    put(folder, "a", VideoOutcome("v", FOUND), VideoOutcome("w", FOUND))
    put(folder, "b", VideoOutcome("x", FOUND))
    put(folder, "c", VideoOutcome("w", FOUND), VideoOutcome("y", FOUND))
    files = folder.files_of(pa.array(["w", "none"]))
    assert files == [f"{folder.folder('predictions')}/{name}.parquet" for name in ("a", "c")]
    assert folder.files_of(pa.array([], pa.string())) == []


def test_another_provenance_is_refused_with_the_difference(folder: PredictionFolder) -> None:
    moved = dataclasses.replace(PROVENANCE, checkpoint="/elsewhere")
    assert PredictionFolder(folder.url, moved).outcomes().num_rows == 0
    other = dataclasses.replace(PROVENANCE, window_step=8, merge=MergeConfig(nms_tiou=0.5))
    with pytest.raises(InputError, match=r"merge\.nms_tiou was 0\.4, is 0\.5; window_step was 16, is 8"):
        PredictionFolder(folder.url, other)


def test_a_folder_of_an_earlier_version_opens(folder: PredictionFolder, tmp_path) -> None:
    path = tmp_path / "out" / "provenance.json"
    written = json.loads(path.read_text())
    del written["window_last"]
    path.write_text(json.dumps(written))
    PredictionFolder(folder.url, PROVENANCE)
    with pytest.raises(InputError, match="window_last was None, is pad"):
        PredictionFolder(folder.url, dataclasses.replace(PROVENANCE, window_last="pad"))
