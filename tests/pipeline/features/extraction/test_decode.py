"""The decoding stage on real files: exact frames whatever the cut, short videos kept, poison kept apart."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest

from pipeline.features.extraction.decode import ChunkDecoder
from pipeline.features.extraction.sampling import sample_frames
from pipeline.features.plan import cut_chunks
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.timeline import Timeline
from pipeline.video.picture import FrameSize
from pipeline.video.probe import probe
from pipeline.video.sandbox import Limits
from tests.pipeline.poison import PoisonedReader
from tests.pipeline.video.numbered import RECIPES, Recipe, read_number

SIZE = FrameSize(32, 32)
TEN = Timeline(fps=10, stride=2, window=4)
OFFSETS = (0, 3)


def plan(path: Path, timeline: Timeline, chunk_frames: int, video_id: str = "v") -> pa.Table:
    info = probe(path)
    timeline = timeline.resolve(info.average_rate)
    rows = cut_chunks(VideoSource(video_id, str(path)), info.duration, timeline, chunk_frames)
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)


def decode(decoder: ChunkDecoder, rows: pa.Table, rows_per_task: int = 3) -> list[dict]:
    batches = (rows.slice(start, rows_per_task) for start in range(0, rows.num_rows, rows_per_task))
    tables = [table for batch in batches for table in decoder(batch)]
    return [row for table in tables for row in table.to_pylist()]


def numbers(row: dict, timeline: Timeline, offsets: tuple[int, ...]) -> list[list[int]]:
    """The number in each sampled picture of each snippet."""
    pictures = np.frombuffer(row["frames"], np.uint8).reshape(-1, SIZE.crop, SIZE.crop, 3)
    sampled = sample_frames(
        timeline.resolve(row["fps"]), offsets, row["first_snippet"], row["num_snippets"], row["duration"]
    )
    return [[read_number(pictures[member]) for member in members] for members in sampled.members]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(
    ("fps", "stride", "window", "chunk_frames"), [(10.0, 2, 4, 9), (7.3, 3, 3, 8), (30.0, 4, 16, 24)]
)
def test_every_picture_of_every_snippet_is_the_one_on_screen(
    recipe: Recipe, made: Callable[[Recipe], Path], fps: float, stride: int, window: int, chunk_frames: int
) -> None:
    """Whatever the borders of chunks, each task with a fresh container that seeks to its chunks."""
    timeline = Timeline(fps, stride, window)
    offsets = (0, window - 1)
    rows = decode(ChunkDecoder(timeline, offsets, SIZE), plan(made(recipe), timeline, chunk_frames))
    found = [snippet for row in rows for snippet in numbers(row, timeline, offsets)]
    assert len(rows) > 1
    assert [row["error"] for row in rows] == [None] * len(rows)

    rate = Fraction(str(fps))
    frames = range(int(recipe.duration * rate) - 1)
    on_screen = recipe.on_screen(frames, rate)
    whole = (len(frames) - window) // stride + 1
    expected = [[on_screen[i * stride], on_screen[i * stride + window - 1]] for i in range(whole)]
    assert len(found) - len(expected) in (0, 1)  # the last frames hang on how a duration is rounded
    assert found[:whole] == expected


@pytest.fixture
def cut_off(tmp_path: Path) -> tuple[Path, int]:
    """Ten seconds by its header, of which the last bytes are missing, and the pictures that are left."""
    recipe = Recipe("whole.mp4", count=250, options={"g": "25", "bf": "0"}, muxer={"movflags": "faststart"})
    data = recipe.make(tmp_path).read_bytes()
    path = tmp_path / "cut_off.mp4"
    path.write_bytes(data[: len(data) * 2 // 3])
    with av.open(str(path)) as container:
        left = sum(1 for packet in container.demux(video=0) if packet.size and not packet.is_corrupt)
    assert 60 < left < 220
    return path, left


@pytest.mark.parametrize("chunk_frames", [4, 7, 16, 40, 200])
def test_a_video_that_ends_early_is_kept_as_one_that_is_as_short(
    cut_off: tuple[Path, int], chunk_frames: int
) -> None:
    path, left = cut_off
    end = left / 25
    frames = int(np.ceil(left * 10 / 25))  # those that begin before the end
    whole = (frames - TEN.window) // TEN.stride + 1
    rows = decode(ChunkDecoder(TEN, OFFSETS, SIZE, keep_truncated=True), plan(path, TEN, chunk_frames))
    for row in rows:
        if row["duration"] != 10:
            assert row["duration"] == pytest.approx(end)
        if row["error"] is None:
            first, count = row["first_snippet"], row["num_snippets"]
            inside = max(0, min(count, whole - first))
            expected = [[int(2.5 * k) for k in (2 * i, 2 * i + 3)] for i in range(first, first + inside)]
            assert numbers(row, TEN, OFFSETS)[:inside] == expected
        else:
            assert row["first_snippet"] >= whole
            assert row["error"].startswith("truncated: ")
    stored = [row for row in rows if row["error"] is None]
    assert sum(row["num_snippets"] for row in stored) >= whole
    assert any(row["duration"] != 10 for row in rows)


def test_a_video_that_ends_early_is_lost_where_that_is_the_policy(cut_off: tuple[Path, int]) -> None:
    path, left = cut_off
    rows = decode(ChunkDecoder(TEN, OFFSETS, SIZE), plan(path, TEN, 16))
    assert {row["duration"] for row in rows} == {10.0}
    errors = [row["error"] for row in rows]
    lost = [error for error in errors if error is not None]
    assert errors[-len(lost) :] == lost
    assert all(error.startswith(f"truncated: the video ends at {left / 25:.2f} s") for error in lost)


LIMITS = Limits(seconds=4, memory_bytes=200 * 2**20)


@pytest.mark.parametrize(
    ("poison", "kind"),
    [("hang", "timeout"), ("swallow", "out_of_memory"), ("segfault", "crash"), ("killed", "crash")],
)
def test_poison_costs_its_own_rows(poison: str, kind: str, tmp_path: Path) -> None:
    path = Recipe("plain.mp4").make(tmp_path)
    names = ("before", f"{poison}_at_1", "after")
    rows = pa.concat_tables([plan(path, TEN, 10, name) for name in names])
    per_video = rows.num_rows // 3
    clean = decode(ChunkDecoder(TEN, OFFSETS, SIZE, limits=LIMITS), rows, rows.num_rows)
    found = decode(
        ChunkDecoder(TEN, OFFSETS, SIZE, limits=LIMITS, reader=PoisonedReader), rows, rows.num_rows
    )
    for index, (row, wanted) in enumerate(zip(found, clean, strict=True)):
        poisoned = per_video < index < 2 * per_video  # the chunk with the poison and those after it
        if poisoned:
            assert row["error"].startswith(f"{kind}: ")
            assert row["frames"] is None
        else:
            assert row == wanted


def test_a_single_crash_costs_nothing(tmp_path: Path) -> None:
    path = Recipe("plain.mp4").make(tmp_path)
    rows = plan(path, TEN, 10, "killed_once_at_2")
    found = decode(
        ChunkDecoder(TEN, OFFSETS, SIZE, limits=LIMITS, reader=PoisonedReader), rows, rows.num_rows
    )
    assert Path(f"{path}.harmed").exists()
    assert found == decode(ChunkDecoder(TEN, OFFSETS, SIZE, limits=LIMITS), rows, rows.num_rows)
