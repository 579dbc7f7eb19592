"""One video's world: a landscape, the actors in it, what distracts from them, and the camera that looks on."""

import colorsys
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.demo.actors import ACTORS, Actor, Moment, Person, vivid
from pipeline.demo.canvas import Colour, ellipse, polygon, shade
from pipeline.demo.timetable import CLASSES, Action, VideoSpec

_MARGIN = 4  # pixels around the visible picture, for the camera to shake in
_NOISE_TILES = 8
_HELD = Moment(elapsed=1.0, length=2.0)  # the pose of a look-alike that is stuck in mid-action


@dataclass(frozen=True)
class Cloud:
    at: tuple[float, float]
    size: float
    speed: float
    colour: Colour


@dataclass(frozen=True)
class Walker:
    person: Person
    speed: float


@dataclass(frozen=True)
class Scene:
    backdrop: np.ndarray
    actors: tuple[tuple[str, Actor], ...]
    clouds: tuple[Cloud, ...]
    walkers: tuple[Walker, ...]
    shake: np.ndarray
    light: np.ndarray
    noise: np.ndarray


def frames(spec: VideoSpec) -> Iterator[np.ndarray]:
    """The video's pictures, one `[H, W, 3]` uint8 RGB array a frame."""
    scene = _build(spec)
    width, height = spec.size
    for index in range(spec.num_frames):
        picture = scene.backdrop.copy()
        seconds = index / spec.fps
        for cloud in scene.clouds:
            _draw_cloud(picture, cloud, seconds)
        for walker in scene.walkers:
            (x, y), wide = walker.person.at, picture.shape[2]
            there = (x + walker.speed * seconds) % (wide * 1.4) - wide * 0.2
            replace(walker.person, at=(there, y)).walk(
                picture, abs(walker.speed) * seconds * 4 / walker.person.size
            )
        for label, actor in scene.actors:
            actor.draw(picture, _moment(spec, label, index) if label != "held" else _HELD)
        left, top = scene.shake[index]
        seen = picture[:, top : top + height, left : left + width] * (255 * scene.light[index])
        dy, dx = divmod(index * 7919, 61)
        tile = scene.noise[index % _NOISE_TILES]
        seen += tile[dy % 16 : dy % 16 + height, dx % 16 : dx % 16 + width]
        yield np.ascontiguousarray(np.clip(seen, 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _moment(spec: VideoSpec, label: str, index: int) -> Moment | None:
    for action in spec.actions:
        if action.label == label and action.first <= index < action.stop:
            # The middle of the frame's time: the first frame already differs from the pose at rest.
            return Moment((index - action.first + 0.5) / spec.fps, (action.stop - action.first) / spec.fps)
    return None


def _draw_cloud(picture, cloud, seconds):
    wide = picture.shape[2]
    x = (cloud.at[0] + cloud.speed * seconds) % (wide + 4 * cloud.size) - 2 * cloud.size
    for dx, dy, r in ((-0.8, 0.1, 0.6), (0, 0, 0.8), (0.8, 0.12, 0.55)):
        ellipse(
            picture,
            (x + dx * cloud.size, cloud.at[1] + dy * cloud.size),
            (r * cloud.size, r * 0.55 * cloud.size),
            cloud.colour,
            0.75,
            5,
        )


def _build(spec: VideoSpec) -> Scene:
    rng = np.random.default_rng(spec.seed)
    width, height = spec.size
    wide, high = width + 2 * _MARGIN, height + 2 * _MARGIN
    backdrop, horizon = _landscape(rng, wide, high)
    square = min(width, height)
    acting = {a.label for a in spec.actions}
    cx = wide / 2

    def spot(column, row):
        return (
            cx + column * square + rng.uniform(-0.03, 0.03) * square,
            row * high + rng.uniform(-0.02, 0.02) * high,
        )

    back = rng.permutation(["flash", "open", "spin"])
    front = rng.permutation(["bounce", "wave"])
    actors = []
    sizes = {"flash": 0.52, "open": 0.46, "spin": 0.54, "bounce": 0.52, "wave": 0.48}
    # look-alikes
    for column in (-0.5, 0.47):
        label = rng.choice(CLASSES)
        held = label in ("flash", "open", "wave") and rng.random() < 0.6
        at = spot(column, 0.72)
        actors.append(
            (
                "held" if held else "still",
                ACTORS[label].cast(rng, at, sizes[label] * square * rng.uniform(0.5, 0.8)),
            )
        )
    for column, label in zip((-0.31, 0, 0.31), back):
        at = spot(column, 0.70)
        actors.append((label, ACTORS[label].cast(rng, at, sizes[label] * square * rng.uniform(0.85, 1.15))))
    for column, label in zip((-0.2, 0.2), front):
        at = spot(column, 0.92)
        actors.append((label, ACTORS[label].cast(rng, at, sizes[label] * square * rng.uniform(0.85, 1.15))))
    label = rng.choice(["bounce", "wave"])
    actors.append(
        (
            "still",
            ACTORS[label].cast(
                rng, spot(rng.choice([-0.42, 0, 0.42]), 0.95), sizes[label] * square * rng.uniform(0.5, 0.8)
            ),
        )
    )
    clouds = tuple(
        Cloud(
            (rng.uniform(0, wide), rng.uniform(0.05, 0.3) * high),
            rng.uniform(0.06, 0.12) * square,
            rng.uniform(-6, 6),
            shade((1, 1, 1), rng.uniform(0.7, 1)),
        )
        for _ in range(rng.integers(0, 4))
    )
    walkers = tuple(
        Walker(
            Person.cast(
                rng, (rng.uniform(0, wide), rng.uniform(0.74, 0.82) * high), rng.uniform(0.2, 0.28) * square
            ),
            float(rng.choice([-1, 1]) * rng.uniform(8, 25)) * square / 240,
        )
        for _ in range(rng.integers(1, 3))
    )
    n = spec.num_frames
    t = np.arange(n) / spec.fps
    shake = np.zeros((n, 2))
    for axis in range(2):
        shake[:, axis] = (
            _MARGIN
            + 1.2 * np.sin(t * rng.uniform(0.5, 2) + rng.uniform(0, 6))
            + 1.2 * np.sin(t * rng.uniform(2, 5) + rng.uniform(0, 6))
        )
    light = (
        1
        + 0.04 * np.sin(t * rng.uniform(0.05, 0.4) + rng.uniform(0, 6))
        + 0.02 * np.sin(t * rng.uniform(0.4, 1.5) + rng.uniform(0, 6))
    )
    noise = rng.normal(0, rng.uniform(1.5, 4), (_NOISE_TILES, height + 16, width + 16)).astype(np.float32)
    return Scene(
        backdrop, tuple(actors), clouds, walkers, np.rint(shake).astype(int), light.astype(np.float32), noise
    )


def _landscape(rng, wide, high):
    hue = rng.uniform(0.5, 0.68) if rng.random() < 0.6 else rng.random()
    bright = rng.uniform(0.45, 0.95)
    top = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.3, 0.7), bright * 0.85))
    low = np.array(colorsys.hsv_to_rgb((hue + rng.uniform(-0.1, 0.1)) % 1, rng.uniform(0.05, 0.35), bright))
    horizon = rng.uniform(0.52, 0.62) * high
    y = np.clip(np.arange(high) / horizon, 0, 1)[None, :, None]
    picture = (
        np.broadcast_to(top[:, None, None] * (1 - y) + low[:, None, None] * y, (3, high, wide))
        .astype(np.float32)
        .copy()
    )
    ground = np.array(
        colorsys.hsv_to_rgb(rng.uniform(0.08, 0.38), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.7))
    )
    # hills
    for layer in range(2):
        colour = 0.5 * low + (0.4 - 0.1 * layer) * ground
        x = np.arange(wide)[None, :]
        ridge = horizon - (0.10 - 0.05 * layer) * high * (
            1 + np.sin(x / wide * rng.uniform(4, 9) + rng.uniform(0, 6))
        )
        cover = np.clip(np.arange(high)[:, None] - ridge, 0, 1)
        picture += cover * (colour[:, None, None] - picture)
    yy = np.arange(high)[:, None]
    cover = np.clip(yy - horizon, 0, 1) * np.ones((1, wide))
    slope = 0.8 + 0.4 * np.clip((yy - horizon) / (high - horizon), 0, 1)
    picture += cover * (ground[:, None, None] * slope - picture)
    # soil
    grain = np.kron(rng.normal(0, 0.03, (high // 4 + 1, wide // 4 + 1)), np.ones((4, 4)))[:high, :wide]
    picture += cover * grain * np.clip((yy - horizon) / (high - horizon), 0, 1) + rng.normal(
        0, 0.008, (high, wide)
    )
    return np.clip(picture, 0, 1).astype(np.float32), horizon
