"""The job that merges small files: predictions with their segments, killed at any step, and what it says of itself."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline import lease, parquet, storage
from pipeline.cluster.resumable import record_of
from pipeline.compaction.run import compact
from pipeline.compaction.settings import CompactConfig
from pipeline.detector.settings import MergeConfig
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.inference.output import PredictionFolder, Provenance
from pipeline.segments.detections import VideoDetections
from pipeline.segments.read import read_segments
from pipeline.segments.tables import VideoOutcome, ordered, predictions_table
from tests.pipeline.features.test_compacting import Killed, killing, scattered, told

PROVENANCE = Provenance("run", "0", "1", 8, 4, MergeConfig())
LABELS = ("jump", "run")


def outcomes_of(out: PredictionFolder) -> dict[str, str | None]:
    """Every predicted video with its error."""
    rows = out.outcomes()
    return dict(zip(rows["video_id"].to_pylist(), rows["error"].to_pylist(), strict=True))


def put(out: PredictionFolder, record: str, *videos: str, error: str | None = None) -> None:
    """A file of predictions and its record; the segments of a video are always the same."""
    outcomes = []
    for video in videos:
        rng = np.random.default_rng(sum(map(ord, video)))
        start = rng.uniform(0, 5, 4)
        segments = np.stack([start, start + rng.uniform(1, 3, 4)], 1)
        found = VideoDetections(segments, rng.integers(2, size=4), rng.uniform(size=4))
        outcomes.append(VideoOutcome(video, error=error) if error else VideoOutcome(video, found))
    table = predictions_table(outcomes, LABELS).replace_schema_metadata(PROVENANCE.metadata())
    parquet.write_table(f"{out.url}/predictions/{record}-000000.parquet", table)
    parquet.write_table(f"{out.url}/checkpoint/{record}.parquet", table.select(["video_id"]))


def scattered_predictions(url: str) -> PredictionFolder:
    """Many small files, a video of which was lost and tried again, one twice, one lost for good."""
    out = PredictionFolder(url, PROVENANCE)
    for number in range(6):
        put(out, f"b{number}", f"v{number}", f"w{number}")
    put(out, "c0", "again", error="detector_error: died")
    out.write_segments()
    put(out, "a0", "again", "v1")
    put(out, "a1", "lost", error="detector_error: died")
    out.write_segments()
    return out


def said(url: str) -> dict[str, Any]:
    out = PredictionFolder(url, PROVENANCE)
    files = {record_of(name) for name in out.names("predictions")}
    records = {
        Path(file).stem: parquet.read_table(file) for file in parquet.list_parquet(f"{url}/checkpoint")
    }
    return {
        "segments": ordered(read_segments(url)).to_pylist(),
        "outcomes": outcomes_of(out),
        "recorded": {
            each for name in files & records.keys() for each in records[name]["video_id"].to_pylist()
        },
    }


def test_predictions_say_the_same_in_one_file_each(tmp_path: Path) -> None:
    out = scattered_predictions(str(tmp_path))
    before = said(out.url)
    summary = compact(CompactConfig(predictions=out.url))
    assert said(out.url) == before
    assert {name: len(out.names(name)) for name in ("predictions", "segments", "checkpoint")} == {
        "predictions": 1,
        "segments": 1,
        "checkpoint": 1,
    }
    assert out.names("predictions") == out.names("segments")
    assert not out.lacks_segments()
    assert summary.figures["files in predictions"] == "9 before, 1 now"
    assert (summary.total, summary.done, summary.exit_status) == (27, 24, 0)
    [merged] = parquet.list_parquet(f"{out.url}/segments")
    assert parquet.read_table(merged).schema.metadata[b"checkpoint_digest"] == b"0"
    assert compact(CompactConfig(predictions=out.url)).done == 0
    put(out, "d0", "new", "v1")
    out.write_segments()
    assert {row["video_id"] for row in said(out.url)["segments"]} == {
        row["video_id"] for row in before["segments"]
    } | {"new"}


def test_a_kill_at_any_step_hides_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = said(scattered_predictions(str(tmp_path / "plain")).url)
    step, killed = 0, True
    while killed:
        step += 1
        out = scattered_predictions(str(tmp_path / str(step)))
        with monkeypatch.context() as patch:
            killing(patch, step)
            try:
                out.merge(0.01)
                killed = False
            except Killed:
                pass
        assert said(out.url) == before, step
        out.heal()
        if out.lacks_segments():  # as the next predict does
            out.write_segments()
        assert said(out.url) == before, step
        out.merge(1)
        assert said(out.url) == before, step
        assert not out.lacks_segments()
        files = parquet.list_parquet(out.folder("predictions"))
        assert len(files) <= 2, step  # what was begun is ended first, by itself
        # Two videos have two rows from the start, which may be in either file.
        assert sum(parquet.read_table(file).num_rows for file in files) <= len(before["outcomes"]) + 2, step
    assert step > 15


def test_a_kill_while_an_unfinished_merge_is_ended_hides_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = said(scattered_predictions(str(tmp_path / "plain")).url)
    for first in (4, 6, 8):
        step, killed = 0, True
        while killed:
            step += 1
            out = scattered_predictions(str(tmp_path / f"{first} {step}"))
            killed = False
            for kill in (first, step):
                with monkeypatch.context() as patch:
                    killing(patch, kill)
                    try:
                        out.merge(1)
                    except Killed:
                        killed = kill == step
                assert said(out.url) == before, (first, step)
        out.merge(1)
        assert said(out.url) == before
        assert len(out.names("predictions")) <= 2


def test_evaluation_while_files_are_merged_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = scattered_predictions(str(tmp_path / "out"))
    segments = read_segments(out.url)
    database = {
        row["video_id"]: {
            "subset": "test",
            "duration": 10.0,
            "annotations": [{"segment": [row["t_start"], row["t_end"]], "label": row["label"]}],
        }
        for row in segments.to_pylist()
    }
    (tmp_path / "truth.json").write_text(json.dumps({"classes": LABELS, "database": database}))
    config = EvaluateConfig(
        predictions=out.url, dataset={"annotations": str(tmp_path / "truth.json")}, out=str(tmp_path)
    )
    evaluate(config)
    expected = storage.read_bytes(f"{tmp_path}/metrics.json")
    read, merged = parquet.read_file, []

    def merged_meanwhile(url: str, *arguments: Any) -> Any:
        if "/segments/" in url and not merged:
            merged.append(url)
            with monkeypatch.context() as patch:
                patch.setattr(parquet, "read_file", read)
                out.merge(1)
        return read(url, *arguments)

    monkeypatch.setattr(parquet, "read_file", merged_meanwhile)
    evaluate(config)
    assert merged
    assert storage.read_bytes(f"{tmp_path}/metrics.json") == expected


def test_the_command_merges_a_store_and_says_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = scattered(str(tmp_path / "store"))
    before, files = told(store.url), len(parquet.list_parquet(store.folder("features")))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("jobs.compact").JOB.main([f"store={store.url}"])
    assert ended.value.code == 0
    assert f"{files} before, 1 now" in capsys.readouterr().out
    assert told(store.url) == before


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    store = scattered(str(tmp_path / "store"))
    with (
        lease.hold(store.url, "store", "extract"),
        pytest.raises(InputError, match="is being written by extract"),
    ):
        compact(CompactConfig(store=store.url))


@pytest.mark.parametrize(("count", "most", "files"), [(3, 3, 3), (3, 2, 1), (3, 0, 3)])
def test_predict_merges_by_itself_where_there_are_too_many(
    tmp_path: Path, count: int, most: int, files: int
) -> None:
    out = PredictionFolder(str(tmp_path), PROVENANCE)
    for number in range(count):
        put(out, f"b{number}", f"v{number}")
    out.write_segments()
    out.merge_if_many(32, most)
    assert len(out.names("predictions")) == len(out.names("segments")) == files


def test_a_row_of_a_video_that_went_well_counts_before_its_loss(tmp_path: Path) -> None:
    out = PredictionFolder(str(tmp_path), PROVENANCE)
    put(out, "b0", "v", error="detector_error: died")
    put(out, "b1", "v")
    out.merge(32)
    [merged] = parquet.list_parquet(out.folder("predictions"))
    table = parquet.read_table(merged)
    assert table["error"].to_pylist() == [None]
    assert isinstance(table, pa.Table)
    assert outcomes_of(out) == {"v": None}
