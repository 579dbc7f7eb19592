"""The picture of timelines has a bar for each segment that it should show, and is a PNG."""

import io

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.errors import InputError
from pipeline.report.style import png
from pipeline.report.timelines import timelines_figure as drawn
from pipeline.segments.schema import SEGMENTS_SCHEMA
from pipeline.segments.threshold import ScoreThreshold

THRESHOLD = ScoreThreshold(0.3, "best F1 at tIoU 0.5")


def timelines_figure(found, annotations, **settings):
    return drawn(found, annotations, THRESHOLD, **settings)


def archive(num_videos=3, labels=("run", "jump", "swim"), duration=20.0):
    """Every video has two runs and one jump; nobody swims."""
    videos = [
        {"video_id": f"v{i}", "subset": "test", "duration": duration + i if duration else None}
        for i in range(num_videos)
    ]
    rows = [
        (video["video_id"], *row)
        for video in videos
        for row in [(1.0, 4.0, "run"), (10.0, 12.0, "run"), (3.0, 30.0, "jump")]
    ]
    return Annotations(
        pa.Table.from_pylist(videos, VIDEOS_SCHEMA),
        pa.Table.from_pylist(
            [dict(zip(INSTANCES_SCHEMA.names, row, strict=True)) for row in rows], INSTANCES_SCHEMA
        ),
        tuple(labels),
    )


def predictions(*rows):
    return pa.Table.from_pylist(
        [dict(zip(SEGMENTS_SCHEMA.names, row, strict=True)) for row in rows], SEGMENTS_SCHEMA
    )


def bars(axes, kind):
    """(lane name, start, end) of the bars drawn, in drawing order."""
    names = dict(zip(axes.get_yticks(), (text.get_text() for text in axes.get_yticklabels()), strict=True))
    return [
        (names[round(bar.get_y() + bar.get_height() / 2)], bar.get_x(), bar.get_x() + bar.get_width())
        for container in axes.containers
        if container.get_label() == kind
        for bar in container
    ]


def test_dollar_signs_are_drawn():
    costs = r"$\nothing$ to pay"  # which is no formula
    truth = archive(labels=("run", "jump", costs))
    renamed = truth.videos.set_column(0, truth.videos.schema.field(0), pa.array(["$v_0$", "$^$", "v2"]))
    found = predictions(("$^$", 1.5, 4.5, costs, 0.9))
    picture = png(
        lambda: timelines_figure(found, Annotations(renamed, truth.instances.slice(6), truth.labels))
    )
    assert picture.startswith(b"\x89PNG")


def test_a_panel_a_video_a_lane_a_class_a_bar_a_segment():
    found = predictions(
        ("v0", 1.5, 4.5, "run", 0.9),
        ("v1", 5.0, 6.0, "swim", 0.3),
        ("v1", 7.0, 8.0, "swim", 0.29),  # below the threshold
        ("v2", 5.0, 5.0, "run", 0.9),  # no length
        ("v2", 5.0, 6.0, "fly", 0.9),  # no such class
        ("v9", 5.0, 6.0, "run", 0.9),  # no such video
    )
    first, second, third = timelines_figure(found, archive()).axes
    assert [axes.get_title(loc="left") for axes in (first, second, third)] == ["v0", "v1", "v2"]
    true = [("run", 1.0, 4.0), ("run", 10.0, 12.0), ("jump", 3.0, 30.0)]
    for axes in (first, second, third):
        assert bars(axes, "true") == true
    assert bars(first, "predicted") == [("run", 1.5, 4.5)]
    assert bars(second, "predicted") == [("swim", 5.0, 6.0)]
    assert bars(third, "predicted") == []
    assert [text.get_text() for text in second.get_yticklabels()] == ["run", "jump", "swim"]


def test_the_axis_is_the_video_in_seconds():
    for axes, duration in zip(timelines_figure(predictions(), archive()).axes, (20, 21, 22), strict=True):
        left, right = axes.get_xlim()
        assert left == pytest.approx(0, abs=0.2)
        assert right == pytest.approx(duration, abs=0.2)
    unknown = timelines_figure(predictions(), archive(1, duration=None)).axes[0]
    assert unknown.get_xlim()[1] == pytest.approx(30, abs=0.2)


def test_the_score_is_the_opacity_and_the_best_lies_on_top():
    found = predictions(("v0", 1, 4, "run", 1.0), ("v0", 2, 5, "run", 0.5), ("v0", 2, 5, "run", 1.5))
    axes = timelines_figure(found, archive(1)).axes[0]
    assert [start for _, start, _ in bars(axes, "predicted")] == [2, 1, 2]
    true, predicted, *_ = axes.containers
    full = np.array(to_rgb(true[0].get_facecolor()))
    drawn = np.array([to_rgb(bar.get_facecolor()) for bar in predicted])
    np.testing.assert_allclose(drawn, [(1 + full) / 2, full, full], atol=1e-9)


def test_the_first_videos_are_shown_and_classes_are_told_apart():
    labels = tuple(f"class {i}" for i in range(20))
    found = predictions(*(("v0", i, i + 1, label, 0.9) for i, label in enumerate(labels)))
    annotations = archive(12, labels=("run", "jump", *labels))
    figure = timelines_figure(found, annotations, max_videos=5)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"v{i}" for i in range(5)]
    legends = figure.subfigs[0].legends
    assert [text.get_text() for text in legends[1].get_texts()] == ["run", "jump", *labels]
    looks = {(patch.get_facecolor(), patch.get_hatch()) for patch in legends[1].get_patches()}
    assert len(looks) == 22


@pytest.mark.parametrize("annotations", [archive(), archive(1), archive(0)])
def test_writes_a_png(annotations):
    picture = png(lambda: timelines_figure(predictions(("v0", 1, 4, "run", 0.8)), annotations))
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    pixels = imread(io.BytesIO(picture), format="png")
    assert pixels.shape[1] == 1950
    assert pixels[..., :3].min() < 0.5  # something is drawn


def test_a_video_without_any_action_has_an_empty_panel():
    empty = Annotations(archive(1).videos, INSTANCES_SCHEMA.empty_table(), ("run",))
    axes = timelines_figure(predictions(), empty).axes[0]
    assert [text.get_text() for text in axes.texts] == ["no action"]


def test_the_picture_says_from_which_score_on_and_why():
    figure = timelines_figure(predictions(), archive(5), max_videos=2)
    said = [text.get_text() for text in figure.subfigs[0].texts]
    summary = "2 of 5 videos; predictions with a score of 0.3 or more (best F1 at tIoU 0.5)"
    assert said == ["True and predicted actions", summary]


def test_without_truth_predictions_have_the_lanes_for_themselves():
    videos = Annotations(archive(2).videos, INSTANCES_SCHEMA.empty_table(), ("run", "swim"))
    found = predictions(
        ("v0", 1.5, 4.5, "run", 0.9), ("v0", 5.0, 6.0, "swim", 0.4), ("v0", 7.0, 8.0, "swim", 0.2)
    )
    figure = timelines_figure(found, videos, with_truth=False)
    first, second = figure.axes
    assert bars(first, "true") == []
    assert sorted(bars(first, "predicted")) == [("run", 1.5, 4.5), ("swim", 5.0, 6.0)]
    centres = [bar.get_y() + bar.get_height() / 2 for container in first.containers for bar in container]
    assert centres == pytest.approx([0, 1])
    assert [text.get_text() for text in second.texts] == ["no action"]
    header = figure.subfigs[0]
    assert header.texts[0].get_text() == "Predicted actions"
    assert [text.get_text() for text in header.legends[0].get_texts()] == [
        "predicted, score 0.3",
        "0.6",
        "0.9",
    ]


def test_an_unusable_table_is_refused():
    with pytest.raises(InputError, match="no column 'score'"):
        timelines_figure(predictions().drop_columns(["score"]), archive())
