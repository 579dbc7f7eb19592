"""Zero-shot splits: which classes a detector may learn from, and which it is tested on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from pipeline.annotations.settings import ZeroShotConfig
from pipeline.errors import InputError


@dataclass(frozen=True)
class ZeroShotSplit:
    """Classes seen in training and classes met only in testing; none is both."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def zero_shot_split(labels: Sequence[str], config: ZeroShotConfig) -> ZeroShotSplit:
    """The split that a configuration asks for, of a dataset with these classes.

    Raises InputError where a published list and the dataset have different classes.
    """
    if config.lists is None:
        assert config.seen_fraction is not None  # an active configuration has one of the two
        return generate_split(labels, config.seen_fraction, config.split_id, config.seed)
    split = published_split(config.lists, config.split_id)
    for strangers, where in (
        (set(split.seen + split.unseen) - set(labels), "the annotations"),
        (set(labels) - set(split.seen + split.unseen), "the lists"),
    ):
        if strangers:
            raise InputError(
                f"dataset.zero_shot.lists={config.lists}: {where} lack {min(strangers)!r}; choose the lists "
                "of this dataset, or null and a seen_fraction"
            )
    return split


def published_split(lists: str, split_id: int) -> ZeroShotSplit:
    """One of the ten splits on which zero-shot detectors of the literature are compared (50/50 or 75/25).

    Args:
        lists: `thumos14_50`, `thumos14_75`, `activitynet_50` or `activitynet_75`.
        split_id: 0 to 9.
    """
    folder = files("pipeline.annotations").joinpath("zero_shot_splits", lists, f"split_{split_id}")
    seen, unseen = (
        tuple(folder.joinpath(name).read_text(encoding="utf-8").splitlines())
        for name in ("seen.list", "unseen.list")
    )
    return ZeroShotSplit(seen, unseen)


def generate_split(labels: Sequence[str], seen_fraction: float, split_id: int, seed: int) -> ZeroShotSplit:
    """A split of any dataset: the same on every machine, and whatever the order of the classes.

    Classes are ranked by the SHA-256 of "<seed>/<split_id>/<class>"; the first `seen_fraction` of them,
    rounded half up and at least one, are seen, and at least one is not. Both keep the order of `labels`.

    Raises InputError where there are fewer than two classes.
    """
    if len(labels) < 2:
        raise InputError(f"a zero-shot split needs at least two classes, not {len(labels)}")
    ranked = sorted(labels, key=lambda label: hashlib.sha256(f"{seed}/{split_id}/{label}".encode()).digest())
    count = min(max(math.floor(seen_fraction * len(labels) + 0.5), 1), len(labels) - 1)
    seen = set(ranked[:count])
    return ZeroShotSplit(
        tuple(label for label in labels if label in seen),
        tuple(label for label in labels if label not in seen),
    )
