"""Anti-aliased shapes on a float picture: the brushes that the demo's scenes are painted with.

A picture is `[3, H, W]` float32 with values in 0..1, planes first because numpy blends whole planes fastest.
Coordinates are pixels, `y` grows downwards, and a shape may lie partly or wholly outside the picture.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

Colour = tuple[float, float, float]
Point = tuple[float, float]
# Coverage in 0..1 of the pixels at columns x [1, w] and rows y [h, 1], broadcast to [h, w].
Coverage = Callable[[np.ndarray, np.ndarray], np.ndarray]


def shade(colour: Colour, factor: float) -> Colour:
    """The colour under `factor` times the light: below 1 darker, above 1 lighter, clipped at white."""
    red, green, blue = (min(1.0, channel * factor) for channel in colour)
    return red, green, blue


def paint(
    picture: np.ndarray, box: tuple[float, float, float, float], coverage: Coverage, colour: Colour
) -> None:
    """Blend `colour` into `picture [3, H, W]` in place, by `coverage` within `box` (left, top, right, bottom)."""
    height, width = picture.shape[1:]
    left, top = max(0, math.floor(box[0]) - 1), max(0, math.floor(box[1]) - 1)
    right, bottom = min(width, math.ceil(box[2]) + 2), min(height, math.ceil(box[3]) + 2)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32)[None, :]
    y = np.arange(top, bottom, dtype=np.float32)[:, None]
    weight = coverage(x, y)
    for plane, value in zip(picture[:, top:bottom, left:right], colour, strict=True):
        plane += weight * (np.float32(value) - plane)


def ellipse(
    picture: np.ndarray,
    centre: Point,
    radii: tuple[float, float],
    colour: Colour,
    opacity: float = 1.0,
    softness: float = 1.0,
) -> None:
    """A filled ellipse; `softness` is the width of its rim in pixels (1 is a crisp, anti-aliased rim)."""
    (cx, cy), (rx, ry) = centre, radii
    if rx <= 0 or ry <= 0:
        return
    rim = softness / 2

    def coverage(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
        return (0.5 + (1 - distance) * (min(rx, ry) / softness)).clip(0, 1) * opacity

    paint(picture, (cx - rx - rim, cy - ry - rim, cx + rx + rim, cy + ry + rim), coverage, colour)


def stroke(picture: np.ndarray, start: Point, end: Point, width: float, colour: Colour) -> None:
    """A straight line with round ends."""
    (x0, y0), (x1, y1), half = start, end, width / 2
    dx, dy = x1 - x0, y1 - y0
    square = max(dx * dx + dy * dy, 1e-9)

    def coverage(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        from_x, from_y = x - x0, y - y0
        along = (from_x * (dx / square) + from_y * (dy / square)).clip(0, 1)
        distance = np.sqrt((from_x - along * dx) ** 2 + (from_y - along * dy) ** 2)
        return (half + 0.5 - distance).clip(0, 1)

    box = (min(x0, x1) - half, min(y0, y1) - half, max(x0, x1) + half, max(y0, y1) + half)
    paint(picture, box, coverage, colour)


def polygon(picture: np.ndarray, corners: Sequence[Point], colour: Colour, opacity: float = 1.0) -> None:
    """A filled convex polygon; the corners go round it either way."""
    pairs = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)
    turn = 1.0 if area > 0 else -1.0

    def coverage(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        inside: np.ndarray | None = None
        for (x0, y0), (x1, y1) in pairs:
            length = math.hypot(x1 - x0, y1 - y0)
            if length > 1e-6:
                depth = ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) * (turn / length)
                inside = depth if inside is None else np.minimum(inside, depth)
        assert inside is not None, "a polygon needs at least one edge"
        return (inside + 0.5).clip(0, 1) * opacity

    xs, ys = zip(*corners, strict=True)
    paint(picture, (min(xs), min(ys), max(xs), max(ys)), coverage, colour)


def glow(picture: np.ndarray, centre: Point, radius: float, colour: Colour, strength: float) -> None:
    """Light around a point, strongest in the middle and gone at `radius`; `strength` in 0..1."""
    cx, cy = centre

    def coverage(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        fall = (1 - ((x - cx) / radius) ** 2 - ((y - cy) / radius) ** 2).clip(0, 1)
        return fall * fall * strength

    paint(picture, (cx - radius, cy - radius, cx + radius, cy + radius), coverage, colour)
