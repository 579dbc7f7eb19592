"""Which frames of a video a run of snippets needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.features.timeline import Timeline


@dataclass(frozen=True)
class SampledFrames:
    """Which frames of a video a run of snippets needs.

    Attributes:
        indices: `[F]` sorted distinct indices of frames of the resampled video.
        members: `[num_snippets, frames_per_snippet]` positions in `indices`.
        last: index of the video's last frame.
    """

    indices: np.ndarray
    members: np.ndarray
    last: int


def sample_frames(
    timeline: Timeline,
    offsets: tuple[int, ...],
    first_snippet: int,
    num_snippets: int,
    duration: float,
    successors: bool = False,
) -> SampledFrames:
    """The frames at `offsets` within each window of `num_snippets` snippets from `first_snippet` on.

    Frames that several windows share appear once. Windows that reach past the end of a video (only one shorter than
    a window has such) repeat its last frame.

    With `successors`, the frame after each of them is there too, for flow from one to the other: 17 frames for the 16
    flow fields of a window. After the last frame of the video comes itself.
    """
    starts = (first_snippet + np.arange(num_snippets)) * timeline.stride
    wanted = starts[:, None] + np.asarray(offsets)
    last = timeline.num_frames(duration) - 1
    indices, members = np.unique(np.minimum(wanted, last), return_inverse=True)
    if successors:
        looked_at, indices = indices, np.union1d(indices, np.minimum(indices + 1, last))
        members = np.searchsorted(indices, looked_at)[members]
    return SampledFrames(indices, members.reshape(wanted.shape), last)


def sample_chunk(
    timeline: Timeline, offsets: tuple[int, ...], chunk: dict[str, Any], successors: bool
) -> SampledFrames:
    """`sample_frames` of a plan row, which brings the `fps` where the timeline has none."""
    return sample_frames(
        timeline.resolve(chunk["fps"]),
        offsets,
        chunk["first_snippet"],
        chunk["num_snippets"],
        chunk["duration"],
        successors,
    )
