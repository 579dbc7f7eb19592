"""A training step of DualDETR beside one of Deformable DETR of equal width, depth and number of queries.

Forward, matching, loss and backward on windows of 256 snippets with a dozen actions each, on a GPU where
there is one. The two take turns, so that whatever else the machine does hits both; the peak of memory is that
of a process of its own. Prints the ratios.
"""

from collections.abc import Callable

import torch
from measure import DEVICE, peak_mib, ratio, record, synchronise, take_turns

from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRConfig
from models.detection import Target
from models.detectors import DetectorConfig, build_detector
from models.dualdetr import DualDETRConfig, DualDETRLossConfig

LENGTH, CHANNELS, ACTIONS, CLASSES, REPEATS = 256, 2048, 12, 65, 3
BATCH = 16 if DEVICE.type == "cuda" else 1

OURS = DualDETRConfig()
BASELINE = DeformableDETRConfig(
    dim=OURS.dim,
    ffn_dim=OURS.ffn_ratio * OURS.dim,
    encoder_layers=OURS.encoder_layers,
    decoder_layers=OURS.decoder_layers,
    num_queries=OURS.num_queries,
)


def make_step(config: DetectorConfig) -> Callable[[], None]:
    """One training step of a fresh detector, without the optimiser's part."""
    torch.manual_seed(0)
    model = build_detector(config, CHANNELS, CLASSES).to(DEVICE)
    criterion = SetCriterion(DualDETRLossConfig())  # of both
    features = torch.randn(BATCH, LENGTH, CHANNELS, device=DEVICE)
    padding = torch.zeros(BATCH, LENGTH, dtype=torch.bool, device=DEVICE)
    targets = [
        Target(torch.rand(ACTIONS, 2).sort(dim=1).values, torch.randint(CLASSES, (ACTIONS,)))
        for _ in range(BATCH)
    ]

    def step() -> None:
        model.zero_grad(set_to_none=True)
        criterion(model(features, padding), targets)["total"].backward()
        synchronise()

    return step


def main() -> None:
    configs: dict[str, DetectorConfig] = {"DualDETR": OURS, "Deformable DETR": BASELINE}
    peaks = [peak_mib(make_step, config) for config in configs.values()]
    times = take_turns({name: make_step(config) for name, config in configs.items()}, REPEATS)
    sizes = [
        sum(p.numel() for p in build_detector(config, CHANNELS, CLASSES).parameters()) / 1e6
        for config in configs.values()
    ]
    print(
        f"{BATCH} windows of {LENGTH} snippets on {DEVICE.type}, width {OURS.dim}, {OURS.num_queries} queries"
    )
    print("                   DualDETR  Deformable DETR  ratio")
    rows = []
    for name, left, right, times_more in [
        ("parameters, M", *sizes, sizes[0] / sizes[1]),
        ("step, s", *map(min, times.values()), ratio(times, *configs)),
        ("peak memory, MiB", *peaks, peaks[0] / peaks[1]),
    ]:
        print(f"{name:17} {left:10.2f} {right:16.2f} {times_more:6.2f}")
        rows.append({"figure": name, "dualdetr": left, "deformable_detr": right, "ratio": times_more})
    record("dualdetr_step", rows)


if __name__ == "__main__":
    main()
