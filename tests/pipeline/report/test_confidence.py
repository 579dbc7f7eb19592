"""The scatter has a point for each proposal, where its score and its best tIoU put it."""

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.collections import PathCollection
from matplotlib.image import imread

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.report.confidence import (
    ProposalQuality,
    confidence_figure,
    proposal_quality,
)
from pipeline.report.style import png
from pipeline.segments.schema import SEGMENTS_SCHEMA

BASELINE = ProposalQuality("baseline", np.array([0.1, 0.9, 0.5]), np.array([0.0, 1.0, 0.3]))
OURS = ProposalQuality("TP²-DETR", np.linspace(0, 1, 50), np.linspace(1, 0, 50))


def test_dollar_signs_are_drawn() -> None:
    picture = png(lambda: confidence_figure([replace(BASELINE, name=r"$\nothing$")]))
    assert picture.startswith(b"\x89PNG")


def test_a_panel_a_run_a_point_a_proposal() -> None:
    figure = confidence_figure([BASELINE, OURS])
    assert len(figure.axes) == 2
    for axes, run in zip(figure.axes, (BASELINE, OURS), strict=True):
        (points,) = axes.collections
        assert isinstance(points, PathCollection)
        np.testing.assert_allclose(points.get_offsets(), np.stack([run.scores, run.tious], axis=1))
        assert axes.get_title(loc="left") == f"{run.name}, {len(run.scores)} proposals"
        for low, high in (axes.get_xlim(), axes.get_ylim()):
            assert low <= 0
            assert high >= 1


def test_many_points_are_fainter_than_few() -> None:
    many = ProposalQuality("many", *np.random.default_rng(0).random((2, 5000)))
    few_axes, many_axes = confidence_figure([BASELINE, many]).axes
    assert 0 < many_axes.collections[0].get_alpha() < few_axes.collections[0].get_alpha()


def test_the_best_tiou_of_each_proposal_by_hand() -> None:
    rows = [
        ("v0", 0.0, 2.0, "a", 0.9),  # against (0, 3): 2 / 3
        ("v0", 1.0, 4.0, "a", 0.8),  # against (2, 4): 2 / 3
        ("v0", 2.0, 4.0, "b", 0.7),  # of another label
        ("v1", 0.0, 3.0, "a", 0.6),  # in a video without truth
        ("v2", 0.0, 3.0, "a", 0.5),  # in a video that is not of the truth
    ]
    columns = dict(zip(SEGMENTS_SCHEMA.names, zip(*rows, strict=True), strict=True))
    predictions = pa.table({name: list(values) for name, values in columns.items()}, schema=SEGMENTS_SCHEMA)
    videos = [{"video_id": v, "subset": "test", "duration": 9.0, "fps": None} for v in ("v0", "v1")]
    instances = [
        {"video_id": "v0", "t_start": 0.0, "t_end": 3.0, "label": "a"},
        {"video_id": "v0", "t_start": 2.0, "t_end": 4.0, "label": "a"},
    ]
    truth = Annotations(
        pa.Table.from_pylist(videos, schema=VIDEOS_SCHEMA),
        pa.Table.from_pylist(instances, schema=INSTANCES_SCHEMA),
        ("a", "b"),
    )
    quality = proposal_quality("run", predictions, truth)
    assert quality.scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    np.testing.assert_allclose(quality.tious, [2 / 3, 2 / 3, 0.0, 0.0])


@pytest.mark.parametrize("runs", [[], [BASELINE], [BASELINE, OURS]])
def test_writes_a_png(runs: list[ProposalQuality]) -> None:
    pixels = imread(io.BytesIO(png(lambda: confidence_figure(runs))), format="png")
    assert pixels.shape[:2] == (690, 690 * max(len(runs), 1))
