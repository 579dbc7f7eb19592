"""Validation and evaluation give the same number for the same segments."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from pipeline.detector.build import build
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.settings import WindowConfig
from pipeline.evaluation.evaluate import score
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.segments.read import read_segments
from pipeline.training import validation
from pipeline.training.plan import make_plan
from pipeline.training.settings import TrainConfig
from pipeline.training.validation import validate
from pipeline.training.workers import Workers
from tests.pipeline.synthetic import (
    SPEC,
    TINY_DETECTOR,
    TINY_MODEL,
    SyntheticVideo,
    make_videos,
    write_annotations,
    write_store,
)

# Both labels on one segment, as THUMOS14 has them; a test video without any action; one that the store lacks.
TEST = [
    SyntheticVideo("t0", 20.0, ((2.0, 8.0, "jump"), (2.0, 8.0, "wave"), (12.0, 15.0, "wave")), "test"),
    SyntheticVideo("t1", 18.0, (), "test"),
    SyntheticVideo("t2", 18.0, ((3.0, 12.0, "jump"),), "test"),
    SyntheticVideo("lacking", 18.0, ((3.0, 12.0, "jump"),), "test"),
]


@pytest.mark.parametrize("name", ["custom", "thumos14"])
@pytest.mark.parametrize("class_agnostic", [False, True])
def test_validation_scores_as_evaluate_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, class_agnostic: bool, name: str
) -> None:
    videos = [*make_videos(3, "train", seed=1), *TEST]
    write_annotations(str(tmp_path / "truth.json"), videos)
    store = write_store(str(tmp_path / "store"), videos[:-1])
    config = TrainConfig(
        run="/r", store=str(tmp_path / "store"), model=TINY_MODEL, loss={}, class_agnostic=class_agnostic,
        dataset=DatasetConfig(name=name, annotations=str(tmp_path / "truth.json")),
        windows=WindowConfig(length=64, train_step=32, test_step=32),
    )  # fmt: skip
    plan = make_plan(config, store)
    assert plan.validation is not None
    torch.manual_seed(0)
    detector = build(TINY_DETECTOR, SPEC.dim, len(plan.labels), bf16=False)
    found: list[pa.Table] = []
    table_of = validation.segments_table

    def kept(*arguments: object) -> pa.Table:
        found.append(table_of(*arguments))
        return found[-1]

    monkeypatch.setattr(validation, "segments_table", kept)
    alone = Workers(0, 1, torch.device("cpu"))
    validated = validate(detector, plan.validation, FeatureCache(store, 1), alone, config)

    (tmp_path / "out" / "segments").mkdir(parents=True)
    pq.write_table(found[0], tmp_path / "out" / "segments" / "part.parquet")
    segments = read_segments(str(tmp_path / "out"))
    evaluated = score(
        segments,
        read_subset(config.dataset, config.dataset.test_subset, raw=True),
        EvaluateConfig(predictions=str(tmp_path / "out"), dataset=config.dataset),
    )
    assert evaluated.class_agnostic == class_agnostic
    assert 0 < validated.average == evaluated.detection.average
    assert validated.by_threshold(validated.map_per_threshold) == evaluated.to_json()["det_map"]
