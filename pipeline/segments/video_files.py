"""Which file belongs to which video, where a person says in what folders the files lie now."""

import posixpath
from collections.abc import Collection, Sequence

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
    return dict(sorted(found.items()))
