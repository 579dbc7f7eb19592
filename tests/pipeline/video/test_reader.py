"""The time rule, frame by frame, against a schedule that the test wrote itself."""

import io
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.video.picture import FrameSize
from pipeline.video.probe import probe
from pipeline.video.reader import FrameReader
from tests.pipeline.video.numbered import RECIPES, Recipe, draw, read_number

Made = Callable[[Recipe], Path]

SIZE = FrameSize(short_side=64, crop=64)
B_FRAMES, LONG_GOP = RECIPES[:2]
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


def frames_within(recipe: Recipe, fps: Fraction) -> range:
    """Indices of the resampled video's frames that begin before the last picture ends."""
    return range(math.ceil(recipe.duration * fps))


@every_recipe
def test_each_frame_is_the_one_on_screen(recipe: Recipe, made: Made) -> None:
    for fps in (Fraction(8), Fraction(10), Fraction("7.3"), Fraction(60)):
        indices = frames_within(recipe, fps)
        with FrameReader(made(recipe), fps=float(fps), size=SIZE) as reader:
            numbers = [read_number(picture) for picture in reader.read(indices)]
        assert numbers == recipe.on_screen(indices, fps), f"at {fps} frames a second"


@pytest.mark.parametrize("recipe", [r for r in RECIPES if r.times is None], ids=lambda recipe: recipe.name)
def test_at_its_own_rate_a_video_is_read_picture_by_picture(recipe: Recipe, made: Made) -> None:
    with FrameReader(made(recipe), fps=float(recipe.rate), size=SIZE) as reader:
        numbers = [read_number(picture) for picture in reader.read(range(recipe.count))]
    assert numbers == list(range(recipe.count))


@every_recipe
def test_reading_does_not_depend_on_the_way_there(recipe: Recipe, made: Made) -> None:
    path, indices = made(recipe), frames_within(recipe, Fraction(20))
    with FrameReader(path, fps=20, size=SIZE) as reader:
        straight = [picture.copy() for picture in reader.read(indices)]
    visits = st.lists(st.lists(st.sampled_from(indices), min_size=1, max_size=12).map(sorted), max_size=8)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(visits=visits, keep=st.sampled_from([0, 3, 16]))
    def check(visits: list[list[int]], keep: int) -> None:
        with FrameReader(path, fps=20, size=SIZE, keep=keep) as reader:
            for visit in visits:
                for index, picture in zip(visit, reader.read(visit), strict=True):
                    assert np.array_equal(picture, straight[index])

    check()


def test_consecutive_chunks_that_overlap_need_no_seek(made: Made) -> None:
    window, stride = 16, 4
    chunks = [range(first, first + 60) for first in range(0, 240, 60 - window + stride)]
    with FrameReader(made(LONG_GOP), fps=30000 / 1001, size=SIZE, keep=window - stride) as reader:
        numbers = [[read_number(picture) for picture in reader.read(chunk)] for chunk in chunks]
        assert reader.seeks == 0
    assert numbers == [list(chunk) for chunk in chunks]


def test_a_later_chunk_is_reached_by_a_seek(made: Made) -> None:
    with FrameReader(made(B_FRAMES), fps=25, size=SIZE) as reader:
        assert [read_number(picture) for picture in reader.read([80, 81])] == [80, 81]
        assert reader.seeks == 1


def test_a_gap_is_jumped_only_where_a_key_frame_lies_in_it(made: Made) -> None:
    for recipe, jumps in ((B_FRAMES, True), (LONG_GOP, False)):
        with FrameReader(made(recipe), fps=float(recipe.rate), size=SIZE) as reader:
            assert [read_number(picture) for picture in reader.read([3, 90])] == [3, 90]
            assert (reader.seeks > 0) is jumps


def test_a_frame_that_stays_on_screen_is_converted_once(made: Made) -> None:
    with FrameReader(made(B_FRAMES), fps=100, size=SIZE) as reader:
        pictures = list(reader.read([0, 0, 1, 2, 3, 4]))
    assert all(picture is pictures[0] for picture in pictures[:5])
    assert pictures[5] is not pictures[0]


def test_pictures_cannot_be_changed_and_outlive_the_reader(made: Made) -> None:
    with FrameReader(made(B_FRAMES), fps=25, size=SIZE, keep=5) as reader:
        pictures = list(reader.read(range(30)))
    assert [read_number(picture) for picture in pictures] == list(range(30))
    with pytest.raises(ValueError, match="read-only"):
        pictures[0][0, 0] = 0


def test_a_file_object_reads_like_the_path_and_stays_open(made: Made) -> None:
    path = made(B_FRAMES)
    stream = io.BytesIO(path.read_bytes())
    stream.seek(1000)
    indices = [70, 71, 72, 0, 1, 99]
    with FrameReader(path, fps=25, size=SIZE) as by_path, FrameReader(stream, fps=25, size=SIZE) as by_stream:
        for one, other in zip(by_path.read(indices), by_stream.read(indices), strict=True):
            assert np.array_equal(one, other)
    assert not stream.closed


def test_the_default_one_of_several_streams_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        streams[0].disposition, streams[1].disposition = (
            av.stream.Disposition(0),
            av.stream.Disposition.default,
        )
        for number in range(10):
            for stream, shift in zip(streams, (0, 100), strict=True):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(draw(number + shift, 96, 64))))
        for stream in streams:
            output.mux(stream.encode())
    with FrameReader(path, fps=25, size=SIZE) as reader:
        assert [read_number(picture) for picture in reader.read(range(10))] == list(range(100, 110))


def test_cover_art_beside_a_video_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "covered.mp4"
    with av.open(str(path), "w") as output:
        art = output.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 64, 48, "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        output.mux(art.encode(av.VideoFrame.from_ndarray(draw(999, 64, 48))))
        for number in range(10):
            output.mux(video.encode(av.VideoFrame.from_ndarray(draw(number, 96, 64))))
        for stream in (art, video):
            output.mux(stream.encode())
    assert (probe(path).width, probe(path).codec) == (96, "h264")
    with FrameReader(path, fps=25, size=SIZE) as reader:
        assert [read_number(picture) for picture in reader.read(range(10))] == list(range(10))


def test_the_picture_size_may_change_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "both.ts"
    small = Recipe("small.ts", count=30, options={"bf": "0"})
    later = [Fraction(30 + i, 25) for i in range(30)]
    large = Recipe("large.ts", times=later, width=160, height=128, options={"bf": "0"})
    path.write_bytes(small.make(tmp_path).read_bytes() + large.make(tmp_path).read_bytes())
    with FrameReader(path, fps=25, size=SIZE) as reader:
        assert [read_number(picture) for picture in reader.read(range(60))] == [*range(30), *range(30)]
        assert [read_number(picture) for picture in reader.read([10, 50])] == [10, 20]
