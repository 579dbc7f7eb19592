"""The five actors of the demo and what each looks like at rest and in action.

An actor stands at `at` (the point where it touches the ground) and is `size` pixels tall. `draw(picture, moment)`
paints it at a moment of its action, or at rest where the moment is None. An action leaves no trace: it begins and
ends where the actor rests.

What a class acts with keeps to a family of hues (flags are reddish, balls greenish), and no other cue is fixed:
places, sizes and all other colours differ from video to video, and people's clothes have any hue.
"""

import colorsys
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np

from pipeline.demo.canvas import Colour, Point, ellipse, glow, paint, polygon, shade, stroke


@dataclass(frozen=True)
class Moment:
    """An instant of an action: `elapsed` of its `length` seconds have passed, 0 < elapsed < length."""

    elapsed: float
    length: float

    def swell(self, seconds: float) -> float:
        """0 at both ends of the action, 1 in between; each slope takes `seconds`, or a quarter of the length."""
        ramp = min(seconds, self.length / 4)
        fraction = min(1.0, self.elapsed / ramp, (self.length - self.elapsed) / ramp)
        return fraction * fraction * (3 - 2 * fraction)

    def turns(self, per_second: float) -> float:
        """Turns made so far at about `per_second`, such that the whole action makes a whole number of them."""
        return max(1, round(self.length * per_second)) * self.elapsed / self.length


class Actor(Protocol):
    """Anything that can be painted at rest or in action."""

    def draw(self, picture: np.ndarray, moment: Moment | None) -> None: ...


def vivid(rng: np.random.Generator, hues: tuple[float, float] = (0.0, 1.0)) -> Colour:
    """A saturated, fairly bright colour, its hue within `hues` (0 and 1 are red)."""
    return colorsys.hsv_to_rgb(rng.uniform(*hues) % 1, rng.uniform(0.65, 0.95), rng.uniform(0.75, 1.0))


def pale(rng: np.random.Generator) -> Colour:
    """Nearly white."""
    return shade((1, 1, 1), rng.uniform(0.85, 1))


@dataclass(frozen=True)
class Ball:
    """Bounces."""

    at: Point
    size: float
    colour: Colour
    stripe: Colour

    @staticmethod
    def cast(rng: np.random.Generator, at: Point, size: float) -> "Ball":
        return Ball(at, size, pale(rng), vivid(rng, (0.22, 0.36)))

    def draw(self, picture: np.ndarray, moment: Moment | None) -> None:
        (x, ground), radius = self.at, self.size * 0.21
        height = self._height(moment) if moment else 0.0
        near = max(0.0, 1 - 3 * height) if moment else 0.0
        shadow = radius * (1.2 - 0.5 * height), radius * 0.25
        ellipse(picture, (x, ground), shadow, (0, 0, 0), opacity=0.4, softness=3)
        for side in (-1, 1):  # the dust that it kicks up
            puff = x + side * radius * (2.0 - 0.6 * near), ground - radius * 0.2
            ellipse(picture, puff, (radius * 0.7 * near, radius * 0.4 * near), (0.93, 0.9, 0.85), 0.8, 4)
        if moment:
            for age in (3, 2, 1):  # the eye follows slower than it flies
                past = replace(moment, elapsed=max(0.0, moment.elapsed - 0.045 * age))
                y = ground - radius - self._height(past) * (self.size - 2 * radius)
                ellipse(picture, (x, y), (radius * 0.9, radius * 0.9), self.stripe, 0.7 - 0.13 * age, 3)
        squash = 1 - 0.3 * near
        rx, ry = radius / squash, radius * squash
        y = ground - ry - height * (self.size - 2 * radius)
        ellipse(picture, (x, y), (rx, ry), self.colour)
        ellipse(picture, (x, y), (rx * 0.5, ry * 0.98), self.stripe)
        ellipse(picture, (x - rx * 0.35, y - ry * 0.4), (rx * 0.25, ry * 0.2), (1, 1, 1), 0.6, 3)

    def _height(self, moment: Moment) -> float:
        return abs(math.sin(math.pi * moment.turns(1.3)))


@dataclass(frozen=True)
class Lamp:
    """Flashes."""

    at: Point
    size: float
    post: Colour
    light: Colour

    @staticmethod
    def cast(rng: np.random.Generator, at: Point, size: float) -> "Lamp":
        grey = rng.uniform(0.08, 0.35)
        light = colorsys.hsv_to_rgb(rng.uniform(0.48, 0.58), rng.uniform(0.25, 0.6), 1.0)
        return Lamp(at, size, (grey, grey, grey * 1.1), light)

    def draw(self, picture: np.ndarray, moment: Moment | None) -> None:
        (x, ground), size = self.at, self.size
        head = (x, ground - size * 0.88)
        stroke(picture, (x, ground), (x, ground - size * 0.76), size * 0.05, self.post)
        stroke(picture, (x - size * 0.07, ground), (x + size * 0.07, ground), size * 0.06, self.post)
        ellipse(picture, head, (size * 0.13, size * 0.13), self.post)
        ellipse(picture, head, (size * 0.10, size * 0.10), shade(self.light, 0.35))
        if moment:
            power = moment.swell(0.1) * (0.7 - 0.3 * math.cos(2 * math.pi * moment.turns(2.4)))
            glow(picture, head, size * 0.75, self.light, power)
            ellipse(picture, (x, ground), (size * 0.4, size * 0.08), self.light, power * 0.45, size * 0.1)
            ellipse(picture, head, (size * 0.10, size * 0.10), shade(self.light, 1.3), power, 2)


@dataclass(frozen=True)
class House:
    """Opens its door."""

    at: Point
    size: float
    wall: Colour
    roof: Colour
    door: Colour
    inside: Colour

    @staticmethod
    def cast(rng: np.random.Generator, at: Point, size: float) -> "House":
        wall = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.35), rng.uniform(0.5, 0.9))
        inside = colorsys.hsv_to_rgb(rng.uniform(0.09, 0.16), rng.uniform(0.3, 0.7), 1.0)
        return House(at, size, wall, shade(vivid(rng), 0.6), shade(vivid(rng), 0.55), inside)

    def draw(self, picture: np.ndarray, moment: Moment | None) -> None:
        (x, ground), size = self.at, self.size
        half, eaves = size * 0.42, ground - size * 0.66
        polygon(picture, _rectangle(x - half, eaves, x + half, ground), self.wall)
        ridge = [(x - half * 1.2, eaves), (x - half * 0.5, ground - size), (x + half * 0.5, ground - size)]
        polygon(picture, [*ridge, (x + half * 1.2, eaves)], self.roof)
        left, right, top = x - size * 0.24, x + size * 0.24, ground - size * 0.56
        opened = moment.swell(0.5) if moment else 0.0
        if opened:
            polygon(picture, _rectangle(left, top, right, ground), self.inside)
        # The free edge swings towards the viewer: it comes nearer the hinge and grows.
        edge, grow = left + (right - left) * math.cos(opened * 1.9), size * 0.07 * math.sin(opened * 1.9)
        panel = [(left, top), (edge, top - grow), (edge, ground + grow), (left, ground)]
        polygon(picture, panel, shade(self.door, 1 - 0.4 * opened))
        knob = (left + (edge - left) * 0.85, (top + ground) / 2)
        ellipse(picture, knob, (size * 0.025, size * 0.025), (0.95, 0.85, 0.4))


def _rectangle(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@dataclass(frozen=True)
class Windmill:
    """Spins."""

    at: Point
    size: float
    post: Colour
    sails: Colour
    blades: int
    rest: float

    @staticmethod
    def cast(rng: np.random.Generator, at: Point, size: float) -> "Windmill":
        post = shade((0.75, 0.6, 0.45), rng.uniform(0.4, 1.1))
        sails = vivid(rng, (0.72, 0.88))
        return Windmill(at, size, post, sails, int(rng.integers(4, 7)), rng.uniform(0, math.tau))

    def draw(self, picture: np.ndarray, moment: Moment | None) -> None:
        (x, ground), size = self.at, self.size
        hub, radius = (x, ground - size * 0.62), size * 0.38
        stroke(picture, (x, ground), hub, size * 0.06, self.post)
        turned = moment.turns(1.1 * self.blades) * math.tau / self.blades if moment else 0.0
        blur = 0.8 * moment.swell(0.2) if moment else 0.0

        def blades(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            dx, dy = x - hub[0], y - hub[1]
            distance = np.hypot(dx, dy)
            angle = np.arctan2(dy, dx) - self.rest - turned + 0.9 * distance / radius
            crisp = np.clip((np.cos(self.blades * angle) - 0.2) * distance * self.blades / 2 + 0.5, 0, 1)
            return (crisp + blur * (0.9 - crisp)) * np.clip(radius + 0.5 - distance, 0, 1)

        box = (hub[0] - radius, hub[1] - radius, hub[0] + radius, hub[1] + radius)
        paint(picture, box, blades, self.sails)
        ellipse(picture, hub, (size * 0.05, size * 0.05), self.post)


@dataclass(frozen=True)
class Person:
    """Waves a flag."""

    at: Point
    size: float
    skin: Colour
    shirt: Colour
    trousers: Colour
    flag: Colour

    @staticmethod
    def cast(rng: np.random.Generator, at: Point, size: float) -> "Person":
        skin = shade((0.95, 0.75, 0.6), rng.uniform(0.4, 1.05))
        return Person(at, size, skin, vivid(rng), shade(vivid(rng), 0.45), vivid(rng, (-0.04, 0.04)))

    def draw(self, picture: np.ndarray, moment: Moment | None) -> None:
        (x, ground), size = self.at, self.size
        raised = moment.swell(0.3) if moment else 0.0
        swing = math.sin(math.tau * moment.turns(1.2)) if moment else 0.0
        self._body(picture, 0.09)
        # The arm hangs at angle 0 and points straight up at pi.
        angle = raised * (2.7 + 0.5 * swing)
        shoulder = (x + size * 0.07, ground - size * 0.62)
        hand = (shoulder[0] + size * 0.25 * math.sin(angle), shoulder[1] + size * 0.25 * math.cos(angle))
        tilt = raised * (0.9 * swing)
        tip = (hand[0] + size * 0.5 * math.sin(tilt), hand[1] - size * 0.5 * math.cos(tilt))
        stroke(picture, hand, tip, size * 0.03, (0.35, 0.25, 0.15))
        reach = size * (0.05 + 0.43 * raised)
        droop = size * 0.3
        down = (-math.sin(tilt), math.cos(tilt))
        out = (math.cos(tilt), math.sin(tilt) + 0.3 * raised * swing)
        low = (tip[0] + down[0] * droop, tip[1] + down[1] * droop)
        far = [(p[0] + out[0] * reach, p[1] + out[1] * reach) for p in (low, tip)]
        polygon(picture, [tip, low, *far], self.flag)
        stroke(picture, shoulder, hand, size * 0.06, self.skin)

    def walk(self, picture: np.ndarray, stride: float) -> None:
        """Paint it walking, `stride` steps into its way; empty hands hang at its sides."""
        self._body(picture, 0.14 * math.sin(math.pi * stride))
        (x, ground), size = self.at, self.size
        stroke(picture, (x, ground - size * 0.62), (x, ground - size * 0.38), size * 0.06, self.skin)

    def _body(self, picture: np.ndarray, apart: float) -> None:
        (x, ground), size = self.at, self.size
        hip, neck = (x, ground - size * 0.36), (x, ground - size * 0.64)
        ellipse(picture, (x, ground), (size * 0.2, size * 0.04), (0, 0, 0), 0.35, 3)
        for side in (-apart, apart):
            stroke(picture, hip, (x + size * side, ground), size * 0.085, self.trousers)
        stroke(picture, hip, neck, size * 0.17, self.shirt)
        ellipse(picture, (x, ground - size * 0.83), (size * 0.1, size * 0.12), self.skin)


# What each class of the archive is played by.
ACTORS: Mapping[str, type[Ball] | type[Lamp] | type[House] | type[Windmill] | type[Person]] = (
    MappingProxyType({"bounce": Ball, "flash": Lamp, "open": House, "spin": Windmill, "wave": Person})
)
