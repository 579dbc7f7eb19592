"""Prediction by Ray Data: each video once, none lost in silence, and no features but the right ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline import lease, storage
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    copy_tensors,
    read_info,
    write_checkpoint,
)
from pipeline.detector.settings import WindowOverride
from pipeline.detector.trained import check_features, windows_for_prediction
from pipeline.errors import InputError
from pipeline.features.timeline import Timeline
from pipeline.inference import stages as stages_module
from pipeline.inference.predict import predict
from pipeline.inference.settings import PredictConfig
from pipeline.segments.completeness import Completeness, read_completeness
from pipeline.segments.read import read_segments
from pipeline.segments.schema import PREDICTIONS_SCHEMA, SEGMENTS_SCHEMA
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig, TrainConfig
from tests.pipeline.synthetic import (
    LABELS,
    SPEC,
    TINY_DETECTOR,
    TINY_MODEL,
    features_of,
    make_videos,
    write_store,
)

VIDEOS = make_videos(7, "test", seed=6)
INCOMPLETE, BROKEN = VIDEOS[2].video_id, VIDEOS[4].video_id


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run with one checkpoint of a detector that has learnt nothing."""
    run = str(tmp_path_factory.mktemp("run"))
    words = [
        "run=r", "store=s", "dataset.annotations=a",
        *(f"model.{key}={value}" for key, value in TINY_MODEL.items()),
        "windows.length=32", "windows.train_step=8", "windows.test_step=16", "merge.window_top_k=5",
    ]  # fmt: skip
    torch.manual_seed(0)
    model = build(TINY_DETECTOR, SPEC.dim, len(LABELS), bf16=False)
    write_checkpoint(
        storage.join(run, CHECKPOINTS, checkpoint_name(1)),
        progress=Progress(1, 1, ()),
        labels=LABELS,
        feature_spec=SPEC,
        config=compose_config("train", TrainConfig, words).model_dump(mode="json"),
        tensors=copy_tensors(model, build_optimiser(model, OptimiserConfig())),
    )
    return run


def config(run: str, folder: Path, **changes: object) -> PredictConfig:
    words = [
        f"run={run}", f"store={folder / 'store'}", f"out={folder / 'out'}", "detect.videos_per_task=3",
        *(f"{key}={value}" for key, value in changes.items()),
    ]  # fmt: skip
    return compose_config("predict", PredictConfig, words)


def table(folder: Path, name: str) -> pa.Table:
    return pa.concat_tables(
        [pq.read_table(path) for path in sorted((folder / "out" / name).glob("*.parquet"))]
    )


def test_every_video_is_accounted_for_and_the_command_continues(run: str, ray_local: None, tmp_path) -> None:
    broken = {BROKEN: np.full_like(features_of(VIDEOS[4]), np.nan)}
    write_store(
        str(tmp_path / "store"), VIDEOS, errors={INCOMPLETE: "truncated: ends early"}, features=broken
    )
    summary = predict(config(run, tmp_path))
    assert (summary.total, summary.done, summary.already_done) == (7, 5, 0)
    assert (summary.skipped, summary.failed, summary.exit_status) == (1, 1, 3)
    assert [failure.video_id for failure in summary.failures] == [BROKEN, INCOMPLETE]
    assert summary.failures_in == f"predictions={tmp_path}/out"
    assert read_completeness(f"{tmp_path}/out") == Completeness(videos=7, predicted=5, failed=2)

    predictions = table(tmp_path, "predictions")
    assert predictions.schema == PREDICTIONS_SCHEMA
    digest = read_info(storage.join(run, CHECKPOINTS, checkpoint_name(1))).digest
    assert predictions.schema.metadata[b"checkpoint_digest"].decode() == digest
    assert predictions.schema.metadata[b"feature_digest"].decode() == SPEC.digest
    rows = {row["video_id"]: row for row in predictions.to_pylist()}
    assert rows.keys() == {video.video_id for video in VIDEOS} - {INCOMPLETE}
    assert rows[BROKEN]["error"].startswith("detector_error: a prediction is not a number")
    segments = table(tmp_path, "segments")
    assert segments.schema == SEGMENTS_SCHEMA
    assert segments.to_pylist() == [
        {"video_id": row["video_id"], **segment}
        for row in predictions.to_pylist()
        for segment in row["segments"]
    ]
    assert set(segments["video_id"].to_pylist()) == rows.keys() - {BROKEN}
    failures = {row["video_id"]: row for row in table(tmp_path, "failures").to_pylist()}
    assert {video_id: row["kind"] for video_id, row in failures.items()} == {
        INCOMPLETE: "missing_features",
        BROKEN: "detector_error",
    }
    assert "truncated: ends early" in failures[INCOMPLETE]["message"]
    results = tmp_path / "out" / "results"
    assert summary.outputs["results"] == str(results)
    assert read_segments(str(results / "activitynet.json")).num_rows == segments.num_rows
    assert {path.stem for path in results.glob("*.vtt")} == rows.keys() - {BROKEN}

    # Until the next one has come to its end, as an earlier version or a killed job leaves it.
    (tmp_path / "out" / "complete.json").unlink()
    # What failed is not tried again unless asked for; what was incomplete is, as soon as it is there.
    summary = predict(config(run, tmp_path))
    assert (summary.done, summary.already_done, summary.skipped, summary.failed) == (0, 5, 1, 1)
    assert summary.exit_status == 3  # what prediction itself has lost stays lost
    assert (tmp_path / "out" / "complete.json").exists()
    write_store(str(tmp_path / "store"), VIDEOS)
    summary = predict(config(run, tmp_path, retry_failed=True))
    assert (summary.done, summary.already_done, summary.failed) == (2, 5, 0)
    assert summary.exit_status == 0
    assert not (tmp_path / "out" / "failures" / "predict.parquet").exists()
    assert set(table(tmp_path, "segments")["video_id"].to_pylist()) == {video.video_id for video in VIDEOS}

    assert {path.stem for path in results.glob("*.vtt")} == {video.video_id for video in VIDEOS}

    summary = predict(config(run, tmp_path, **{"results.write": "never"}))
    assert (summary.done, summary.already_done, summary.failed) == (0, 7, 0)
    assert "results" not in summary.outputs
    assert not list(results.iterdir())
    with pytest.raises(InputError, match=r"merge\.nms_tiou was 0\.4, is 0\.9"):
        predict(config(run, tmp_path, **{"merge.nms_tiou": 0.9}))


def copied(run: str, folder: Path) -> str:
    shutil.copytree(run, folder / "run")
    return str(folder / "run")


def test_a_training_that_goes_on_takes_no_checkpoint_away(
    run: str, ray_local: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(str(tmp_path / "store"), VIDEOS)
    run = copied(run, tmp_path)
    graph = stages_module.fill_predictions

    record = tmp_path / "out" / "complete.json"

    def later(*arguments: object, **options: object) -> None:
        storage.remove(run)  # when no actor has started yet
        assert not record.exists()
        graph(*arguments, **options)

    monkeypatch.setattr(stages_module, "fill_predictions", later)
    summary = predict(config(run, tmp_path))
    assert (summary.total, summary.done, summary.failed) == (7, 7, 0)
    assert read_completeness(f"{tmp_path}/out") == Completeness(videos=7, predicted=7, failed=0)

    # And what was begun can be finished by its own copy, whatever has become of the run.
    copy = f"{tmp_path}/out/detector"
    assert predict(config("null", tmp_path, checkpoint=copy)).already_done == 7
    monkeypatch.undo()
    newer = Progress(2, 2, ())
    model = build(TINY_DETECTOR, SPEC.dim, len(LABELS), bf16=False)
    write_checkpoint(
        storage.join(run, CHECKPOINTS, checkpoint_name(2)),
        progress=newer, labels=LABELS, feature_spec=SPEC, config=read_info(copy).config,
        tensors=copy_tensors(model, build_optimiser(model, OptimiserConfig())),
    )  # fmt: skip
    with pytest.raises(
        InputError, match=rf"checkpoint_digest was .*; checkpoint={copy} goes on with those, or"
    ):
        predict(config(run, tmp_path))


def test_damaged_weights_are_one_line_before_anything_starts(run: str, tmp_path: Path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS[:1])
    run = copied(run, tmp_path)
    checkpoint = storage.join(run, CHECKPOINTS, checkpoint_name(1))
    weights = Path(checkpoint, "model.safetensors")
    whole = weights.read_bytes()
    for damaged, problem in (
        (whole[:-1] + b"!", "its SHA-256 is not"),
        (whole[:-9], rf"{len(whole) - 9} bytes"),
    ):
        weights.write_bytes(damaged)
        with pytest.raises(
            InputError, match=rf"model\.safetensors: damaged \({problem}.*put the file back"
        ) as caught:
            predict(config(run, tmp_path))
        assert "\n" not in str(caught.value)
        with pytest.raises(
            InputError, match=rf"model\.safetensors: damaged \({problem}.*another checkpoint="
        ):
            predict(config("null", tmp_path, checkpoint=checkpoint))
    assert not (tmp_path / "out").exists()


def test_the_windows_of_prediction_may_lie_otherwise(run: str, ray_local: None, tmp_path: Path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS)
    changes = {
        "windows.test_step": "1.0",
        "windows.test_last": "pad",
        "merge.nms_tiou": 1,
        "merge.window_top_k": 3,
    }
    assert predict(config(run, tmp_path, **changes)).done == 7
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert (provenance["window_length"], provenance["window_step"], provenance["window_last"]) == (
        32,
        32,
        "pad",
    )
    counts = {row["video_id"]: len(row["segments"]) for row in table(tmp_path, "predictions").to_pylist()}
    assert counts == {video.video_id: 3 * -(-len(features_of(video)) // 32) for video in VIDEOS}
    with pytest.raises(InputError, match=r"window_last was pad, is None; window_step was 32, is 16"):
        predict(config(run, tmp_path, **changes | {"windows.test_step": "null", "windows.test_last": "null"}))


@pytest.mark.parametrize(
    ("mode", "change", "message"),
    [
        ("sliding", {"test_step": 33}, r"^windows.test_step \(33\) must not exceed windows.length \(32\)$"),
        ("sliding", {"test_step": 1.5}, r"^windows.test_step: Input should be a valid integer"),
        (
            "whole",
            {"test_step": 8},
            r"^windows.test_step=8: the run looks at whole videos \(windows.mode=whole\)",
        ),
        ("rescale", {"test_last": "pad"}, r"^windows.test_last=pad: the run looks at whole videos"),
    ],
)
def test_impossible_windows_are_one_line(mode: str, change: dict[str, object], message: str) -> None:
    trained = TrainConfig(
        run="/r", store="/s", dataset={"annotations": "/a"}, model=TINY_MODEL, loss={},
        windows={"mode": mode, "length": 32, "train_step": 8, "test_step": 16},
    )  # fmt: skip
    with pytest.raises(InputError, match=message):
        windows_for_prediction(trained, WindowOverride(**change))


def test_other_features_are_refused(run: str, tmp_path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS[:2], replace(SPEC, timeline=Timeline(8.0, 4, 4)))
    with pytest.raises(InputError, match=r"timeline\.stride: 2 here, 4 there.*allow_feature_mismatch=true"):
        predict(config(run, tmp_path))


def test_one_may_insist_on_other_features_but_not_on_another_width(run: str) -> None:
    info = read_info(storage.join(run, CHECKPOINTS, checkpoint_name(1)))
    check_features(info, replace(SPEC, backbone="other"), "s", insist=True)
    with pytest.raises(InputError, match=r"dim: 4 here, 5 there.*one width only"):
        check_features(info, replace(SPEC, dim=5), "s", insist=True)


def test_a_run_without_checkpoint_cannot_predict(tmp_path) -> None:
    with pytest.raises(InputError, match="has no complete checkpoint; run train first"):
        predict(config(str(tmp_path / "nothing"), tmp_path))


def test_a_store_without_complete_videos_is_refused(run: str, tmp_path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS[:1], errors={VIDEOS[0].video_id: "crash: gone"})
    with pytest.raises(InputError, match="has no complete video"):
        predict(config(run, tmp_path))


@pytest.mark.parametrize("words", [[], ["run=r", "checkpoint=c"]])
def test_one_checkpoint_must_be_named(words: list[str]) -> None:
    with pytest.raises(InputError, match="give either run="):
        compose_config("predict", PredictConfig, ["store=s", "out=o", *words])


def test_a_relative_run_means_the_same_in_every_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        compose_config("predict", PredictConfig, ["run=my/run", "store=s", "out=o"]).run
        == f"{tmp_path}/my/run"
    )
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(InputError, match=r"run=my/run: a relative path would lie in the submitted job's"):
        compose_config("predict", PredictConfig, ["run=my/run", "store=/s", "out=/o"])


def test_predictions_whose_file_is_gone_or_damaged_are_made_again(
    run: str, ray_local: None, tmp_path
) -> None:
    write_store(str(tmp_path / "store"), VIDEOS)
    predict(config(run, tmp_path))
    before = table(tmp_path, "segments").sort_by([("video_id", "ascending"), ("score", "descending")])
    files = sorted((tmp_path / "out" / "predictions").glob("*.parquet"))
    assert len(files) >= 3
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:100])
    summary = predict(config(run, tmp_path))
    assert summary.done >= 2
    assert (summary.total, summary.failed) == (len(VIDEOS), 0)
    after = table(tmp_path, "segments").sort_by([("video_id", "ascending"), ("score", "descending")])
    assert after.equals(before)
    assert sorted(table(tmp_path, "predictions")["video_id"].to_pylist()) == sorted(
        v.video_id for v in VIDEOS
    )


def test_a_folder_that_another_job_writes_into_is_refused(run: str, tmp_path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS)
    with (
        lease.hold(str(tmp_path / "out"), "out", "predict"),
        pytest.raises(InputError, match=r"^out=.*is being written by predict"),
    ):
        predict(config(run, tmp_path))


def annotations(folder: Path) -> Path:
    """Of the first three videos, one of which the store lacks, all for testing; of another one for training."""
    database = {
        video: {"subset": subset, "duration": 20.0, "annotations": [{"segment": [1.0, 3.0], "label": label}]}
        for video, subset, label in [
            (VIDEOS[0].video_id, "testing", "jump"), (VIDEOS[1].video_id, "testing", "wave"),
            ("elsewhere", "testing", "wave"), (VIDEOS[3].video_id, "training", "jump"),
        ]
    }  # fmt: skip
    path = folder / "annotations.json"
    path.write_text(json.dumps({"database": database}))
    return path


def test_only_the_videos_that_are_asked_for_are_predicted(
    run: str, ray_local: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_store(str(tmp_path / "store"), VIDEOS, errors={INCOMPLETE: "truncated: ends early"})
    ids = [video.video_id for video in VIDEOS]
    (tmp_path / "ids.txt").write_text(f"{ids[6]}\n\n{INCOMPLETE}\n")
    named = predict(config(run, tmp_path, videos=tmp_path / "ids.txt"))
    assert (named.total, named.done, named.skipped) == (2, 1, 1)
    of_subset = {"subset": "test", "dataset.annotations": annotations(tmp_path)}
    subset = predict(config(run, tmp_path, **of_subset))
    assert (subset.total, subset.done, subset.already_done) == (2, 2, 0)
    assert "1 of 3 videos of the subset are not in" in caplog.text
    assert set(table(tmp_path, "segments")["video_id"].to_pylist()) == {ids[0], ids[1], ids[6]}
    again = predict(config(run, tmp_path, **of_subset))
    assert (again.total, again.done, again.already_done) == (2, 0, 2)
    assert predict(config(run, tmp_path)).done == len(VIDEOS) - 1 - 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"videos": "test_0000"},
            r"videos=test_0000: not in .*, which has 7 videos; did you mean test_000\?",
        ),
        ({"videos": "no.txt"}, "videos=no.txt: no such file"),
        ({"subset": "test"}, "subset: of which dataset"),
        ({"subset": "test", "videos": "a", "dataset.annotations": "/a.json"}, "give either videos or subset"),
    ],
)
def test_videos_that_cannot_be_chosen_are_told(
    run: str, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    write_store(str(tmp_path / "store"), VIDEOS)
    with pytest.raises(InputError, match=message):
        predict(config(run, tmp_path, **changes))


def test_a_subset_of_which_the_store_has_nothing_is_told(run: str, tmp_path: Path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS[4:])
    with pytest.raises(InputError, match=r"subset=test: none of its 3 videos is in .*dataset.id_prefix"):
        predict(config(run, tmp_path, subset="test", **{"dataset.annotations": annotations(tmp_path)}))
