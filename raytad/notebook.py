"""raytad from Python: a trained run as a function, stores and segments as tables, figures."""

import os
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.read import read_annotations, read_subset
from pipeline.compose import compose_config
from pipeline.detector.settings import MergeOverride, WindowOverride
from pipeline.errors import InputError
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.features.sources import list_videos
from pipeline.features.store import FeatureStore
from pipeline.inference.settings import BackboneWeights
from pipeline.inference.video_detector import VideoDetector
from pipeline.report.shown import predicted_videos, shown_threshold
from pipeline.report.timelines import timelines_figure
from pipeline.segments.read import read_segments
from pipeline.segments.schema import SEGMENTS_SCHEMA

Path = str | os.PathLike[str]


class Detector:
    """A trained run as a function of videos or of features; it stays loaded from call to call.

    Attributes:
        labels: the classes that it knows.
    """

    def __init__(self, detector: VideoDetector) -> None:
        self._detector = detector
        self.labels: tuple[str, ...] = tuple(detector.info.labels)

    def __call__(self, videos: Path | FeatureStore) -> pa.Table:
        """What it finds, best first in each video, all scores: a table of `SEGMENTS_SCHEMA`.

        Args:
            videos: a video file, a folder or glob of them, a feature store or the URL of one.
        Raises:
            InputError: nothing there, a video that cannot be read, or features of another kind.
        """
        if isinstance(videos, FeatureStore):
            return self._detector.detect_stored(videos)
        url = _url(videos)
        if FeatureStore.is_at(url):
            return self._detector.detect_stored(FeatureStore(url))
        tables = [self._detector.detect(source) for source in list_videos(url)]
        return pa.concat_tables([SEGMENTS_SCHEMA.empty_table(), *tables])

    def __repr__(self) -> str:
        return f"<raytad detector of {len(self.labels)} classes from {self._detector.info.url}>"


def load(
    run: Path | None = None,
    *,
    checkpoint: Path | None = None,
    merge: MergeOverride | None = None,
    windows: WindowOverride | None = None,
    weights: Path | None = None,
) -> Detector:
    """The detector of a training run, on the GPU where there is one; its backbone is loaded with the first video.

    Args:
        run: URL of the run, whose last checkpoint it is.
        checkpoint: URL of a checkpoint instead.
        merge, windows: changes to how windows are merged and laid, as `predict` takes them.
        weights: where the backbone's weight file lies now, if not where it lay when the features were made.
    Raises:
        InputError: none is there, or not both or neither of `run` and `checkpoint` are given.
    """
    if (run is None) == (checkpoint is None):
        raise InputError("load: give either a run or checkpoint=")
    return Detector(
        VideoDetector.load(
            None if run is None else _url(run),
            None if checkpoint is None else _url(checkpoint),
            windows=windows,
            merge=merge,
            backbone=BackboneWeights(weights=None if weights is None else _url(weights)),
        )
    )


def open_store(url: Path) -> FeatureStore:
    """The feature store at `url`: `index()` tells its videos, `load(id)` gives `[T, dim]` float16.

    Raises InputError where there is none.
    """
    return FeatureStore(_url(url))


def segments(url: Path) -> pa.Table:
    """The segments that `predict` wrote to `url`, or those of a Parquet file or ActivityNet results (`.json`).

    Raises InputError where there are none.
    """
    return read_segments(_url(url))


def truth(annotations: Path, *, dataset: str = "custom", subset: str | None = None) -> Annotations:
    """The true segments of a dataset: of `subset`, or of all videos.

    Args:
        annotations: URL of the annotation file.
        dataset: a preset's name, which says the file's format and defects.
        subset: as the file calls it.
    Raises:
        InputError: no such file, preset or subset, or another format.
    """
    words = [f"dataset={dataset}", f"dataset.annotations={_url(annotations)}", "predictions=none"]
    config = compose_config("evaluate", EvaluateConfig, words).dataset
    return read_annotations(config) if subset is None else read_subset(config, subset)


def timelines(
    found: pa.Table,
    truth: Annotations | None = None,
    *,
    videos: Sequence[str] = (),
    min_score: float | None = None,
    max_videos: int = 8,
) -> Figure:
    """Segments over time, a lane for each class: predicted ones, below true ones where there is truth.

    Args:
        found: a table of `SEGMENTS_SCHEMA`.
        truth: the true segments.
        videos: ids of those to draw; all unless given.
        min_score: draw segments of at least this score; unless given that of best F1, or, without truth, where the
            scores divide best.
        max_videos: draw the first ones of all.
    Raises:
        InputError: a named video is neither in the truth nor, without truth, among the found.
    """
    annotations = predicted_videos(found) if truth is None else truth
    threshold = shown_threshold(min_score, found, annotations, "custom", has_truth=truth is not None)
    if videos:
        known = set(annotations.videos["video_id"].to_pylist())
        if strangers := sorted(set(videos) - known):
            raise InputError(f"videos: {strangers[0]!r} is none of the {len(known)} videos there are")
        annotations = annotations.of(list(videos))
        found = found.filter(pc.is_in(found["video_id"], pa.array(videos, pa.string())))
    return timelines_figure(
        found, annotations, threshold, max_videos=max_videos, with_truth=truth is not None
    )


def _url(path: Path) -> str:
    return storage.absolute(os.path.expanduser(os.fspath(path)))
