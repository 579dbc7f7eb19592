"""Files named after videos: which ids can be a file's name, and a name for every id."""

import hashlib
import re

from pipeline import storage

# A file is written beside its place under a longer name, so a part has less than the 255 bytes of file systems.
_MOST_PART_BYTES, _MOST_PATH_BYTES = 200, 4000
_MOST_KEY_BYTES = 1024  # of S3 and GCS
_READABLE_CHARACTERS = 80
_DIGEST_NAME = re.compile(r"-[0-9a-f]{64}$")
# Where a video has such a folder in its id, another one may have a file of this name.
_FILE_SUFFIXES = (".vtt", ".csv", ".json")


def name_problem(out: str, video_id: str, suffix: str) -> str | None:
    """Why no file below `out` can be named by this id and suffix; None where one can. A slash makes a folder."""
    parts = f"{video_id}{suffix}".split("/")
    if ".." in parts[:-1] or video_id == ".." or video_id.startswith("/"):
        return "is a path that leads out of the folder"
    if "\0" in video_id:
        return "holds a NUL, which no path can"
    if "" in parts or "." in parts:
        return "has an empty part, of which a path keeps nothing"
    if storage.local_path(out) is not None:
        if max(len(part.encode()) for part in parts) > _MOST_PART_BYTES:
            return f"has a part of more than {_MOST_PART_BYTES} bytes, the most that a file name may have"
        if len(storage.join(storage.absolute(out), *parts).encode()) > _MOST_PATH_BYTES:
            return f"makes a path of more than {_MOST_PATH_BYTES} bytes, the most that may be"
    elif len(storage.resolve(storage.join(out, *parts))[1].split("/", 1)[-1].encode()) > _MOST_KEY_BYTES:
        return f"makes an object's name of more than {_MOST_KEY_BYTES} bytes, the most that may be"
    return None


def name_of_any(out: str, video_id: str, suffix: str) -> str:
    """The path below `out` of a video's file: the id with its suffix, so that a player finds it beside the video.

    An id that can be no such name gets one of what is plain in it and its SHA-256. No two ids share a name, and none
    is a folder in the name of another.
    """
    plain = not (
        # "::" joins URLs, and storage takes "\x" for a byte that is not UTF-8
        any(sign in video_id for sign in ("::", "\\x"))
        or any(ord(character) < 32 or ord(character) == 127 for character in video_id)
        or _DIGEST_NAME.search(video_id)
        or f"{video_id}{suffix}".rpartition("/")[2].startswith(".")  # hidden from who looks for it
        or any(part.lower().endswith(_FILE_SUFFIXES) for part in video_id.split("/")[:-1])
    )
    if plain and name_problem(out, video_id, suffix) is None:
        return f"{video_id}{suffix}"
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", video_id)[:_READABLE_CHARACTERS]
    return f"{readable}-{hashlib.sha256(video_id.encode()).hexdigest()}{suffix}"
