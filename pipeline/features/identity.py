"""Whether a command's videos are the files that a store knows by these ids: a video is its content, not its name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import listing, parquet, storage
from pipeline.errors import InputError
from pipeline.features.schema import as_plan
from pipeline.features.sources import VideoSource
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures

_LOOKING_THREADS = 16
_FOLDER_WORTH_LISTING = 16


@dataclass(frozen=True)
class Comparison:
    """The videos of a command beside those of a store's plan.

    Attributes:
        new: those that the plan does not know.
        replaced: known ones that are other files now and are to be extracted again, with their next edition.
        updated: id -> source of known ones whose place or version is to be recorded anew.
    """

    new: list[VideoSource]
    replaced: list[VideoSource]
    updated: dict[str, VideoSource]


def compare(
    store: FeatureStore,
    sources: Sequence[VideoSource],
    *,
    moved: bool = False,
    replaced: bool = False,
    retry_failed: bool = False,
    look: bool = True,
) -> Comparison:
    """Tell which of `sources` the store knows by the very same file.

    Args:
        store: its plan is read.
        sources: the videos of the command.
        moved: let a file of the same size (and the same etag, where both have one) be the same file elsewhere.
        replaced: let any other file under a known id take its place; one of which nothing is stored yet always may.
        retry_failed: let another file take the place of one that failed: it was mended.
        look: ask storage for the size and version of known videos whose source brings none.
    Raises:
        InputError: a known id stands for another file, and neither `moved` nor `replaced` allows it.
    """
    plan = store.plan()
    first = plan.filter(pc.equal(plan["chunk_index"], 0))
    rows = pc.index_in(
        pa.array([s.video_id for s in sources], pa.string()), first["video_id"].combine_chunks()
    )
    if look:
        sources = _looked_at(sources, rows.is_valid().to_pylist())
    editions = store.editions()
    new, changed, updated = [], [], {}
    wrong: list[tuple[VideoSource, VideoSource]] = []
    odd = np.flatnonzero(~_surely_same(sources, first, rows)).tolist()
    held = _files_in(first.take(rows.take(pa.array(odd, pa.int64())).drop_null()))
    for source in (sources[place] for place in odd):
        before = held.get(source.video_id)
        if before is None:
            # Its plan may have been lost, and its features not.
            new.append(replace(source, edition=editions.get(source.video_id, 0)))
        elif _is_same(before, source):
            if before.size is None and source.size is not None:
                updated[source.video_id] = source
        elif moved and _may_be_moved(before, source):
            updated[source.video_id] = source
        elif replaced or _has_nothing_to_lose(store.index()[source.video_id], retry_failed):
            changed.append(replace(source, edition=before.edition + 1))
        else:
            wrong.append((before, source))
    if wrong:
        raise InputError(_refusal(store.url, wrong))
    return Comparison(new, changed, updated)


def record_files(store: FeatureStore, files: Mapping[str, VideoSource]) -> None:
    """Write place, size and version of these videos into the plan; part by part, so that a kill loses nothing."""
    if not files:
        return
    for url in parquet.list_parquet(store.folder("plan")):
        plan = as_plan(parquet.read_table(url))
        found = [files.get(video_id) for video_id in plan["video_id"].to_pylist()]
        if not any(found):
            continue
        rows = [
            row | {"uri": file.stored_uri, "file_size": file.size, "file_version": file.version}
            if file
            else row
            for row, file in zip(plan.to_pylist(), found, strict=True)
        ]
        parquet.write_table(url, pa.Table.from_pylist(rows, schema=plan.schema))
    store.forget_index()


def _has_nothing_to_lose(video: VideoFeatures, retry_failed: bool) -> bool:
    return video.recorded_chunks == 0 or (retry_failed and video.failure is not None)


def _surely_same(sources: Sequence[VideoSource], first: pa.Table, rows: pa.Array) -> np.ndarray:
    """Which of `sources` are, by all that is known of both, the files of the plan rows `rows` of `first`: `[N]` bool.

    Of the others it has to be looked at one by one.
    """
    held = first.select(["uri", "file_size", "file_version"]).take(rows)
    uri, size, version = (held[name].combine_chunks() for name in held.column_names)
    sizes = pa.array([source.size for source in sources], pa.int64())
    versions = pa.array([source.version for source in sources], pa.string())
    same = pc.equal(uri, pa.array([source.stored_uri for source in sources], pa.string()))
    same = pc.and_(same, pc.or_(pc.is_null(sizes), pc.fill_null(pc.equal(size, sizes), False)))
    same = pc.and_(same, pc.fill_null(pc.equal(version, versions), True))
    return pc.fill_null(same, False).to_numpy(zero_copy_only=False)


def _files_in(first: pa.Table) -> dict[str, VideoSource]:
    """The files of videos by id, from a plan row of each."""
    names = ("video_id", "uri", "file_size", "file_version", "edition")
    columns = (first[name].to_pylist() for name in names)
    return {
        video_id: VideoSource(video_id, uri, size, version, edition or 0)
        for video_id, uri, size, version, edition in zip(*columns, strict=True)
    }


def _looked_at(sources: Sequence[VideoSource], known: Sequence[bool]) -> list[VideoSource]:
    """The sources, with size and version of those that are `known` and whose listing did not tell them."""
    unknown = [source for source, knows in zip(sources, known, strict=True) if source.size is None and knows]
    found = _stat_all(
        [source.uri for source in unknown if urlsplit(source.uri).scheme not in ("http", "https")]
    )
    return [
        replace(source, size=found[source.uri].size, version=found[source.uri].version)
        if source.size is None and source.uri in found
        else source
        for source in sources
    ]


def _stat_all(urls: Sequence[str]) -> dict[str, storage.StoredFile]:
    """Size and version by URL, where they can be told; folders of which many files are asked for are listed."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for url in urls:
        by_folder[storage.parent(url)].append(url)
    found: dict[str, storage.StoredFile] = {}
    single: list[str] = []
    for folder, files in by_folder.items():
        if len(files) < _FOLDER_WORTH_LISTING:
            single += files
            continue
        try:
            there = {file.url: file for file in storage.list_files(folder, depth=1)}
        except InputError:
            single += files  # one may be allowed to read files and not to list them
        else:
            found |= {url: there[url] for url in files if url in there}
    with ThreadPoolExecutor(_LOOKING_THREADS) as pool:
        for url, file in zip(single, pool.map(_stat, single), strict=True):
            if file is not None:
                found[url] = file
    return found


def _stat(url: str) -> storage.StoredFile | None:
    try:
        return storage.stat(url)
    except InputError:
        return None  # extraction will say what is wrong with it


def _is_same(before: VideoSource, now: VideoSource) -> bool:
    return (
        before.uri == now.stored_uri and _same_size(before, now) and not _differ(before.version, now.version)
    )


def _may_be_moved(before: VideoSource, now: VideoSource) -> bool:
    etags = all(version is not None and listing.is_etag(version) for version in (before.version, now.version))
    return _same_size(before, now) and not (etags and before.version != now.version)


def _same_size(before: VideoSource, now: VideoSource) -> bool:
    return before.size is None or now.size is None or before.size == now.size


def _differ(before: str | None, now: str | None) -> bool:
    """Whether two versions of the same kind differ; an etag and a time tell nothing of each other."""
    if before is None or now is None or listing.is_etag(before) != listing.is_etag(now):
        return False
    return before != now


def _refusal(store: str, wrong: Sequence[tuple[VideoSource, VideoSource]]) -> str:
    before, now = wrong[0]
    others = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
    if before.uri == now.stored_uri:
        what = f"{now.stored_uri} has changed since ({_described(before)} then, {_described(now)} now)"
    else:
        what = f"it is {before.uri} ({_described(before)}), not {now.stored_uri} ({_described(now)})"
    return (
        f"store={store}: knows video {now.video_id} by another file: {what}{others}; moved=true takes the new places "
        "of unchanged files, replace=true extracts changed ones again, another store= keeps both"
    )


def _described(source: VideoSource) -> str:
    return "size unknown" if source.size is None else f"{source.size} bytes"
