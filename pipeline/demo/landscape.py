"""The ground that a scene stands on: sky, hills and soil, different in every video."""

import colorsys

import numpy as np


def paint_landscape(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A new picture `[3, height, width]`: a sky that pales towards the horizon, two ranges of hills, grainy soil."""
    brightness = rng.uniform(0.55, 0.9)
    hue = rng.uniform(0.5, 0.7) if rng.random() < 0.7 else rng.random()
    zenith = _column(hue, rng.uniform(0.3, 0.6), brightness * 0.8)
    haze = _column(hue + rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.3), brightness)
    soil = _column(rng.uniform(0.08, 0.36), rng.uniform(0.2, 0.5), rng.uniform(0.4, 0.65))

    horizon = rng.uniform(0.52, 0.6) * height
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    descent = np.clip(y / horizon, 0, 1)
    picture = np.repeat(zenith * (1 - descent) + haze * descent, width, axis=2)
    for rise, nearness in ((0.10, 0.3), (0.05, 0.5)):
        waves = 1 + np.sin(x / width * rng.uniform(4, 9) + rng.uniform(0, 6))
        beyond = np.clip(y - (horizon - rise * height * waves), 0, 1)
        picture += beyond * (0.85 * (haze * (1 - nearness) + soil * nearness) - picture)

    # The nearer the soil, the brighter it is and the coarser its grain looks.
    near = np.clip((y - horizon) / (height - horizon), 0, 1)
    grain = rng.normal(0, 0.03, (height // 4 + 1, width // 4 + 1)).repeat(4, axis=0).repeat(4, axis=1)
    ground = np.clip(y - horizon, 0, 1) * np.ones_like(x)
    picture += ground * (soil * (0.8 + 0.4 * near) + grain[:height, :width] * near - picture)
    return np.clip(picture, 0, 1).astype(np.float32)


def _column(hue: float, saturation: float, value: float) -> np.ndarray:
    """A colour as `[3, 1, 1]`, ready to be spread over a picture."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))[:, None, None]
