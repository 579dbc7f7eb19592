"""Segmentation mAP: how well scores position by position agree with the truth, class by class."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.evaluation.average_precision import average_precision
from pipeline.evaluation.dense import covered, highest_scores, make_grid, smooth
from pipeline.evaluation.indexed import index_segments
from pipeline.segments.check import check_segments

_SIGMA, _AMPLITUDE = 3.0, 5.0  # of PointTAD's Gaussian; the amplitude scales all scores alike


@dataclass(frozen=True)
class SegmentationProtocol:
    """What a published segmentation mAP depends on besides predictions and truth.

    Attributes:
        fps: frames a second from which the grid is made; None takes each video's own.
        stride: frames to a position of the grid.
        strict_bounds: a position counts as true when `start < f / rate < end` (TSU's tool), rather than from
            `int(start * rate)` to `int(end * rate)`, both included (PointTAD).
        classes: those that count in the mean: `all` labels (one without a true position has AP 0), or only
            those with a `nonzero` AP (TSU's tool).
        min_score: predictions with this score or less are left out.
        index_shift: keep PointTAD's shift: its Gaussians are evaluated at 1 ... L over positions 0 ... L - 1,
            so that scores come one position early.
    """

    fps: float | None
    stride: int
    strict_bounds: bool = False
    classes: Literal["all", "nonzero"] = "all"
    min_score: float = 0.01
    index_shift: bool = True


# PointTAD's frames: 10 a second for MultiTHUMOS, 12 for Charades, one position every 4.
POINTTAD_DENSE_MULTITHUMOS = SegmentationProtocol(fps=10.0, stride=4)
POINTTAD_DENSE_CHARADES = SegmentationProtocol(fps=12.0, stride=4)
TSU_DENSE = SegmentationProtocol(fps=None, stride=16, strict_bounds=True, classes="nonzero")


@dataclass(frozen=True)
class SegmentationMAP:
    """The result of `segmentation_map`, as fractions in [0, 1].

    Attributes:
        protocol: how it was computed.
        per_class: AP of each label, in the order of the annotations' labels.
        mean: over the classes that count.
        num_positions: positions of all videos together.
    """

    protocol: SegmentationProtocol
    per_class: dict[str, float]
    mean: float
    num_positions: int


def segmentation_map(
    predictions: pa.Table, annotations: Annotations, protocol: SegmentationProtocol
) -> SegmentationMAP:
    """Turn scored segments into a score for each class and position, as PointTAD does, and rank these.

    A position of a class has the best score of the predictions that cover it; these scores then spread as
    Gaussians (3 positions of deviation) and add up. The scores are kept in float32, as the AP meter of the
    reference keeps them. The positions of all videos of the truth are ranked together; of equal scores the
    one of the earlier video in the annotations, then the earlier in time, goes first. AP is not interpolated.

    Memory is that of one class: a few numbers a position.

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`; unknown videos and labels are left out.
        annotations: the truth of one subset, raw.
        protocol: the grid and the rules at its edges.
    Raises:
        InputError: a column of `predictions` is missing or unusable, a video's duration or rate is not
            known, or there is no class.
    """
    if not annotations.labels:
        raise InputError("the annotations have no class, so there is nothing to average over")
    indexed = index_segments(check_segments(predictions), annotations)
    strong = indexed[(indexed.videos >= 0) & (indexed.scores > protocol.min_score)]
    truth = index_segments(annotations.instances, annotations)
    grid = make_grid(annotations.videos, protocol.fps, protocol.stride)

    ap = []
    for label in range(len(annotations.labels)):
        mine, true = strong[strong.labels == label], truth[truth.labels == label]
        positive = covered(grid, true.videos, true.seconds, strict=protocol.strict_bounds)
        scores = np.zeros(grid.size, dtype=np.float32)
        if len(mine) and positive.any():
            track = highest_scores(grid, mine.videos, mine.seconds, mine.scores)
            scores = smooth(grid, track, _SIGMA, _AMPLITUDE, shift=int(protocol.index_shift))
        ap.append(average_precision(scores, positive))
    counted = [value for value in ap if value > 0 or protocol.classes == "all"]
    return SegmentationMAP(
        protocol=protocol,
        per_class=dict(zip(annotations.labels, ap, strict=True)),
        mean=float(np.mean(counted)) if counted else 0.0,
        num_positions=grid.size,
    )
