"""URLs that sign their requests: stores hold them without the signature, so the command hands its own to the tasks."""

from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import ray

from pipeline.features.sources import VideoSource, VideoSources


class SignedUris:
    """The full URLs of a command's videos, once in Ray's object store however many tasks look one up."""

    def __init__(self, sources: Sequence[VideoSource]) -> None:
        """`sources` are sorted by id; needs a running Ray."""
        self._reference = ray.put(VideoSources.of(sources).table.select(["video_id", "uri"]).combine_chunks())

    def uri_of(self, video_id: str, stored: str) -> str:
        """The URL to read a video from: this command's, or the `stored` one of a video that it does not name."""
        table: pa.Table = ray.get(self._reference)
        ids = table["video_id"]
        row = bisect_left(range(table.num_rows), video_id, key=lambda index: ids[index].as_py())
        if row == table.num_rows or ids[row].as_py() != video_id:
            return stored
        return str(table["uri"][row].as_py())


def signed_uris(sources: Sequence[VideoSource]) -> SignedUris | None:
    """Those of `sources` whose URL is more than what a store keeps; None where there is none."""
    sources = VideoSources.of(sources)
    signed = sources.where(pc.not_equal(sources.table["uri"], sources.stored_uris))
    return SignedUris(signed) if signed else None
