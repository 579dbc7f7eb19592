"""Where a page finds the video of each id: a path from its own folder, a URL that browsers open, or the server's."""

import os
from collections.abc import Mapping
from urllib.parse import quote

from pipeline import storage


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
