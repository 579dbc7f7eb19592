"""One video's world, and the pictures that its camera takes of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.demo.actors import ACTORS, Actor, Moment
from pipeline.demo.camera import MARGIN, Camera
from pipeline.demo.canvas import Point
from pipeline.demo.drifters import Cloud, Walker
from pipeline.demo.landscape import paint_landscape
from pipeline.demo.timetable import Action, VideoSpec

# Height of each class's actor, in parts of the picture's shorter side.
_SIZES = {"bounce": 0.54, "flash": 0.52, "open": 0.46, "spin": 0.54, "wave": 0.48}
_STANDING_FAR, _STANDING_NEAR = ("flash", "open", "spin"), ("bounce", "wave")
# Which classes can be frozen in mid-action: a door left open, a lamp left on, a flag held still.
_HOLDABLE = frozenset({"flash", "open", "wave"})
_HELD = Moment(elapsed=1.0, length=2.0)

# Paints something as it is in frame `index`.
Element = Callable[[np.ndarray, int], None]


@dataclass(frozen=True)
class Scene:
    """`backdrop [3, H, W]` never changes; the elements are painted over it in this order."""

    backdrop: np.ndarray
    elements: tuple[Element, ...]
    camera: Camera


def frames(spec: VideoSpec) -> Iterator[np.ndarray]:
    """The video's pictures, one `[height, width, 3]` uint8 RGB array a frame.

    What is to be seen outside the actions depends on the spec's seed, size, rate and number of frames alone:
    without one of its actions, the video differs in exactly the frames of that action.
    """
    scene = _build(spec)
    for index in range(spec.num_frames):
        picture = scene.backdrop.copy()
        for paint_element in scene.elements:
            paint_element(picture, index)
        yield scene.camera.shoot(picture, index)


def _build(spec: VideoSpec) -> Scene:
    rng = np.random.default_rng(spec.seed)
    width, height = (side + 2 * MARGIN for side in spec.size)
    stage = _Stage(rng, width, height)
    backdrop = paint_landscape(rng, width, height)

    far = [
        stage.cast(label, column, 0.70, rng.uniform(0.9, 1.1))
        for label, column in zip(rng.permutation(_STANDING_FAR), (-0.29, 0.0, 0.29), strict=True)
    ]
    near = [
        stage.cast(label, column, 0.92, rng.uniform(0.9, 1.1))
        for label, column in zip(rng.permutation(_STANDING_NEAR), (-0.2, 0.2), strict=True)
    ]
    # Look-alikes of the actors stand about all the time, at rest or stuck in mid-action.
    for column in (-0.46, 0.46):
        label = str(rng.choice(list(ACTORS)))
        _, alike = stage.cast(label, column, 0.70, rng.uniform(0.5, 0.75))
        alike.draw(backdrop, _HELD if label in _HOLDABLE and rng.random() < 0.6 else None)
    label = str(rng.choice(_STANDING_NEAR))
    _, loiterer = stage.cast(label, float(rng.choice([-0.42, 0.0, 0.42])), 0.95, rng.uniform(0.45, 0.65))
    clouds = [Cloud.of(rng, width, height) for _ in range(rng.integers(0, 4))]
    walkers = [Walker.of(rng, width, height) for _ in range(rng.integers(1, 3))]

    def drifting(drifter: Cloud | Walker) -> Element:
        return lambda picture, index: drifter.draw(picture, index / spec.fps)

    def acting(label: str, actor: Actor) -> Element:
        turns = [action for action in spec.actions if action.label == label]
        return lambda picture, index: actor.draw(picture, _moment(turns, index, spec.fps))

    elements = [
        *map(drifting, clouds),
        *(acting(*part) for part in far),
        *map(drifting, walkers),
        lambda picture, index: loiterer.draw(picture, None),
        *(acting(*part) for part in near),
    ]
    seconds = np.arange(spec.num_frames) / spec.fps
    return Scene(backdrop, tuple(elements), Camera.of(rng, spec.size, seconds))


@dataclass(frozen=True)
class _Stage:
    """Places actors. All stand in the middle square, which is what a feature network's centre crop keeps."""

    rng: np.random.Generator
    width: int
    height: int

    def cast(self, label: str, column: float, row: float, scale: float) -> tuple[str, Actor]:
        """An actor about `column` shorter sides right of the middle and `row` heights down, with its label."""
        unit = min(self.width, self.height)
        x = self.width / 2 + (column + self.rng.uniform(-0.03, 0.03)) * unit
        at: Point = (x, (row + self.rng.uniform(-0.02, 0.02)) * self.height)
        return label, ACTORS[label].cast(self.rng, at, _SIZES[label] * scale * unit)


def _moment(actions: Sequence[Action], index: int, fps: int) -> Moment | None:
    """Where frame `index` lies in the action that it belongs to, if any."""
    for action in actions:
        if action.first <= index < action.stop:
            # The middle of the frame's time: already the first frame differs from the pose at rest.
            return Moment((index - action.first + 0.5) / fps, (action.stop - action.first) / fps)
    return None
