"""Arrays as cells of Arrow tables, without copying them."""

import numpy as np
import pyarrow as pa


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
