"""A training step of every detector at its published size, beside the others that are trained on the same dataset.

Forward, matching or assignment, loss and backward on random windows of each experiment's own length and number, with as
many actions in a snippet for all, on a GPU where there is one; on a CPU one window a step. All take turns, so that
whatever else the machine does hits all; the peak of memory is that of a process of its own. Detectors look at windows
of different length, so what is compared is the time for a thousand snippets. Prints the ratios to the first row of a
dataset.
"""

from collections.abc import Callable

import torch
from measure import DEVICE, peak_mib, ratio, record, take_turns
from random_windows import random_windows, training_step

from models.detectors import build_criterion, build_detector
from pipeline.compose import compose_config
from pipeline.training.settings import TrainConfig

REPEATS = 3
# Of each dataset: channels of the features, classes, actions in a thousand snippets, and the experiments.
DATASETS: dict[str, tuple[int, int, float, tuple[str, ...]]] = {
    "multithumos": (
        2048,
        65,
        60.0,
        (
            "dualdetr_multithumos",
            "tadtr_multithumos",
            "actionformer_multithumos",
            "temporalmaxer_multithumos",
            "tridet_multithumos",
        ),
    ),
    "thumos14": (
        2048,
        20,
        10.0,
        ("tadtr_thumos14", "actionformer_thumos14", "temporalmaxer_thumos14", "tridet_thumos14"),
    ),
    "thumos14, zero-shot": (512, 1, 30.0, ("tp2detr_thumos14_50", "gap_thumos14_50")),
}


def config_of(experiment: str) -> TrainConfig:
    words = [f"experiment={experiment}", "run=/nowhere", "store=/nowhere", "dataset.annotations=/nowhere"]
    return compose_config("train", TrainConfig, words)


def shape_of(config: TrainConfig) -> tuple[int, int]:
    """Windows of a step, and their snippets."""
    windows = config.windows
    length = windows.length if windows.crop is None else windows.crop
    return (config.optimiser.batch_size if DEVICE.type == "cuda" else 1), length


def make_step(experiment: str, channels: int, classes: int, density: float) -> Callable[[], None]:
    """One training step of a fresh detector, without the optimiser's part."""
    torch.manual_seed(0)
    config = config_of(experiment)
    model = build_detector(config.model, channels, classes).to(DEVICE)
    criterion = build_criterion(config.loss)
    batch, length = shape_of(config)
    windows = random_windows(batch, length, channels, max(1, round(density * length / 1000)), classes)

    return training_step(model, criterion, windows)


def main() -> None:
    # Peaks first: a process inherits the peak of the one that starts it.
    peaks = {
        (dataset, name): peak_mib(make_step, name, channels, classes, density)
        for dataset, (channels, classes, density, names) in DATASETS.items()
        for name in names
    }
    rows = []
    for dataset, (channels, classes, density, names) in DATASETS.items():
        times = take_turns({name: make_step(name, channels, classes, density) for name in names}, REPEATS)
        print(
            f"\n{dataset} on {DEVICE.type}; in brackets: ratio to the first row, of time for as many snippets"
        )
        print(
            "                            parameters, M   windows   step, s   ms/1000 snippets   peak memory, MiB"
        )
        first = names[0]
        for name in names:
            config = config_of(name)
            batch, length = shape_of(config)
            model = build_detector(config.model, channels, classes)
            size = sum(p.numel() for p in model.parameters()) / 1e6
            snippets, of_first = batch * length, shape_of(config_of(first))
            seconds = min(times[name])
            slower = ratio(times, name, first) * of_first[0] * of_first[1] / snippets
            peak = peaks[dataset, name]
            print(
                f"{name:27} {size:13.2f}   {batch:2} x {length:4} {seconds:9.3f} {1e6 * seconds / snippets:10.1f}"
                f" ({slower:5.2f}) {peak:10.1f} ({peak / peaks[dataset, first]:5.2f})"
            )
            rows.append(
                {
                    "dataset": dataset, "experiment": name, "parameters_m": size, "windows": batch, "snippets": length,
                    "step_s": seconds, "ms_per_1000_snippets": 1e6 * seconds / snippets, "peak_mib": peak,
                    "against": first, "time_ratio": slower, "peak_ratio": peak / peaks[dataset, first],
                }
            )  # fmt: skip
    record("detectors_step", rows)


if __name__ == "__main__":
    main()
