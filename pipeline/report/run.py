"""The pictures of a prediction: timelines, confidence against tIoU, and salience where a run has it."""

import io
from collections.abc import Callable, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.read import read_subset
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.salience import video_salience
from pipeline.detector.trained import check_features, find_checkpoint, load_trained
from pipeline.errors import InputError
from pipeline.evaluation.class_agnostic import is_class_agnostic, without_classes
from pipeline.features.store import FeatureStore
from pipeline.report.confidence import draw_confidence, proposal_quality
from pipeline.report.saliency import SalientPanel, draw_saliency
from pipeline.report.settings import ReportConfig
from pipeline.report.timelines import draw_timelines
from pipeline.segments.read import folder_of, read_segments
from pipeline.summary import Summary

# What proposals a picture can hold, of each video.
_MOST_PROPOSALS = 20
_CACHE_MB = 256.0


def report(config: ReportConfig) -> Summary:
    """Write `timelines.png`, `confidence.png` and, of a run with salient heads, `saliency.png`.

    Predictions without classes (all labelled `action`) are drawn beside the truth without classes.

    Raises InputError where a named video is not in the test subset, or the run has no salient heads.
    """
    truth = read_subset(config.dataset, config.dataset.test_subset, raw=True)
    segments = read_segments(config.predictions, truth.videos["video_id"].to_pylist())
    if is_class_agnostic(segments, truth):
        segments, truth = without_classes(segments, truth)
    video_ids = _chosen(config, truth)
    folder = config.out or storage.join(folder_of(config.predictions), "report")
    chosen, of_chosen = truth.of(video_ids), _of_videos(segments, video_ids)

    def timelines(stream: IO[bytes]) -> None:
        draw_timelines(of_chosen, chosen, stream, max_videos=len(video_ids))

    pictures: dict[str, Callable[[IO[bytes]], None]] = {
        "timelines": timelines,
        "confidence": lambda stream: draw_confidence(
            [proposal_quality("predictions", segments, truth)], stream
        ),
    }
    if config.run is not None:
        panels = _salient_panels(config, video_ids, segments, truth)
        pictures["saliency"] = lambda stream: draw_saliency(panels, stream)
    outputs = {name: storage.join(folder, f"{name}.png") for name in pictures}
    for name, draw in pictures.items():
        sink = io.BytesIO()
        draw(sink)
        storage.write_bytes(outputs[name], sink.getvalue())
    return Summary(job="report", unit="pictures", total=len(pictures), done=len(pictures), outputs=outputs)


def _chosen(config: ReportConfig, truth: Annotations) -> list[str]:
    known = sorted(truth.videos["video_id"].to_pylist())
    strangers = sorted(set(config.videos) - set(known))
    if strangers:
        raise InputError(
            f"videos={strangers[0]}: not a video of subset {config.dataset.test_subset!r} with an action to "
            f"draw; it has {len(known)}, such as {known[0]!r}"
        )
    return list(config.videos) or known[: config.max_videos]


def _of_videos(segments: pa.Table, video_ids: Sequence[str]) -> pa.Table:
    return segments.filter(pc.is_in(segments["video_id"], value_set=pa.array(video_ids, type=pa.string())))


def _salient_panels(
    config: ReportConfig, video_ids: Sequence[str], segments: pa.Table, truth: Annotations
) -> list[SalientPanel]:
    assert config.store is not None  # ReportConfig asks for it
    info = find_checkpoint(config.run, None)
    store = FeatureStore(config.store)
    check_features(info, store.spec, config.store, insist=False)
    trained = load_trained(info.url, torch.device("cpu"))
    cache = FeatureCache(store, _CACHE_MB)
    panels = []
    instances = truth.by_video()
    for video_id in video_ids:
        video = store.index().get(video_id)
        if video is None or not video.complete:
            raise InputError(f"store={config.store}: has no complete features of {video_id}")
        salience = video_salience(trained.detector, video, cache, trained.config.windows)
        if salience is None:
            raise InputError(
                f"run={config.run}: its detector has no salient heads; they are TP²-DETR's, with model.salient_on"
            )
        best = _of_videos(segments, [video_id]).sort_by([("score", "descending")]).slice(0, _MOST_PROPOSALS)
        panels.append(
            SalientPanel(
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
