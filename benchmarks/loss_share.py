"""What part of a training step goes into matching and loss, with the detector as it is and compiled.

A step is forward, matching, loss and backward on 16 windows of 256 snippets with 15 actions each. The part of the
loss is measured apart, on the predictions of such a step: matching, loss, and its gradient for the predictions.

    python benchmarks/loss_share.py [--compile]     compiling takes minutes for each detector
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch
from measure import DEVICE, record, synchronise, take_turns
from random_windows import random_windows

from models.deformable_detr import DeformableDETRConfig
from models.detection import DetectorOutput, Salience, SetPrediction
from models.detectors import DETECTORS, DetectorConfig, build_criterion, build_detector
from models.dualdetr import DualDETRConfig
from models.tp2detr import TP2DETRConfig
from pipeline.training.compiling import compiled

BATCH, LENGTH, CHANNELS, ACTIONS, CLASSES, REPEATS = 16, 256, 1024, 15, 65, 3
WIDTH = {"dim": 256, "encoder_layers": 2, "decoder_layers": 4}


def detectors() -> dict[str, DetectorConfig]:
    """The three at width 256."""
    dual = DualDETRConfig(**WIDTH)
    deformable = DeformableDETRConfig(**WIDTH, ffn_dim=dual.ffn_ratio * 256, num_queries=dual.num_queries)
    return {"DualDETR": dual, "Deformable DETR": deformable, "TP2-DETR": TP2DETRConfig(**WIDTH)}


def jobs(config: DetectorConfig, compile_it: bool) -> dict[str, Callable[[], None]]:
    """A whole step, and the part of it that is matching and loss."""
    torch.manual_seed(0)
    model = build_detector(config, CHANNELS, CLASSES).to(DEVICE)
    forward = compiled(model) if compile_it else model
    criterion = build_criterion(DETECTORS[config.name].loss())
    windows = random_windows(BATCH, LENGTH, CHANNELS, ACTIONS, CLASSES)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        criterion(forward(windows.features, windows.padding), windows.targets)["total"].backward()
        synchronise()

    found = _apart(forward(windows.features, windows.padding))

    def loss() -> None:
        criterion(found, windows.targets)["total"].backward()
        synchronise()

    return {"step": step, "loss": loss}


def _apart(output: DetectorOutput) -> DetectorOutput:
    """The same predictions as if they were parameters, so that a gradient ends at them."""

    def leaf(prediction: SetPrediction) -> SetPrediction:
        return replace(
            prediction,
            segments=prediction.segments.detach().requires_grad_(),
            logits=prediction.logits.detach().requires_grad_(),
        )

    return DetectorOutput(
        tuple(map(leaf, output.layers)),
        None if output.encoder is None else leaf(output.encoder),
        {
            place: Salience(salience.logits.detach().requires_grad_(), salience.padding_mask)
            for place, salience in output.salience.items()
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compile", action="store_true", help="measure the compiled detectors, too")
    choice = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print(f"{BATCH} windows of {LENGTH} snippets on {DEVICE.type}, width 256, one thread")
    for name, config in detectors().items():
        for compile_it in (False, True) if choice.compile else (False,):
            times = take_turns(jobs(config, compile_it), REPEATS)
            shares = sorted(loss / step for loss, step in zip(times["loss"], times["step"], strict=True))
            row = {
                "detector": name, "compiled": compile_it, "step_s": min(times["step"]), "loss_s": min(times["loss"]),
                "share": shares[len(shares) // 2],
            }  # fmt: skip
            print("  ".join(f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
                            for key, value in row.items()), flush=True)  # fmt: skip
            rows.append(row)
    record("loss_share", rows)


if __name__ == "__main__":
    main()
