"""Tables of predictions and truth from plain rows, and the rows that hypothesis draws."""

import pyarrow as pa
from hypothesis import strategies as st

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.segments.schema import SEGMENTS_SCHEMA

LABELS = ("run", "jump", "swim")
VIDEOS = ("v", "w", "x")


def segments_table(rows):
    """Predictions from rows (video, start, end, label, score)."""
    return pa.Table.from_pylist(
        [dict(zip(SEGMENTS_SCHEMA.names, row, strict=True)) for row in rows], SEGMENTS_SCHEMA
    )


def truth(rows, labels, videos=("v", "w"), fps=None):
    """Truth from rows (video, start, end, label); `videos` are 100 s long, or a dictionary of durations."""
    durations = videos if isinstance(videos, dict) else dict.fromkeys(videos, 100.0)
    return Annotations(
        pa.Table.from_pylist(
            [{"video_id": v, "subset": "test", "duration": d, "fps": fps} for v, d in durations.items()],
            VIDEOS_SCHEMA,
        ),
        pa.Table.from_pylist(
            [dict(zip(INSTANCES_SCHEMA.names, row, strict=True)) for row in rows], INSTANCES_SCHEMA
        ),
        tuple(labels),
    )


# A coarse grid makes ties in score, equal segments and tIoUs exactly on a threshold common. Starts and ends
# are drawn apart, so that some segments are reversed or of no length; the last label never has truth.
times = st.integers(0, 12).map(float) | st.floats(0, 12)
scores = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)
predicted_rows = st.tuples(st.sampled_from(VIDEOS), times, times, st.sampled_from(LABELS), scores)
true_rows = st.tuples(st.sampled_from(VIDEOS), times, times, st.sampled_from(LABELS[:2]))
