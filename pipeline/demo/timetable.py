"""Who acts when: the part of the demo's archive that becomes its annotations."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.demo.actors import ACTORS

CLASSES = tuple(sorted(ACTORS))
SUBSETS = ("train", "test")


@dataclass(frozen=True)
class Action:
    """`label` is acted out in the frames `[first, stop)` of a video and in no other."""

    label: str
    first: int
    stop: int


@dataclass(frozen=True)
class VideoSpec:
    """All that decides how one video looks: the same spec gives the same frames anywhere.

    `seed` draws the scene (places, colours, distractors, camera), `size` is (width, height) in pixels.
    """

    video_id: str
    subset: str
    seed: int
    size: tuple[int, int]
    fps: int
    num_frames: int
    actions: tuple[Action, ...]

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return self.num_frames / self.fps

    def seconds(self, action: Action) -> tuple[float, float]:
        """Start and end of an action, in seconds: its first frame appears, its last frame disappears."""
        return action.first / self.fps, action.stop / self.fps


def plan_archive(
    *,
    seed: int = 0,
    train_videos: int = 24,
    test_videos: int = 8,
    size: tuple[int, int] = (320, 240),
    fps: int = 12,
    min_seconds: float = 30,
    max_seconds: float = 60,
) -> list[VideoSpec]:
    """The videos of an archive: who acts when in each, drawn from `seed`, subset and index alone.

    Args:
        seed: of the whole archive.
        train_videos: videos of subset `train`.
        test_videos: videos of subset `test`; nothing is shared between any two videos.
        size: (width, height) in pixels.
        fps: frames a second.
        min_seconds, max_seconds: between them lie the durations.
    """
    specs = []
    for subset, count in zip(SUBSETS, (train_videos, test_videos), strict=True):
        for index in range(count):
            rng = np.random.default_rng((seed, SUBSETS.index(subset), index))
            frames = round(rng.uniform(min_seconds, max_seconds) * fps)
            actions = _timetable(rng, frames, fps)
            scene_seed = int(rng.integers(2**63))
            specs.append(VideoSpec(f"{subset}_{index:03d}", subset, scene_seed, size, fps, frames, actions))
    return specs


def _timetable(rng: np.random.Generator, num_frames: int, fps: int) -> tuple[Action, ...]:
    actions = []
    absent = rng.choice([*CLASSES, "", ""])
    for label in CLASSES:
        if label == absent:
            continue
        start = rng.uniform(0.5, 6)
        while True:
            length = math.exp(rng.uniform(math.log(1.0), math.log(12.0)))
            first, stop = round(start * fps), round((start + length) * fps)
            if stop > num_frames - fps // 2:
                break
            actions.append(Action(label, first, stop))
            start += length + rng.uniform(2, 8)
    return tuple(sorted(actions, key=lambda action: (action.first, action.label)))
