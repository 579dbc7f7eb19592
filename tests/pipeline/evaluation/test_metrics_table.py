"""The table on the screen shows the numbers of the result."""

import io

import numpy as np
from rich.console import Console

from pipeline.evaluation.detection_map import DetectionMAP, DetectionProtocol
from pipeline.evaluation.metrics_table import metrics_table


def test_shows_each_class_and_the_mean_in_percent():
    result = DetectionMAP(
        protocol=DetectionProtocol("mine", (0.3, 0.5)),
        per_class={"run": np.array([0.5, 0.25]), "jump": np.array([0.25, 0.0])},
        map_per_threshold=np.array([0.375, 0.125]),
        average=0.25,
        num_videos=7,
        truths_per_class={"run": 11, "jump": 2},
        num_predictions=1234,
        ignored_video=0,
        ignored_label=5,
    )
    console = Console(file=io.StringIO(), width=100)
    console.print(metrics_table(result))
    text = console.file.getvalue()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert rows == [
        ["run", "11", "50.00", "25.00", "37.50"],
        ["jump", "2", "25.00", "0.00", "12.50"],
        ["mean (mAP)", "13", "37.50", "12.50", "25.00"],
    ]
    assert "protocol mine" in text
    assert "1,234 predictions in 7 videos; left out 5 of unknown classes" in " ".join(text.split())
