"""The Arrow schemas of a feature store: a plan row and a features row are the same chunk, before and after."""

import pyarrow as pa

# A chunk, a run of snippets of one video. `edition` counts how often the video's file was replaced; rows of stores
# that were written before it was counted have none, which is 0.
CHUNK_SCHEMA = pa.schema(
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
        pa.field("edition", pa.int32()),
    ]
)

# With the file that was probed: bytes, and etag or time of the last change, where they are known.
PLAN_SCHEMA = pa.schema(
    [*CHUNK_SCHEMA, pa.field("file_size", pa.int64()), pa.field("file_version", pa.string())]
)

# `features` is the [num_snippets, dim] float16 array in C order, null where `error` ("kind: message") is set.
FEATURES_SCHEMA = pa.schema(
    [
        *CHUNK_SCHEMA,
        pa.field("dim", pa.int32(), nullable=False),
        pa.field("features", pa.large_binary()),
        pa.field("error", pa.string()),
    ]
)


def chunk_id(video_id: str, index: int) -> str:
    """The id of a chunk, unique in its store and the key of everything downstream."""
    return f"{video_id}#{index:06d}"


def as_plan(table: pa.Table) -> pa.Table:
    """A plan of this or an earlier version as a table of `PLAN_SCHEMA`; what it does not know is null."""
    return _with_columns(table, PLAN_SCHEMA)


def as_features(table: pa.Table) -> pa.Table:
    """Features of this or an earlier version as a table of `FEATURES_SCHEMA` with its own metadata, likewise."""
    return _with_columns(table, FEATURES_SCHEMA.with_metadata(table.schema.metadata))


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
