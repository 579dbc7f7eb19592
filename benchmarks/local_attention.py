"""Local self-attention at growing lengths, beside dense attention under a band mask.

Forward and backward of one sequence with the heads, width and window of TP2-DETR for THUMOS14, on a GPU where
there is one. The two take turns at each length; the peak of memory is that of a process of its own. Linear
growth is 4 from one length to the next, quadratic growth is 16.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.local_attention import local_attention

LENGTHS, HEADS, WIDTH, WINDOW, REPEATS = (256, 1024, 4096), 8, 64, 9, 5
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def dense_attention(query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor, window: int) -> Tensor:
    """The same numbers (without padding) from all pairs of tokens."""
    index = torch.arange(query.shape[2], device=query.device)
    near = (index[:, None] - index).abs() <= window // 2
    return F.scaled_dot_product_attention(query, key, value, attn_mask=near & ~padding_mask[:, None, None, :])


ATTENTIONS: dict[str, Callable[..., Tensor]] = {"local": local_attention, "dense": dense_attention}


def make_step(name: str, length: int) -> Callable[[], None]:
    torch.manual_seed(0)
    tensors = [torch.randn(1, HEADS, length, WIDTH, device=DEVICE, requires_grad=True) for _ in range(3)]
    padding = torch.zeros(1, length, dtype=torch.bool, device=DEVICE)

    def step() -> None:
        ATTENTIONS[name](*tensors, padding, WINDOW).sum().backward()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    return step


def seconds(step: Callable[[], None]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def peak_mib(name: str, length: int) -> float:
    """What a step needs at most, on top of its inputs and of what a short one brings into memory for good."""
    make_step(name, 64)()
    step = make_step(name, length)
    if DEVICE.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * RSS_UNIT / 2**20


def main() -> None:
    peaks: dict[tuple[str, int], float] = {}
    for length in LENGTHS:  # first: a process inherits the peak of the one that starts it
        for name in ATTENTIONS:
            with multiprocessing.get_context("spawn").Pool(1) as process:
                peaks[name, length] = process.apply(peak_mib, (name, length))
    times = {}
    for length in LENGTHS:
        steps = [make_step(name, length) for name in ATTENTIONS]
        for step in steps:  # warm
            step()
        rounds = [[seconds(step) for step in steps] for _ in range(REPEATS)]
        times[length] = [1e3 * min(column) for column in zip(*rounds, strict=True)]
    print(f"window {WINDOW}, {HEADS} heads of {WIDTH} channels on {DEVICE.type}; in brackets: growth")
    print("tokens        local, ms         dense, ms  local/dense   local, MiB   dense, MiB")
    shorter = times[LENGTHS[0]]
    for length, (local, dense) in times.items():
        print(
            f"{length:6} {local:9.2f} ({local / shorter[0]:4.1f}) {dense:10.2f} ({dense / shorter[1]:4.1f}) "
            f"{local / dense:12.2f} {peaks['local', length]:12.1f} {peaks['dense', length]:12.1f}"
        )
        shorter = times[length]


if __name__ == "__main__":
    main()
