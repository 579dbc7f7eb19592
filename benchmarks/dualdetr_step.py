"""A training step of DualDETR beside one of Deformable DETR of equal width, depth and number of queries.

Forward, matching, loss and backward on windows of 256 snippets with a dozen actions each, on a GPU where
there is one. The two take turns, so that whatever else the machine does hits both; the peak of memory is that
of a process of its own. Prints the ratios.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import torch

from models import DetectorConfig, DualDETRConfig, build_detector
from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRLossConfig
from models.deformable_detr import DeformableDETRConfig
from models.detection import Target
from models.losses import TermWeights

LENGTH, ACTIONS, CLASSES, REPEATS = 256, 12, 65, 3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
BATCH = 16 if DEVICE.type == "cuda" else 1

OURS = DualDETRConfig(num_classes=CLASSES)
BASELINE = DeformableDETRConfig(
    num_classes=CLASSES,
    input_dim=OURS.input_dim,
    dim=OURS.dim,
    ffn_dim=OURS.ffn_ratio * OURS.dim,
    encoder_layers=OURS.encoder_layers,
    decoder_layers=OURS.decoder_layers,
    num_queries=OURS.num_queries,
)


def make_step(config: DetectorConfig) -> Callable[[], None]:
    """One training step of a fresh detector, without the optimiser's part."""
    torch.manual_seed(0)
    model = build_detector(config).to(DEVICE)
    criterion = SetCriterion(
        DeformableDETRLossConfig(match=TermWeights(classification=6.0, l1=5.0, tiou=2.0), l1_form="start_end")
    )
    features = torch.randn(BATCH, LENGTH, OURS.input_dim, device=DEVICE)
    padding = torch.zeros(BATCH, LENGTH, dtype=torch.bool, device=DEVICE)
    targets = [
        Target(torch.rand(ACTIONS, 2).sort(dim=1).values, torch.randint(CLASSES, (ACTIONS,)))
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
    for config in (OURS, BASELINE):  # first: a process inherits the peak of the one that starts it
        with multiprocessing.get_context("spawn").Pool(1) as process:
            peaks.append(process.apply(peak_mib, (config,)))
    ours, baseline = make_step(OURS), make_step(BASELINE)
    ours(), baseline()  # warm
    times = [(seconds(ours), seconds(baseline)) for _ in range(REPEATS)]
    ours_time, baseline_time = (min(column) for column in zip(*times, strict=True))
    sizes = [sum(p.numel() for p in build_detector(config).parameters()) / 1e6 for config in (OURS, BASELINE)]
    print(
        f"{BATCH} windows of {LENGTH} snippets on {DEVICE.type}, width {OURS.dim}, {OURS.num_queries} queries"
    )
    print("                   DualDETR  Deformable DETR  ratio")
    for name, left, right in [
        ("parameters, M", *sizes),
        ("step, s", ours_time, baseline_time),
        ("peak memory, MiB", *peaks),
    ]:
        print(f"{name:17} {left:10.2f} {right:16.2f} {left / right:6.2f}")


if __name__ == "__main__":
    main()
