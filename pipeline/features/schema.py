"""The Arrow schemas of a feature store: a plan row and a features row are the same chunk, before and after."""

import pyarrow as pa

PLAN_SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("num_chunks", pa.int32(), nullable=False),
        pa.field("first_snippet", pa.int64(), nullable=False),
        pa.field("num_snippets", pa.int64(), nullable=False),
        pa.field("duration", pa.float64(), nullable=False),
        pa.field("fps", pa.float64(), nullable=False),
    ]
)

# `features` is the [num_snippets, dim] float16 array in C order, null where `error` ("kind: message") is set.
FEATURES_SCHEMA = pa.schema(
    [
        *PLAN_SCHEMA,
        pa.field("dim", pa.int32(), nullable=False),
        pa.field("features", pa.large_binary()),
        pa.field("error", pa.string()),
    ]
)


def chunk_id(video_id: str, index: int) -> str:
    """The id of a chunk, unique in its store and the key of everything downstream."""
    return f"{video_id}#{index:06d}"
