"""Pictures of a prediction, and of a TP²-DETR run's salience heads, from files as jobs leave them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from models.tp2detr import TP2DETRConfig
from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.one_class import FOREGROUND
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    copy_tensors,
    write_checkpoint,
)
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.salience import video_salience
from pipeline.detector.settings import MergeConfig, WindowConfig
from pipeline.errors import InputError
from pipeline.features.store import FeatureStore
from pipeline.report.run import report
from pipeline.report.settings import ReportConfig
from pipeline.report.shown import predicted_videos, shown_threshold
from pipeline.segments.schema import SEGMENTS_SCHEMA
from pipeline.segments.tables import segments_table
from pipeline.segments.threshold import ScoreThreshold
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import TrainConfig
from tests.pipeline.evaluation.cases import segments_table as segments_of
from tests.pipeline.evaluation.cases import truth
from tests.pipeline.synthetic import (
    SPEC,
    TINY_DETECTOR,
    TINY_MODEL,
    make_videos,
    write_annotations,
    write_store,
)

VIDEOS = make_videos(3, "test", seed=5)
TP2DETR = {**TINY_MODEL, "name": "tp2detr", "pyramid": "direct", "num_levels": 2}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, its truth, what was predicted, and the runs of two detectors that have learnt nothing."""
    folder = tmp_path_factory.mktemp("archive")
    write_store(str(folder / "store"), VIDEOS)
    write_annotations(str(folder / "truth.json"), VIDEOS)
    for name, model in (("tp2detr", TP2DETR), ("plain", TINY_MODEL)):
        words = [
            "run=r", "store=s", "dataset.annotations=a", f"model={model['name']}", "class_agnostic=true",
            *(f"model.{key}={value}" for key, value in model.items()),
            "windows.length=32", "windows.test_step=16", "windows.train_step=16",
        ]  # fmt: skip
        settings = compose_config("train", TrainConfig, words)
        torch.manual_seed(1)
        detector = build(settings.model, SPEC.dim, 1, bf16=False)
        target = folder / name / CHECKPOINTS / checkpoint_name(1)
        target.mkdir(parents=True)
        write_checkpoint(
            str(target), progress=Progress(1, 1, ({"epoch": 1},)), labels=(FOREGROUND,), feature_spec=SPEC,
            config=settings.model_dump(mode="json"),
            tensors=copy_tensors(detector, build_optimiser(detector, settings.optimiser)),
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def predictions(archive: Path) -> str:
    from pipeline.detector.detect import detect_videos

    detector = build(TINY_DETECTOR, SPEC.dim, 1, bf16=False).eval()
    store = FeatureStore(str(archive / "store"))
    found = detect_videos(
        detector, list(store.index().values()), FeatureCache(store, 1), windows=WindowConfig(length=32, test_step=16),
        merge=MergeConfig(window_top_k=6, across_classes=True), batch_size=4, device=torch.device("cpu"),
    )  # fmt: skip
    table = segments_table(((video.video_id, merged) for video, merged in found), (FOREGROUND,))
    pq.write_table(table, archive / "segments.parquet")
    return str(archive / "segments.parquet")


def config(archive: Path, predictions: str, *words: str) -> ReportConfig:
    given = [f"predictions={predictions}", f"dataset.annotations={archive / 'truth.json'}", *words]
    return compose_config("report", ReportConfig, given)


def test_pictures_lie_beside_the_predictions(archive: Path, predictions: str) -> None:
    words = [f"run={archive / 'tp2detr'}", f"store={archive / 'store'}", f"videos=[{VIDEOS[1].video_id}]"]
    summary = report(config(archive, predictions, *words))
    assert set(summary.outputs) == {"page", "timelines", "confidence", "salience"}
    for name, url in summary.outputs.items():
        assert url.startswith(str(archive / "report"))
        assert storage.read_bytes(url).startswith(b"<!doctype html>" if name == "page" else b"\x89PNG")


def test_without_truth_predictions_are_drawn_alone(
    archive: Path, predictions: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    words = [
        f"run={archive / 'tp2detr'}",
        f"store={archive / 'store'}",
        f"out={archive / 'alone'}",
        "min_score=0.25",
    ]
    summary = report(compose_config("report", ReportConfig, [f"predictions={predictions}", *words]))
    assert set(summary.outputs) == {"page", "timelines", "salience"}
    written = {path.name for path in (archive / "alone").iterdir()}
    assert written == {"index.html", "timelines.png", "salience.png"}
    assert "without dataset.annotations there is no truth, so confidence.png is left out" in caplog.text
    assert summary.figures == {"timelines show": "predictions with a score of 0.25 or more (min_score)"}
    words = [f"predictions={predictions}", "videos=[nobody]"]
    with pytest.raises(
        InputError, match="videos=nobody: not a video with predicted segments; there are 3, such"
    ):
        report(compose_config("report", ReportConfig, words))


def test_nothing_to_draw_is_told(tmp_path: Path) -> None:
    pq.write_table(SEGMENTS_SCHEMA.empty_table(), tmp_path / "none.parquet")
    words = [f"predictions={tmp_path / 'none.parquet'}"]
    with pytest.raises(
        InputError, match=r"holds no segment, .*; give dataset\.annotations to draw the truth"
    ):
        report(compose_config("report", ReportConfig, words))


SEGMENTS = segments_of([("v", 0, 10, "run", 0.4), ("v", 50, 60, "run", 0.3), ("w", 0, 30.5, "jump", 0.1)])


def test_the_videos_of_predictions_last_as_long_as_their_segments() -> None:
    videos = predicted_videos(SEGMENTS)
    assert videos.labels == ("jump", "run")
    assert videos.instances.num_rows == 0
    assert videos.videos.select(["video_id", "duration"]).to_pylist() == [
        {"video_id": "v", "duration": 60.0},
        {"video_id": "w", "duration": 30.5},
    ]


def test_the_threshold_is_what_is_asked_for_or_of_best_f1_or_divides_best() -> None:
    true = truth([("v", 0, 10, "run")], ["run", "jump"])

    def of(min_score: float | None, annotations: Annotations, has_truth: bool) -> ScoreThreshold:
        return shown_threshold(min_score, SEGMENTS, annotations, "custom", has_truth=has_truth)

    assert of(0.2, true, True) == ScoreThreshold(0.2, "min_score")
    assert of(None, true, True) == ScoreThreshold(0.4, "best F1 at tIoU 0.5")
    dividing = ScoreThreshold(0.3, "where the scores divide best")
    assert of(None, predicted_videos(SEGMENTS), False) == dividing
    assert of(None, truth([], ["run", "jump"]), True) == dividing


def test_what_cannot_be_drawn_is_told(archive: Path, predictions: str) -> None:
    with pytest.raises(InputError, match="videos=nobody: not a video of subset 'test'"):
        report(config(archive, predictions, "videos=[nobody]"))
    with pytest.raises(InputError, match="its detector has no salience heads"):
        report(config(archive, predictions, f"run={archive / 'plain'}", f"store={archive / 'store'}"))
    with pytest.raises(InputError, match="run and store belong together"):
        config(archive, predictions, f"run={archive / 'plain'}")


@pytest.mark.parametrize("words", [{}, {"test_step": 32}, {"mode": "rescale"}, {"mode": "whole"}])
def test_salience_covers_a_video_once(archive: Path, words: dict[str, object]) -> None:
    """Where windows overlap it is their mean; one window alone is what the detector says of it."""
    torch.manual_seed(0)
    detector = build(TP2DETRConfig(**TP2DETR), SPEC.dim, 1, bf16=False).eval()
    detector.set_statistics(torch.full((SPEC.dim,), 0.5), torch.full((SPEC.dim,), 2.0))
    store = FeatureStore(str(archive / "store"))
    windows = WindowConfig.model_validate({"length": 32, "test_step": 16, "train_step": 16, **words})
    video = max(store.index().values(), key=lambda entry: entry.num_snippets)
    salience = video_salience(detector, video, FeatureCache(store, 1), windows)
    assert salience is not None
    rows = 32 if windows.mode == "rescale" else video.num_snippets
    assert len(salience.times) == rows
    assert (np.diff(salience.times) > 0).all()
    assert set(salience.probabilities) == {"pyramid", "encoder"}
    for probability in salience.probabilities.values():
        assert probability.shape == (rows,)
        assert ((probability >= 0) & (probability <= 1)).all()
    if windows.mode == "whole":
        features = torch.from_numpy(store.load(video.video_id)).float()[None]
        mask = torch.zeros(features.shape[:2], dtype=torch.bool)
        with torch.no_grad():
            said = detector.detector.salience((features - 0.5) / 2, mask)["encoder"].logits[0].sigmoid()
        np.testing.assert_allclose(salience.probabilities["encoder"], said, atol=1e-5)
        centres = video.timeline.to_seconds(np.arange(rows) + 0.5)
        np.testing.assert_allclose(salience.times, centres)


def test_a_report_without_a_run_needs_neither_torch_nor_ray(archive: Path, predictions: str) -> None:
    program = f"""
import sys
from pipeline.compose import compose_config
from pipeline.report.run import report
from pipeline.report.settings import ReportConfig
report(compose_config("report", ReportConfig, [
    "predictions={predictions}", "dataset.annotations={archive / "truth.json"}", "out={archive / "light"}",
]))
print(*sorted({{"ray", "torch", "av"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_pictures_have_the_forms_that_are_asked_for(archive: Path, predictions: str) -> None:
    summary = report(config(archive, predictions, f"out={archive / 'forms'}", "pictures=[svg,pdf]"))
    written = {path.name: path.read_bytes() for path in (archive / "forms").iterdir()}
    assert set(written) == {
        "index.html", "timelines.svg", "timelines.pdf", "confidence.svg", "confidence.pdf",
    }  # fmt: skip
    assert b"<svg" in written["timelines.svg"]
    assert written["timelines.pdf"].startswith(b"%PDF")
    assert summary.outputs["timelines, pdf"].endswith("timelines.pdf")
    report(config(archive, predictions, f"out={archive / 'forms'}", "pictures=[svg]"))
    assert (archive / "forms" / "timelines.svg").read_bytes() == written["timelines.svg"]
