"""Small real videos, encoded on the spot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def encode_video(
    path: Path,
    *,
    seconds: float = 3.0,
    fps: int = 24,
    size: tuple[int, int] = (96, 72),
    seed: int = 0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """An H.264 file of moving gradients and a drifting square: every frame differs from every other."""
    width, height = size
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 6.28, 3), rng.uniform(0.5, 2.0, 3)
    rows, columns = np.mgrid[0:height, 0:width]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(round(seconds * fps)):
            t = index / fps
            wave = [
                127 + 100 * np.sin(phase[c] + speed[c] * (t * 3 + columns / 20 + rows / 30)) for c in range(3)
            ]
            picture = np.stack(wave, axis=-1)
            left = int((10 + 17 * t) % (width - 20))
            picture[20:40, left : left + 20] = 255
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def encode_audio(path: Path, *, seconds: float = 2.0) -> Path:
    """An mp4 file that holds AAC audio and nothing else."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for start in range(0, int(seconds * 16000), 1024):
            wave = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
