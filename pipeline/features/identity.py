"""Whether a command's videos are the files that a store knows by these ids: a video is its content, not its name."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import listing, parquet, storage, url_columns
from pipeline.errors import InputError
from pipeline.features.schema import as_plan
from pipeline.features.sources import SOURCES_SCHEMA, VideoSource, VideoSources
from pipeline.features.store import FeatureStore

REMEDIES = "replace=true extracts changed ones again, another store= keeps both"
_LOOKING_THREADS = 16
_FOLDER_WORTH_LISTING = 16
_LOOKED_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class Comparison:
    """The videos of a command beside those of a store's plan.

    Attributes:
        new: those that the plan does not know.
        replaced: known ones that are other files now and are to be extracted again, with their next edition.
        updated: known ones whose place or version is to be recorded anew.
    """

    new: VideoSources
    replaced: VideoSources
    updated: VideoSources


def compare(
    store: FeatureStore,
    sources: Sequence[VideoSource],
    *,
    moved: bool = False,
    replaced: bool = False,
    retry_failed: bool = False,
    look: bool = True,
    used: pa.Array | None = None,
    remedies: str = REMEDIES,
) -> Comparison:
    """Tell which of `sources` the store knows by the very same file.

    Args:
        store: its plan is read.
        sources: the videos of the command.
        moved: let a file of the same size (and the same etag, where both have one) be the same file elsewhere.
        replaced: let any other file under a known id take its place; one of which nothing is stored yet always may.
        retry_failed: let another file take the place of one that failed: it was mended.
        look: ask storage for the size and version of known videos whose source brings none.
        used: ids of known ones that another file may not replace although nothing of them is stored any more.
        remedies: how the message ends that refuses a file.
    Raises:
        InputError: a known id stands for another file, and neither `moved` nor `replaced` allows it.
    """
    plan = store.plan()
    first = plan.filter(pc.equal(plan["chunk_index"], 0))
    sources = VideoSources.of(sources)
    rows = pc.index_in(sources.video_ids, value_set=first["video_id"].combine_chunks())
    new, now = sources.where(rows.is_null()), sources.where(rows.is_valid())
    before = _files_in(first.take(rows.drop_null()))
    if look:
        now = _looked_at(now)
    same = _are_same(before, now)
    updated = same & _is_valid(now, "size") & ~_is_valid(before, "size")
    if moved:
        updated |= ~same & _may_be_moved(before, now)
    others = np.flatnonzero(~same & ~updated)
    if not replaced:
        changed = now.take(pa.array(others))
        free = _have_nothing_to_lose(store, changed, retry_failed)
        if used is not None:
            free &= ~pc.is_in(changed.video_ids, value_set=used).to_numpy(zero_copy_only=False)
        kept = others[~free]
        if len(kept):
            raise InputError(
                _refusal(store.url, before[int(kept[0])], now[int(kept[0])], len(kept), remedies)
            )
    # The plan of a new one may have been lost, and its features not.
    editions = pa.array(map(store.editions().get, new.video_ids.to_pylist()), pa.int32())
    rows = pa.array(others)
    return Comparison(
        new.with_columns(edition=pc.fill_null(editions, 0)),
        now.take(rows).with_columns(edition=pc.add(before.take(rows).table["edition"], 1)),
        now.where(pa.array(updated)),
    )


def record_files(store: FeatureStore, files: VideoSources) -> None:
    """Write place, size and version of these videos into the plan; part by part, so that a kill loses nothing."""
    if not files:
        return
    known = {
        "uri": files.stored_uris,
        "file_size": files.table["size"],
        "file_version": files.table["version"],
    }
    for url in parquet.list_parquet(store.folder("plan")):
        plan = as_plan(parquet.read_table(url))
        rows = pc.index_in(plan["video_id"], value_set=files.video_ids)
        if rows.null_count == len(rows):
            continue
        for name, column in known.items():
            place = plan.schema.get_field_index(name)
            values = pc.if_else(pc.is_valid(rows), column.take(rows), plan[name])
            plan = plan.set_column(place, plan.schema.field(place), values)
        parquet.write_table(url, plan)
    store.forget_index()


def _have_nothing_to_lose(store: FeatureStore, videos: VideoSources, retry_failed: bool) -> np.ndarray:
    """Which of `[N]` planned videos another file may replace: `[N]` bool."""
    if not videos:
        return np.zeros(0, dtype=bool)
    index = store.index()
    rows = index.find(videos.video_ids)
    return (index.recorded_chunks[rows] == 0) | (retry_failed & (index.lost_chunks[rows] > 0))


def _files_in(first: pa.Table) -> VideoSources:
    """The files of `[N]` videos, of a plan row of each."""
    edition = pc.fill_null(first["edition"], 0).cast(pa.int32())
    held = [first[name] for name in ("video_id", "uri", "file_size", "file_version")]
    return VideoSources(pa.table([*held, edition], schema=SOURCES_SCHEMA))


def _looked_at(sources: VideoSources) -> VideoSources:
    """The sources, with size and version of those whose listing did not tell them and whose storage does."""
    uris = sources.table["uri"]
    ask = pc.and_not(pc.is_null(sources.table["size"]), pc.match_substring_regex(uris, "(?i)^https?:"))
    if not pc.any(ask).as_py():
        return sources
    asked = np.flatnonzero(ask.to_numpy())
    found = _stat_all(uris.take(pa.array(asked)).combine_chunks())
    rows = np.full(len(sources), -1)
    rows[asked[found["row"].to_numpy()]] = np.arange(found.num_rows)
    place = pa.array(rows, mask=rows < 0)
    told = place.is_valid()
    size, version = (
        pc.if_else(told, found[name].take(place), sources.table[name]) for name in ("size", "version")
    )
    return sources.with_columns(size=size, version=version)


def _stat_all(urls: pa.Array) -> pa.Table:
    """Size and version of `[N]` files where they can be told, and the row of each in `urls`.

    Folders of which many files are asked for are listed.
    """
    folders = url_columns.parents(urls).dictionary_encode()
    codes = folders.indices.to_numpy()
    runs = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    listed = [(folder, rows) for folder, rows in enumerate(runs) if len(rows) >= _FOLDER_WORTH_LISTING]
    single = [rows for rows in runs if len(rows) < _FOLDER_WORTH_LISTING]

    def in_folder(asked: tuple[int, np.ndarray]) -> pa.Table | None:
        folder, rows = asked
        try:
            files = storage.list_files(folders.dictionary[folder].as_py(), depth=1)
        except InputError:
            return None  # one may be allowed to read files and not to list them
        there = {file.url: file for file in files}
        return _told(rows, [there.get(url) for url in urls.take(pa.array(rows)).to_pylist()])

    with ThreadPoolExecutor(_LOOKING_THREADS) as pool:
        found = [_told(np.zeros(0, dtype=np.int64), [])]
        for (_, rows), table in zip(listed, pool.map(in_folder, listed), strict=True):
            found.append(table) if table is not None else single.append(rows)
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *single])
        for start in range(0, len(rows), _LOOKED_AT_ONCE):
            part = rows[start : start + _LOOKED_AT_ONCE]
            found.append(_told(part, list(pool.map(_stat, urls.take(pa.array(part)).to_pylist()))))
    return pa.concat_tables(found)


def _told(rows: np.ndarray, files: Sequence[storage.StoredFile | None]) -> pa.Table:
    """Size and version of those of `[N]` files that are there, beside the `rows` that ask for them."""
    sizes = pa.array((file and file.size for file in files), pa.int64())
    versions = pa.array((file and file.version for file in files), pa.string())
    table = pa.table({"row": pa.array(rows, pa.int64()), "size": sizes, "version": versions})
    return table.filter(pc.is_valid(table["size"]))


def _stat(url: str) -> storage.StoredFile | None:
    try:
        return storage.stat(url)
    except InputError:
        return None  # extraction will say what is wrong with it


def _are_same(before: VideoSources, now: VideoSources) -> np.ndarray:
    """Which of `[N]` files are, by all that is known of both, those that they were: `[N]` bool.

    An etag and a time tell nothing of each other.
    """
    changed = _differ(before, now, "version")
    if changed.any():
        changed &= _are_etags(before) == _are_etags(now)
    return pc.equal(before.table["uri"], now.stored_uris).to_numpy() & _same_size(before, now) & ~changed


def _may_be_moved(before: VideoSources, now: VideoSources) -> np.ndarray:
    etags = _are_etags(before) & _are_etags(now)
    return _same_size(before, now) & ~(etags & _differ(before, now, "version"))


def _same_size(before: VideoSources, now: VideoSources) -> np.ndarray:
    return ~_differ(before, now, "size")


def _differ(before: VideoSources, now: VideoSources, name: str) -> np.ndarray:
    """Where both of `[N]` pairs have a value and not the same one: `[N]` bool."""
    return pc.fill_null(pc.not_equal(before.table[name], now.table[name]), False).to_numpy()


def _are_etags(files: VideoSources) -> np.ndarray:
    found = pc.match_substring_regex(files.table["version"], f"^{listing.ETAG}$")
    return pc.fill_null(found, False).to_numpy()


def _is_valid(files: VideoSources, name: str) -> np.ndarray:
    return pc.is_valid(files.table[name]).to_numpy()


def _refusal(store: str, before: VideoSource, now: VideoSource, count: int, remedies: str) -> str:
    others = f", and {count - 1} more like it" if count > 1 else ""
    if before.uri == now.stored_uri:
        what = f"{now.stored_uri} has changed since ({_described(before)} then, {_described(now)} now)"
    else:
        what = f"it is {before.uri} ({_described(before)}), not {now.stored_uri} ({_described(now)})"
    return (
        f"store={store}: knows video {now.video_id} by another file: {what}{others}; moved=true takes the new places "
        f"of unchanged files, {remedies}"
    )


def _described(source: VideoSource) -> str:
    return "size unknown" if source.size is None else f"{source.size} bytes"
