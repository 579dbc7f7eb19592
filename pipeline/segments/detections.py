"""The detections of a video, before they become rows."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VideoDetections:
    """The detections of one video, best first.

    Attributes:
        segments: `[N, 2]` (start, end) in seconds, inside the video.
        labels: `[N]` class indices.
        scores: `[N]` probabilities.
    """

    segments: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
