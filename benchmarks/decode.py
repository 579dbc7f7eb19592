"""Our frame reader beside plain PyAV, every frame of the same files in the same run, frames per CPU-second.

Plain is the shortest loop there is: decode with one thread, scale each frame with one reused reformatter
and the same filter. It is timed alone, and with what a user does next, copying the centre crop into an array;
our reader is always timed with that copy. A ratio is the median over rounds in which the three take turns.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from rich.console import Console
from rich.table import Table

from pipeline.video.picture import FrameSize
from pipeline.video.reader import FrameReader

SIZE = FrameSize(short_side=224, crop=224)
FILTER = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
RATE = 30
VIDEOS = ((320, 240, 300), (640, 360, 200), (1280, 720, 80))  # width, height, frames


def render(path: Path, width: int, height: int, count: int) -> None:
    """H.264 as cameras' and hosts' files are: moving soft texture and grain, B-frames, a key frame in 250."""
    rng = np.random.default_rng(0)
    layers = []
    for scale, contrast in ((8, 12), (32, 30), (128, 40)):
        coarse = rng.normal(0, contrast, (height // scale + 3, 2 * width // scale + 3, 3)).astype(np.float32)
        rows = np.linspace(0, coarse.shape[0] - 1.01, height)
        columns = np.linspace(0, coarse.shape[1] - 1.01, 2 * width)
        layers.append((scale, _interpolate(_interpolate(coarse, rows, 0), columns, 1)))
    grain = rng.normal(0, 3, (height, 2 * width, 1)).astype(np.float32)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "medium", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            picture = 120 + np.roll(grain, int(rng.integers(2 * width)), axis=1)[:, :width]
            for scale, layer in layers:
                left = round(index * scale**0.5) % width
                picture = picture + layer[:, left : left + width]
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8))
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def _interpolate(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    low = at.astype(int)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = (at - low).astype(np.float32).reshape(shape)
    return values.take(low, axis) * (1 - weight) + values.take(low + 1, axis) * weight


def plain(path: Path, out: np.ndarray, copy: bool) -> None:
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        width, height = SIZE.resized(stream.width, stream.height)
        left = (width - SIZE.crop) // 2
        for index, frame in enumerate(container.decode(stream)):
            scaled = reformatter.reformat(frame, width, height, "rgb24", interpolation=FILTER, threads=1)
            if copy:
                out[index] = scaled.to_ndarray()[:, left : left + SIZE.crop]


def ours(path: Path, out: np.ndarray) -> None:
    with FrameReader(path, fps=RATE, size=SIZE) as reader:
        for index, picture in enumerate(reader.read(range(len(out)))):
            out[index] = picture


def cpu_seconds(task: Callable[[], None]) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds

    table = Table("video", "plain", "plain + copy", "ours", "ours / plain", "ours / plain + copy")
    with tempfile.TemporaryDirectory() as folder:
        for width, height, count in VIDEOS:
            path = Path(folder) / f"{height}.mp4"
            render(path, width, height, count)
            out = np.ones((count, SIZE.crop, SIZE.crop, 3), np.uint8)
            tasks = (
                lambda path=path, out=out: plain(path, out, copy=False),
                lambda path=path, out=out: plain(path, out, copy=True),
                lambda path=path, out=out: ours(path, out),
            )
            times = [[cpu_seconds(task) for task in tasks] for _ in range(rounds + 1)][
                1:
            ]  # the first warms up
            rates = [count / statistics.median(column) for column in zip(*times, strict=True)]
            ratios = [statistics.median(row[i] / row[2] for row in times) for i in (0, 1)]
            table.add_row(f"{width}x{height}", *(f"{x:.0f}" for x in rates), *(f"{x:.2f}" for x in ratios))
    Console().print(table)


if __name__ == "__main__":
    main()
