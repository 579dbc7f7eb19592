"""The metrics beside the loop-written references of the tests, on synthetic data.

Detection mAP at the size of MultiTHUMOS: nine tIoU thresholds, 33,000 predictions, 20,208 truths, 213 videos,
65 classes; and its peak memory with four times the predictions over that with these, 4 if it grows in
proportion to them. Segmentation mAP and AR@AN at that size by themselves, and on a small archive beside the
loops, which would take hours on the large one. Fails where a result differs from the loops' by more than
1e-9, or where memory grows faster than predictions.
"""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import record, wall_seconds

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the tests are, which hold the reference

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.evaluation.average_recall import THUMOS_PROPOSALS, average_recall
from pipeline.evaluation.detection_map import POINTTAD, detection_map
from pipeline.evaluation.segmentation_map import POINTTAD_DENSE_MULTITHUMOS, segmentation_map
from pipeline.segments.schema import SEGMENTS_SCHEMA
from tests.pipeline.evaluation import loop_written

NUM_VIDEOS, NUM_CLASSES, NUM_TRUTHS, NUM_PREDICTIONS = 213, 65, 20_208, 33_000
DURATION = 300.0
REPEATS = 5


def synthetic_archive(
    num_videos: int, num_classes: int, num_truths: int, num_predictions: int
) -> tuple[pa.Table, Annotations]:
    """Truths spread unevenly over videos and classes; half of the predictions near a truth, half anywhere."""
    rng = np.random.default_rng(0)
    videos = np.array([f"video_{i:04d}" for i in range(num_videos)])
    labels = np.array([f"class_{i:02d}" for i in range(num_classes)])
    video = (num_videos * rng.power(0.5, num_truths)).astype(int)
    label = (num_classes * rng.power(0.5, num_truths)).astype(int)
    start = rng.uniform(0, 250, num_truths)
    end = start + rng.gamma(2, 2, num_truths)

    near = rng.integers(num_truths, size=num_predictions // 2)
    far = num_predictions - len(near)
    far_start = rng.uniform(0, 250, far)
    predictions = pa.table(
        {
            "video_id": np.concatenate([videos[video[near]], rng.choice(videos, far)]),
            "t_start": np.concatenate([start[near] + rng.normal(size=len(near)), far_start]),
            "t_end": np.concatenate(
                [end[near] + rng.normal(size=len(near)), far_start + rng.gamma(2, 2, far)]
            ),
            "label": np.concatenate([labels[label[near]], rng.choice(labels, far)]),
            "score": np.concatenate([rng.beta(3, 2, len(near)), rng.beta(2, 3, far)]).round(3),
        },
        schema=SEGMENTS_SCHEMA,
    )
    rows = [{"video_id": video_id, "subset": "test", "duration": DURATION} for video_id in videos]
    instances = {"video_id": videos[video], "t_start": start, "t_end": end, "label": labels[label]}
    return predictions, Annotations(
        pa.Table.from_pylist(rows, VIDEOS_SCHEMA), pa.table(instances, schema=INSTANCES_SCHEMA), tuple(labels)
    )


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def seconds(job: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """The shortest of some runs, and what the last one returned."""
    results: list[Any] = []
    taken = min(wall_seconds(lambda: results.append(job())) for _ in range(repeats))
    return taken, results[-1]


def peak_memory(job: Callable[[], Any]) -> int:
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def compare(name: str, ours: float, loops: float, result: np.ndarray, expected: list[Any]) -> dict[str, Any]:
    difference = float(np.abs(result - np.array(expected)).max())
    print(
        f"{name}: raytad {ours:.3f} s, plain loops {loops:.1f} s, ratio {loops / ours:.0f}; "
        f"largest difference {difference:.1e}"
    )
    if difference > 1e-9:
        sys.exit("the two disagree")
    return {"metric": name, "raytad_s": ours, "loops_s": loops, "ratio": loops / ours}


def main() -> None:
    predictions, truth = synthetic_archive(NUM_VIDEOS, NUM_CLASSES, NUM_TRUTHS, NUM_PREDICTIONS)
    print(f"{NUM_PREDICTIONS} predictions, {NUM_TRUTHS} truths, {NUM_VIDEOS} videos, {NUM_CLASSES} classes")
    ours, found = seconds(lambda: detection_map(predictions, truth), REPEATS)
    loops, expected = seconds(
        lambda: loop_written.detection_map(
            rows_of(predictions),
            rows_of(truth.instances),
            truth.labels,
            POINTTAD.thresholds,
            POINTTAD.union_epsilon,
        )
    )
    rows = [compare("det-mAP", ours, loops, np.stack(list(found.per_class.values())), expected)]

    more, _ = synthetic_archive(NUM_VIDEOS, NUM_CLASSES, NUM_TRUTHS, 4 * NUM_PREDICTIONS)
    growth = peak_memory(lambda: detection_map(more, truth)) / peak_memory(
        lambda: detection_map(predictions, truth)
    )
    print(f"det-mAP: peak memory with four times the predictions, ratio {growth:.2f}")
    rows.append({"metric": "det-mAP, peak memory with 4 times the predictions", "ratio": growth})
    if growth > 4.5:
        sys.exit("memory grows faster than predictions")

    ours, _ = seconds(lambda: segmentation_map(predictions, truth, POINTTAD_DENSE_MULTITHUMOS))
    print(f"seg-mAP: raytad {ours:.2f} s")
    rows.append({"metric": "seg-mAP at the size of MultiTHUMOS", "raytad_s": ours})
    ours, _ = seconds(lambda: average_recall(predictions, truth, THUMOS_PROPOSALS))
    print(f"AR@AN: raytad {ours:.2f} s")
    rows.append({"metric": "AR@AN at the size of MultiTHUMOS", "raytad_s": ours})

    predictions, truth = synthetic_archive(8, 4, 200, 300)
    predicted, true = rows_of(predictions), rows_of(truth.instances)
    print("300 predictions, 200 truths, 8 videos, 4 classes")
    ours, dense = seconds(lambda: segmentation_map(predictions, truth, POINTTAD_DENSE_MULTITHUMOS), REPEATS)
    durations = dict.fromkeys(truth.videos["video_id"].to_pylist(), DURATION)
    loops, expected = seconds(
        lambda: loop_written.segmentation_ap(
            predicted, true, durations, truth.labels, 10.0, 4, strict=False, shift=1
        )
    )
    rows.append(compare("seg-mAP", ours, loops, np.array(list(dense.per_class.values())), expected))
    ours, recall = seconds(lambda: average_recall(predictions, truth, THUMOS_PROPOSALS), REPEATS)
    loops, expected = seconds(
        lambda: loop_written.average_recall(predicted, true, THUMOS_PROPOSALS.thresholds, 100)
    )
    rows.append(compare("AR@AN", ours, loops, recall.recall, expected))
    record("det_map", rows)


if __name__ == "__main__":
    main()
