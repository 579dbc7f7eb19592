"""A chunk's row as an Arrow table, with arrays as its cells, without copying them."""

from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.features.schema import CHUNK_SCHEMA


def chunk_row(schema: pa.Schema, chunk: dict[str, Any], **cells: Any) -> pa.Table:
    """A table of `schema` with one row: the columns of `CHUNK_SCHEMA` from a plan row, and the others from `cells`.

    A cell is a plain value, or an array of one as `large_binary_row` makes it.
    """
    values = {name: chunk[name] for name in CHUNK_SCHEMA.names} | cells
    columns = [
        value if isinstance(value := values[field.name], pa.Array) else pa.array([value], type=field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def large_binary_row(values: np.ndarray | None) -> pa.Array:
    """An array of one large_binary over the bytes of `values`, without copying them; null for None."""
    if values is None:
        return pa.array([None], type=pa.large_binary())
    offsets = np.array([0, values.nbytes], dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_binary(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    )


def read_array(cell: pa.LargeBinaryScalar, side: int, channels: int, dtype: str = "uint8") -> np.ndarray:
    """The pictures or flow fields `[F, side, side, channels]` in a cell of large_binary, without copying them."""
    return np.frombuffer(cell.as_buffer(), dtype=dtype).reshape(-1, side, side, channels)
