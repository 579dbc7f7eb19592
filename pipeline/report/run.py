"""The pictures of a prediction: timelines, confidence against tIoU, and salience where a run has it."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from matplotlib.figure import Figure

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.read import read_subset
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.salience import video_salience
from pipeline.detector.trained import check_features, find_checkpoint, load_trained
from pipeline.errors import InputError
from pipeline.evaluation.class_agnostic import comparable
from pipeline.features.store import FeatureStore
from pipeline.report.confidence import confidence_figure, proposal_quality
from pipeline.report.salience import SaliencePanel, salience_figure
from pipeline.report.settings import ReportConfig
from pipeline.report.shown import predicted_videos, shown_threshold
from pipeline.report.style import png
from pipeline.report.timelines import timelines_figure
from pipeline.segments.read import folder_of, read_segments
from pipeline.summary import Summary

logger = logging.getLogger(__name__)

# What proposals a picture can hold, of each video.
_MOST_PROPOSALS = 20
_CACHE_MB = 256.0


def report(config: ReportConfig) -> Summary:
    """Write `timelines.png`, `confidence.png` and, of a run with salience heads, `salience.png`.

    Predictions without classes (all labelled `action`) are drawn beside the truth without classes. Without truth
    there is no `confidence.png`, which a line says, and the others show predictions only.

    Raises InputError where a named video is not in the test subset, or the run has no salience heads.
    """
    segments, videos, has_truth = _read(config)
    video_ids = _chosen(config, videos, has_truth)
    folder = config.out or storage.join(folder_of(config.predictions), "report")
    chosen, of_chosen = videos.of(video_ids), _of_videos(segments, video_ids)
    threshold = shown_threshold(config.min_score, segments, videos, config.dataset.name, has_truth=has_truth)

    figures: dict[str, Callable[[], Figure]] = {
        "timelines": lambda: timelines_figure(
            of_chosen, chosen, threshold, max_videos=len(video_ids), with_truth=has_truth
        )
    }
    if has_truth:
        figures["confidence"] = lambda: confidence_figure([proposal_quality("predictions", segments, videos)])
    else:
        logger.info("without dataset.annotations there is no truth, so confidence.png is left out")
    if config.run is not None:
        panels = _salience_panels(config, video_ids, segments, videos)
        figures["salience"] = lambda: salience_figure(panels)
    outputs = {name: storage.join(folder, f"{name}.png") for name in figures}
    for name, make in figures.items():
        storage.write_bytes(outputs[name], png(make))
    return Summary(
        job="report",
        unit="pictures",
        total=len(figures),
        done=len(figures),
        outputs=outputs,
        figures={"timelines show": f"predictions with {threshold}"},
    )


def _read(config: ReportConfig) -> tuple[pa.Table, Annotations, bool]:
    """The predictions, the videos to draw with what is true of them, and whether that is known."""
    dataset = config.dataset.if_given()
    if dataset is None:
        segments = read_segments(config.predictions)
        if not segments.num_rows:
            raise InputError(
                f"predictions={config.predictions}: holds no segment, so that there is nothing to draw; give "
                "dataset.annotations to draw the truth"
            )
        return segments, predicted_videos(segments), False
    truth = read_subset(dataset, dataset.test_subset, raw=True)
    segments = read_segments(config.predictions, truth.videos["video_id"].to_pylist())
    return *comparable(segments, truth), True


def _chosen(config: ReportConfig, videos: Annotations, has_truth: bool) -> list[str]:
    known = sorted(videos.videos["video_id"].to_pylist())
    strangers = sorted(set(config.videos) - set(known))
    if strangers:
        subset = f"a video of subset {config.dataset.test_subset!r} with an action to draw"
        raise InputError(
            f"videos={strangers[0]}: not {subset if has_truth else 'a video with predicted segments'}; there are "
            f"{len(known)}{f', such as {known[0]!r}' if known else ''}"
        )
    return list(config.videos) or known[: config.max_videos]


def _of_videos(segments: pa.Table, video_ids: Sequence[str]) -> pa.Table:
    return segments.filter(pc.is_in(segments["video_id"], value_set=pa.array(video_ids, type=pa.string())))


def _salience_panels(
    config: ReportConfig, video_ids: Sequence[str], segments: pa.Table, videos: Annotations
) -> list[SaliencePanel]:
    assert config.store is not None  # ReportConfig asks for it
    info = find_checkpoint(config.run, None)
    store = FeatureStore(config.store)
    check_features(info, store.spec, config.store, insist=False)
    trained = load_trained(info.url, torch.device("cpu"))
    cache = FeatureCache(store, _CACHE_MB)
    panels = []
    instances = videos.by_video()
    for video_id in video_ids:
        video = store.index().get(video_id)
        if video is None or not video.complete:
            raise InputError(f"store={config.store}: has no complete features of {video_id}")
        salience = video_salience(trained.detector, video, cache, trained.config.windows)
        if salience is None:
            raise InputError(
                f"run={config.run}: its detector has no salience heads; they are TP²-DETR's, with model.salience_on"
            )
        best = _of_videos(segments, [video_id]).sort_by([("score", "descending")]).slice(0, _MOST_PROPOSALS)
        panels.append(
            SaliencePanel(
                title=video_id,
                times=salience.times,
                probabilities=salience.probabilities,
                proposals=_seconds(best),
                scores=best["score"].to_numpy(),
                truth=instances[video_id].segments,
            )
        )
    return panels


def _seconds(segments: pa.Table) -> np.ndarray:
    return np.stack([segments["t_start"].to_numpy(), segments["t_end"].to_numpy()], axis=1)
