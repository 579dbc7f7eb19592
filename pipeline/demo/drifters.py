"""What moves through a scene without acting: clouds and people who walk past."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.demo.actors import Person
from pipeline.demo.canvas import Colour, Point, ellipse, shade

_STEPS_PER_HEIGHT = 3.0  # a walker makes this many steps while it covers its own height
_PUFFS = ((-0.8, 0.10, 0.60), (0.0, 0.0, 0.80), (0.8, 0.12, 0.55))  # a cloud's parts: x, y, radius


@dataclass(frozen=True)
class Cloud:
    """Drifts across the sky; `speed` in pixels a second, negative to the left."""

    at: Point
    size: float
    speed: float
    colour: Colour

    @staticmethod
    def of(rng: np.random.Generator, width: int, height: int) -> "Cloud":
        unit = min(width, height)
        at = rng.uniform(0, width), rng.uniform(0.05, 0.3) * height
        grey = shade((1, 1, 1), rng.uniform(0.7, 1))
        return Cloud(at, rng.uniform(0.06, 0.12) * unit, rng.uniform(-0.025, 0.025) * unit, grey)

    def draw(self, picture: np.ndarray, seconds: float) -> None:
        x = _across(self.at[0] + self.speed * seconds, picture, 2 * self.size)
        for dx, dy, radius in _PUFFS:
            centre = (x + dx * self.size, self.at[1] + dy * self.size)
            radii = (radius * self.size, 0.55 * radius * self.size)
            ellipse(picture, centre, radii, self.colour, opacity=0.75, softness=5)


@dataclass(frozen=True)
class Walker:
    """Walks past; `speed` in pixels a second, negative to the left."""

    person: Person
    speed: float

    @staticmethod
    def of(rng: np.random.Generator, width: int, height: int) -> "Walker":
        unit = min(width, height)
        at = rng.uniform(0, width), rng.uniform(0.74, 0.80) * height
        person = Person.cast(rng, at, rng.uniform(0.18, 0.25) * unit)
        return Walker(person, rng.choice([-1.0, 1.0]) * rng.uniform(0.03, 0.1) * unit)

    def draw(self, picture: np.ndarray, seconds: float) -> None:
        (x, ground), size = self.person.at, self.person.size
        at = _across(x + self.speed * seconds, picture, size), ground
        replace(self.person, at=at).walk(picture, abs(self.speed) * seconds / size * _STEPS_PER_HEIGHT)


def _across(x: float, picture: np.ndarray, beyond: float) -> float:
    """`x` brought back into the picture and `beyond` on either side: who leaves it comes back opposite."""
    return (x + beyond) % (picture.shape[2] + 2 * beyond) - beyond
