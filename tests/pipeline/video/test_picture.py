"""Resizing, cropping, rotation and colour of single frames."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as F

from pipeline.video.picture import FrameSize, PictureMaker
from pipeline.video.reader import FrameReader
from tests.pipeline.video.numbered import Recipe, draw, read_number

sides = st.integers(1, 90)


@settings(deadline=None)
@given(width=sides, height=sides, short_side=sides)
def test_the_resized_size_is_torchvisions(width: int, height: int, short_side: int) -> None:
    expected = F.resize(Image.new("L", (width, height)), short_side).size
    assert FrameSize(short_side, 1).resized(width, height) == expected


@settings(deadline=None)
@given(width=sides, height=sides, data=st.data())
def test_the_crop_is_torchvisions(width: int, height: int, data: st.DataObject) -> None:
    crop = data.draw(st.integers(1, min(width, height)))
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels)
    expected = F.center_crop(torch.from_numpy(pixels).permute(2, 0, 1), [crop]).permute(1, 2, 0)
    picture = PictureMaker(FrameSize(min(width, height), crop)).make(frame)
    assert np.array_equal(picture, expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (171, 301), (64, 48)])
def test_resizing_comes_close_to_pil(width: int, height: int, interpolation: str) -> None:
    """Shrunk and grown, a smooth picture with edges differs from PIL's by a few grey levels."""
    source = Image.fromarray(draw(12345, width, height))
    expected = F.center_crop(F.resize(source, 112, F.InterpolationMode(interpolation)), [96])
    picture = PictureMaker(FrameSize(112, 96, interpolation)).make(av.VideoFrame.from_image(source))
    difference = np.abs(picture.astype(int) - np.asarray(expected).astype(int))
    assert difference.mean() < 1.5
    assert np.percentile(difference, 99) < 12


def test_a_crop_larger_than_the_short_side_is_refused() -> None:
    with pytest.raises(ValueError, match="crop"):
        FrameSize(short_side=224, crop=225)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p10le", "gbrp", "gray", "nv12"])
def test_black_white_and_grey_keep_their_levels(pixels: str) -> None:
    """Limited and full range, 8 and 10 bits, with rows whose width is no multiple of the padding."""
    levels = np.repeat(np.array([0, 128, 255], np.uint8), 34)
    image = np.broadcast_to(levels[None, :, None], (50, 102, 3)).copy()
    frame = av.VideoFrame.from_ndarray(image).reformat(format=pixels)
    picture = PictureMaker(FrameSize(50, 50)).make(frame).astype(int)
    wide = PictureMaker(FrameSize(34, 34)).make(frame).astype(int)
    assert np.abs(picture[:, 25] - 128).max() <= 2
    assert picture[:, 0].max() <= 2
    assert picture[:, -1].min() >= 253
    assert np.abs(wide[:, 17] - 128).max() <= 2


def test_an_unknown_colour_space_is_read_as_the_default() -> None:
    frame = av.VideoFrame.from_ndarray(draw(7, 64, 64)).reformat(format="yuv420p")
    expected = PictureMaker(FrameSize(64, 64)).make(frame)
    frame.colorspace = 3  # reserved by the standard, found in damaged headers
    assert np.array_equal(PictureMaker(FrameSize(64, 64)).make(frame), expected)


def test_one_maker_serves_frames_of_any_kind() -> None:
    maker = PictureMaker(FrameSize(64, 64))
    for number, (width, height, pixels) in enumerate(
        [(96, 64, "rgb24"), (64, 96, "yuv420p"), (200, 120, "gray")]
    ):
        frame = av.VideoFrame.from_ndarray(draw(number, width, height)).reformat(format=pixels)
        assert read_number(maker.make(frame)) == number


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_rotation_follows_the_matrix_in_the_file(rotation: int, container: str, tmp_path: Path) -> None:
    """The upright picture puts each stored pixel where the track header's matrix says."""
    options = {"qp": "10"}
    turned = Recipe(f"turned.{container}", count=5, rotation=rotation, options=options).make(tmp_path)
    plain = Recipe(f"plain.{container}", count=5, options=options).make(tmp_path)
    data = turned.read_bytes()
    header = data.index(b"tkhd") + 4
    a, b, _, c, d, *_ = struct.unpack(">9i", data[header + 40 : header + 76])
    a, b, c, d = (value // 65536 for value in (a, b, c, d))

    size = FrameSize(64, 64)
    with FrameReader(plain, fps=25, size=size) as reader:
        stored = [picture.copy() for picture in reader.read(range(5))]
    y, x = np.mgrid[:64, :64]
    column, row = a * x + c * y, b * x + d * y
    with FrameReader(turned, fps=25, size=size) as reader:
        for source, picture in zip(stored, reader.read(range(5)), strict=True):
            expected = np.empty_like(source)
            expected[row - row.min(), column - column.min()] = source
            assert np.array_equal(picture, expected)
