"""Arithmetic of DualDETR's forward pass on a window of 96 snippets, beside the paper's 5.5 GFLOPs (Table 2).

PyTorch's counter sees matrix products, each multiply-accumulate as two operations. It does not see what
deformable attention gathers; that is counted here: an output channel sums, over `num_points` places, two
neighbours each. Norms, softmaxes and activations count nowhere.
"""

import torch
from measure import record
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.attention import DeformableAttention
from models.dualdetr import DualDETR, DualDETRConfig

LENGTH, CHANNELS, CLASSES, PAPER_GFLOPS = 96, 2048, 51, 5.5


def multiply_accumulates(config: DualDETRConfig, length: int) -> tuple[int, int]:
    """Of matrix products and of deformable sampling, for one window of `length` snippets."""
    model = DualDETR(config, CHANNELS, CLASSES)
    sampling = 0

    def count_sampling(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal sampling
        assert isinstance(module, DeformableAttention)
        sampling += output.numel() * module.num_levels * module.num_points * 2

    for module in model.modules():
        if isinstance(module, DeformableAttention):
            module.register_forward_hook(count_sampling)
    # Attention as plain products: the counter does not know every fused kernel.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(1, length, CHANNELS), torch.zeros(1, length, dtype=torch.bool))
    return counter.get_total_flops() // 2, sampling


def main() -> None:
    print(f"{LENGTH} snippets of {CHANNELS} channels; the paper says {PAPER_GFLOPS} GFLOPs")
    print("  dim queries   products   sampling      GMAC  GFLOP (2 x GMAC)  of the paper's")
    rows = []
    for dim, num_queries in [(512, 60), (512, 100), (512, 150), (256, 100)]:
        config = DualDETRConfig(dim=dim, num_queries=num_queries)
        products, sampling = multiply_accumulates(config, LENGTH)
        gmac = (products + sampling) / 1e9
        print(
            f"{dim:5} {num_queries:7} {products / 1e9:10.3f} {sampling / 1e9:10.4f} {gmac:9.3f} "
            f"{2 * gmac:17.2f} {2 * gmac / PAPER_GFLOPS:14.2f}x"
        )
        rows.append(
            {
                "dim": dim,
                "queries": num_queries,
                "gmac": gmac,
                "of_the_papers_gflops": 2 * gmac / PAPER_GFLOPS,
            }
        )
    record("dualdetr_flops", rows)


if __name__ == "__main__":
    main()
