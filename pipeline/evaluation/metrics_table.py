"""Detection mAP as a table on the screen."""

import numpy as np
from rich.table import Table

from pipeline.evaluation.detection_map import DetectionMAP


def metrics_table(result: DetectionMAP) -> Table:
    """One row a class in the order of the labels, then the mean over classes in bold; AP in percent."""
    table = Table(
        title=f"Detection AP (%) by tIoU, protocol {result.protocol.name}",
        caption=_caption(result),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("class", no_wrap=True)
    table.add_column("truths", justify="right")
    for threshold in result.protocol.thresholds:
        table.add_column(f"{threshold:g}", justify="right")
    table.add_column("average", justify="right", style="bold")
    for label, ap in result.per_class.items():
        table.add_row(label, str(result.truths_per_class[label]), *_percentages(ap))
    table.add_section()
    num_truths = sum(result.truths_per_class.values())
    table.add_row("mean (mAP)", str(num_truths), *_percentages(result.map_per_threshold), style="bold")
    return table


def _percentages(ap: np.ndarray) -> list[str]:
    return [f"{100 * value:.2f}" for value in (*ap, ap.mean())]


def _caption(result: DetectionMAP) -> str:
    caption = f"{result.num_predictions:,} predictions in {result.num_videos:,} videos"
    ignored = {"in other videos": result.ignored_video, "of unknown classes": result.ignored_label}
    left_out = " and ".join(f"{count:,} {why}" for why, count in ignored.items() if count)
    return f"{caption}; left out {left_out}" if left_out else caption
