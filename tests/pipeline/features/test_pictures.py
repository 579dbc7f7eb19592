"""Pictures as image pipelines make them: exact to the bit, or fast and close enough for a network."""

from pathlib import Path

import av
import numpy as np
import open_clip
import pytest
import torch
from av.video.reformatter import Interpolation
from PIL import Image

from pipeline.features.pictures import PictureSize
from pipeline.video.reader import FrameReader

FULL_SIZE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photograph-like frames: texture at all scales, its power falling with frequency, soft colours and grain."""
    path = tmp_path_factory.mktemp("videos") / "natural.mp4"
    width, height, count = 480, 270, 4
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(2 * width), np.fft.fftfreq(height))) + 1e-3
    layers = [
        np.fft.ifft2(np.fft.fft2(rng.normal(size=frequency.shape)) / frequency**1.2).real for _ in range(4)
    ]
    light, *colours = [layer / layer.std() for layer in layers]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            scene = np.stack([50 * light + 20 * colour for colour in colours], axis=-1)
            picture = 120 + scene[:, 90 * index : 90 * index + width] + rng.normal(0, 2, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8))
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def read(video: Path, size: PictureSize) -> np.ndarray:
    with FrameReader(video, fps=25, size=size) as reader:
        return np.stack(list(reader.read(range(4))))


@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_exact_pictures_are_open_clips_own_to_the_bit(video: Path, mode: str, interpolation: str) -> None:
    transform = open_clip.image_transform(
        64, is_train=False, mean=(0.0,) * 3, std=(1.0,) * 3, resize_mode=mode, interpolation=interpolation
    )
    with av.open(str(video)) as container:
        images = [
            Image.fromarray(frame.to_ndarray(format="rgb24", interpolation=FULL_SIZE))
            for frame in container.decode(video=0)
        ]
    expected = torch.stack([transform(image) for image in images]).permute(0, 2, 3, 1)
    size = PictureSize(64, 64, interpolation, squash=mode == "squash", exact=True)  # type: ignore[arg-type]
    assert (read(video, size) == (expected * 255).round().byte().numpy()).all()


def test_fast_pictures_embed_as_a_published_pipelines_do(video: Path) -> None:
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt").eval()
    config = open_clip.get_model_preprocess_cfg(model)
    transform = open_clip.image_transform(
        224,
        is_train=False,
        mean=config["mean"],
        std=config["std"],
        resize_mode=config["resize_mode"],
        interpolation=config["interpolation"],
    )
    with av.open(str(video)) as container:
        published = torch.stack([transform(frame.to_image()) for frame in container.decode(video=0)])
    mean, std = (torch.tensor(config[key]) for key in ("mean", "std"))
    pictures = torch.from_numpy(read(video, PictureSize(224, 224, "bicubic"))) / 255
    with torch.inference_mode():
        expected = model.encode_image(published)
        ours = model.encode_image(((pictures - mean) / std).movedim(-1, 1))
    assert torch.cosine_similarity(ours, expected).min() >= 0.999
    # A network with random weights finds any two pictures alike: the frames must differ by far more than that.
    others = torch.cosine_similarity(expected.roll(1, 0), expected)
    assert 1 - others.max() > 5 * (1 - torch.cosine_similarity(ours, expected).min())


def test_sizes_are_torchvisions_and_uncropped_keeps_the_rest() -> None:
    size = PictureSize(short_side=256, crop=224, exact=True)
    assert size.resized(341, 256) == (341, 256)
    assert size.resized(640, 480) == (341, 256)
    assert PictureSize(224, 224, squash=True).resized(640, 480) == (224, 224)
    assert size.uncropped() == PictureSize(short_side=256, crop=256, exact=True)
