"""From what the user points at (a folder, a glob, a manifest) to a list of videos with ids."""

import posixpath
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from pipeline import listing, storage
from pipeline.errors import InputError
from pipeline.features.manifest import is_manifest, read_manifest

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts"}
    | {".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv"}
)


@dataclass(frozen=True)
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


def list_videos(videos: str) -> list[VideoSource]:
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


def _from_glob(pattern: str) -> list[VideoSource]:
    return _from_files(pattern_root(pattern), storage.glob_files(pattern))


def _from_files(root: str, files: list[storage.StoredFile]) -> list[VideoSource]:
    base = storage.absolute(root).partition("::")[0]
    sources = []
    for file in files:
        path = PurePosixPath(storage.without_secrets(file.url).partition("::")[0])
        if path.suffix.lower() in VIDEO_SUFFIXES:
            video_id = posixpath.relpath(str(path.with_suffix("")), str(PurePosixPath(base)))
            sources.append(VideoSource(video_id, file.url, file.size, file.version))
    return sources


def _from_manifest(manifest: str) -> list[VideoSource]:
    table = read_manifest("videos", manifest, ("uri",), ("video_id",))
    folder = storage.parent(storage.absolute(manifest))
    has_ids = table["video_id"].null_count < table.num_rows
    sources = []
    rows = zip(table["video_id"].to_pylist(), table["uri"].to_pylist(), strict=True)
    for row, (video_id, uri) in enumerate(rows, start=1):
        if uri is None or (has_ids and video_id is None):
            raise InputError(f"videos={manifest}: row {row} has no {'video_id' if uri else 'uri'}")
        relative = "://" not in uri and not uri.startswith("/")
        place = storage.join(folder, uri) if relative else storage.absolute(uri)
        sources.append(VideoSource(video_id if has_ids else _name_of(place), place))
    return sources


def _name_of(uri: str) -> str:
    """The name of a file without its suffix, which does not depend on what else a manifest holds."""
    return PurePosixPath(storage.without_secrets(uri).partition("::")[0]).stem


def _unique(sources: list[VideoSource], videos: str) -> list[VideoSource]:
    by_id: dict[str, VideoSource] = {}
    for source in sources:
        if source.video_id in by_id:
            raise InputError(
                f"videos={videos}: {by_id[source.video_id].stored_uri} and {source.stored_uri} both have the id "
                f"{source.video_id}; rename one or give a manifest with video_id, uri"
            )
        by_id[source.video_id] = source
    return [by_id[video_id] for video_id in sorted(by_id)]
