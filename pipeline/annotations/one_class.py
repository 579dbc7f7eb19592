"""Truth without classes."""

import pyarrow as pa

from pipeline.annotations.canonical import INSTANCES_SCHEMA, Annotations

FOREGROUND = "action"


def as_one_class(annotations: Annotations, *, deduplicate: bool = True) -> Annotations:
    """Class-agnostic truth: every label becomes `action`.

    THUMOS14 labels each cliff dive twice, CliffDiving and Diving. Without classes that is one action, so
    identical segments of a video count once; without `deduplicate` they stay, as in TP²-DETR's released code.
    """
    instances = annotations.instances
    if deduplicate:
        key = ["video_id", "t_start", "t_end"]
        instances = instances.group_by(key).aggregate([]).sort_by([(name, "ascending") for name in key])
    else:
        instances = instances.drop_columns(["label"])
    foreground = pa.array([FOREGROUND] * instances.num_rows, type=pa.string())
    merged = instances.append_column("label", foreground).cast(INSTANCES_SCHEMA)
    return Annotations(annotations.videos, merged, (FOREGROUND,))
