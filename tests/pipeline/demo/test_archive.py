"""The demo's archive: real H.264 files whose pictures act exactly when the annotations say."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from pipeline.demo.archive import render_archive, render_video, truth_of
from pipeline.demo.scene import frames
from pipeline.demo.timetable import CLASSES, VideoSpec, plan_archive


@pytest.fixture(scope="module")
def small() -> list[VideoSpec]:
    return plan_archive(
        seed=3, train_videos=1, test_videos=1, size=(96, 72), fps=6, min_seconds=8, max_seconds=12
    )


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_files_are_h264_of_the_stated_length_and_rate(small: list[VideoSpec], tmp_path: Path) -> None:
    for spec in small:
        path = render_video(spec, tmp_path)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height) == spec.size
            assert stream.average_rate == spec.fps
            assert float(stream.duration * stream.time_base) == pytest.approx(spec.duration)
            pictures = list(container.decode(stream))
        assert len(pictures) == spec.num_frames
        assert {picture.pict_type for picture in pictures} >= {PictureType.I, PictureType.P, PictureType.B}
        keyframes = [picture.time for picture in pictures if picture.key_frame]
        assert np.diff(keyframes).min() >= 2  # seconds to decode after a seek


def test_the_same_spec_gives_the_same_file_whatever_memory_held_before(
    small: list[VideoSpec], tmp_path: Path
) -> None:
    rng = np.random.default_rng()
    first = render_video(small[0], tmp_path).read_bytes()
    for _ in range(3):
        junk = [rng.integers(256, size=rng.integers(1, 2**18), dtype=np.uint8) for _ in range(50)]
        del junk
        assert render_video(small[0], tmp_path).read_bytes() == first


def test_pictures_act_exactly_when_the_truth_says(small: list[VideoSpec]) -> None:
    spec = small[0]
    whole = list(frames(spec))
    for position, action in enumerate(spec.actions):
        without = replace(spec, actions=spec.actions[:position] + spec.actions[position + 1 :])
        differs = [not (a == b).all() for a, b in zip(whole, frames(without), strict=True)]
        assert [index for index, value in enumerate(differs) if value] == list(
            range(action.first, action.stop)
        )


def test_the_truth_is_overlapping_varied_and_inside_the_videos() -> None:
    specs = plan_archive()
    assert [sum(spec.subset == subset for spec in specs) for subset in ("train", "test")] == [24, 8]
    overlaps = 0
    for spec in specs:
        assert 30 <= spec.duration <= 60
        for action in spec.actions:
            assert 0 < action.first < action.stop < spec.num_frames
        overlaps += sum(b.first < a.stop for a, b in zip(spec.actions, spec.actions[1:], strict=False))
    assert overlaps > len(specs)
    for subset in ("train", "test"):
        actions = [action for spec in specs if spec.subset == subset for action in spec.actions]
        assert {action.label for action in actions} == set(CLASSES)
        lengths = [(action.stop - action.first) / specs[0].fps for action in actions]
        assert min(lengths) < 2
        assert max(lengths) > 9


def test_videos_follow_the_seed_and_share_nothing() -> None:
    one, same, other = plan_archive(seed=1), plan_archive(seed=1), plan_archive(seed=2)
    assert one == same
    assert len({spec.seed for spec in one + other}) == len(one) + len(other)
    assert len({spec.actions for spec in one + other}) == len(one) + len(other)
    first = plan_archive(seed=1, train_videos=2, test_videos=1)[:2]
    assert first == one[:2]  # more videos do not change those before them


def test_rendering_again_renders_only_what_is_missing_or_changed(
    small: list[VideoSpec], tmp_path: Path
) -> None:
    annotations = render_archive(tmp_path, small, processes=1)
    videos = sorted(tmp_path.glob("*.mp4"))
    assert [video.stem for video in videos] == sorted(spec.video_id for spec in small)
    pictures = [decoded(video) for video in videos]
    times = [video.stat().st_mtime_ns for video in videos]
    videos[0].unlink()
    assert render_archive(tmp_path, small, processes=1) == annotations
    assert videos[1].stat().st_mtime_ns == times[1]
    assert all((decoded(video) == before).all() for video, before in zip(videos, pictures, strict=True))
    changed = [replace(spec, seed=spec.seed + 1) for spec in small]
    render_archive(tmp_path, changed, processes=1)
    assert all((decoded(video) != before).any() for video, before in zip(videos, pictures, strict=True))


def test_annotations_are_the_specs_in_seconds(small: list[VideoSpec]) -> None:
    database = truth_of(small)["database"]
    for spec in small:
        entry = database[spec.video_id]  # type: ignore[index]
        segments = [a["segment"] for a in entry["annotations"]]
        assert segments == [[a.first / spec.fps, a.stop / spec.fps] for a in spec.actions]
