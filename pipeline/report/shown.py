"""What a report shows: which videos where no truth names them, and from which score on."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.evaluation.best_f1 import TIOU, best_f1
from pipeline.evaluation.protocols import PROTOCOLS, protocol_name
from pipeline.segments.threshold import ScoreThreshold, score_threshold


def predicted_videos(segments: pa.Table) -> Annotations:
    """The videos and labels of a table of `SEGMENTS_SCHEMA`, in order, without instances.

    A video is taken to last as long as its last segment.
    """
    ends = segments.group_by("video_id").aggregate([("t_end", "max")]).sort_by("video_id")
    count = ends.num_rows
    columns = {
        "video_id": ends["video_id"],
        "subset": ["predicted"] * count,
        "duration": ends["t_end_max"],
        "fps": pa.nulls(count, pa.float64()),
    }
    labels = tuple(sorted(pc.unique(segments["label"]).to_pylist()))
    return Annotations(pa.table(columns, schema=VIDEOS_SCHEMA), INSTANCES_SCHEMA.empty_table(), labels)


def shown_threshold(
    min_score: float | None, segments: pa.Table, annotations: Annotations, dataset: str, *, has_truth: bool
) -> ScoreThreshold:
    """`min_score` where it is given; else that of best F1, as `evaluate` finds it by the protocol of `dataset`.

    Where there is no truth, or nothing of it was found, it is where the scores divide best.
    """
    if min_score is None and has_truth:
        epsilon = PROTOCOLS[protocol_name(dataset)].detection.union_epsilon
        found = best_f1(segments, annotations, union_epsilon=epsilon).threshold
        if found is not None:
            return ScoreThreshold(found, f"best F1 at tIoU {TIOU:g}")
    return score_threshold(min_score, segments)


def of_videos(segments: pa.Table, video_ids: Sequence[str]) -> pa.Table:
    """The rows of a table of `SEGMENTS_SCHEMA` that are of these videos."""
    return segments.filter(pc.is_in(segments["video_id"], value_set=pa.array(video_ids, type=pa.string())))
