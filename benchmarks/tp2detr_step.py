"""A training step of TP2-DETR beside one of its baseline, Deformable DETR of equal width and depth.

Forward, matching, loss and backward on windows of 128 snippets with eight actions each, on a GPU where there
is one. All take turns, so that whatever else the machine does hits all; the peak of memory is that of a
process of its own. Prints the ratios to the baseline.
"""

from collections.abc import Callable

import torch
from measure import DEVICE, peak_mib, ratio, record, take_turns
from random_windows import random_windows, training_step

from models.deformable_detr import DeformableDETRConfig
from models.detectors import DETECTORS, DetectorConfig, build_criterion, build_detector
from models.tp2detr import TP2DETRConfig

LENGTH, CHANNELS, ACTIONS, CLASSES, REPEATS = 128, 512, 8, 1, 3
BATCH = 16 if DEVICE.type == "cuda" else 1

# The first is what the others are compared with.
CONFIGS: dict[str, DetectorConfig] = {
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
    model = build_detector(config, CHANNELS, CLASSES).to(DEVICE)
    criterion = build_criterion(DETECTORS[config.name].loss())
    windows = random_windows(BATCH, LENGTH, CHANNELS, ACTIONS, CLASSES)

    return training_step(model, criterion, windows)


def main() -> None:
    peaks = [peak_mib(make_step, config) for config in CONFIGS.values()]
    times = take_turns({name: make_step(config) for name, config in CONFIGS.items()}, REPEATS)
    sizes = [
        sum(p.numel() for p in build_detector(config, CHANNELS, CLASSES).parameters()) / 1e6
        for config in CONFIGS.values()
    ]
    first = next(iter(CONFIGS))
    print(f"{BATCH} windows of {LENGTH} snippets on {DEVICE.type}; in brackets: ratio to the first row")
    print("                        parameters, M         step, s          peak memory, MiB")
    rows = []
    for name, size, peak in zip(CONFIGS, sizes, peaks, strict=True):
        seconds, slower = min(times[name]), ratio(times, name, first)
        print(
            f"{name:22}  {size:9.3f} ({size / sizes[0]:4.2f})  {seconds:9.3f} ({slower:4.2f})"
            f"  {peak:9.1f} ({peak / peaks[0]:4.2f})"
        )
        rows.append(
            {
                "detector": name, "parameters_m": size, "step_s": seconds, "peak_mib": peak, "against": first,
                "parameters_ratio": size / sizes[0], "step_ratio": slower, "peak_ratio": peak / peaks[0],
            }
        )  # fmt: skip
    record("tp2detr_step", rows)


if __name__ == "__main__":
    main()
