"""What the index makes of the rows of a store: short videos that were kept, and chunks that were written twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from pipeline.errors import InputError
from pipeline.features.plan import cut_chunks
from pipeline.features.schema import FEATURES_SCHEMA, PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from tests.pipeline import synthetic

SPEC = FeatureSpec("b", "w", {}, 2, Timeline(fps=10, stride=2, window=4))
ENDS = "truncated: the video ends at 2.35 s, before 3.40 s"
# 2.35 s are 24 frames of the planned 60, so 11 snippets of 29; a chunk of 16 frames has 7.
PLAN = cut_chunks(VideoSource("v", "/v.mp4"), 6.0, SPEC.timeline, 16)


def store_of(folder: Path, *files: list[dict]) -> FeatureStore:
    store = FeatureStore.create(str(folder), SPEC)
    for name in ("plan", "features"):
        (folder / name).mkdir()
    pq.write_table(pa.Table.from_pylist(PLAN, schema=PLAN_SCHEMA), folder / "plan" / "p.parquet")
    for number, rows in enumerate(files):
        table = pa.Table.from_pylist([row | {"dim": 2} for row in rows], schema=FEATURES_SCHEMA)
        pq.write_table(table, folder / "features" / f"{number}.parquet")
    return store


def done(index: int, **changes: object) -> dict:
    row = PLAN[index] | changes
    first, count = int(row["first_snippet"]), int(row["num_snippets"])  # type: ignore[call-overload]
    values = np.arange(first, first + count, dtype=np.float16).repeat(2)
    return row | {"features": values.tobytes(), "error": None}


def lost(index: int, error: str = ENDS, **changes: object) -> dict:
    return PLAN[index] | changes | {"features": None, "error": error}


def test_a_kept_video_ends_where_its_rows_say(tmp_path: Path) -> None:
    short = {"duration": 2.35}
    rows = [done(0), done(1, **short, num_snippets=4), *(lost(i, **short) for i in range(2, len(PLAN)))]
    store = store_of(tmp_path, rows)
    video = store.index()["v"]
    assert (video.complete, video.num_snippets, video.failure, video.lost_chunks) == (True, 11, None, ())
    assert (video.duration, video.stated_duration) == (2.35, 6.0)
    assert video.recorded_chunks == len(PLAN)
    assert store.load("v")[:, 0].tolist() == list(range(11))
    assert store.pending().num_rows == store.pending(retry_lost=True).num_rows == 0
    with pytest.raises(InputError, match="snippets 0 to 12 of v are not all stored: of its 11, 11 are"):
        store.load_range("v", 0, 12)


def test_snippets_of_the_held_last_picture_are_cut_off(tmp_path: Path) -> None:
    """The last picture is held for a second, so the chunk of the end may be whole; the next knows the end."""
    rows = [done(0), done(1), *(lost(i, duration=2.35) for i in range(2, len(PLAN)))]
    store = store_of(tmp_path, rows)
    assert store.index()["v"].complete
    assert store.load("v")[:, 0].tolist() == list(range(11))


@pytest.mark.parametrize("kept_first", [True, False])
def test_a_kept_end_replaces_an_earlier_failure(tmp_path: Path, kept_first: bool) -> None:
    failed = [done(0), done(1), *(lost(i) for i in range(2, len(PLAN)))]
    kept = [lost(i, duration=2.35) for i in range(2, len(PLAN))]
    store = store_of(tmp_path, *((kept, failed) if kept_first else (failed, kept)))
    assert store.index()["v"].complete
    assert store.index()["v"].num_snippets == 11


def test_a_hole_before_the_end_leaves_a_kept_video_incomplete(tmp_path: Path) -> None:
    rows = [lost(0, "decode_error: bad"), done(1, duration=2.35, num_snippets=4), lost(2, duration=2.35)]
    store = store_of(tmp_path, rows)
    video = store.index()["v"]
    assert not video.complete
    assert video.failure is not None
    assert video.failure.kind == "decode_error"
    assert video.lost_chunks == ("v#000000",)
    assert store.pending()["chunk_index"].to_pylist() == list(range(3, len(PLAN)))
    assert store.pending(retry_lost=True)["chunk_index"].to_pylist() == [0, *range(3, len(PLAN))]


def test_a_lost_end_leaves_a_video_incomplete_where_it_is_not_kept(tmp_path: Path) -> None:
    store = store_of(tmp_path, [done(0), done(1), *(lost(i) for i in range(2, len(PLAN)))])
    video = store.index()["v"]
    assert (video.complete, video.num_snippets, video.duration, video.stated_duration) == (
        False,
        29,
        6.0,
        None,
    )
    assert len(video.lost_chunks) == len(PLAN) - 2


def test_little_more_than_what_is_wanted_is_fetched_from_object_storage(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """320 videos of 64 KiB each: the index needs no features, and a video not those of the others."""
    videos = synthetic.make_videos(320, "train", seed=1)
    spec = replace(synthetic.SPEC, dim=512)
    rng = np.random.default_rng(0)
    arrays = {video.video_id: rng.normal(size=(64, 512)).astype(np.float16) for video in videos}
    url = f"{s3_server}/bytes"
    synthetic.write_store(
        url, videos, spec, features=arrays, chunk=64, rows_per_group=16
    )  # as jobs do: 1 MiB
    fetched: list[int] = []
    fetch = s3fs.core.S3File._fetch_range

    def counted(file: s3fs.core.S3File, start: int, end: int) -> bytes:
        fetched.append(end - start)
        return fetch(file, start, end)

    monkeypatch.setattr(s3fs.core.S3File, "_fetch_range", counted)
    store = FeatureStore(url)
    assert len(store.index()) == 320
    wanted = 64 * 512 * 2
    assert sum(fetched) < 0.02 * 320 * wanted
    for number in (3, 150):
        fetched.clear()
        video_id = videos[number].video_id
        assert (store.load(video_id) == arrays[video_id]).all()
        assert sum(fetched) < 1.3 * wanted + 2**20
    fetched.clear()
    store.load(videos[4].video_id)  # the file's footer is known by now
    assert len(fetched) == 1
