"""Forward passes of one fixed shape over frames that cross to the device once."""

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class FixedBatches:
    """Runs a network over items, each a frame or a clip, in batches of one fixed shape.

    A matrix product may round differently for another number of rows, so the last batch is filled up: what comes
    out for an item then does not depend on the items around it, nor on how a video was cut into chunks.

    Frames come as uint8 and are copied to the device once, from pinned memory; clips, which may overlap, are
    gathered there by index.
    """

    def __init__(
        self,
        network: nn.Module,
        batch_size: int,
        device: torch.device,
        *,
        bf16: bool = False,
        compiled: bool = False,
    ) -> None:
        """`network` maps one tensor `[batch_size, ...]` for each stream to one `[batch_size, ...]`."""
        for layer in network.modules():
            # Pictures come with their channels last, and are never rearranged if the filters have them last, too.
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                last = torch.channels_last if isinstance(layer, nn.Conv2d) else torch.channels_last_3d
                layer.to(memory_format=last)
        self._network = network.to(device)
        self._forward = torch.compile(self._network, dynamic=False) if compiled else self._network
        self._batch_size = batch_size
        self._device = device
        self._bf16 = bf16

    def __call__(
        self, streams: Sequence[Sequence[NDArray]], items: Sequence[NDArray[np.int64]]
    ) -> list[NDArray]:
        """The network's outputs `[n_r, ...]` for each run `r`; batches span runs.

        Args:
            streams: for each of the network's arguments, an array `[F_r, ...]` for each run.
            items: for each run, `[n_r]` frames or `[n_r, T]` clips as positions in its arrays.
        """
        if not items:
            return []
        starts = np.cumsum([0, *(len(frames) for frames in streams[0][:-1])])
        wanted = np.concatenate([run + start for run, start in zip(items, starts, strict=True)])
        total = len(wanted)
        filled = -total % self._batch_size
        index = torch.from_numpy(np.concatenate([wanted, np.repeat(wanted[-1:], filled, axis=0)]))
        index = index.to(self._device)
        sources = [self._upload(stream) for stream in streams]
        autocast = torch.autocast(self._device.type, dtype=torch.bfloat16) if self._bf16 else nullcontext()
        with torch.inference_mode(), autocast:
            # One copy back at the end: a copy for each batch would let the device wait for the host.
            outputs = [
                self._forward(*(frames[batch] for frames in sources))
                for batch in index.split(self._batch_size)
            ]
            result = torch.cat(outputs)[:total].cpu().numpy()
        return np.split(result, np.cumsum([len(run) for run in items[:-1]]))

    def _upload(self, runs: Sequence[NDArray]) -> Tensor:
        """The arrays of all runs in one tensor on the device."""
        shape = (sum(len(run) for run in runs), *runs[0].shape[1:])
        dtype = torch.from_numpy(np.empty(0, runs[0].dtype)).dtype
        together = torch.empty(shape, dtype=dtype, pin_memory=self._device.type == "cuda")
        np.concatenate(runs, out=together.numpy())
        return together.to(self._device, non_blocking=True)
