"""Which rows of a store count, and what they say of each video: columns in, the index out."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.features.index import CHUNKS_SCHEMA, LOST_SCHEMA, VIDEOS_SCHEMA, StoreIndex
from pipeline.features.index_rows import FeatureRows
from pipeline.features.timeline import Timeline


@dataclass(frozen=True)
class Counted:
    """What the rows of a plan and of features come to.

    Attributes:
        index: the videos.
        recorded: `[N]` bool, rows of the plan that have a row of their edition.
        outdated: ids of planned chunks whose features are only there of another edition of their video.
        editions: the newest edition among the features of each video, where it is not 0.
    """

    index: StoreIndex
    recorded: np.ndarray
    outdated: frozenset[str]
    editions: dict[str, int]


def count_rows(timeline: Timeline, plan: pa.Table, found: FeatureRows) -> Counted:
    """The index of a store from its plan (`PLAN_SCHEMA`, each chunk once) and the rows of its features.

    Rows of another edition than the planned one do not count. A chunk that was written twice (tried again after an
    error, or by a writer that outlived its job) counts once, the row with features before the one with an error, and
    that before one that does not know the true end.
    """
    rows = found.table
    last = plan.filter(pc.equal(plan["chunk_index"], pc.subtract(plan["num_chunks"], 1)))
    names, (planned_video, row_video) = _codes(last["video_id"], rows["video_id"])
    names, (planned_video, row_video) = _by_name(names, planned_video, row_video)
    planned = np.full(len(names), -1, dtype=np.int64)
    planned[planned_video] = np.arange(len(planned_video))
    editions = _edition(rows)
    wanted = np.full(len(names), -1, dtype=np.int64)
    wanted[planned_video] = _edition(last)
    current = (planned[row_video] < 0) | (editions == wanted[row_video])

    chunk_names, (planned_chunk, row_chunk) = _codes(plan["chunk_id"], rows["chunk_id"])
    keys = row_video * (len(chunk_names) + 1) + row_chunk
    kept, seen = _best_of_each(rows, keys, np.flatnonzero(current))
    recorded = np.zeros(len(chunk_names) + 1, dtype=bool)
    recorded[row_chunk[kept]] = True
    outdated = np.flatnonzero(~current)
    outdated = outdated[~np.isin(keys[outdated], keys[kept])] if len(outdated) else outdated
    order = np.lexsort((seen, rows["chunk_index"].to_numpy()[kept], row_video[kept]))
    kept, seen = kept[order], seen[order]
    return Counted(
        index=_index(timeline, names, last, planned, rows, kept, row_video[kept], seen, found.files),
        recorded=recorded[planned_chunk],
        outdated=frozenset(rows["chunk_id"].take(outdated).to_pylist()),
        editions=_newest(names, row_video, editions),
    )


def _index(
    timeline: Timeline,
    names: pa.Array,
    last: pa.Table,
    planned: np.ndarray,
    rows: pa.Table,
    kept: np.ndarray,
    video: np.ndarray,
    seen: np.ndarray,
    files: tuple[str, ...],
) -> StoreIndex:
    """The index.

    Args:
        timeline: the store's.
        names: `[V]` ids of the videos, sorted.
        last: the last plan row of each planned video.
        planned: `[V]` rows of `last`, -1 where there is none.
        rows: all rows of features.
        kept: `[N]`, those of them that count, by video and chunk.
        video: `[N]` rows of `names`.
        seen: `[N]` the order in which they were met.
        files: URLs; `rows` has positions in it.
    """
    duration, first, count = (
        rows[name].to_numpy()[kept] for name in ("duration", "first_snippet", "num_snippets")
    )
    # A video whose plan is gone is described by its longest row.
    teller = np.where(planned >= 0, planned, -1)
    gone = np.flatnonzero(planned[video] < 0)
    longest = gone[np.lexsort((seen[gone], -duration[gone], video[gone]))]
    longest = longest[_first_of_runs(video[longest])]
    teller[video[longest]] = last.num_rows + np.arange(len(longest))
    told = pa.concat_tables([last.select(_TOLD), rows.select(_TOLD).take(kept[longest])]).take(teller)
    stated, fps = told["duration"].to_numpy(), told["fps"].to_numpy()
    end = stated.copy()
    np.minimum.at(end, video, duration)
    whole = np.zeros(len(names), dtype=np.int64)
    np.add.at(whole, video, count)
    is_planned = planned >= 0
    whole[is_planned] = (last["first_snippet"].to_numpy() + last["num_snippets"].to_numpy())[
        planned[is_planned]
    ]
    cut_short = end < stated
    for row in np.flatnonzero(cut_short).tolist():
        own = replace(timeline, fps=float(fps[row]))
        whole[row] = own.num_snippets(own.num_frames(float(end[row])))

    inside = first < whole[video]
    has_error = rows["error"].is_valid().to_numpy()[kept]
    good, lost = np.flatnonzero(inside & ~has_error), np.flatnonzero(inside & has_error)
    stored = np.zeros(len(names), dtype=np.int64)
    last_stored = np.minimum(whole[video[good]], first[good] + count[good])
    np.add.at(stored, video[good], np.maximum(0, last_stored - np.maximum(0, first[good])))
    videos = {
        "video_id": names,
        "uri": told["uri"],
        "duration": end,
        "stated_duration": pa.array(stated, mask=~cut_short),
        "fps": fps,
        "num_snippets": whole,
        "stored_snippets": stored,
        "empty_chunks": np.bincount(video[~inside], minlength=len(names)).astype(np.int32),
    }
    bounds = np.arange(len(names) + 1)
    return StoreIndex(
        timeline,
        files,
        pa.table(videos, schema=VIDEOS_SCHEMA),
        rows.select(CHUNKS_SCHEMA.names).take(kept[good]),
        np.searchsorted(video[good], bounds),
        rows.select(LOST_SCHEMA.names).take(kept[lost]),
        np.searchsorted(video[lost], bounds),
    )


_TOLD = ["uri", "duration", "fps"]


def _best_of_each(rows: pa.Table, keys: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the rows `among`, the best with each key, and the first with that key: two arrays `[K]` of rows."""
    _, first = np.unique(keys[among], return_index=True)
    if len(first) == len(among):
        return among, among
    doubt = rows["error"].is_valid().to_numpy()[among]
    order = np.lexsort((-among, rows["duration"].to_numpy()[among], doubt, keys[among]))
    return among[order[_first_of_runs(keys[among][order])]], among[first]


def _first_of_runs(values: np.ndarray) -> np.ndarray:
    """Where the runs of equal values begin."""
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)])


def _newest(names: pa.Array, video: np.ndarray, editions: np.ndarray) -> dict[str, int]:
    newest = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(newest, video, editions)
    there = np.flatnonzero(newest)
    return dict(zip(names.take(there).to_pylist(), newest[there].tolist(), strict=True))


def _edition(rows: pa.Table) -> np.ndarray:
    return pc.fill_null(rows["edition"], 0).to_numpy().astype(np.int64)


def _codes(*columns: pa.ChunkedArray) -> tuple[pa.Array, list[np.ndarray]]:
    """The distinct texts of columns, and each column as positions among them, int64."""
    together = pa.chunked_array([piece for column in columns for piece in column.chunks], pa.string())
    encoded = together.dictionary_encode()
    if not encoded.num_chunks:
        return pa.array([], pa.string()), [np.zeros(0, dtype=np.int64) for _ in columns]
    codes = np.concatenate([piece.indices.to_numpy() for piece in encoded.chunks]).astype(np.int64)
    return encoded.chunk(encoded.num_chunks - 1).dictionary, np.split(
        codes, np.cumsum([len(column) for column in columns])[:-1]
    )


def _by_name(names: pa.Array, *codes: np.ndarray) -> tuple[pa.Array, list[np.ndarray]]:
    """The texts sorted, and positions among them."""
    order = pc.sort_indices(names).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return names.take(pa.array(order)), [rank[each] for each in codes]
