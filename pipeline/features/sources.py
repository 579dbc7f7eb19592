"""From what the user points at (a folder, a glob, a manifest) to videos with ids: columns, and objects on demand."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath
from posixpath import relpath
from typing import overload

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import listing, storage, url_columns
from pipeline.errors import InputError
from pipeline.features.manifest import is_manifest, read_manifest

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts"}
    | {".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv"}
)
SOURCES_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("version", pa.string()),
        pa.field("edition", pa.int32(), nullable=False),
    ]
)
_IS_VIDEO = rf"[^/]({'|'.join(re.escape(suffix) for suffix in sorted(VIDEO_SUFFIXES))})$"
_SUFFIX = r"([^/])\.[^./]+$"
# Paths that mean what another one does, such as `a/./b` and `a//b`.
_ROUNDABOUT = r"(^|/)\.{0,2}(/|$)"
_OBJECTS_AT_ONCE = 1 << 14
_FILES_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class VideoSource:
    """A video to process.

    Attributes:
        video_id: its id, unique in the archive.
        uri: the URL of its file, with whatever signs it.
        size, version: bytes, and etag or time of the last change, where the listing told them.
        edition: how often the file behind the id was replaced before.
    """

    video_id: str
    uri: str
    size: int | None = field(default=None, compare=False)
    version: str | None = field(default=None, compare=False)
    edition: int = 0

    @property
    def stored_uri(self) -> str:
        """The URL as stores keep it, without secrets."""
        return storage.without_secrets(self.uri)


class VideoSources(Sequence[VideoSource]):
    """Videos in columns; a `VideoSource` is made when it is asked for.

    Attributes:
        table: `[V]` rows of `SOURCES_SCHEMA`, a `VideoSource` each.
    """

    def __init__(self, table: pa.Table) -> None:
        """Of a table by the schema above."""
        self.table = table.combine_chunks()

    @classmethod
    def of(cls, sources: Iterable[VideoSource]) -> "VideoSources":
        """These videos, in their order."""
        if isinstance(sources, VideoSources):
            return sources
        sources = list(sources)
        columns = [[getattr(source, name) for source in sources] for name in SOURCES_SCHEMA.names]
        return cls(pa.table(columns, schema=SOURCES_SCHEMA))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[VideoSource]:
        for start in range(0, len(self), _OBJECTS_AT_ONCE):
            part = self.table.slice(start, _OBJECTS_AT_ONCE)
            yield from map(VideoSource, *(part[name].to_pylist() for name in SOURCES_SCHEMA.names))

    @overload
    def __getitem__(self, rows: int) -> VideoSource: ...
    @overload
    def __getitem__(self, rows: slice) -> "VideoSources": ...
    def __getitem__(self, rows: int | slice) -> "VideoSource | VideoSources":
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return VideoSources(self.table.slice(start, max(0, stop - start)))
            return self.take(pa.array(range(start, stop, step), pa.int64()))
        row = range(len(self))[rows]
        return VideoSource(*(self.table[name][row].as_py() for name in SOURCES_SCHEMA.names))

    def __eq__(self, other: object) -> bool:
        """Whether the same videos are there in the same order, in whatever kind of sequence."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"VideoSources({list(self)!r})"

    @property
    def video_ids(self) -> pa.Array:
        """`[V]` ids."""
        return _whole(self.table["video_id"])

    @cached_property
    def stored_uris(self) -> pa.Array:
        """`[V]` URLs as stores keep them, without secrets."""
        return url_columns.without_secrets(_whole(self.table["uri"]))

    def take(self, rows: pa.Array) -> "VideoSources":
        """The videos of these `[N]` rows."""
        return VideoSources(self.table.take(rows))

    def where(self, wanted: pa.Array) -> "VideoSources":
        """The videos where `[V]` bool is true."""
        return VideoSources(self.table.filter(wanted))

    def and_also(self, others: "VideoSources") -> "VideoSources":
        """These videos and, after them, the others."""
        return VideoSources(pa.concat_tables([self.table, others.table]))

    def with_columns(self, **columns: pa.Array) -> "VideoSources":
        """These videos with other values in some columns."""
        held = [columns.get(name, self.table[name]) for name in SOURCES_SCHEMA.names]
        return VideoSources(pa.table(held, schema=SOURCES_SCHEMA))


def list_videos(videos: str) -> VideoSources:
    """The videos that `videos` names, sorted by id.

    What is there as it is written is no glob. A folder is searched for video files at any depth; an id is the path
    below the folder (or below the fixed part of a glob) without its suffix. A manifest (`.parquet`, `.csv`, `.jsonl`)
    has a column `uri` and may have one `video_id`, both read as text; a `.txt` is a list of URIs. Relative URIs are
    meant from the manifest's folder, and where there are no ids they are the names of the files without suffixes.

    Raises:
        InputError: nothing there, no video in it, a malformed manifest, or two files with one id.
    """
    file = storage.stat(videos)
    if storage.is_folder(videos):
        sources = _from_files(videos, storage.list_files(videos))
    elif file is None and any(character in videos for character in "*?["):
        sources = _from_glob(videos)
    elif is_manifest(videos):
        sources = _from_manifest(videos)
    elif file is not None:
        sources = _from_files(storage.parent(videos), [replace(file, url=storage.absolute(videos))])
    else:
        raise InputError(f"videos={videos}: not found; give a folder, a glob or a manifest")
    if not sources:
        raise InputError(f"videos={videos}: holds no video file ({' '.join(sorted(VIDEO_SUFFIXES))})")
    return _unique(sources, videos)


def pattern_root(pattern: str) -> str:
    """The folder below which a glob looks: its leading folders that stand for themselves."""
    fs, path = storage.resolve(pattern)
    below = path.count("/") + 1 - listing.fixed_parts(fs, path)
    first, chain, target = storage.absolute(pattern).partition("::")
    return ("/".join(first.split("/")[:-below]) or "/") + chain + target


def _from_glob(pattern: str) -> VideoSources:
    return _from_files(pattern_root(pattern), storage.glob_files(pattern))


def _from_files(root: str, files: Sequence[storage.StoredFile]) -> VideoSources:
    base = storage.absolute(root).partition("::")[0]
    starts = range(0, max(1, len(files)), _FILES_AT_ONCE)
    return VideoSources(
        pa.concat_tables(_videos_among(base, files[start : start + _FILES_AT_ONCE]) for start in starts)
    )


def _videos_among(base: str, files: Sequence[storage.StoredFile]) -> pa.Table:
    """Rows of `SOURCES_SCHEMA` of those of the files below `base` that are videos."""
    uris = pa.array((file.url for file in files), pa.string())
    sizes = pa.array((file.size for file in files), pa.int64())
    versions = pa.array((file.version for file in files), pa.string())
    ids = _ids_below(base, url_columns.paths_of(uris))
    return _sources(ids, uris, sizes, versions).table.filter(pc.is_valid(ids))


def _ids_below(base: str, paths: pa.Array) -> pa.Array:
    """The paths of `[N]` files below `base` without their suffixes; null where they are of no video."""
    prefix = base.rstrip("/") + "/"
    below = pc.utf8_slice_codeunits(paths, len(prefix))
    is_video = pc.match_substring_regex(pc.utf8_lower(paths), _IS_VIDEO)
    ids = pc.if_else(is_video, pc.replace_substring_regex(below, _SUFFIX, r"\1"), None)
    roundabout = pc.or_(
        pc.match_substring_regex(below, _ROUNDABOUT),
        pc.fill_null(pc.match_substring_regex(ids, _ROUNDABOUT), False),
    )
    odd = pc.or_(roundabout, pc.invert(pc.starts_with(paths, prefix)))
    slow = pa.array((_id_below(base, path) for path in paths.filter(odd).to_pylist()), pa.string())
    return pc.replace_with_mask(ids, odd, slow)


def _id_below(base: str, path: str) -> str | None:
    """`_ids_below` of one path, however it is written."""
    file = PurePosixPath(path)
    if file.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    return relpath(str(file.with_suffix("")), str(PurePosixPath(base)))


def _from_manifest(manifest: str) -> VideoSources:
    table = read_manifest("videos", manifest, ("uri",), ("video_id",))
    folder = storage.parent(storage.absolute(manifest))
    ids, uris = _whole(table["video_id"]), _whole(table["uri"])
    has_ids = ids.null_count < len(ids)
    gap = pc.index(pc.or_(uris.is_null(), pc.and_(ids.is_null(), has_ids)), True).as_py()
    places = _places(folder, uris if gap < 0 else uris.slice(0, gap))
    if gap >= 0:
        missing = "video_id" if uris[gap].is_valid else "uri"
        raise InputError(f"videos={manifest}: row {gap + 1} has no {missing}")
    return _sources(ids if has_ids else _names_of(places), places)


def _places(folder: str, uris: pa.Array) -> pa.Array:
    """`[N]` URIs of a manifest, relative ones from its folder on."""
    relative = pc.invert(pc.match_substring_regex(uris, r"^/|://"))
    full = url_columns.absolute(uris.filter(pc.invert(relative)))
    return pc.replace_with_mask(
        pc.if_else(relative, url_columns.joined(folder, uris), uris), pc.invert(relative), full
    )


def _names_of(uris: pa.Array) -> pa.Array:
    """The names of `[N]` files without suffixes, which do not depend on what else a manifest holds."""
    paths = url_columns.paths_of(uris)
    names = pc.replace_substring_regex(paths, r"(?s)^.*/", "")
    odd = pc.match_substring_regex(names, r"^\.?$")
    slow = pa.array((PurePosixPath(path).stem for path in paths.filter(odd).to_pylist()), pa.string())
    return pc.replace_with_mask(pc.replace_substring_regex(names, _SUFFIX, r"\1"), odd, slow)


def _sources(
    ids: pa.Array, uris: pa.Array, sizes: pa.Array | None = None, versions: pa.Array | None = None
) -> VideoSources:
    """`[N]` videos that were never replaced."""
    rows = len(uris)
    sizes = pa.nulls(rows, pa.int64()) if sizes is None else sizes
    versions = pa.nulls(rows, pa.string()) if versions is None else versions
    editions = pa.repeat(pa.scalar(0, pa.int32()), rows)
    return VideoSources(pa.table([ids, uris, sizes, versions, editions], schema=SOURCES_SCHEMA))


def _unique(sources: VideoSources, videos: str) -> VideoSources:
    """The videos in the order of ids. Raises InputError where two have one id."""
    order = pc.sort_indices(sources.video_ids)  # a stable sort, so of one id the first row comes first
    ids = sources.video_ids.take(order)
    again = order.slice(1).filter(pc.equal(ids.slice(1), ids.slice(0, len(ids) - 1)))
    if len(again):
        second = sources[pc.min(again).as_py()]
        first = sources[pc.index(sources.video_ids, second.video_id).as_py()]
        raise InputError(
            f"videos={videos}: {first.stored_uri} and {second.stored_uri} both have the id "
            f"{second.video_id}; rename one or give a manifest with video_id, uri"
        )
    return sources.take(order)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array, uncopied where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
