"""The known defects of published annotation files, and the one rule for each.

In this order: an instance that ends before it starts is dropped; one of no length is dropped; one that lies
wholly outside its video is dropped; one that reaches outside is clamped to `[0, duration]`; of several
instances with the same video, times and label the first is kept. Where the duration is unknown only the
start of the video bounds an instance.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import INSTANCES_SCHEMA


@dataclass(frozen=True)
class Defects:
    """How many instances each rule touched. All but `clamped` were dropped."""

    reversed: int
    zero_length: int
    outside: int
    clamped: int
    duplicate: int

    def __str__(self) -> str:
        counts = {
            "reversed": self.reversed,
            "of no length": self.zero_length,
            "outside the video": self.outside,
            "duplicate": self.duplicate,
        }
        dropped = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        clamped = f"clamped {self.clamped} to the video" if self.clamped else ""
        return "; ".join(filter(None, [dropped and f"dropped {dropped}", clamped]))


def mend(videos: pa.Table, instances: pa.Table) -> tuple[pa.Table, Defects]:
    """Apply the rules of this module.

    Args:
        videos: table of `VIDEOS_SCHEMA`.
        instances: table of `INSTANCES_SCHEMA` as the file writes them, all of these videos.
    Returns:
        The instances that remain, in their order, and the count of each defect.
    """
    start = instances["t_start"].to_numpy()
    end = instances["t_end"].to_numpy()
    is_reversed = end < start
    is_empty = end == start

    video = pc.index_in(instances["video_id"], value_set=videos["video_id"])
    limit = pc.fill_null(videos["duration"], np.inf).take(video).to_numpy()
    is_outside = ~is_reversed & ~is_empty & ((start >= limit) | (end <= 0))
    keep = ~(is_reversed | is_empty | is_outside)

    is_clamped = keep & ((start < 0) | (end > limit))
    clamped = pa.table(
        {
            "video_id": instances["video_id"],
            "t_start": np.maximum(start, 0.0) + 0.0,  # a column tells -0.0 from 0.0
            "t_end": np.minimum(end, limit),
            "label": instances["label"],
        },
        schema=INSTANCES_SCHEMA,
    ).filter(pa.array(keep))

    numbered = clamped.append_column("row", pa.array(np.arange(clamped.num_rows)))
    first = numbered.group_by(clamped.column_names).aggregate([("row", "min")])["row_min"]
    kept = clamped.take(np.sort(first.to_numpy()))
    defects = Defects(
        reversed=int(is_reversed.sum()),
        zero_length=int(is_empty.sum()),
        outside=int(is_outside.sum()),
        clamped=int(is_clamped.sum()),
        duplicate=clamped.num_rows - kept.num_rows,
    )
    return kept, defects
