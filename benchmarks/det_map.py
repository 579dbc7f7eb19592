"""Detection mAP beside the loop-written reference of the tests, on synthetic data of MultiTHUMOS' size.

Nine tIoU thresholds, 33,000 predictions, 20,208 truths, 213 videos, 65 classes. Prints both times, their
ratio and the largest difference between the two tables of AP, and fails where that exceeds 1e-9.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the tests are, which hold the reference

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.evaluation.detection_map import POINTTAD, detection_map
from pipeline.inference.schema import SEGMENTS_SCHEMA
from tests.pipeline.evaluation import loop_written

NUM_VIDEOS, NUM_CLASSES, NUM_TRUTHS, NUM_PREDICTIONS = 213, 65, 20_208, 33_000
REPEATS = 5


def synthetic_archive(seed: int) -> tuple[pa.Table, Annotations]:
    """Truths spread unevenly over videos and classes; half of the predictions near a truth, half anywhere."""
    rng = np.random.default_rng(seed)
    videos = np.array([f"video_{i:04d}" for i in range(NUM_VIDEOS)])
    labels = np.array([f"class_{i:02d}" for i in range(NUM_CLASSES)])
    video = (NUM_VIDEOS * rng.power(0.5, NUM_TRUTHS)).astype(int)
    label = (NUM_CLASSES * rng.power(0.5, NUM_TRUTHS)).astype(int)
    start = rng.uniform(0, 250, NUM_TRUTHS)
    end = start + rng.gamma(2, 2, NUM_TRUTHS)

    near = rng.integers(NUM_TRUTHS, size=NUM_PREDICTIONS // 2)
    far = NUM_PREDICTIONS - len(near)
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
    rows = [{"video_id": video_id, "subset": "test", "duration": 300.0} for video_id in videos]
    instances = {"video_id": videos[video], "t_start": start, "t_end": end, "label": labels[label]}
    return predictions, Annotations(
        pa.Table.from_pylist(rows, VIDEOS_SCHEMA), pa.table(instances, schema=INSTANCES_SCHEMA), tuple(labels)
    )


def main() -> None:
    predictions, annotations = synthetic_archive(seed=0)
    ours = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        result = detection_map(predictions, annotations)
        ours.append(time.perf_counter() - begin)

    predicted = list(zip(*(column.to_pylist() for column in predictions.columns), strict=True))
    true = list(zip(*(column.to_pylist() for column in annotations.instances.columns), strict=True))
    begin = time.perf_counter()
    expected = loop_written.detection_map(
        predicted, true, annotations.labels, POINTTAD.thresholds, POINTTAD.union_epsilon
    )
    loops = time.perf_counter() - begin

    difference = float(np.abs(np.stack(list(result.per_class.values())) - np.array(expected)).max())
    print(f"{NUM_PREDICTIONS} predictions, {NUM_TRUTHS} truths, {NUM_VIDEOS} videos, {NUM_CLASSES} classes")
    print(f"average det-mAP {result.average:.4f}, largest difference in AP {difference:.1e}")
    print(f"raytad {min(ours):.3f} s, plain loops {loops:.1f} s, ratio {loops / min(ours):.0f}")
    if difference > 1e-9:
        sys.exit("the two disagree")


if __name__ == "__main__":
    main()
