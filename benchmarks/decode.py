"""Our frame reader beside plain PyAV, OpenCV and decord: every frame of the same files in the same run, frames per
CPU-second of all threads and processes that work on it.

Plain is the shortest loop there is: decode with one thread, scale each frame with one reused reformatter and the same
filter. It is timed alone, and with what a user does next, copying the centre crop into an array; all others are timed
with that copy. "Stage" is how the extraction job reads: chunk after chunk by a child process, through shared memory;
"in process" is the same without the child, into a fresh array for each chunk. A ratio is the median over rounds in
which all take turns. OpenCV and decord are left out where they are not installed.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from av.video.reformatter import Interpolation, VideoReformatter
from measure import cpu_seconds, ratio, record, take_turns
from rich.console import Console
from rich.table import Table

from pipeline.features.extraction.decode import ChunkDecoder, ChunkReader
from pipeline.features.plan import cut_chunks
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.timeline import Timeline
from pipeline.video.picture import FrameSize
from pipeline.video.reader import FrameReader

SIZE = FrameSize(short_side=224, crop=224)
FILTER = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
RATE = 30
CHUNK_FRAMES = 100
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


def in_process(path: Path, out: np.ndarray) -> None:
    timeline = Timeline(fps=RATE, stride=1, window=1)
    reader = ChunkReader(timeline, (0,), SIZE, successors=False)
    for row in cut_chunks(VideoSource("v", str(path)), len(out) / RATE, timeline, CHUNK_FRAMES):
        frames = np.empty((row["num_snippets"], *out.shape[1:]), np.uint8)
        reader(row, memoryview(frames.reshape(-1)))
    reader(None, memoryview(b""))


def stage(path: Path, out: np.ndarray) -> None:
    timeline = Timeline(fps=RATE, stride=1, window=1)
    rows = cut_chunks(VideoSource("v", str(path)), len(out) / RATE, timeline, CHUNK_FRAMES)
    tables = ChunkDecoder(timeline, (0,), SIZE)(pa.Table.from_pylist(rows, schema=PLAN_SCHEMA))
    assert sum(table["frames"].null_count for table in tables) == 0


def opencv(path: Path, out: np.ndarray) -> None:
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    width, height = SIZE.resized(
        int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    )
    left = (width - SIZE.crop) // 2
    for index in range(len(out)):
        _, frame = capture.read()
        scaled = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        out[index] = cv2.cvtColor(scaled[:, left : left + SIZE.crop], cv2.COLOR_BGR2RGB)
    capture.release()


def decord(path: Path, out: np.ndarray) -> None:
    from decord import VideoReader

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        width, height = SIZE.resized(stream.width, stream.height)
    left = (width - SIZE.crop) // 2
    reader = VideoReader(str(path), width=width, height=height, num_threads=1)
    for index in range(len(out)):
        out[index] = reader.next().asnumpy()[:, left : left + SIZE.crop]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds

    readers: dict[str, Callable[[Path, np.ndarray], None]] = {
        "plain": partial(plain, copy=False),
        "plain + copy": partial(plain, copy=True),
        "ours": ours,
        "in process": in_process,
        "stage": stage,
    }
    for module, read in (("cv2", opencv), ("decord", decord)):
        if find_spec(module) is not None:
            readers[read.__name__] = read
    pairs = [
        (one, other)
        for one, other in (
            ("ours", "plain"),
            ("ours", "plain + copy"),
            ("stage", "plain + copy"),
            ("stage", "in process"),
            ("ours", "opencv"),
            ("ours", "decord"),
        )
        if other in readers
    ]
    speeds = Table("video", *readers, title="frames per CPU-second", title_justify="left")
    ratios = Table(
        "video", *(f"{one} / {other}" for one, other in pairs), title="ratios", title_justify="left"
    )
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for width, height, count in VIDEOS:
            path = Path(folder) / f"{height}.mp4"
            render(path, width, height, count)
            out = np.ones((count, SIZE.crop, SIZE.crop, 3), np.uint8)
            jobs = {name: partial(read, path, out) for name, read in readers.items()}
            times = take_turns(jobs, rounds, cpu_seconds)
            fast = {name: count / statistics.median(taken) for name, taken in times.items()}
            speeds.add_row(f"{width}x{height}", *(f"{speed:.0f}" for speed in fast.values()))
            faster = {f"{one} / {other}": ratio(times, other, one) for one, other in pairs}
            ratios.add_row(f"{width}x{height}", *(f"{value:.2f}" for value in faster.values()))
            video = {"video": f"{width}x{height}", "frames": count}
            rows += [
                video | {"figure": f"{name}, frames per CPU-second", "value": speed}
                for name, speed in fast.items()
            ]
            rows += [video | {"figure": pair, "value": value} for pair, value in faster.items()]
    record("decode", rows)
    console = Console(width=120)
    console.print(speeds)
    console.print(ratios)


if __name__ == "__main__":
    main()
