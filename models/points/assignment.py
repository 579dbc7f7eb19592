"""Which points of a pyramid answer for which actions: those near an action's centre, on the level of its length."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.matching import PaddedTargets
from models.points.config import PointLossConfig
from models.points.grid import grid, level_lengths, valid_tokens

# In tokens of the features. Actions whose lengths differ by less are equally long (code).
_SAME_LENGTH = 1e-3
# And what float32 rounds at the end of a level's range must not leave an action to neither level.
_EDGE = 1e-3


@dataclass(frozen=True)
class PointTargets:
    """What the points of a batch should say.

    Attributes:
        classes: `[B, P, K]` float, 0 or 1; a point may have several.
        distances: `[B, P, 2]`, or `[B, P, K, 2]` with a regression per class: to the start and to the end, in tokens of
            the point's level; without meaning where there is no action.
    """

    classes: Tensor
    distances: Tensor

    @property
    def positive(self) -> Tensor:
        """The points that answer for an action, `[B, P]` bool."""
        return self.classes.any(dim=-1)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of a point and an action that may belong together, `[B, M]` each.

    Attributes:
        point: in the order of the points.
        target: row of the sample's targets.
        length: of the action in tokens; infinite where the pair does not count.
    """

    point: Tensor
    target: Tensor
    length: Tensor


def assign(
    truth: PaddedTargets, padding_mask: Tensor, num_classes: int, config: PointLossConfig
) -> PointTargets:
    """The targets of all points (ActionFormer, centre sampling; its released code).

    A point that several actions claim answers for the shortest, and takes the classes of those that are equally long.
    With `config.regression_per_class` (TriDet's multi-label extension) it does so for each class apart.

    Args:
        truth: the actions, in [0, 1] of each sample's valid part.
        padding_mask: `[B, T]` of the features, True = padding.
        num_classes: K.
        config: the rule.
    """
    lengths = level_lengths(padding_mask.shape[1], config.num_levels)
    pairs = _pairs(truth, padding_mask, lengths, config)
    batch, num_points = len(padding_mask), sum(lengths)
    label = truth.labels.gather(1, pairs.target)
    key, num_keys = pairs.point, num_points
    if config.regression_per_class:
        key, num_keys = key * num_classes + label, num_points * num_classes
    chosen, owner = _shortest(pairs, key, num_keys)
    classes = pairs.length.new_zeros(batch, num_points * num_classes).scatter_reduce(
        1, pairs.point * num_classes + label, chosen.float(), "amax"
    )
    place, stride = grid(lengths, padding_mask.device)
    if config.regression_per_class:
        place, stride = (one.repeat_interleave(num_classes) for one in (place, stride))
    ends = _in_tokens(truth, padding_mask)
    owner = owner.clamp(max=ends.shape[1] - 1)[..., None].expand(-1, -1, 2)
    start, end = ends.gather(1, owner).unbind(-1)
    distances = torch.stack(((place - start) / stride, (end - place) / stride), dim=-1)
    if config.regression_per_class:
        distances = distances.view(batch, num_points, num_classes, 2)
    return PointTargets(classes.view(batch, num_points, num_classes), distances)


def count_positives(truth: PaddedTargets, padding_mask: Tensor, config: PointLossConfig) -> int:
    """How many points, or with a regression per class pairs of a point and a class, `assign` gives an action to."""
    lengths = level_lengths(padding_mask.shape[1], config.num_levels)
    pairs = _pairs(truth, padding_mask, lengths, config)
    key = pairs.point
    if config.regression_per_class:
        key = key + truth.labels.gather(1, pairs.target) * sum(lengths)
    key = key + torch.arange(len(key), device=key.device)[:, None] * (int(key.max()) + 1)
    return int(key[pairs.length.isfinite()].unique().numel())


def _in_tokens(truth: PaddedTargets, padding_mask: Tensor) -> Tensor:
    """The actions' starts and ends on the grid, `[B, N, 2]`."""
    return truth.segments * valid_tokens(padding_mask)[:, None, None] - 0.5


def _pairs(
    truth: PaddedTargets, padding_mask: Tensor, lengths: tuple[int, ...], config: PointLossConfig
) -> _Pairs:
    """Of each action and level the few points around its centre: their number does not grow with time."""
    device = padding_mask.device
    start, end = _in_tokens(truth, padding_mask)[..., None, None].unbind(2)  # [B, N, 1, 1]
    stride = 2.0 ** torch.arange(len(lengths), device=device)[:, None]
    centre, reach = (start + end) / 2, config.centre_radius * stride
    around = torch.arange(math.ceil(2 * config.centre_radius) + 2, device=device)
    index = ((centre - reach) / stride).floor() + around  # [B, N, L, W]
    place = index * stride

    farther = torch.maximum(place - start, end - place)
    low = torch.where(stride == 1, 0.0, config.first_reach * stride / 2)
    high = torch.where(stride == stride[-1], torch.inf, config.first_reach * stride)
    near = (place > torch.maximum(start, centre - reach)) & (place < torch.minimum(end, centre + reach))
    there = (place >= 0) & (place < valid_tokens(padding_mask)[:, None, None, None])
    row = torch.arange(truth.labels.shape[1], device=device)
    real = row < torch.tensor(truth.counts, device=device)[:, None]
    belong = near & there & (farther >= low - _EDGE) & (farther <= high + _EDGE) & real[..., None, None]

    level = torch.tensor(lengths, device=device)
    first = (level.cumsum(0) - level)[:, None]
    point = first + torch.minimum(index.clamp(min=0).long(), level[:, None] - 1)
    length = torch.where(belong, end - start, torch.inf)
    return _Pairs(point.flatten(1), row[:, None, None].expand_as(point).flatten(1), length.flatten(1))


def _shortest(pairs: _Pairs, key: Tensor, num_keys: int) -> tuple[Tensor, Tensor]:
    """Of the pairs of one key the shortest action, the first of those that are equally long.

    Returns:
        Which pairs are as short as the shortest of their key, `[B, M]` bool; and the action of each key
        `[B, num_keys]`, a number beyond all of them where none has a claim.
    """
    batch, length = len(key), pairs.length
    least = length.new_full((batch, num_keys), torch.inf).scatter_reduce(1, key, length, "amin")
    least = least.gather(1, key)
    chosen = length.isfinite() & (length <= least + _SAME_LENGTH)
    beyond = torch.iinfo(pairs.target.dtype).max
    first = pairs.target.masked_fill(~chosen, beyond)
    owner = first.new_full((batch, num_keys), beyond).scatter_reduce(1, key, first, "amin")
    return chosen, owner
