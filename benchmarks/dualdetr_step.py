"""A training step of DualDETR beside one of Deformable DETR of equal width, depth and number of queries.

Forward, matching, loss and backward on 16 windows of 256 snippets with 15 actions each, on a GPU where there is
one. The two take turns, so that whatever else the machine does hits both; the peak of memory is that
of a process of its own. Prints the ratios.
"""

from collections.abc import Callable

import torch
from measure import DEVICE, peak_mib, ratio, record, take_turns
from random_windows import random_windows, training_step

from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRConfig
from models.detectors import DetectorConfig, build_detector
from models.dualdetr import DualDETRConfig, DualDETRLossConfig

BATCH, LENGTH, CHANNELS, ACTIONS, CLASSES, REPEATS = 16, 256, 1024, 15, 65, 3
# Width, encoder and decoder layers; the size of the paper's GFLOPs takes minutes a step on a CPU.
SIZES = [(128, 2, 4), (256, 2, 4)] + ([(512, 6, 6)] if DEVICE.type == "cuda" else [])


def detectors(dim: int, encoder_layers: int, decoder_layers: int) -> dict[str, DetectorConfig]:
    """The two detectors by name; the first is DualDETR."""
    ours = DualDETRConfig(dim=dim, encoder_layers=encoder_layers, decoder_layers=decoder_layers)
    baseline = DeformableDETRConfig(
        dim=dim, ffn_dim=ours.ffn_ratio * dim, encoder_layers=encoder_layers, decoder_layers=decoder_layers,
        num_queries=ours.num_queries,
    )  # fmt: skip
    return {"DualDETR": ours, "Deformable DETR": baseline}


def make_step(config: DetectorConfig) -> Callable[[], None]:
    """One training step of a fresh detector, without the optimiser's part."""
    torch.manual_seed(0)
    model = build_detector(config, CHANNELS, CLASSES).to(DEVICE)
    criterion = SetCriterion(DualDETRLossConfig())  # of both
    windows = random_windows(BATCH, LENGTH, CHANNELS, ACTIONS, CLASSES)

    return training_step(model, criterion, windows)


def main() -> None:
    print(f"{BATCH} windows of {LENGTH} snippets on {DEVICE.type}, {DualDETRConfig().num_queries} queries")
    every = [detectors(*size) for size in SIZES]
    every_peak = [[peak_mib(make_step, config) for config in configs.values()] for configs in every]
    rows = []
    for (dim, *layers), configs, peaks in zip(SIZES, every, every_peak, strict=True):
        times = take_turns({name: make_step(config) for name, config in configs.items()}, REPEATS)
        millions = [
            sum(p.numel() for p in build_detector(config, CHANNELS, CLASSES).parameters()) / 1e6
            for config in configs.values()
        ]
        print(f"\nwidth {dim}, {layers[0]} + {layers[1]} layers  DualDETR  Deformable DETR  ratio")
        for name, left, right, times_more in [
            ("parameters, M", *millions, millions[0] / millions[1]),
            ("step, s", *map(min, times.values()), ratio(times, *configs)),
            ("peak memory, MiB", *peaks, peaks[0] / peaks[1]),
        ]:
            print(f"{name:23} {left:10.2f} {right:16.2f} {times_more:6.2f}")
            rows.append(
                {
                    "width": dim,
                    "figure": name,
                    "dualdetr": left,
                    "deformable_detr": right,
                    "ratio": times_more,
                }
            )
    record("dualdetr_step", rows)


if __name__ == "__main__":
    main()
