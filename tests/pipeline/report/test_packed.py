"""Columns as a page holds them."""

import base64
import gzip

import numpy as np
import pytest

from pipeline.report.packed import pack

KINDS = ("uint8", "uint16", "uint32", "int32", "float32", "float64")


@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_what_is_packed_is_all_there(count: int) -> None:
    rng = np.random.default_rng(count)
    columns = {kind: rng.uniform(0, 200, count).astype(kind) for kind in KINDS}
    about, text = pack(columns)
    assert about == [{"name": kind, "type": kind, "count": count} for kind in KINDS]
    content, offset = gzip.decompress(base64.b64decode(text)), 0
    for kind in KINDS:
        size = np.dtype(kind).itemsize
        rows = [content[offset + place * count : offset + (place + 1) * count] for place in range(size)]
        numbers = b"".join(bytes(row[i] for row in rows) for i in range(count))
        assert np.frombuffer(numbers, np.dtype(kind).newbyteorder("<")).tolist() == columns[kind].tolist()
        offset += count * size
    assert offset == len(content)
    assert pack(columns) == (about, text)


def test_big_endian_numbers_are_turned() -> None:
    assert pack({"a": np.array([1, 2], ">i4")})[1] == pack({"a": np.array([1, 2], "<i4")})[1]
