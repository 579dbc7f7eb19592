"""An archive of any size made from nothing, as the jobs would have left it: what `scale.py` measures on.

<folder>/videos.jsonl, train.json, truth.json   a manifest, and annotations of short and of ten-minute videos
<folder>/npy/                                   published features, a file a video
<folder>/store/                                 a store in which every chunk is done
<folder>/left/                                  the same store without the features of the last 1 %
<folder>/run/                                   a run whose tiny detector has learnt nothing
<folder>/predicted/                             predictions/ without its segments/
<folder>/flat/                                  the same with it
"""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from models.deformable_detr import DeformableDETRConfig
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    copy_tensors,
    write_checkpoint,
)
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.recipe import Recipe, record_recipe
from pipeline.features.schema import FEATURES_SCHEMA, PLAN_SCHEMA, as_plan
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.segments.schema import PREDICTIONS_SCHEMA, SEGMENTS_SCHEMA
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig, TrainConfig

LABELS = tuple(f"class_{index}" for index in range(5))
DIM, SNIPPETS = 4, 2
RATE, STRIDE = 8.0, 4
TIMELINE = [f"timeline.fps={RATE:g}", f"timeline.stride={STRIDE}", f"timeline.window={STRIDE}"]
LONG_SECONDS = 600.0  # of the videos of truth.json
# A million videos in 500 files; as many rows in a group as whole chunks of 64 KiB make 1 MiB.
ROWS_PER_FILE, ROWS_PER_GROUP = 2000, 16
_DETECTIONS, _TRUTHS = 10, 3  # in a video
_LEFT = 0.01
_MODEL = {
    "name": "deformable_detr", "dim": 16, "num_heads": 2, "ffn_dim": 16, "encoder_layers": 1, "decoder_layers": 1,
    "num_queries": 6, "dropout": 0.0,
}  # fmt: skip


def build_archive(folder: Path, num_videos: int, num_chunks: int, with_npy: bool) -> None:
    """Write an archive of videos of `num_chunks` chunks each; `with_npy` also as published files."""
    ids = [f"videos/{index:07d}" for index in range(num_videos)]
    seconds = num_chunks * SNIPPETS * STRIDE / RATE
    folder.mkdir(parents=True)
    with open(folder / "videos.jsonl", "w") as manifest:
        rows = ({"video_id": each, "uri": f"{folder}/{each}.mp4"} for each in ids)
        manifest.writelines(json.dumps(row) + "\n" for row in rows)
    _write_annotations(folder / "train.json", ids, seconds, 1)
    _write_annotations(folder / "truth.json", ids, LONG_SECONDS, _TRUTHS)
    if with_npy:
        _write_npy(folder / "npy", ids, num_chunks)
    spec = _write_store(folder, ids, num_chunks, seconds)
    _write_run(folder / "run", spec)
    _write_predictions(folder, ids)


def last_percent(num_rows: int) -> int:
    """How many of so many rows are left to do in `left/`."""
    return max(1, int(_LEFT * num_rows))


def spec_of(extraction: ExtractConfig) -> FeatureSpec:
    """What such an extraction would say of features, without a network; `DIM` wide."""
    backbone = extraction.backbone
    settings = {
        "architecture": backbone.architecture,
        "resize": backbone.resize,
        "frames_per_snippet": backbone.frames_per_snippet,
        "precision": backbone.precision,
    }
    return FeatureSpec(backbone.name, "0" * 64, settings, DIM, extraction.timeline.build())


def _write_annotations(path: Path, ids: list[str], seconds: float, truths: int) -> None:
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 0.5 * seconds, (len(ids), truths)).round(3).tolist()
    ends = rng.uniform(0.6 * seconds, seconds, (len(ids), truths)).round(3).tolist()
    labels = rng.integers(len(LABELS), size=(len(ids), truths)).tolist()
    database = {
        video_id: {
            "subset": "all",
            "duration": seconds,
            "annotations": [
                {"segment": [start, end], "label": LABELS[label]}
                for start, end, label in zip(starts[video], ends[video], labels[video], strict=True)
            ],
        }
        for video, video_id in enumerate(ids)
    }
    path.write_text(json.dumps({"classes": LABELS, "database": database}))


def _write_npy(folder: Path, ids: list[str], num_chunks: int) -> None:
    sink = io.BytesIO()
    np.save(sink, np.ones((num_chunks * SNIPPETS, DIM), np.float16))
    (folder / "videos").mkdir(parents=True)
    for video_id in ids:
        (folder / f"{video_id}.npy").write_bytes(sink.getvalue())


def _write_store(folder: Path, ids: list[str], num_chunks: int, seconds: float) -> FeatureSpec:
    words = ["videos=v", "store=s", "backbone=tiny", *TIMELINE]
    extraction = compose_config("extract", ExtractConfig, words)
    spec = spec_of(extraction)
    store = FeatureStore.create(str(folder / "store"), spec)
    record_recipe(
        store.url,
        Recipe(backbone=extraction.backbone, flow=extraction.flow, timeline=extraction.timeline),
    )
    shutil.copytree(folder / "store", folder / "left")
    metadata = {"feature_spec": spec.to_json(), "feature_digest": spec.digest.encode()}
    schema = FEATURES_SCHEMA.with_metadata(metadata)
    num_rows = len(ids) * num_chunks
    kept = num_rows - last_percent(num_rows)
    for part, rows in enumerate(_parts(num_rows)):
        table = _features(str(folder), ids, num_chunks, rows, seconds).cast(schema)
        plan = as_plan(table).cast(PLAN_SCHEMA)
        for name, done in (("store", len(rows)), ("left", max(0, min(len(rows), kept - rows.start)))):
            _write(folder / name / "plan" / f"probe-{part:05d}.parquet", plan, len(rows))
            if done:
                _write_done(folder / name, "features", part, table.slice(0, done), "chunk_id")
    for name in ("store", "left"):
        FeatureStore(str(folder / name)).record_index()  # as every run does at its end
    return spec


def _features(folder: str, ids: list[str], num_chunks: int, rows: range, seconds: float) -> pa.Table:
    numbers = np.array(rows)
    videos, chunks = numbers // num_chunks, numbers % num_chunks
    names = [ids[video] for video in videos]
    constant = {
        "num_chunks": num_chunks,
        "num_snippets": SNIPPETS,
        "duration": seconds,
        "fps": RATE,
        "dim": DIM,
    }
    columns = {
        "chunk_id": [f"{name}#{chunk:06d}" for name, chunk in zip(names, chunks, strict=True)],
        "video_id": names,
        "uri": [f"{folder}/{name}.mp4" for name in names],
        "chunk_index": chunks,
        "first_snippet": chunks * SNIPPETS,
        "features": [np.full(SNIPPETS * DIM, 1, np.float16).tobytes()] * len(rows),
        "edition": [0] * len(rows),
        "error": [None] * len(rows),
        **{name: [value] * len(rows) for name, value in constant.items()},
    }
    return pa.table({name: columns[name] for name in FEATURES_SCHEMA.names}, schema=FEATURES_SCHEMA)


def _write_run(folder: Path, spec: FeatureSpec) -> None:
    words = ["run=r", "store=s", "dataset.annotations=a", "windows.length=8", "merge.window_top_k=5"]
    words += [f"model.{key}={value}" for key, value in _MODEL.items()]
    torch.manual_seed(0)
    model = build(DeformableDETRConfig(**_MODEL), spec.dim, len(LABELS), bf16=False)
    write_checkpoint(
        str(folder / CHECKPOINTS / checkpoint_name(1)),
        progress=Progress(1, 1, ()),
        labels=LABELS,
        feature_spec=spec,
        config=compose_config("train", TrainConfig, words).model_dump(mode="json"),
        tensors=copy_tensors(model, build_optimiser(model, OptimiserConfig())),
    )


def _write_predictions(folder: Path, ids: list[str]) -> None:
    rng = np.random.default_rng(1)
    kind = PREDICTIONS_SCHEMA.field("segments").type
    for name in ("predicted", "flat"):
        (folder / name).mkdir()
    for part, rows in enumerate(_parts(len(ids))):
        mine = [ids[row] for row in rows]
        count = len(mine) * _DETECTIONS
        start = rng.uniform(0, 500, count)
        columns = {
            "t_start": start,
            "t_end": start + rng.uniform(1, 100, count),
            "label": np.array(LABELS)[rng.integers(len(LABELS), size=count)],
            "score": rng.uniform(size=count),
        }
        offsets = pa.array(np.arange(len(mine) + 1) * _DETECTIONS, pa.int32())
        arrays = [pa.array(columns[field.name], field.type) for field in kind.value_type]
        found = pa.StructArray.from_arrays(arrays, fields=list(kind.value_type))
        table = pa.Table.from_arrays(
            [
                pa.array(mine, pa.string()),
                pa.ListArray.from_arrays(offsets, found, type=kind),
                pa.nulls(len(mine), pa.string()),
            ],
            schema=PREDICTIONS_SCHEMA,
        )
        for name in ("predicted", "flat"):
            _write_done(folder / name, "predictions", part, table, "video_id")
        flat = pa.table({"video_id": np.repeat(mine, _DETECTIONS), **columns}, schema=SEGMENTS_SCHEMA)
        _write(folder / "flat" / "segments" / f"part-{part:05d}-000000.parquet", flat, flat.num_rows)


def _parts(num_rows: int) -> Iterator[range]:
    return (range(first, min(num_rows, first + ROWS_PER_FILE)) for first in range(0, num_rows, ROWS_PER_FILE))


def _write_done(folder: Path, target: str, part: int, table: pa.Table, id_column: str) -> None:
    """A file of rows, and the record by which Ray knows that they are done."""
    _write(folder / target / f"part-{part:05d}-000000.parquet", table, ROWS_PER_GROUP)
    record = table.select([id_column]).replace_schema_metadata(None)
    _write(folder / "checkpoint" / f"part-{part:05d}.parquet", record, len(record))


def _write(path: Path, table: pa.Table, rows_per_group: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=max(1, rows_per_group), compression="zstd")
