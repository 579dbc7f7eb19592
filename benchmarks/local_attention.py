"""Local self-attention at growing lengths, beside dense attention under a band mask.

Forward and backward of one sequence with the heads, width and window of TP2-DETR for THUMOS14, on a GPU where
there is one. The two take turns at each length; the peak of memory is that of a process of its own. Linear
growth is 4 from one length to the next, quadratic growth is 16.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from measure import DEVICE, peak_mib, ratio, record, synchronise, take_turns
from torch import Tensor

from models.local_attention import local_attention

LENGTHS, HEADS, WIDTH, WINDOW, REPEATS = (256, 1024, 4096), 8, 64, 9, 5


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
        synchronise()

    return step


def warm_step(name: str, length: int) -> Callable[[], None]:
    """A step, after a short one has brought into memory what stays there for good."""
    make_step(name, 64)()
    return make_step(name, length)


def main() -> None:
    peaks = {(name, length): peak_mib(warm_step, name, length) for length in LENGTHS for name in ATTENTIONS}
    print(f"window {WINDOW}, {HEADS} heads of {WIDTH} channels on {DEVICE.type}; in brackets: growth")
    print("tokens        local, ms         dense, ms  local/dense   local, MiB   dense, MiB")
    rows, shorter = [], {}
    for length in LENGTHS:
        times = take_turns({name: make_step(name, length) for name in ATTENTIONS}, REPEATS)
        best = {name: 1e3 * min(taken) for name, taken in times.items()}
        growth = {name: best[name] / shorter.get(name, best[name]) for name in ATTENTIONS}
        share = ratio(times, "local", "dense")
        print(
            f"{length:6} {best['local']:9.2f} ({growth['local']:4.1f}) {best['dense']:10.2f} "
            f"({growth['dense']:4.1f}) {share:12.2f} {peaks['local', length]:12.1f} {peaks['dense', length]:12.1f}"
        )
        rows.append(
            {
                "tokens": length, "local_ms": best["local"], "dense_ms": best["dense"], "local_against_dense": share,
                "local_growth": growth["local"], "dense_growth": growth["dense"],
                "local_mib": peaks["local", length], "dense_mib": peaks["dense", length],
            }
        )  # fmt: skip
        shorter = best
    record("local_attention", rows)


if __name__ == "__main__":
    main()
