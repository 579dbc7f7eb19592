"""What a store knows of one video without reading its features."""

from dataclasses import dataclass

from pipeline.failures import Failure
from pipeline.features.timeline import Timeline


@dataclass(frozen=True)
class StoredChunk:
    """Where the features of a run of snippets lie: a row of a row group of a file."""

    first_snippet: int
    num_snippets: int
    file: str
    row_group: int
    row: int


@dataclass(frozen=True)
class VideoFeatures:
    """What a store knows of one video without reading its features.

    Attributes:
        video_id: the id.
        uri: the file that it came from.
        duration: seconds.
        timeline: the store's time rule with this video's `fps` filled in.
        num_snippets: snippets of the whole video, stored or not.
        chunks: the stored runs of snippets, in order.
        failure: why some of it is lost, or None.
        lost_chunks: ids of the chunks that hold an error instead of features.
        unanswered_chunks: those of them that storage, and not the video, is to blame for.
        stated_duration: seconds that the header states, where the video ends before that and was kept
            (`decode.truncated=keep`); `duration` and all the rest then follow its true end. Else None.
        empty_chunks: recorded chunks that lie past that end.
    """

    video_id: str
    uri: str
    duration: float
    timeline: Timeline
    num_snippets: int
    chunks: tuple[StoredChunk, ...]
    failure: Failure | None
    lost_chunks: tuple[str, ...]
    unanswered_chunks: tuple[str, ...] = ()
    stated_duration: float | None = None
    empty_chunks: int = 0

    @property
    def complete(self) -> bool:
        """Whether every snippet is stored."""
        return self.stored(0, self.num_snippets) == self.num_snippets

    @property
    def recorded_chunks(self) -> int:
        """Chunks that have a row, whatever it holds."""
        return len(self.chunks) + len(self.lost_chunks) + self.empty_chunks

    def stored(self, start: int, stop: int) -> int:
        """How many of the snippets `[start, stop)` are stored."""
        runs = ((c.first_snippet, c.first_snippet + c.num_snippets) for c in self.chunks)
        return sum(max(0, min(stop, last) - max(start, first)) for first, last in runs)
