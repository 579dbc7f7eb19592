"""Where a page finds the video of each id: a path from its own folder, a URL that browsers open, or the server's."""

import os
import posixpath
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

from pipeline import storage
from pipeline.features.sources import list_videos


def video_files(urls: Sequence[str], video_ids: Collection[str]) -> dict[str, str]:
    """Video id -> URL of its file, of those of these ids that lie in the folders, globs and manifests `urls`.

    An id that no file has goes to the one file whose name, without folder and suffix, it is: archives are often
    moved. Raises InputError where one of `urls` holds no video.
    """
    known = set(video_ids)
    found: dict[str, str] = {}
    by_name: dict[str, list[str]] = {}
    for url in urls:
        for source in list_videos(url):
            if source.video_id in known:
                found.setdefault(source.video_id, source.uri)
            by_name.setdefault(posixpath.basename(source.video_id), []).append(source.uri)
    for video_id in known - found.keys():
        candidates = by_name.get(posixpath.basename(video_id), [])
        if len(candidates) == 1:
            found[video_id] = candidates[0]
    return found


def sources(page_folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """Video id -> what a page in `page_folder` plays it from, of the videos that it can play without the server.

    A local file is told by its path from a local page, so that both can move together; http and https URLs stay as
    they are, with what signs them.
    """
    here = storage.local_path(page_folder)
    found = {}
    for video_id, uri in files.items():
        if uri.startswith(("http://", "https://")):
            found[video_id] = uri
        elif here is not None and "::" not in uri and (path := storage.local_path(uri)) is not None:
            relative = os.path.relpath(os.path.abspath(path), os.path.abspath(here))
            found[video_id] = quote(os.fsencode(relative))
    return found
