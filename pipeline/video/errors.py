"""What can be wrong with a video, as an exception that knows its row in `failures/`."""

from pipeline.failures import FailureKind


class VideoError(Exception):
    """A video, or the part of it that was asked for, cannot be read.

    Pickles, so that it crosses process borders whole.

    Attributes:
        kind: the `kind` of its row in `failures/`.
        message: one line.
        end: of kind TRUNCATED, seconds after the start of the video stream at which the last picture ends; None
            where there is no picture.
    """

    def __init__(self, kind: FailureKind, message: str, end: float | None = None) -> None:
        self.kind = kind
        self.message = " ".join(message.split())
        self.end = end
        super().__init__(kind, self.message, end)

    def __str__(self) -> str:
        return self.message
