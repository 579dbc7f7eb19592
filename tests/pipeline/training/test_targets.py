"""Targets of training windows, with classes and without."""

import dataclasses
import pickle

import numpy as np
import pyarrow as pa
import pytest

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.annotations.one_class import as_one_class
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import video_windows, visible
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import VideoFeatures
from pipeline.training.targets import label_windows

# One snippet a second, so that snippet coordinates are seconds.
TIMELINE = Timeline(10.0, 10, 10)
CONFIG = WindowConfig(length=10, train_step=5, test_step=5, min_visible=0.75)


def video(video_id: str, num_snippets: int) -> VideoFeatures:
    return VideoFeatures(
        video_id, f"/{video_id}.mp4", float(num_snippets), TIMELINE, num_snippets, (), None, lost_chunks=()
    )


def annotations(
    instances: list[tuple[str, float, float, str]], labels: tuple[str, ...] = ("a", "b")
) -> Annotations:
    videos = [
        {"video_id": video_id, "subset": "train", "duration": 100.0, "fps": None}
        for video_id in sorted({video_id for video_id, *_ in instances})
    ]
    rows = [dict(zip(INSTANCES_SCHEMA.names, instance, strict=True)) for instance in instances]
    return Annotations(
        pa.Table.from_pylist(videos, schema=VIDEOS_SCHEMA),
        pa.Table.from_pylist(rows, schema=INSTANCES_SCHEMA),
        labels,
    )


def test_windows_carry_the_actions_that_they_show_well_enough() -> None:
    truth = annotations([("v", 1, 3, "b"), ("v", 8, 12, "a"), ("v", 22, 23, "a")])
    labelled = label_windows([video("v", 25)], truth, CONFIG)
    # Windows start at 0, 5, 10, 15; the one at 10 shows 2 of the 4 seconds of the second action, which is too
    # little.
    assert [item.window.start for item in labelled] == [0, 5, 15]
    np.testing.assert_allclose(labelled[0].segments, [[0.1, 0.3]])
    np.testing.assert_allclose(labelled[1].segments, [[0.3, 0.7]])
    np.testing.assert_allclose(labelled[2].segments, [[0.7, 0.8]])
    assert [item.labels.tolist() for item in labelled] == [[1], [0], [0]]


def test_an_action_that_a_border_cuts_is_clamped() -> None:
    truth = annotations([("v", 7, 11, "a")])
    labelled = label_windows([video("v", 20)], truth, CONFIG)
    assert [item.window.start for item in labelled] == [0, 5]
    np.testing.assert_allclose(labelled[0].segments, [[0.7, 1.0]])


def test_a_short_video_is_normalised_by_its_own_length() -> None:
    labelled = label_windows([video("v", 4)], annotations([("v", 1, 3, "a")]), CONFIG)
    assert labelled[0].window.length == 4
    np.testing.assert_allclose(labelled[0].segments, [[0.25, 0.75]])


def test_empty_windows_are_kept_on_demand() -> None:
    truth = annotations([("v", 1, 3, "a")])
    assert len(label_windows([video("v", 30)], truth, CONFIG)) == 1
    kept = label_windows([video("v", 30)], truth, CONFIG.model_copy(update={"keep_empty": True}))
    assert [len(item.labels) for item in kept] == [1, 0, 0, 0, 0]
    assert kept[1].segments.shape == (0, 2)


def test_labelling_is_a_pure_function() -> None:
    truth = annotations([("v", 1, 3, "b"), ("w", 8, 12, "a")])
    videos = [video("v", 25), video("w", 14)]
    first, second = label_windows(videos, truth, CONFIG), label_windows(videos, truth, CONFIG)
    assert [item.window for item in first] == [item.window for item in second]
    for left, right in zip(first, second, strict=True):
        for field in dataclasses.fields(left)[1:]:
            np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


def test_without_classes_an_action_with_two_names_is_one() -> None:
    truth = annotations([("v", 1, 3, "a"), ("v", 1, 3, "b"), ("v", 1, 4, "b"), ("w", 1, 3, "a")])
    merged = as_one_class(truth)
    assert merged.labels == ("action",)
    assert merged.instances.to_pylist() == [
        {"video_id": video_id, "t_start": start, "t_end": end, "label": "action"}
        for video_id, start, end in [("v", 1, 3), ("v", 1, 4), ("w", 1, 3)]
    ]


def test_released_code_keeps_both_names() -> None:
    truth = annotations([("v", 5, 6, "a"), ("v", 1, 3, "b"), ("v", 1, 3, "a")])
    merged = as_one_class(truth, deduplicate=False)
    assert merged.labels == ("action",)
    assert merged.instances.to_pylist() == [
        {"video_id": "v", "t_start": start, "t_end": end, "label": "action"}
        for start, end in [(5, 6), (1, 3), (1, 3)]
    ]


def test_a_rescaled_video_keeps_its_actions_in_parts_of_the_video() -> None:
    truth = annotations([("v", 5, 10, "a"), ("v", 38, 50, "b"), ("v", 39.9, 44, "b")])
    (labelled,) = label_windows(
        [video("v", 40)], truth, WindowConfig(mode="rescale", length=10, min_visible=0.1)
    )
    assert labelled.window.length == 40
    # The second ends past the video and is clamped; of the third too little is in it.
    np.testing.assert_allclose(labelled.segments, [[0.125, 0.25], [0.95, 1.0]])
    assert labelled.labels.tolist() == [0, 1]


def test_an_action_that_fills_a_window_counts_on_demand() -> None:
    truth = annotations([("v", 3, 40, "a")])
    assert len(label_windows([video("v", 40)], truth, CONFIG)) == 0
    filled = label_windows([video("v", 40)], truth, CONFIG.model_copy(update={"min_window_cover": 0.7}))
    assert [item.window.start for item in filled] == [0, 5, 10, 15, 20, 25, 30]
    np.testing.assert_allclose([item.segments[0] for item in filled], [[0.3, 1], *[[0, 1]] * 6])


def test_steps_longer_than_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="train_step"):
        WindowConfig(length=10, train_step=11, test_step=5)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"keep_empty": True}, {"min_window_cover": 0.6}, {"ends_early": True}, {"mode": "whole"},
        {"mode": "rescale"}, {"train_last": "pad"},
    ],
)  # fmt: skip
def test_columns_hold_what_each_window_shows_by_itself(changes: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    names = [f"v{number}" for number in range(12)]
    videos = [video(name, int(rng.integers(1, 70))) for name in names]
    instances = [
        (name, start, start + float(rng.uniform(0.2, 15)), str(rng.choice(["a", "b"])))
        for name in names[1:]
        for start in rng.uniform(0, 60, int(rng.integers(1, 9))).tolist()
    ]
    truth = annotations([*instances, (names[0], 0.0, 100.0, "a")])
    config = CONFIG.model_copy(update=changes)
    expected = []
    for each in videos:
        known = truth.by_video()[each.video_id]
        classes = np.array([truth.labels.index(label) for label in known.labels])
        for window in video_windows(each.video_id, each.num_snippets, config, training=True):
            extent = each.timeline.to_seconds(window.coordinates(np.array([0.0, 1.0])))
            rows, inside = visible(extent, known.segments, config.min_visible, config.min_window_cover)
            if len(rows) or config.keep_empty:
                expected.append((window, inside.tolist(), classes[rows].tolist()))

    def told(windows) -> list:
        return [(item.window, item.segments.tolist(), item.labels.tolist()) for item in windows]

    labelled = label_windows(videos, truth, config)
    assert told(labelled) == expected
    assert told([labelled[-1], labelled[0]]) == [expected[-1], expected[0]]
    for part in (slice(2, 9), slice(None, -1), slice(None, None, 3), slice(5, 5)):
        assert told(labelled[part]) == expected[part]
    assert labelled[0].labels.dtype == np.int64
    with pytest.raises(IndexError):
        labelled[len(expected)]


def test_a_window_costs_some_forty_bytes() -> None:
    starts = np.arange(0, 4000, 4.0)
    truth = annotations([("v", start, start + 3, "a") for start in starts])
    config = CONFIG.model_copy(update={"train_step": 1, "keep_empty": True})
    labelled = label_windows([video("v", 4000)], truth, config)
    assert len(labelled) == 3991
    targets = len(labelled.labels)
    assert len(pickle.dumps(labelled)) < 20.5 * len(labelled) + 20 * targets + 5000
