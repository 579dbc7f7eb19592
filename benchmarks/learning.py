"""How a detector learns, epoch by epoch, on a folder of features: one process, no cluster, no store to prepare.

    python benchmarks/learning.py FOLDER model=dualdetr dataset=multithumos dataset.annotations=<file> model.dim=128 ...

FOLDER holds `<video_id>.npy` [T, dim] and `meta.json` ({"videos": {id: {"fps", "stride", "duration"}}}). The words are
those of jobs/train.py; windows, targets, step, decoding, merging and metric are the project's own. Per epoch it tells
det-mAP of each decoder layer, of the encoder's dense head and of the last layer with NMS inside windows; recall of the
proposals that decoding starts from; how many queries are near copies of each other; and the mean of each loss.
Everything goes to `results/learning/<name>.csv`. It trains on a GPU where there is one.

The short form, `--short`, is for a look at a change: a quarter of the test videos and 25 steps an epoch.
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from measure import DEVICE, RESULTS, origin
from torch import Tensor

from models.detection import Detections, DetectorOutput, PointPrediction, SetPrediction, decode
from models.detectors import build_criterion
from models.segments import tiou
from pipeline import parquet, storage
from pipeline.compose import compose_config
from pipeline.detector.batches import map_ahead, pad_windows
from pipeline.detector.build import build
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.merging import merge_windows, surviving
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.detector.windows import Window, video_windows
from pipeline.evaluation.class_agnostic import comparable
from pipeline.evaluation.detection_map import detection_map
from pipeline.evaluation.protocols import PROTOCOLS, protocol_name
from pipeline.features.schema import FEATURES_SCHEMA, as_plan, chunk_id
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import VideoFeatures
from pipeline.segments.tables import segments_table
from pipeline.training.averaging import MovingAverage
from pipeline.training.batches import epoch_batches
from pipeline.training.crops import seen_in_epoch
from pipeline.training.optimisation import build_optimiser, rate_factor, set_rates
from pipeline.training.plan import TrainingPlan, make_plan
from pipeline.training.settings import TrainConfig
from pipeline.training.step import TrainStep, read_share
from pipeline.training.targets import label_windows
from pipeline.training.workers import Workers

INSIDE_TIOU = 0.5  # of the NMS inside windows that is tried
TWIN_TIOU, NEIGHBOUR_TIOU, RECALL_TIOU = 0.7, 0.5, 0.5
SHORT_STEPS, SHORT_SHARE = 25, 4


def store_of(folder: Path) -> FeatureStore:
    """The features of a folder as a store beside them, made where there is none."""
    url = str(folder / "store")
    if storage.exists(storage.join(url, "plan", "all.parquet")):
        return FeatureStore(url)
    videos = json.loads((folder / "meta.json").read_text())["videos"]
    first = next(iter(videos.values()))
    dim = int(np.load(folder / f"{next(iter(videos))}.npy", mmap_mode="r").shape[1])
    timeline = Timeline(None, first["stride"], first["stride"])
    store = FeatureStore.create(url, FeatureSpec("folder", "0" * 64, {}, dim, timeline))
    rows = []
    for video_id, facts in videos.items():
        features = np.load(folder / f"{video_id}.npy").astype(np.float16)
        rows.append(
            {
                "chunk_id": chunk_id(video_id, 0), "video_id": video_id, "uri": str(folder / f"{video_id}.npy"),
                "chunk_index": 0, "num_chunks": 1, "first_snippet": 0, "num_snippets": len(features),
                "duration": facts["duration"], "fps": facts["fps"], "dim": dim, "features": features.tobytes(),
            }
        )  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=FEATURES_SCHEMA)
    for index, video_id in enumerate(videos):  # a file each: windows of any video are read at random
        parquet.write_table(
            storage.join(store.folder("features"), f"{video_id}.parquet"), table[index : index + 1]
        )
    parquet.write_table(
        storage.join(store.folder("plan"), "all.parquet"), as_plan(table)
    )  # last: it says done
    return FeatureStore(url)


@dataclass
class Learner:
    """A detector in training on a plan, with what it needs to be looked at.

    Attributes:
        plan: windows, videos and truth.
        steps: optimiser steps in an epoch.
        videos: the test videos to look at.
    """

    plan: TrainingPlan
    steps: int
    videos: Sequence[VideoFeatures]

    def __post_init__(self) -> None:
        config = self.plan.config
        torch.manual_seed(config.seed)
        spec = self.plan.store.spec
        self.detector: NormalisedDetector = build(
            config.model, spec.dim, len(self.plan.labels), bf16=config.precision == "bf16"
        )
        self.detector.to(DEVICE)
        self.optimiser = build_optimiser(self.detector, config.optimiser)
        self.average: MovingAverage[NormalisedDetector] | None = None
        if config.optimiser.ema_decay is not None:
            self.average = MovingAverage(self.detector, config.optimiser.ema_decay, config.optimiser.ema_ramp)
        self.cache = FeatureCache(self.plan.store, config.cache_mb)
        self.step = TrainStep(
            self.detector,
            build_criterion(config.loss),
            self.optimiser,
            Workers(rank=0, size=1, device=DEVICE),
            config.optimiser.clip_norm,
        )

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """The mean of each loss over the epoch, from 1, and the seconds of a step."""
        config = self.plan.config
        windows = self.plan.windows
        batches = epoch_batches(len(windows), config.optimiser.batch_size, config.seed, epoch)
        batches = batches[: self.steps]
        sums: dict[str, float] = defaultdict(float)
        begin = time.perf_counter()
        shares = map_ahead(
            lambda rows: read_share(
                [seen_in_epoch(windows, int(row), config.seed, epoch) for row in rows], self.cache
            ),
            batches,
        )
        for index, share in enumerate(shares):
            set_rates(
                self.optimiser, rate_factor((epoch - 1) * self.steps + index, self.steps, config.optimiser)
            )
            losses, norm = self.step(share)
            if self.average is not None:
                self.average.update(self.detector, (epoch - 1) * self.steps + index + 1)
            for name, value in (losses | {"grad_norm": norm}).items():
                sums[name] += float(value) / len(batches)
        return {f"loss_{name}": value for name, value in sums.items()} | {
            "step_s": (time.perf_counter() - begin) / len(batches)
        }

    def look(self) -> dict[str, float]:
        """det-mAP in percent of each stage of the detector, and what its proposals and queries are like."""
        views: dict[str, dict[str, list[tuple[Window, Detections]]]] = defaultdict(lambda: defaultdict(list))
        tallies = _Tallies()
        config = self.plan.config
        self.detector.eval()
        with torch.inference_mode():
            for batch, output, starts in self.outputs():
                merge = config.merge
                found = {
                    f"layer_{index}": decode(
                        replace(output, layers=(layer,)), merge.window_top_k, merge.min_score
                    )
                    for index, layer in enumerate(output.layers, 1)
                }
                if output.points is None:  # whose merging is NMS already
                    last = found[f"layer_{len(output.layers)}"]
                    found["inside_nms"] = [_without_twins(one) for one in last]
                if output.encoder is not None:
                    found["dense"] = decode(
                        replace(output, layers=(output.encoder,)), config.merge.window_top_k
                    )
                for name, detections in found.items():
                    for window, one in zip(batch, detections, strict=True):
                        views[name][window.video_id].append((window, one))
                for index, window in enumerate(batch if output.points is None else ()):
                    truth = self._truth(window)
                    tallies.add("final", output.final, index, truth)
                    if starts is not None:
                        tallies.add("proposals", starts, index, truth)
        self.detector.train()
        return {f"map_{name}": 100 * self._score(view) for name, view in views.items()} | tallies.figures()

    def outputs(self) -> Iterator[tuple[list[Window], DetectorOutput, SetPrediction | None]]:
        """Test windows in batches, what the detector says, and the segments that decoding starts from if proposed."""
        seen: list[Any] = []
        predicts = self.detector if self.average is None else self.average.model
        start = getattr(predicts.detector, "start", None)
        hook = None if start is None else start.register_forward_hook(lambda _m, _i, out: seen.append(out))
        config = self.plan.config
        windows = [
            window
            for video in self.videos
            for window in video_windows(video.video_id, video.num_snippets, config.windows, training=False)
        ]
        size = config.optimiser.batch_size
        batches = [windows[first : first + size] for first in range(0, len(windows), size)]
        try:
            for batch, features, padding in map_ahead(
                lambda batch: (batch, *pad_windows([self.cache.read(window) for window in batch])), batches
            ):
                seen.clear()
                output = _on_cpu(predicts(features.to(DEVICE), padding.to(DEVICE)))
                starts = None
                if seen and seen[0][1] is not None:  # learnt queries propose nothing
                    queries = seen[0][0]
                    starts = _prediction_on_cpu(
                        SetPrediction(queries.positions.boundary, output.final.logits, queries.valid)
                    )
                yield batch, output, starts
        finally:
            if hook is not None:
                hook.remove()

    def _truth(self, window: Window) -> Tensor:
        """`[N, 2]`: the true segments that a test window shows, in [0, 1] of it."""
        return torch.tensor(self._shown[window.video_id, window.start], dtype=torch.float32)

    @cached_property
    def _shown(self) -> dict[tuple[str, int], np.ndarray]:
        """What each test window shows, by video and first snippet."""
        config = self.plan.config.windows
        as_trained = config.model_copy(
            update={"train_step": config.test_step, "train_last": config.test_last, "keep_empty": True}
        )
        assert self.plan.validation is not None
        shown = label_windows(self.videos, self.plan.validation.truth, as_trained)
        return {(one.window.video_id, one.window.start): one.segments for one in shown}

    def _score(self, view: dict[str, list[tuple[Window, Detections]]]) -> float:
        config, validation = self.plan.config, self.plan.validation
        assert validation is not None
        merged = [
            (video.video_id, merge_windows(video, view[video.video_id], config.merge))
            for video in self.videos
        ]
        truth = validation.truth.of([video.video_id for video in self.videos])
        predicted, truth = comparable(segments_table(merged, self.plan.labels), truth)
        return detection_map(
            predicted, truth, PROTOCOLS[protocol_name(config.dataset.name)].detection
        ).average


def _on_cpu(output: DetectorOutput) -> DetectorOutput:
    """The predictions of a detector where the metrics are computed."""
    encoder = None if output.encoder is None else _prediction_on_cpu(output.encoder)
    points = output.points
    if points is not None:
        points = PointPrediction(
            points.logits.cpu(), points.distances.cpu(), points.padding_mask.cpu(), points.lengths
        )
    return DetectorOutput(tuple(map(_prediction_on_cpu, output.layers)), encoder, points=points)


def _prediction_on_cpu(prediction: SetPrediction) -> SetPrediction:
    actionness = None if prediction.actionness is None else prediction.actionness.cpu()
    return SetPrediction(
        prediction.segments.cpu(), prediction.logits.cpu(), prediction.valid.cpu(), actionness
    )


class _Tallies:
    """Recall of true segments, and how alike queries are, over all windows."""

    def __init__(self) -> None:
        self.recalled: dict[str, list[Tensor]] = defaultdict(list)
        self.alike: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, prediction: SetPrediction, index: int, truth: Tensor) -> None:
        segments = prediction.segments[index][prediction.valid[index]].float().clamp(0, 1)
        if len(truth) and len(segments):
            best = tiou(truth[:, None], segments[None]).amax(1)
            self.recalled[name].append(best >= RECALL_TIOU)
        if len(segments) > 1:
            mutual = tiou(segments[:, None], segments[None]).fill_diagonal_(0)
            self.alike[name].append(
                torch.stack([(mutual >= TWIN_TIOU).any(1), (mutual >= NEIGHBOUR_TIOU).sum(1)], 1)
            )

    def figures(self) -> dict[str, float]:
        found = {
            f"recall_{name}": float(torch.cat(one).float().mean()) for name, one in self.recalled.items()
        }
        for name, rows in self.alike.items():
            twins, neighbours = torch.cat(rows).float().mean(0).tolist()
            found |= {f"twins_{name}": twins, f"neighbours_{name}": neighbours}
        return found


def _without_twins(found: Detections) -> Detections:
    """NMS among the detections of one window, class by class."""
    segments = found.segments.double().clamp(0, 1).numpy()
    rows = np.flatnonzero(segments[:, 1] > segments[:, 0])
    labels = found.labels.numpy()
    everyone = np.ones((len(rows), 2), dtype=bool)
    kept = surviving(
        segments[rows], found.scores.double().numpy()[rows], labels[rows], np.zeros_like(rows), everyone,
        INSIDE_TIOU, ties=labels[rows],
    )  # fmt: skip
    index = torch.from_numpy(rows[kept])
    return Detections(found.segments[index], found.labels[index], found.scores[index])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*", help="settings of jobs/train.py")
    parser.add_argument("--name", help="of the CSV; the detector's and the seed unless given")
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps in an epoch")
    parser.add_argument("--every", type=int, default=1, help="epochs between looks")
    parser.add_argument("--share", type=int, default=1, help="look at every n-th test video")
    parser.add_argument("--short", action="store_true")
    given = parser.parse_intermixed_args()
    steps = SHORT_STEPS if given.short else given.steps
    share = SHORT_SHARE if given.short else given.share
    store = store_of(given.folder)
    config = compose_config("train", TrainConfig, [f"store={store.url}", "run=/nowhere", *given.words])
    plan = make_plan(config, store)
    assert plan.validation is not None, "validate_every=0 leaves nothing to look at"
    learner = Learner(plan, steps, plan.validation.videos[::share])
    name = given.name or f"{config.model.name}_{config.seed}"
    path = RESULTS / "learning" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for epoch in range(1, config.optimiser.epochs + 1):
        figures = learner.train_epoch(epoch)
        if epoch % given.every == 0 or epoch == config.optimiser.epochs:
            figures |= learner.look()
        print(
            f"epoch {epoch}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()), flush=True
        )
        rows.append({"epoch": epoch, **{key: f"{value:.5g}" for key, value in figures.items()}})
        columns = list(dict.fromkeys(key for row in rows for key in row))
        told = [
            word for word in given.words if not word.startswith("dataset.annotations=")
        ]  # a place, no setting
        settings = {"words": " ".join(told), "steps": steps, "share": share} | origin()
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*columns, *settings])
            writer.writeheader()
            writer.writerows(row | settings for row in rows)


if __name__ == "__main__":
    main()
