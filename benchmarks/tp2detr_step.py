"""A training step of TP2-DETR beside one of its baseline, Deformable DETR of equal width and depth.

Forward, matching, loss and backward on windows of 128 snippets with eight actions each, on a GPU where there
is one. All take turns, so that whatever else the machine does hits all; the peak of memory is that of a
process of its own. Prints the ratios to the baseline.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import torch

from models import DetectorConfig, TP2DETRConfig, build_detector
from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRLossConfig
from models.deformable_detr import DeformableDETRConfig
from models.detection import Target

LENGTH, ACTIONS, REPEATS = 128, 8, 3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
BATCH = 16 if DEVICE.type == "cuda" else 1

# The first is what the others are compared with.
DETECTORS: dict[str, DetectorConfig] = {
    "Deformable DETR": DeformableDETRConfig(),
    "+ direct pyramid": TP2DETRConfig(pyramid="direct", salience_on="none"),
    "+ convolution pyramid": TP2DETRConfig(pyramid="convolution", salience_on="none"),
    "+ SGP pyramid": TP2DETRConfig(pyramid="sgp", salience_on="none"),
    "+ transformer pyramid": TP2DETRConfig(salience_on="none"),
    "TP2-DETR": TP2DETRConfig(),
}


def make_step(config: DetectorConfig) -> Callable[[], None]:
    """One training step of a fresh detector, without the optimiser's part."""
    torch.manual_seed(0)
    model = build_detector(config).to(DEVICE)
    criterion = SetCriterion(DeformableDETRLossConfig())
    features = torch.randn(BATCH, LENGTH, config.input_dim, device=DEVICE)
    padding = torch.zeros(BATCH, LENGTH, dtype=torch.bool, device=DEVICE)
    targets = [
        Target(torch.rand(ACTIONS, 2).sort(dim=1).values, torch.zeros(ACTIONS, dtype=torch.long))
        for _ in range(BATCH)
    ]

    def step() -> None:
        model.zero_grad(set_to_none=True)
        criterion(model(features, padding), targets)["total"].backward()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    return step


def seconds(step: Callable[[], None]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def peak_mib(config: DetectorConfig) -> float:
    """What a step needs at most, on top of the weights and the inputs."""
    step = make_step(config)
    if DEVICE.type == "cuda":
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * RSS_UNIT / 2**20


def main() -> None:
    peaks = []
    for config in DETECTORS.values():  # first: a process inherits the peak of the one that starts it
        with multiprocessing.get_context("spawn").Pool(1) as process:
            peaks.append(process.apply(peak_mib, (config,)))
    steps = [make_step(config) for config in DETECTORS.values()]
    for step in steps:  # warm
        step()
    rounds = [[seconds(step) for step in steps] for _ in range(REPEATS)]
    times = [min(column) for column in zip(*rounds, strict=True)]
    sizes = [
        sum(p.numel() for p in build_detector(config).parameters()) / 1e6 for config in DETECTORS.values()
    ]
    print(f"{BATCH} windows of {LENGTH} snippets on {DEVICE.type}; in brackets: ratio to the first row")
    print("                        parameters, M         step, s          peak memory, MiB")
    for name, *row in zip(DETECTORS, sizes, times, peaks, strict=True):
        cells = [
            f"{value:9.3f} ({value / first:4.2f})"
            for value, first in zip(row, (sizes[0], times[0], peaks[0]), strict=True)
        ]
        print(f"{name:22}", *cells, sep="  ")


if __name__ == "__main__":
    main()
