"""The tables on the screen show the numbers of the result."""

import io

import numpy as np
import pytest
from rich.console import Console

from pipeline.evaluation.average_recall import AverageRecall, ProposalProtocol
from pipeline.evaluation.best_f1 import OperatingPoint
from pipeline.evaluation.detection_map import DetectionMAP, DetectionProtocol
from pipeline.evaluation.length_recall import LengthRecall
from pipeline.evaluation.metrics_table import metrics_tables
from pipeline.evaluation.result import Evaluation
from pipeline.evaluation.segmentation_map import SegmentationMAP, SegmentationProtocol


@pytest.fixture
def result():
    return evaluation({"run": [0.5, 0.25], "jump": [0.25, 0.0]}, {"run": 0.75, "jump": 0.5})


def evaluation(per_class, seg_per_class, **changes):
    """The scores of two thresholds; the first class has 11 true instances, the others 2."""
    ap = {label: np.array(values) for label, values in per_class.items()}
    mean = np.stack(list(ap.values())).mean(axis=0)
    truths = {label: 2 if index else 11 for index, label in enumerate(ap)}
    detection = DetectionMAP(
        protocol=DetectionProtocol((0.3, 0.5)),
        per_class=ap,
        map_per_threshold=mean,
        average=float(mean.mean()),
        found=np.zeros((13, 2), dtype=bool),
        truths_per_class=truths,
        num_predictions=1234,
        ignored_video=0,
        ignored_label=5,
    )
    fields = {
        "dataset": "mine",
        "subset": "test",
        "protocol": "custom",
        "changed": ("thresholds",),
        "class_agnostic": False,
        "num_videos": 7,
        "num_truths": sum(truths.values()),
        "num_without_predictions": 0,
        "predictions_complete": None,
        "metrics": ("det_map", "best_f1", "seg_map", "ar_at_an", "recall_by_length"),
        "detection": detection,
        "operating_point": OperatingPoint(0.0312345, 0.5, 0.25, 1 / 3),
        "segmentation": SegmentationMAP(SegmentationProtocol(10.0, 4), seg_per_class, 0.625, 100),
        "recall": AverageRecall(
            ProposalProtocol((0.5, 1.0), 10), np.zeros((2, 10)), np.arange(10) / 10, 0.405, 6
        ),
        "by_length": LengthRecall(
            ("0-3 s", "over 3 s"), np.array([13, 0]), np.array([[0.5, 0.25], [np.nan, np.nan]])
        ),
    }
    return Evaluation(**fields | changes)


def shown(result):
    """The rows of each table, and all text with single spaces."""
    texts = []
    for table in metrics_tables(result):
        console = Console(file=io.StringIO(), width=100)
        console.print(table)
        texts.append(console.file.getvalue())
    rows = [
        [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
        for text in texts
    ]
    return rows, " ".join(" ".join(texts).split())


def test_each_metric_is_shown_in_percent(result):
    (classes, best, recall, lengths), text = shown(result)
    assert classes == [
        ["run", "11", "50.00", "25.00", "37.50", "75.00"],
        ["jump", "2", "25.00", "0.00", "12.50", "50.00"],
        ["mean (mAP)", "13", "37.50", "12.50", "25.00", "62.50"],
    ]
    assert best == [["0.03123", "50.00", "25.00", "33.33"]]
    assert recall == [["0.00", "40.00", "90.00", "40.50"]]  # AR@1, AR@5, AR@10, AUC
    assert lengths == [["0-3 s", "13", "50.00", "25.00", "37.50"], ["over 3 s", "0", "", "", ""]]
    assert "protocol custom (changed: thresholds)" in text
    assert "1,234 predictions in 7 videos; left out 5 of unknown classes" in text


def test_what_was_not_asked_for_is_not_shown(result):
    fields = dict.fromkeys(("operating_point", "segmentation", "recall", "by_length"))
    fields |= {"metrics": ("det_map",)}
    (classes,), _ = shown(evaluation({"run": [0.5, 0.25]}, {}, **fields))
    assert classes == [
        ["run", "11", "50.00", "25.00", "37.50"],
        ["mean (mAP)", "11", "50.00", "25.00", "37.50"],
    ]
    fields = dict.fromkeys(("operating_point", "recall", "by_length")) | {"metrics": ("seg_map",)}
    (classes,), _ = shown(evaluation({"run": [0.5, 0.25]}, {"run": 0.75}, **fields))
    assert classes == [["run", "11", "75.00"], ["mean (mAP)", "11", "62.50"]]


def test_where_nothing_hits_there_is_no_score_to_keep_from():
    nothing = OperatingPoint(None, 0.0, 0.0, 0.0)
    (_, best, *_), text = shown(evaluation({"run": [0.0, 0.0]}, {"run": 0.0}, operating_point=nothing))
    assert best == [["–", "0.00", "0.00", "0.00"]]
    assert "no prediction hits a true segment" in text


def test_without_classes_there_is_but_one_row():
    rows, text = shown(evaluation({"action": [0.5, 0.25]}, {"action": 0.625}, class_agnostic=True))
    assert rows[0] == [["mean (mAP)", "11", "50.00", "25.00", "37.50", "62.50"]]
    assert "without classes" in text


def test_of_many_classes_the_best_and_the_worst_are_shown():
    per_class = {f"class {i:02d}": [i / 40, i / 40] for i in range(40)}
    rows, text = shown(evaluation(per_class, dict.fromkeys(per_class, 0.5)))
    assert [row[0] for row in rows[0]] == [
        *(f"class {i:02d}" for i in range(39, 29, -1)),
        *(f"class {i:02d}" for i in range(9, -1, -1)),
        "mean (mAP)",
    ]
    assert "the 10 best and 10 worst of 40 classes" in text
