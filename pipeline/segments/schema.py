"""The Arrow schemas of what prediction writes. Times are seconds of the video, scores probabilities."""

import pyarrow as pa

_DETECTION = [
    pa.field("t_start", pa.float64(), nullable=False),
    pa.field("t_end", pa.float64(), nullable=False),
    pa.field("label", pa.string(), nullable=False),
    pa.field("score", pa.float64(), nullable=False),
]

# `<out>/segments/`: one row a detection.
SEGMENTS_SCHEMA = pa.schema([pa.field("video_id", pa.string(), nullable=False), *_DETECTION])

# `<out>/predictions/`: one row a video, best detection first; `error` ("kind: message") where the video was
# lost.
PREDICTIONS_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("segments", pa.list_(pa.struct(_DETECTION)), nullable=False),
        pa.field("error", pa.string()),
    ]
)
