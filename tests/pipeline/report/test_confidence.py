"""The scatter has a point for each proposal, where its score and its best tIoU put it."""

import io

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.image import imread

from pipeline.report.confidence import ProposalQuality, best_tiou, confidence_figure, draw_confidence

BASELINE = ProposalQuality("baseline", np.array([0.1, 0.9, 0.5]), np.array([0.0, 1.0, 0.3]))
OURS = ProposalQuality("TP²-DETR", np.linspace(0, 1, 50), np.linspace(1, 0, 50))


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
    proposals = np.array([[0.0, 2.0], [1.0, 4.0], [8.0, 9.0], [5.0, 5.0]])
    truth = np.array([[0.0, 3.0], [2.0, 4.0]])
    np.testing.assert_allclose(best_tiou(proposals, truth), [2 / 3, 2 / 3, 0.0, 0.0])
    assert best_tiou(proposals, np.zeros((0, 2))).tolist() == [0, 0, 0, 0]
    assert best_tiou(np.zeros((0, 2)), truth).shape == (0,)


@pytest.mark.parametrize("runs", [[], [BASELINE], [BASELINE, OURS]])
def test_writes_a_png(runs: list[ProposalQuality]) -> None:
    stream = io.BytesIO()
    draw_confidence(runs, stream)
    stream.seek(0)
    pixels = imread(stream, format="png")
    assert pixels.shape[:2] == (690, 690 * max(len(runs), 1))
