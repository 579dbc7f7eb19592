"""The camera of a demo video: it trembles, its exposure drifts and its sensor is noisy."""

from dataclasses import dataclass

import numpy as np

MARGIN = 4  # pixels of a scene around what is seen, for the camera to tremble in
_TILES = 8  # patterns of sensor noise, shifted from frame to frame
_SHIFT = 16  # pixels by which a pattern may be shifted


@dataclass(frozen=True)
class Camera:
    """What happens to each picture on its way into the video.

    Attributes:
        corners: `[F, 2]` row and column of the picture's top left corner in the scene.
        exposure: `[F]` factor on the light.
        noise: `[_TILES, H + _SHIFT, W + _SHIFT]` float32, added to every channel, in 0..255.
        shifts: `[F, 2]` where in a noise pattern the picture starts.
    """

    corners: np.ndarray
    exposure: np.ndarray
    noise: np.ndarray
    shifts: np.ndarray

    @staticmethod
    def of(rng: np.random.Generator, size: tuple[int, int], seconds: np.ndarray) -> "Camera":
        """A camera for pictures of `size` (width, height) taken at `seconds [F]`."""
        (width, height), count = size, len(seconds)
        trembling = [_drift(rng, seconds, 0.4, 2.0) + _drift(rng, seconds, 2.0, 5.0) for _ in range(2)]
        exposure = 1 + 0.04 * _drift(rng, seconds, 0.05, 0.4) + 0.015 * _drift(rng, seconds, 0.4, 1.5)
        level = rng.uniform(1.5, 4.0)
        noise = rng.normal(0, level, (_TILES, height + _SHIFT, width + _SHIFT)).astype(np.float32)
        corners = np.rint(MARGIN + 1.2 * np.stack(trembling, axis=1)).astype(int)
        return Camera(corners, exposure.astype(np.float32), noise, rng.integers(_SHIFT, size=(count, 2)))

    def shoot(self, scene: np.ndarray, index: int) -> np.ndarray:
        """Frame `index` of a scene `[3, H + 2 * MARGIN, W + 2 * MARGIN]` in 0..1: `[H, W, 3]` uint8."""
        height, width = self.noise.shape[1] - _SHIFT, self.noise.shape[2] - _SHIFT
        (top, left), (down, right) = self.corners[index], self.shifts[index]
        seen = scene[:, top : top + height, left : left + width] * (255 * self.exposure[index])
        seen += self.noise[index % _TILES, down : down + height, right : right + width]
        seen.clip(0, 255, out=seen)
        frame = np.empty((height, width, 3), dtype=np.uint8)
        for channel in range(3):  # three strided copies are faster than one transposed one
            frame[:, :, channel] = seen[channel]
        return frame


def _drift(rng: np.random.Generator, seconds: np.ndarray, slow: float, fast: float) -> np.ndarray:
    """A wave in -1..1 over time, of an angular speed between `slow` and `fast` radians a second."""
    return np.sin(seconds * rng.uniform(slow, fast) + rng.uniform(0, 2 * np.pi))
