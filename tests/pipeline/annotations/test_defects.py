"""Each defect has its rule, and the rules account for every instance."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA
from pipeline.annotations.defects import Defects, mend

VIDEOS = pa.Table.from_pylist(
    [{"video_id": "v", "subset": "s", "duration": 10.0}, {"video_id": "endless", "subset": "s"}],
    VIDEOS_SCHEMA,
)


def mended(rows):
    table = pa.Table.from_pylist(
        [dict(zip(INSTANCES_SCHEMA.names, row, strict=True)) for row in rows], INSTANCES_SCHEMA
    )
    kept, defects = mend(VIDEOS, table)
    assert kept.schema == INSTANCES_SCHEMA
    return [tuple(row.values()) for row in kept.to_pylist()], defects


def test_each_rule():
    rows, defects = mended(
        [
            ("v", 1.0, 2.0, "run"),
            ("v", 5.0, 4.0, "run"),  # reversed
            ("v", 12.0, 11.0, "run"),  # reversed, and past the end: counted once
            ("v", 3.0, 3.0, "run"),  # of no length
            ("v", 10.0, 12.0, "run"),  # past the end
            ("v", -2.0, 0.0, "run"),  # before the start
            ("v", 8.0, 12.0, "run"),  # clamped at the end
            ("v", -1.0, 11.0, "jump"),  # clamped at both
            ("v", -0.0, 10.0, "jump"),  # a duplicate of that
            ("v", 1.0, 2.0, "run"),  # duplicate
            ("v", 1.0, 2.0, "jump"),  # another label: kept
            ("v", 8.0, 11.0, "run"),  # clamped, then a duplicate
            ("endless", 500.0, 900.0, "run"),
            ("endless", -1.0, 2.0, "run"),
        ]
    )
    assert rows == [
        ("v", 1.0, 2.0, "run"),
        ("v", 8.0, 10.0, "run"),
        ("v", 0.0, 10.0, "jump"),
        ("v", 1.0, 2.0, "jump"),
        ("endless", 500.0, 900.0, "run"),
        ("endless", 0.0, 2.0, "run"),
    ]
    assert defects == Defects(reversed=2, zero_length=1, outside=2, clamped=4, duplicate=3)


times = st.integers(-3, 14).map(float)
instances = st.lists(
    st.tuples(st.sampled_from(["v", "endless"]), times, times, st.sampled_from(["run", "jump"]))
)


@given(instances)
def test_what_remains_is_sound_counted_and_needs_no_further_mending(rows):
    kept, defects = mended(rows)
    assert all(0 <= start < end <= (10 if video == "v" else 14) for video, start, end, _ in kept)
    assert len(set(kept)) == len(kept)
    dropped = defects.reversed + defects.zero_length + defects.outside + defects.duplicate
    assert len(rows) == len(kept) + dropped
    assert mended(kept) == (kept, Defects(0, 0, 0, 0, 0))
