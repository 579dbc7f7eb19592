"""Zero-shot detection from end to end: what TP²-DETR and naming find of classes that training never showed.

    python benchmarks/zero_shot.py ANNOTATIONS [--split 0] [--epochs 5] [model.num_queries=40 ...]

ANNOTATIONS is GAP's THUMOS14 file: real videos, actions and class names, with the paper's 50/50 splits. The features
are made: a snippet of an action holds a direction that all actions share and its class's prototype, under noise, a
drifting background and segments of no class. The words of a class ARE its prototype, as CLIP's are to be near its
pictures. The detector learns from the seen classes alone, and its proposals are named by the unseen ones. It tells
det-mAP in percent:

- `agnostic`: the proposals, whatever they are called (the rows of TP²-DETR's Table 1);
- `named`: with their names (GAP's labelled protocol);
- `oracle`: true segments, named by the same words;
- `true_names`: the proposals, each with the class of the true segment that it overlaps most;
- `chance`: the proposals named, and the names handed round among the classes, the mean over all rotations.

THUMOS14's seen and unseen classes differ in more than their looks: in split 0 half of the seen actions are shorter
than 2.3 s and half of the unseen ones longer than 5.5 s. With `--mix-classes` each video's classes are exchanged for
others at random, so that only what they look like is new.

`named_at_<tIoU>` and `true_names_at_<tIoU>` tell at which overlap it is lost. Further words are those of jobs/train.py.

One process; some minutes on a CPU.
"""

import argparse
import json
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from learning import Learner, store_of
from measure import DEVICE, record
from numpy.typing import NDArray

from models.detection import Detections, decode
from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from pipeline.compose import compose_config
from pipeline.detector.merging import merge_windows
from pipeline.detector.windows import Window
from pipeline.evaluation.detection_map import DetectionMAP
from pipeline.evaluation.evaluate import score
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.naming.scoring import Namer
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import Words
from pipeline.segments.detections import VideoDetections
from pipeline.segments.tables import segments_table
from pipeline.training.plan import make_plan
from pipeline.training.settings import TrainConfig

DIM, STRIDE = 128, 8
OWN = 1.0  # how long a class's prototype is in an action's snippets
DRIFT, DRIFT_SECONDS, DRIFT_DIM = 0.5, 4.0, 16
LOGIT_SCALE = 100.0  # CLIP's
Features = NDArray[np.float16]


def unit(random: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """`[rows, DIM]` directions."""
    found = random.standard_normal((rows, DIM))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def drift(random: np.random.Generator, snippets: int, seconds: float) -> NDArray[np.float64]:
    """`[snippets, DRIFT_DIM]` of unit variance that forgets itself within DRIFT_SECONDS."""
    keep = np.exp(-seconds / DRIFT_SECONDS)
    found = random.standard_normal((snippets, DRIFT_DIM))
    for index in range(1, snippets):
        found[index] = keep * found[index - 1] + np.sqrt(1 - keep**2) * found[index]
    return found


def render(
    folder: Path, annotations: Path, seed: int, noise: float, shared_length: float
) -> dict[str, NDArray[np.float64]]:
    """Features of all videos in a folder, as learning.py reads them, and the prototypes by class.

    The direction that all actions share is so long in an action's snippets, and less so in what is no action.
    """
    content = json.loads(annotations.read_text())
    random = np.random.default_rng(seed)
    classes = [name for name in content["classes"] if name != "Ambiguous"]
    prototypes = dict(zip(classes, unit(random, len(classes)), strict=True))
    shared, mixing = unit(random, 1)[0], unit(random, DRIFT_DIM)
    videos = {}
    for video_id, video in content["database"].items():
        random = np.random.default_rng([seed, zlib.crc32(video_id.encode())])
        seconds = STRIDE / video["fps"]
        count = int(video["duration"] / seconds)
        if not count:
            continue
        features = noise * random.standard_normal((count, DIM))
        features += DRIFT * drift(random, count, seconds) @ mixing
        middles = (np.arange(count) + 0.5) * seconds
        for action in video["annotations"]:
            inside = (middles >= action["segment"][0]) & (middles < action["segment"][1])
            own = prototypes.get(action["label"], np.zeros(DIM))
            features[inside] += random.lognormal(0, 0.3) * (shared_length * shared + OWN * own)
        for _ in range(random.poisson(0.3 * len(video["annotations"]) + 2)):  # something, and no action
            start = random.uniform(0, video["duration"])
            inside = (middles >= start) & (middles < start + random.uniform(1, 8))
            features[inside] += 0.4 * shared_length * shared + OWN * unit(random, 1)[0]
        np.save(folder / f"{video_id}.npy", features.astype(np.float16))
        videos[video_id] = {"fps": video["fps"], "stride": STRIDE, "duration": video["duration"]}
    (folder / "meta.json").write_text(json.dumps({"videos": videos}))
    return prototypes


def mixed(annotations: Path, seed: int, to: Path) -> Path:
    """The same actions, the classes of each video exchanged for others at random, in a file `to`."""
    content = json.loads(annotations.read_text())
    random = np.random.default_rng(seed)
    for video in content["database"].values():
        others = dict(zip(content["classes"], random.permutation(content["classes"]).tolist(), strict=True))
        for action in video["annotations"]:
            action["label"] = others.get(action["label"], action["label"])
    to.write_text(json.dumps(content))
    return to


def proposals(learner: Learner) -> dict[str, VideoDetections]:
    """What the detector finds in each test video."""
    config = learner.plan.config
    found: dict[str, list[tuple[Window, Detections]]] = defaultdict(list)
    learner.detector.eval()
    with torch.inference_mode():
        for batch, output, _ in learner.outputs():
            for window, one in zip(batch, decode(output, config.merge.window_top_k), strict=True):
                found[window.video_id].append((window, one))
    return {
        video.video_id: merge_windows(video, found[video.video_id], config.merge) for video in learner.videos
    }


def with_true_names(found: VideoDetections, truth: list[dict[str, Any]], names: list[str]) -> VideoDetections:
    """Each segment with the class of the true one that it overlaps most; those that overlap none are left out."""
    if not truth:
        return VideoDetections(found.segments[:0], found.labels[:0], found.scores[:0])
    start, end = (np.array([row[name] for row in truth]) for name in ("t_start", "t_end"))
    overlap = np.minimum(end, found.segments[:, 1:]) - np.maximum(start, found.segments[:, :1])
    best = overlap.argmax(axis=1)
    kept = overlap.max(axis=1) > 0
    labels = np.array([names.index(truth[index]["label"]) for index in best], dtype=np.int64)
    return VideoDetections(found.segments[kept], labels[kept], found.scores[kept])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--split", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50, help="optimiser steps in an epoch")
    parser.add_argument("--seed", type=int, default=0, help="of the features and of the training")
    parser.add_argument("--noise", type=float, default=0.4, help="deviation of each number of a snippet")
    parser.add_argument(
        "--shared", type=float, default=1.0, help="length of what actions share; a class's own has 1"
    )
    parser.add_argument(
        "--mix-classes", action="store_true", help="seen and unseen classes differ in looks alone"
    )
    parser.add_argument("--name", default="zero_shot", help="of the file in results/")
    parser.add_argument("words", nargs="*", help="settings of the run, such as model.num_queries=40")
    given = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as place:
        if given.mix_classes:
            given.annotations = mixed(given.annotations, given.seed, Path(place) / "mixed.json")
        prototypes = render(Path(place), given.annotations, given.seed, given.noise, given.shared)
        rows = [one_split(Path(place), prototypes, split, given) for split in given.split]
    record(given.name, rows)


def one_split(
    folder: Path, prototypes: dict[str, NDArray[np.float64]], split: int, given: argparse.Namespace
) -> dict[str, Any]:
    """Train on the seen classes of a split and score on the unseen ones, det-mAP in percent."""
    store = store_of(folder)
    words = [
        f"store={store.url}", "run=/nowhere", f"dataset.annotations={given.annotations}",
        "experiment=tp2detr_thumos14_50", "model=tp2detr_tiny", f"dataset.zero_shot.split_id={split}",
        f"seed={given.seed}", f"optimiser.epochs={given.epochs}", "optimiser.lr=4e-4", "optimiser.batch_size=8",
        "optimiser.pyramid_lr=null", f"optimiser.drop_epochs=[{max(1, given.epochs - 2)}]", *given.words,
    ]  # fmt: skip
    config = compose_config("train", TrainConfig, words)
    plan = make_plan(config, store)
    assert plan.validation is not None
    learner = Learner(plan, given.steps, plan.validation.videos)
    for epoch in range(1, given.epochs + 1):
        losses = learner.train_epoch(epoch)
        print(f"split {split}, epoch {epoch}: {losses['step_s']:.2f} s a step", flush=True)
    found = proposals(learner)

    dataset = DatasetConfig.model_validate(config.dataset.model_dump())
    truth = read_subset(dataset, dataset.test_subset, raw=True)
    names = list(truth.labels)
    true = defaultdict(list)
    for row in truth.instances.to_pylist():
        true[row["video_id"]].append(row)
    vectors = np.stack([prototypes[name] for name in names]).astype(np.float32)
    namer = Namer(Words(tuple(names), vectors, vectors[:0], LOGIT_SCALE, None), NamingConfig())

    def named(segments: dict[str, VideoDetections]) -> dict[str, VideoDetections]:
        index = store.index()
        return {
            video_id: namer.name(one, store.load(video_id), index[video_id].timeline)
            for video_id, one in segments.items()
        }

    def detection(
        segments: dict[str, VideoDetections], labels: list[str], agnostic: bool = False
    ) -> DetectionMAP:
        evaluated = EvaluateConfig(
            predictions="none", dataset=dataset, class_agnostic=agnostic, metrics=("det_map",)
        )
        table: pa.Table = segments_table(segments.items(), labels)
        scored = score(table, truth, evaluated).detection
        assert scored is not None
        return scored

    def det_map(segments: dict[str, VideoDetections], labels: list[str], agnostic: bool = False) -> float:
        return 100 * detection(segments, labels, agnostic).average

    def by_overlap(name: str, scored: DetectionMAP) -> dict[str, float]:
        at = scored.by_threshold(100 * scored.map_per_threshold)
        return {name: at.pop("average")} | {f"{name}_at_{tiou}": part for tiou, part in at.items()}

    of_truth = {
        video_id: VideoDetections(
            np.array([[row["t_start"], row["t_end"]] for row in instances]),
            np.zeros(len(instances), dtype=np.int64),
            np.ones(len(instances)),
        )
        for video_id, instances in true.items()
        if video_id in found
    }
    with_names = named(found)
    rotations = [[*names[shift:], *names[:shift]] for shift in range(1, len(names))]
    right = {video_id: with_true_names(one, true[video_id], names) for video_id, one in found.items()}
    return {
        "split": split,
        "seen": 20 - len(names),
        "unseen": len(names),
        "test_videos": len(of_truth),
        "test_actions": sum(map(len, true.values())),
        "steps": given.epochs * given.steps,
        "agnostic": det_map(found, list(plan.labels), agnostic=True),
        **by_overlap("named", detection(with_names, names)),
        **by_overlap("true_names", detection(right, names)),
        "oracle": det_map(named(of_truth), names),
        "chance": float(np.mean([det_map(with_names, labels) for labels in rotations])),
        "features_dim": DIM,
        "noise": given.noise,
        "shared": given.shared,
        "mixed_classes": given.mix_classes,
        "seed": given.seed,
        "words": " ".join(given.words),
        "trained_on": str(DEVICE),
    }


if __name__ == "__main__":
    main()
