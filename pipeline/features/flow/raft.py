"""RAFT optical flow (Teed and Deng, ECCV 2020) by torchvision, on a GPU or a CPU."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.cluster.device import given_device
from pipeline.errors import InputError
from pipeline.features.batches import FixedBatches
from pipeline.features.flow.scaling import scale_flow
from pipeline.features.settings import FlowConfig
from pipeline.features.weights import (
    RANDOM_WEIGHTS,
    load_into,
    parameter_digest,
    read_checkpoint,
    seeded,
)

_LEAST_SIDE, _SIDE_STEP = 128, 8  # RAFT's correlation pyramid has four levels over an eighth of the picture


class RAFTFlow:
    """A RAFT network on this process's device; computes what `TVL1Flow` computes."""

    def __init__(self, config: FlowConfig, crop: int) -> None:
        device = given_device()
        network = load_raft(config)
        self.weights = parameter_digest(network)
        pairs = _ScaledPairs(network, config.updates, crop, config.rounding)
        self._batches = FixedBatches(pairs, config.batch_size, device)

    def __call__(self, frames: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float16]:
        """Scaled flow `[P, crop, crop, 2]` from `frames[pairs[:, 0]]` to `frames[pairs[:, 1]]` of `[F, S, S, 3]`."""
        return self._batches([[frames]], [pairs])[0]


class _ScaledPairs(nn.Module):
    """Pairs of pictures `[N, 2, S, S, 3]` uint8 to scaled flow, so that only that leaves the device."""

    def __init__(self, network: nn.Module, updates: int, crop: int, rounding: bool) -> None:
        super().__init__()
        self.network, self.updates, self.crop, self.rounding = network, updates, crop, rounding

    def forward(self, pairs: Tensor) -> Tensor:
        first, second = (pairs.float() * (2 / 255) - 1).permute(1, 0, 4, 2, 3)
        flow = self.network(first, second, num_flow_updates=self.updates)[-1]
        return scale_flow(flow.permute(0, 2, 3, 1), self.crop, self.rounding)


def load_raft(config: FlowConfig) -> nn.Module:
    """The network with its weights; raises InputError where they cannot be loaded."""
    from torchvision import models  # seconds, which flow by TV-L1 and features without flow need not wait for

    published = models.get_model_weights(config.algorithm)
    with seeded(config.seed):
        tag = published[config.weights] if config.weights in published.__members__ else None
        network = models.get_model(config.algorithm, weights=tag)
    if tag is None and config.weights != RANDOM_WEIGHTS:
        state = read_checkpoint(config.weights, "flow.weights")
        load_into(network, state, f"flow.weights={config.weights}: does not fit {config.algorithm}")
    return network.eval().requires_grad_(False)


def check_side(side: int) -> None:
    """Raises InputError where RAFT cannot take pictures of `side` pixels."""
    if side < _LEAST_SIDE or side % _SIDE_STEP:
        raise InputError(
            f"flow.algorithm: RAFT takes pictures of at least {_LEAST_SIDE} pixels in steps of {_SIDE_STEP}, and "
            f"backbone.image_size makes them {side}; leave it null or take flow.algorithm=tvl1"
        )
