"""The whole path as a newcomer runs it, on an archive small enough for a test."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.jobs.commands import run_job, shared_ray


def test_the_demo_goes_from_mp4_files_to_scored_segments_and_continues(
    tmp_path: Path, ray_local: None
) -> None:
    quick = ["optimiser.epochs=2", "optimiser.drop_epochs=[]", "windows.train_step=64", "cpus_per_worker=1"]
    words = [
        f"out={tmp_path}/out",
        "train_videos=2",
        "test_videos=1",
        f"words={json.dumps(quick)}",
        shared_ray(),
    ]
    first = run_job("demo", *words)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    out = tmp_path / "out"
    assert len(list((out / "videos").glob("*.mp4"))) == 3
    segments = pq.read_table(out / "predictions" / "segments")
    truth = json.loads((out / "videos" / "annotations.json").read_text())
    assert set(segments["label"].to_pylist()) <= set(truth["classes"])
    assert set(segments["video_id"].to_pylist()) == set(truth["database"])
    metrics = json.loads((out / "predictions" / "metrics.json").read_text())
    assert metrics["num_videos"] == 1
    assert 0 <= metrics["det_map"]["average"] <= 1
    results = out / "predictions" / "results"
    assert {path.stem for path in results.glob("*.vtt")} == set(truth["database"])
    page = (out / "predictions" / "report" / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "test_000.mp4" in page  # to play
    (unseen,) = (out / "labelled" / "results").glob("*.vtt")
    assert unseen.stem not in truth["database"]
    assert (out / "new" / f"{unseen.stem}.mp4").exists()

    # Run again, it extracts nothing again; trained further, it predicts anew.
    further = run_job("demo", *(word.replace("optimiser.epochs=2", "optimiser.epochs=3") for word in words))
    assert further.returncode == 0, further.stdout[-3000:] + further.stderr[-3000:]
    assert "0 of them to do" in further.stderr
    assert json.loads((out / "run" / "metrics.json").read_text())["epochs"] == 3
    digest = json.loads((out / "run" / "metrics.json").read_text())["checkpoint_digest"]
    for folder in ("predictions", "labelled"):
        assert json.loads((out / folder / "provenance.json").read_text())["checkpoint_digest"] == digest
