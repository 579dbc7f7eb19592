"""A run whose detector has learnt nothing and whose features anybody can make: what needs no cluster to be used."""

from pathlib import Path

import torch

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    copy_tensors,
    write_checkpoint,
)
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import describe
from pipeline.features.recipe import Recipe
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig, TrainConfig

LABELS = ("jump", "run", "wave")


def save_run(folder: Path, *, with_recipe: bool = True, seed: int = 0, fps: int = 8) -> str:
    """A run of backbone `tiny`, `fps` / 4 snippets a second; without a recipe as after an import."""
    words = [
        "videos=v",
        "store=s",
        "backbone=tiny",
        f"timeline.fps={fps}",
        "timeline.stride=4",
        "timeline.window=4",
    ]
    extraction = compose_config("extract", ExtractConfig, words)
    spec, _ = describe(extraction)
    recipe = Recipe(backbone=extraction.backbone, flow=extraction.flow, timeline=extraction.timeline)
    words = ["run=r", "store=s", "dataset.annotations=a", "model=dualdetr_tiny", "windows.length=16"]
    config = compose_config("train", TrainConfig, words)
    torch.manual_seed(seed)
    model = build(config.model, spec.dim, len(LABELS), bf16=False)
    write_checkpoint(
        storage.join(str(folder), CHECKPOINTS, checkpoint_name(1)),
        progress=Progress(1, 1, ()),
        labels=LABELS,
        feature_spec=spec,
        config=config.model_dump(mode="json"),
        tensors=copy_tensors(model, build_optimiser(model, OptimiserConfig())),
        recipe=recipe.as_tree() if with_recipe else None,
    )
    return str(folder)
