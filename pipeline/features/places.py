"""Where the features of videos lie, as rows that are handed out: who gets one needs no index to read them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.features.index import CHUNKS_SCHEMA, LOST_SCHEMA, VIDEOS_SCHEMA, StoreIndex
from pipeline.features.timeline import Timeline

_FILE = CHUNKS_SCHEMA.get_field_index("file")
_CHUNK = pa.struct(CHUNKS_SCHEMA.set(_FILE, pa.field("file", pa.string(), nullable=False)))
# A row a complete video.
PLACES_SCHEMA = VIDEOS_SCHEMA.append(pa.field("chunks", pa.list_(_CHUNK), nullable=False))


def places_of(index: StoreIndex) -> pa.Table:
    """A row of `PLACES_SCHEMA` for each video of an index, all of which are complete."""
    chunks = [index.chunks[name].combine_chunks() for name in CHUNKS_SCHEMA.names]
    chunks[_FILE] = pa.array(index.files, pa.string()).take(chunks[_FILE])
    rows = pa.StructArray.from_arrays(chunks, fields=list(_CHUNK))
    places = pa.ListArray.from_arrays(pa.array(index.chunk_starts, pa.int32()), rows)
    return pa.Table.from_arrays([*index.videos.columns, places], schema=PLACES_SCHEMA)


def index_of(places: pa.Table, timeline: Timeline) -> StoreIndex:
    """The index of the videos in rows of `PLACES_SCHEMA`, each there once; `timeline` is their store's."""
    places = places.sort_by("video_id").combine_chunks()
    column = places["chunks"].combine_chunks()
    rows = column.flatten()
    files = rows.field("file").dictionary_encode()
    columns = [files.indices if name == "file" else rows.field(name) for name in CHUNKS_SCHEMA.names]
    counts = pc.list_value_length(column).to_numpy()
    return StoreIndex(
        timeline,
        files.dictionary.to_pylist(),
        places.select(VIDEOS_SCHEMA.names),
        pa.Table.from_arrays(columns, schema=CHUNKS_SCHEMA),
        np.concatenate([[0], np.cumsum(counts)]),
        LOST_SCHEMA.empty_table(),
        np.zeros(len(counts) + 1, dtype=np.int64),
    )
