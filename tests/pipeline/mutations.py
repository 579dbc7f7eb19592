"""Archives of damaged videos, the same for the same seed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.videos import encode_video

_SUFFIXES = ("mp4", "mkv", "ts", "avi", "webm", "mov")
_CODECS = {"avi": "mpeg4", "webm": "libvpx"}
_KINDS = ("truncated", "flipped", "header", "zeroed", "inserted")


@dataclass(frozen=True)
class MutatedArchive:
    """Where the videos lie, and their ids.

    Attributes:
        folder: sound and damaged files.
        good: id -> path of the sound files.
        mutated: ids of the damaged ones.
    """

    folder: Path
    good: dict[str, Path]
    mutated: frozenset[str]


def mutate_archive(folder: Path, mutations: int, seed: int) -> MutatedArchive:
    """Six sound videos in six containers, and `mutations` damaged copies: cut off, with flipped bytes anywhere or in
    the header, with a stretch of zeros, with bytes inserted."""
    rng = np.random.default_rng(seed)
    sound = [
        encode_video(
            folder / f"good_{suffix}.{suffix}",
            seconds=2.5,
            fps=12,
            size=(64, 48),
            seed=index,
            codec=_CODECS.get(suffix, "libx264"),
            options={"movflags": "faststart"} if suffix == "mp4" else None,
        )
        for index, suffix in enumerate(_SUFFIXES)
    ]
    mutated = set()
    for index in range(mutations):
        video = sound[index % len(sound)]
        kind = _KINDS[index // len(sound) % len(_KINDS)]
        name = f"bad_{index:03d}_{kind}"
        mutated.add(name)
        (folder / f"{name}{video.suffix}").write_bytes(_mutate(video.read_bytes(), kind, rng))
    return MutatedArchive(folder, {video.stem: video for video in sound}, frozenset(mutated))


def _mutate(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    damaged = np.frombuffer(data, np.uint8).copy()
    match kind:
        case "truncated":
            return data[: int(rng.integers(len(data)))]
        case "flipped":
            places = rng.integers(len(data), size=int(rng.integers(1, 40)))
            damaged[places] = rng.integers(256, size=len(places))
        case "header":
            places = rng.integers(min(len(data), 1500), size=int(rng.integers(1, 12)))
            damaged[places] = rng.integers(256, size=len(places))
        case "zeroed":
            start = int(rng.integers(len(data)))
            damaged[start : start + int(rng.integers(1, len(data) // 3))] = 0
        case "inserted":
            start = int(rng.integers(len(data)))
            return data[:start] + rng.bytes(int(rng.integers(1, 3000))) + data[start:]
    return damaged.tobytes()
