"""Jobs as processes that drills kill, and what must be equal afterwards."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipeline import parquet, storage
from pipeline.features.schema import CHUNK_SCHEMA
from tests.jobs.commands import SMALL_RAY, job_command
from tests.pipeline.synthetic import TINY_MODEL, make_videos, write_annotations, write_store
from tests.videos import encode_video

EXTRACT = ["backbone=tiny", "chunk_frames=8", "decode.cpus=0.5", "embed.cpus=0.5", *SMALL_RAY]
PREDICT = ["detect.videos_per_task=2", "detect.cpus=0.5", *SMALL_RAY]
LABEL = ["decode.cpus=0.5", "embed.cpus=0.5", *PREDICT]
TRAIN = [
    *(f"model.{key}={value}" for key, value in TINY_MODEL.items()),
    "windows.length=32", "windows.train_step=16", "windows.test_step=16", "validate_every=0", *SMALL_RAY,
]  # fmt: skip


class Job:
    """A job's process, with what it says."""

    def __init__(self, folder: Path, verb: str, *words: str, **environment: str) -> None:
        self.output = folder / f"{verb}-{time.monotonic_ns()}.log"
        self.mark = f"RAYTAD_DRILL={self.output}"  # in the environment of all its processes
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                job_command(verb, *words),
                env=os.environ | environment | dict([self.mark.split("=", 1)]),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def kill(self) -> None:
        """`kill -9` of the driver alone; its Ray has to notice."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self, seconds: float = 600) -> int:
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()


def render(folder: Path, videos: int = 4, seconds: float = 24) -> Path:
    for index in range(videos):
        encode_video(folder / f"clip_{index}.mp4", seconds=seconds, fps=12, size=(64, 48), seed=index)
    return folder


def features(store: str) -> pa.Table:
    """All rows of a store's features, each chunk once, as a table in the order of chunks."""
    tables = [parquet.read_table(url) for url in parquet.list_parquet(storage.join(store, "features"))]
    names = [*(name for name in CHUNK_SCHEMA.names if name != "uri"), "features", "error"]
    return pa.concat_tables(tables).select(names).sort_by("chunk_id")


def assert_equal_stores(store: str, whole: str) -> None:
    """Both hold the same rows, none twice, and no file that a reader stumbles over."""
    assert features(store).equals(features(whole))
    assert_no_leftovers(store, "features")


def segments(out: str) -> pa.Table:
    tables = [parquet.read_table(url) for url in parquet.list_parquet(storage.join(out, "segments"))]
    order = [(name, "ascending") for name in ("video_id", "t_start", "t_end", "label", "score")]
    return pa.concat_tables(tables).sort_by(order).replace_schema_metadata(None)


def assert_equal_predictions(out: str, whole: str) -> None:
    assert segments(out).equals(segments(whole))
    videos = [
        video_id
        for url in parquet.list_parquet(storage.join(out, "predictions"))
        for video_id in parquet.read_table(url)["video_id"].to_pylist()
    ]
    assert len(videos) == len(set(videos))
    assert_no_leftovers(out, "predictions")


def assert_no_leftovers(folder: str, data: str) -> None:
    path = storage.local_path(folder)
    if path is not None:
        assert not list(Path(path).rglob("*.partial"))
    files = [file.url for file in storage.list_files(folder)]
    assert not [url for url in files if ".pending." in url]
    for url in files:
        if url.endswith(".parquet"):
            parquet.read_table(url)
    records = [url for url in files if "/checkpoint/" in url]
    written = parquet.list_parquet(storage.join(folder, data))
    assert len(records) == len(written)


def write_training_set(folder: Path | str, videos: int = 40) -> Sequence[str]:
    """A synthetic store with its truth in a folder, which may be a URL, and the words that name them."""
    made = make_videos(videos, "train", seed=1)
    write_store(f"{folder}/store", made)
    write_annotations(f"{folder}/truth.json", made)
    return [f"store={folder}/store", f"dataset.annotations={folder}/truth.json"]
