"""Evaluation without classes: of proposals, and of detectors that only tell action from background."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import INSTANCES_SCHEMA, Annotations
from pipeline.annotations.one_class import FOREGROUND, as_one_class


def comparable(
    predictions: pa.Table,
    annotations: Annotations,
    *,
    agnostic: bool | None = None,
    distinct_truths: bool = False,
) -> tuple[pa.Table, Annotations]:
    """Predictions and truth as they are scored: as they are, or both without classes.

    The one rule of `evaluate` and of validation in training.

    Args:
        predictions: table of `SEGMENTS_SCHEMA`.
        annotations: the truth of one subset, raw.
        agnostic: whether classes are left out; None does where the predictions know none.
        distinct_truths: without classes, count identical segments of a video once.
    """
    if agnostic is None:
        agnostic = is_class_agnostic(predictions, annotations)
    if not agnostic:
        return predictions, annotations
    return without_classes(predictions, annotations, distinct_truths=distinct_truths)


def without_classes(
    predictions: pa.Table, annotations: Annotations, *, distinct_truths: bool = False
) -> tuple[pa.Table, Annotations]:
    """Predictions and truth with the one label `action`, and only the videos that have a true instance.

    That is how TP²-DETR and GAP score proposals: what is predicted in a video without truth is discarded and
    no false positive. They count every true instance, even one that the file holds twice with two labels.

    Args:
        predictions: table of `SEGMENTS_SCHEMA`.
        annotations: the truth of one subset.
        distinct_truths: count identical segments of a video once.
    """
    return relabelled(predictions), truth_without_classes(annotations, distinct_truths=distinct_truths)


def truth_without_classes(annotations: Annotations, *, distinct_truths: bool = False) -> Annotations:
    """The truth of `without_classes`."""
    with_truth = pc.is_in(annotations.videos["video_id"], value_set=annotations.instances["video_id"])
    videos = annotations.videos.filter(with_truth)
    instances = as_one_class(annotations).instances if distinct_truths else relabelled(annotations.instances)
    return Annotations(videos, instances.cast(INSTANCES_SCHEMA), (FOREGROUND,))


def is_class_agnostic(predictions: pa.Table, annotations: Annotations) -> bool:
    """Whether the predictions know no class: all are labelled `action`, and the truth has no such label."""
    return know_no_class(predictions["label"].unique().to_pylist(), annotations)


def know_no_class(labels: Sequence[str], annotations: Annotations) -> bool:
    """`is_class_agnostic` of predictions that have these labels, each named once."""
    return list(labels) == [FOREGROUND] and FOREGROUND not in annotations.labels


def relabelled(table: pa.Table) -> pa.Table:
    """The table with `action` as the label of all its rows."""
    index = table.column_names.index("label")
    field = table.schema.field(index)
    return table.set_column(index, field, pa.repeat(pa.scalar(FOREGROUND, field.type), table.num_rows))
