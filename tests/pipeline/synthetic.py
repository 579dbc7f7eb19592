"""A feature store and annotations made from numbers: actions are plain to see in the features."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.deformable_detr import DeformableDETRConfig
from pipeline import storage
from pipeline.features.schema import FEATURES_SCHEMA, as_plan, chunk_id
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline

LABELS = ("jump", "wave")
TINY_MODEL = {
    "name": "deformable_detr", "dim": 16, "num_heads": 2, "ffn_dim": 16, "encoder_layers": 1,
    "decoder_layers": 2, "num_queries": 6, "dropout": 0.0,
}  # fmt: skip
TINY_DETECTOR = DeformableDETRConfig(**TINY_MODEL)
SPEC = FeatureSpec("synthetic", "0" * 64, {"noise": 0.1}, dim=4, timeline=Timeline(8.0, 2, 2))


@dataclass(frozen=True)
class SyntheticVideo:
    """A video of `duration` seconds with `(start, end, label)` actions in seconds."""

    video_id: str
    duration: float
    actions: tuple[tuple[float, float, str], ...]
    subset: str = "train"


def make_videos(count: int, subset: str, seed: int) -> list[SyntheticVideo]:
    """Videos of 15 to 25 s with one to three actions of 2 to 5 s each."""
    rng = np.random.default_rng(seed)
    videos = []
    for index in range(count):
        duration = float(rng.uniform(15, 25))
        actions = []
        for _ in range(rng.integers(1, 4)):
            start = rng.uniform(0, duration - 5)
            actions.append((float(start), float(start + rng.uniform(2, 5)), str(rng.choice(LABELS))))
        videos.append(SyntheticVideo(f"{subset}_{index:03d}", duration, tuple(actions), subset))
    return videos


def features_of(video: SyntheticVideo, spec: FeatureSpec = SPEC, offset: float = 0.0) -> np.ndarray:
    """`[T, dim]` float16: channel 0 is 1 while a jump lasts, channel 1 while a wave does, plus noise."""
    timeline = spec.timeline
    count = timeline.num_snippets(timeline.num_frames(video.duration))
    rng = np.random.default_rng(len(video.video_id) + count)
    features = rng.normal(offset, 0.1, (count, spec.dim))
    centres = timeline.to_seconds(np.arange(count) + 0.5)
    for start, end, label in video.actions:
        features[(centres >= start) & (centres < end), LABELS.index(label)] += 1
    return features.astype(np.float16)


def write_store(
    url: str,
    videos: Sequence[SyntheticVideo],
    spec: FeatureSpec = SPEC,
    *,
    chunk: int = 40,
    errors: Mapping[str, str] | None = None,
    features: Mapping[str, np.ndarray] | None = None,
    rows_per_group: int = 4,
) -> FeatureStore:
    """A store with these videos in chunks of `chunk` snippets.

    Videos in `errors` lose their last chunk to that error ("kind: message"); `features` replaces what a video
    has.
    """
    rows = []
    for video in videos:
        array = (features or {}).get(video.video_id, features_of(video, spec))
        starts = range(0, len(array), chunk)
        for index, start in enumerate(starts):
            part = array[start : start + chunk]
            lost = (errors or {}).get(video.video_id) if index == len(starts) - 1 else None
            rows.append(
                {
                    "chunk_id": chunk_id(video.video_id, index),
                    "video_id": video.video_id,
                    "uri": f"/archive/{video.video_id}.mp4",
                    "chunk_index": index,
                    "num_chunks": len(starts),
                    "first_snippet": start,
                    "num_snippets": len(part),
                    "duration": video.duration,
                    "fps": spec.timeline.rate,
                    "dim": spec.dim,
                    "features": None if lost else part.tobytes(),
                    "error": lost,
                }
            )
    store = FeatureStore.create(url, spec)
    table = pa.Table.from_pylist(rows, schema=FEATURES_SCHEMA)
    _write(storage.join(store.folder("plan"), "part.parquet"), as_plan(table), len(rows))
    _write(storage.join(store.folder("features"), "part.parquet"), table, rows_per_group)
    return FeatureStore(url)


def write_annotations(url: str, videos: Sequence[SyntheticVideo]) -> None:
    """An ActivityNet-style JSON of these videos."""
    database = {
        video.video_id: {
            "subset": video.subset,
            "duration": video.duration,
            "annotations": [{"segment": [start, end], "label": label} for start, end, label in video.actions],
        }
        for video in videos
    }
    storage.write_bytes(url, json.dumps({"classes": LABELS, "database": database}).encode())


def _write(url: str, table: pa.Table, rows_per_group: int) -> None:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=rows_per_group)
    storage.write_bytes(url, sink.getvalue())
