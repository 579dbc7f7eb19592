"""Plan rows that say where the published features of their video lie, so that a task needs to know no others."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa

from pipeline.features.published.listing import PublishedVideo
from pipeline.features.published.places import Place
from pipeline.features.schema import CHUNK_SCHEMA

_NUMBERS = ("start", "size")
PLACED_SCHEMA = pa.schema(
    [
        *CHUNK_SCHEMA,
        pa.field(
            "places",
            pa.list_(
                pa.struct(
                    [
                        (field.name, pa.int64() if field.name in _NUMBERS else pa.string())
                        for field in fields(Place)
                    ]
                )
            ),
            nullable=False,
        ),
    ]
)


def placed_rows(plan: pa.Table, videos: Sequence[PublishedVideo]) -> pa.Table:
    """A table of `PLACED_SCHEMA` from plan rows, all of which are of these videos."""
    lie = {video.video_id: [asdict(place) for place in video.places if place is not None] for video in videos}
    places = pa.array(
        [lie[video_id] for video_id in plan["video_id"].to_pylist()], PLACED_SCHEMA.field("places").type
    )
    return pa.Table.from_arrays([*plan.select(CHUNK_SCHEMA.names).columns, places], schema=PLACED_SCHEMA)


def places_of(row: dict[str, Any]) -> tuple[Place, ...]:
    """One place a source; at most one of them lies in a compressed tar."""
    return tuple(Place(**place) for place in row["places"])
