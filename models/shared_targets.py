"""Actions of several classes at one place as one target, which a query answers for with all their classes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.detection import Target
from models.segments import pairwise_tiou


def share_targets(
    targets: Sequence[Target], least_tiou: float, num_classes: int
) -> tuple[list[Target], list[Tensor]]:
    """The targets of each sample with those of other classes that overlap them by `least_tiou` or more.

    In their order, each joins the shared target that it overlaps most, as far as that has not its class already, or
    begins one of its own, whose segment stays the first one's. Each is in one.

    Args:
        targets: of each sample, on any device.
        least_tiou: in (0, 1].
        num_classes: K.
    Returns:
        The shared targets, with the label of their first action, and for each sample their classes `[N, K]`, 0 or 1.
    """
    shared, classes = [], []
    for target in targets:
        firsts, rows = _grouped(target, least_tiou, num_classes)
        index = torch.as_tensor(firsts, dtype=torch.long, device=target.labels.device)
        shared.append(Target(target.segments[index], target.labels[index]))
        classes.append(torch.from_numpy(rows).to(target.segments.device))
    return shared, classes


def _grouped(target: Target, least_tiou: float, num_classes: int) -> tuple[list[int], np.ndarray]:
    """The first action of each shared target, and the classes of each, `[N, K]`."""
    labels = target.labels.tolist()
    segments = target.segments.float()
    overlaps = pairwise_tiou(segments, segments).cpu().numpy()
    firsts: list[int] = []
    rows = np.zeros((len(labels), num_classes), dtype=np.float32)
    for index, label in enumerate(labels):
        open_to_it = [
            n
            for n, first in enumerate(firsts)
            if rows[n, label] == 0 and overlaps[index, first] >= least_tiou
        ]
        if open_to_it:
            best = max(open_to_it, key=lambda n: overlaps[index, firsts[n]])
        else:
            best = len(firsts)
            firsts.append(index)
        rows[best, label] = 1
    return firsts, rows[: len(firsts)]
