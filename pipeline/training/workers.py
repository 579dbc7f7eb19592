"""What a training process says to the others."""

from dataclasses import dataclass

import numpy as np
import ray.train
import ray.train.torch
import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True)
class Workers:
    """The training processes, seen from one of them: number `rank` of `size`, computing on `device`."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def current(cls) -> "Workers":
        """The group that Ray Train has started this process in."""
        context = ray.train.get_context()
        return cls(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a CPU tensor over all workers; every worker must take part."""
        return self.add(values).cpu()

    def add(self, values: Tensor) -> Tensor:
        """The same, left on the device, which nobody waits for."""
        total = values.to(self.device, non_blocking=True)
        if self.size > 1:
            torch.distributed.all_reduce(total)
        return total

    def gather(self, content: bytes) -> list[bytes]:
        """What each worker gave, by rank; every worker must take part, and all get the result."""
        if self.size == 1:
            return [content]
        sizes = self.sum(torch.tensor([len(content) * (rank == self.rank) for rank in range(self.size)]))
        mine = torch.zeros(int(sizes.max()), dtype=torch.uint8)
        mine[: len(content)] = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())
        theirs = [torch.empty_like(mine, device=self.device) for _ in range(self.size)]
        torch.distributed.all_gather(theirs, mine.to(self.device))
        return [
            part[:size].cpu().numpy().tobytes() for part, size in zip(theirs, sizes.tolist(), strict=True)
        ]
