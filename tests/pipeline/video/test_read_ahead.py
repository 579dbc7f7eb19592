"""How much of a remote video is fetched: all of it about once, of a part of it little more than the part."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import storage
from pipeline.video.picture import FrameSize
from pipeline.video.probe import probe
from pipeline.video.read_ahead import ReadAhead
from pipeline.video.reader import FrameReader
from pipeline.video.source import open_source

FPS, FRAMES = 25, 900
SIZE = FrameSize(32, 32)
# One with its index at the end, one with it at the beginning, and two containers that keep theirs at the end.
KINDS = {
    "end.mp4": {},
    "start.mp4": {"movflags": "faststart"},
    "end.mkv": {},
    "end.avi": {},
}


def encode_noise(path: Path, options: dict[str, str]) -> None:
    """About 20 MB of pictures and sound: noise does not compress."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(
            "mpeg4", rate=Fraction(FPS), options={"g": "12", "qmin": "2", "qmax": "2"}
        )
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = container.add_stream("mp3", rate=48000)
        samples = 0
        for index in range(FRAMES):
            noise = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
            for packet in video.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")):
                container.mux(packet)
            while samples < (index + 1) * 48000 // FPS:
                wave = rng.uniform(-0.5, 0.5, (1, 1152)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 48000, samples
                samples += 1152
                for packet in audio.encode(frame):
                    container.mux(packet)
        for stream in (video, audio):
            for packet in stream.encode():
                container.mux(packet)


@pytest.fixture(scope="module", params=KINDS)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, s3_server: str) -> str:
    path = tmp_path_factory.mktemp("noise") / request.param
    encode_noise(path, KINDS[request.param])
    url = f"{s3_server}/read-ahead/{request.param}"
    storage.write_bytes(url, path.read_bytes())
    return url


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that are fetched from S3."""
    from s3fs.core import S3File

    ranges: list[tuple[int, int]] = []
    original = S3File._fetch_range

    def counting(self: S3File, start: int, end: int) -> bytes:
        ranges.append((start, end))
        return original(self, start, end)

    monkeypatch.setattr(S3File, "_fetch_range", counting)
    return ranges


def total(ranges: list[tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges)


def read(url: str, first: int, count: int) -> int:
    """Read pictures as an extraction does."""
    with open_source(url) as source, FrameReader(source, fps=FPS, size=SIZE) as reader:
        return sum(1 for _ in reader.read(range(first, first + count)))


def test_a_whole_video_is_fetched_about_once(remote: str, fetched: list[tuple[int, int]]) -> None:
    size = len(storage.read_bytes(remote))
    fetched.clear()
    assert read(remote, 0, FRAMES) == FRAMES
    assert size > 15_000_000
    assert total(fetched) <= 1.05 * size
    assert len(fetched) < 80


def test_its_parts_in_turn_are_little_more(remote: str, fetched: list[tuple[int, int]]) -> None:
    size = len(storage.read_bytes(remote))
    fetched.clear()
    with open_source(remote) as source:
        probe(source)
    for first in range(0, FRAMES, 300):  # a task for each, and each opens the file anew
        read(remote, first, 300)
    assert total(fetched) <= 1.2 * size


def test_a_part_in_the_middle_costs_that_part_and_two_mebibytes(
    remote: str, fetched: list[tuple[int, int]]
) -> None:
    size = len(storage.read_bytes(remote))
    fetched.clear()
    read(remote, FRAMES // 2, 24)
    assert total(fetched) <= size * 24 / FRAMES + 2 * 2**20


def test_probing_reads_what_it_looks_at(remote: str, fetched: list[tuple[int, int]]) -> None:
    with open_source(remote) as source:
        assert probe(source).duration == pytest.approx(FRAMES / FPS, abs=0.1)
    assert total(fetched) <= 2**20


def test_any_reads_give_the_bytes_of_the_file_and_fetch_none_twice() -> None:
    rng = np.random.default_rng(0)
    content = rng.bytes(3_000_017)
    requests: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        requests.append((start, stop))
        return content[start:stop]

    cache = ReadAhead(fetch, len(content))
    for _ in range(300):
        start = int(rng.integers(0, len(content) + 10))
        stop = start + int(rng.choice([1, 1000, 32768, 500_000]))
        assert cache._fetch(start, stop) == content[start:stop]
    assert cache._fetch(None, None) == content
    assert total(requests) == len(content)


def test_a_storage_that_gives_less_is_an_error() -> None:
    with pytest.raises(OSError, match="gave 5 bytes for the 100 from 0 on"):
        ReadAhead(lambda start, stop: b"short", 100)._fetch(0, 10)

    def fail(start: int, stop: int) -> bytes:
        raise RuntimeError("no such thing")

    with pytest.raises(OSError, match="RuntimeError: no such thing"):
        ReadAhead(fail, 100)._fetch(0, 10)
