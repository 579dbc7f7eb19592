"""Columns of numbers as a page holds them: byte by byte, one column after the other, compressed, as text."""

import base64
import gzip
from collections.abc import Mapping

import numpy as np

_LEVEL = 6


def pack(columns: Mapping[str, np.ndarray]) -> tuple[list[dict[str, str | int]], str]:
    """What each column is, in order, and all of them as base64 of gzip; the same columns make the same text.

    Of a column the lowest bytes of all numbers come first, then the next higher ones: the high ones of neighbours are
    alike, and take a quarter less so.

    Args:
        columns: one-dimensional arrays of uint8, uint16, uint32, int32, float32 or float64.
    Returns:
        `{"name", "type", "count"}` each, where the type is NumPy's name, and the text.
    """
    about: list[dict[str, str | int]] = []
    parts = []
    for name, column in columns.items():
        numbers = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        content = numbers.view(np.uint8).reshape(len(column), column.dtype.itemsize).T.tobytes()
        about.append({"name": name, "type": column.dtype.name, "count": len(column)})
        parts.append(content)
    return about, base64.b64encode(gzip.compress(b"".join(parts), _LEVEL, mtime=0)).decode()
