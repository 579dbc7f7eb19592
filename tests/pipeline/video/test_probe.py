"""What the header says of files of many kinds."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.failures import FailureKind
from pipeline.video.errors import VideoError
from pipeline.video.probe import probe
from tests.pipeline.video.numbered import RECIPES, Recipe

Made = Callable[[Recipe], Path]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_probe_tells_what_the_recipe_says(recipe: Recipe, made: Made) -> None:
    info = probe(made(recipe))
    assert info.duration == pytest.approx(float(recipe.duration), abs=1.01 / float(recipe.rate))
    if recipe.times is None:
        if not recipe.name.endswith(".mpg"):  # the last picture's packet has no time
            assert info.duration == pytest.approx(recipe.count / recipe.rate, abs=0.001)
        assert info.average_rate == pytest.approx(float(recipe.rate), rel=1e-6)
    assert (info.width, info.height) == (recipe.width, recipe.height)
    assert info.rotation == 0
    codecs = {"libx264": "h264", "libx265": "hevc", "libvpx": "vp8", "libvpx-vp9": "vp9"}
    codecs |= {"libsvtav1": "av1", "prores_ks": "prores"}
    assert info.codec == codecs.get(recipe.codec, recipe.codec)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_the_rotation_is_told_counter_clockwise(rotation: int, tmp_path: Path) -> None:
    assert probe(Recipe("turned.mp4", count=5, rotation=rotation).make(tmp_path)).rotation == rotation


@pytest.mark.parametrize("name", ["clock.mkv", "clock.webm"])
def test_a_clock_is_not_taken_for_a_frame_rate(name: str, tmp_path: Path) -> None:
    codec = "libvpx" if name.endswith("webm") else "libx264"
    times = [Fraction(i, 25) for i in range(60)]
    path = Recipe(name, codec, rate=Fraction(1000), times=times, clock=Fraction(1, 1000)).make(tmp_path)
    assert probe(path).average_rate == pytest.approx(25)


def test_a_file_object_is_probed_like_its_path(made: Made) -> None:
    path = made(RECIPES[0])
    stream = io.BytesIO(path.read_bytes())
    assert probe(stream) == probe(str(path))
    assert not stream.closed


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "flv", "ts", "untagged.mkv"])
def test_audio_that_lasts_longer_does_not_count(name: str, tmp_path: Path) -> None:
    path = Recipe(f"longer.{name}", count=25, audio_seconds=Fraction(4)).make(tmp_path)
    if name == "untagged.mkv":  # as other programs write it: only the longest stream's duration is there
        path.write_bytes(path.read_bytes().replace(b"DURATION", b"SOMETHIN"))
    assert probe(path).duration == pytest.approx(1, abs=0.01)


def test_a_file_that_was_cut_keeps_the_duration_of_its_header(tmp_path: Path) -> None:
    path = Recipe("cut.mkv", count=250, audio_seconds=Fraction(10)).make(tmp_path)
    data = path.read_bytes().replace(b"DURATION", b"SOMETHIN")
    path.write_bytes(data[: len(data) // 2])
    assert probe(path).duration == pytest.approx(10, abs=0.1)


def test_a_damaged_duration_is_measured_anew(tmp_path: Path) -> None:
    path = Recipe("forever.mp4", count=50).make(tmp_path)
    data = bytearray(path.read_bytes())
    for header in (b"mvhd", b"tkhd", b"mdhd", b"elst"):
        at = data.index(header) + {b"mvhd": 20, b"tkhd": 24, b"mdhd": 20, b"elst": 12}[header]
        data[at : at + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    assert probe(path).duration == pytest.approx(2, abs=0.001)


def test_a_duration_that_no_file_so_small_can_have_is_refused(tmp_path: Path) -> None:
    path = Recipe("days.mkv", count=50).make(tmp_path)
    data = bytearray(path.read_bytes().replace(b"DURATION", b"SOMETHIN"))
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", 5 * 24 * 3600 * 1000)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"states 432000 s, but the file has \d+ bytes") as caught:
        probe(path)
    assert caught.value.kind is FailureKind.TRUNCATED


class Counting(io.BytesIO):
    """Bytes that count how many of them are read."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def test_a_probe_reads_only_the_beginning(tmp_path: Path) -> None:
    lossless = Recipe(
        "large.mp4", "mjpeg", pixels="yuvj420p", width=640, height=480, muxer={"movflags": "faststart"}
    )
    data = lossless.make(tmp_path).read_bytes()
    stream = Counting(data)
    probe(stream)
    assert stream.bytes_read < len(data) / 4
