"""All zero-shot splits in one command: each trained on its own classes, scored on the others, averaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from pipeline.compose import compose_config
from pipeline.detector.checkpoint_search import last_checkpoint
from pipeline.errors import InputError
from pipeline.evaluation.flat_scores import flat_scores, mean_scores
from pipeline.splits.run import run_splits
from pipeline.splits.settings import SplitsConfig
from tests.pipeline.synthetic import (
    SPEC,
    TINY_MODEL,
    features_of,
    make_videos,
    write_annotations,
    write_store,
)


def test_scores_are_averaged_by_name_and_bins_without_truth_left_out() -> None:
    first = {
        "protocol": "thumos14",
        "num_truths": 7,
        "det_map": {"0.5": 0.2, "average": 0.3},
        "per_class": {"action": {"0.5": 0.9}},
        "auc": 0.5,
        "recall_by_length": {"XS": None, "XL": {"0.5": 0.25}},
    }
    second = first | {
        "det_map": {"0.5": 0.4, "average": 0.7},
        "recall_by_length": {"XS": {"0.5": 1.0}, "XL": None},
    }
    assert flat_scores(first) == {
        "det_map.0.5": 0.2, "det_map.average": 0.3, "auc": 0.5, "recall_by_length.XL.0.5": 0.25,
    }  # fmt: skip
    assert mean_scores(map(flat_scores, [first, second])) == pytest.approx(
        {
            "det_map.0.5": 0.3, "det_map.average": 0.5, "auc": 0.5,
            "recall_by_length.XL.0.5": 0.25, "recall_by_length.XS.0.5": 1.0,
        }
    )  # fmt: skip


def config(folder: Path, *words: str) -> SplitsConfig:
    given = [
        f"run={folder / 'splits'}", f"store={folder / 'store'}", f"dataset.annotations={folder / 'truth.json'}",
        *(f"model.{key}={value}" for key, value in TINY_MODEL.items()),
        "windows.length=32", "windows.train_step=16", "windows.test_step=16", "optimiser.epochs=1",
        "class_agnostic=true", "validate_every=0", *words,
    ]  # fmt: skip
    return compose_config("splits", SplitsConfig, given)


def test_every_split_is_trained_and_scored_on_its_own_classes(tmp_path: Path, ray_local: None) -> None:
    videos = [*make_videos(5, "train", seed=1), *make_videos(4, "test", seed=2)]
    write_store(str(tmp_path / "store"), videos, replace(SPEC, dim=256))  # as wide as the words
    write_annotations(str(tmp_path / "truth.json"), videos)
    naming = ["naming=true", "words.architecture=ViT-S-32-alt", "words.weights=random"]
    words = ["dataset.zero_shot.seen_fraction=0.5", "splits=[0,1]", *naming]

    summary = run_splits(config(tmp_path, *words, "parallel=2"))
    assert (summary.done, summary.already_done, summary.exit_status) == (2, 0, 0)
    written = json.loads((tmp_path / "splits" / "splits.json").read_text())
    scores, labelled = [], []
    for split in (0, 1):
        folder = tmp_path / "splits" / f"split_{split}"
        checkpoint = last_checkpoint(str(folder))
        assert checkpoint is not None
        assert checkpoint.config["dataset"]["zero_shot"]["split_id"] == split
        metrics = json.loads((folder / "predictions" / "metrics.json").read_text())
        assert metrics["class_agnostic"] is True
        assert not (folder / "predictions" / "results").exists()
        scores.append(metrics["auc"])
        assert written["splits"][str(split)]["auc"] == metrics["auc"]
        dataset = DatasetConfig.model_validate(checkpoint.config["dataset"])
        (unseen,) = read_subset(dataset, dataset.test_subset).labels
        assert unseen not in checkpoint.labels
        assert set(pq.read_table(folder / "named" / "segments")["label"].to_pylist()) == {unseen}
        of_names = json.loads((folder / "named" / "metrics.json").read_text())
        assert of_names["class_agnostic"] is False
        labelled.append(of_names["det_map"]["average"])
    assert written["mean"]["auc"] == pytest.approx(sum(scores) / 2)
    assert written["mean"]["named.det_map.average"] == pytest.approx(sum(labelled) / 2)

    again = run_splits(config(tmp_path, *words))
    assert (again.done, again.already_done) == (0, 2)

    # Trained further, a split is predicted anew; what users put beside its predictions stays.
    predictions = tmp_path / "splits" / "split_0" / "predictions"
    (predictions / "notes.txt").write_text("mine")
    words = ["dataset.zero_shot.seen_fraction=0.5", "splits=[0]", *naming]
    further = run_splits(config(tmp_path, *words, "optimiser.epochs=2"))
    assert (further.done, further.already_done) == (1, 0)
    checkpoint = last_checkpoint(str(tmp_path / "splits" / "split_0"))
    assert checkpoint is not None
    assert checkpoint.progress.epoch == 2
    provenance = json.loads((predictions / "provenance.json").read_text())
    assert provenance["checkpoint_digest"] == checkpoint.digest
    named = json.loads((predictions.parent / "named" / "provenance.json").read_text())
    assert named["checkpoint_digest"] == checkpoint.digest
    found = pq.read_table(predictions / "predictions")
    assert found.schema.metadata[b"checkpoint_digest"].decode() == checkpoint.digest
    dataset = DatasetConfig.model_validate(checkpoint.config["dataset"])
    asked = read_subset(dataset, dataset.test_subset).videos["video_id"].to_pylist()
    assert 0 < len(asked) < len(videos)
    assert sorted(found["video_id"].to_pylist()) == sorted(asked)
    assert (predictions / "notes.txt").exists()


def test_what_was_lost_is_tried_again_by_each_call(tmp_path: Path, ray_local: None) -> None:
    videos = [*make_videos(5, "train", seed=1), *make_videos(4, "test", seed=2)]
    broken = {videos[-1].video_id: np.full_like(features_of(videos[-1]), np.nan)}
    write_store(str(tmp_path / "store"), videos, features=broken)
    write_annotations(str(tmp_path / "truth.json"), videos)
    words = ["dataset.zero_shot.seen_fraction=0.5", "splits=[0]"]
    with pytest.raises(InputError, match="1 videos could not be predicted"):
        run_splits(config(tmp_path, *words))
    write_store(str(tmp_path / "store"), videos)
    assert run_splits(config(tmp_path, *words)).exit_status == 0


def test_features_without_words_are_told_before_any_training(tmp_path: Path) -> None:
    videos = make_videos(2, "train", seed=1)
    write_store(str(tmp_path / "store"), videos)
    write_annotations(str(tmp_path / "truth.json"), videos)
    with pytest.raises(InputError, match=r"was imported.*give words\.architecture="):
        run_splits(config(tmp_path, "dataset.zero_shot.seen_fraction=0.5", "naming=true"))
    assert not (tmp_path / "splits").exists()


def test_a_dataset_without_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.zero_shot: names no split"):
        run_splits(config(tmp_path))
