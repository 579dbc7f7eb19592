"""The whole path on a small archive: render, extract, train, predict, evaluate, look."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from rich.console import Console
from rich.panel import Panel

from pipeline import storage
from pipeline.annotations.read import read_subset
from pipeline.compose import compose_config
from pipeline.config import DemoConfig, EvaluateConfig, ExtractConfig, PredictConfig, TrainConfig
from pipeline.demo.archive import render_archive
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate, read_segments
from pipeline.features.extraction import extract
from pipeline.inference.predict import predict
from pipeline.job import terminal
from pipeline.ray_runtime import connect
from pipeline.report.timelines import draw_timelines
from pipeline.summary import Summary
from pipeline.training.run import train

ConfigType = TypeVar("ConfigType", bound=BaseModel)


def demo(config: DemoConfig) -> Summary:
    """Render an archive of mp4 files, then run the real jobs on it, with the settings of a laptop."""
    console = terminal()
    out = _folder(config)
    if config.fresh:
        storage.remove(out)
    paths = {name: storage.join(out, name) for name in ("videos", "store", "run", "predictions", "timelines.png")}
    truth = storage.join(paths["videos"], "annotations.json")

    _announce(console, "render", f"{config.train_videos} training and {config.test_videos} test videos")
    render_archive(Path(paths["videos"]), ...)
    connect(config.ray)
    dataset = ["dataset=demo", f"dataset.annotations={truth}"]
    steps: list[tuple[str, type[BaseModel], Callable[..., Summary], list[str]]] = [
        ("extract", ExtractConfig, extract, [f"videos={paths['videos']}", f"store={paths['store']}", "backbone=demo"]),
        ("train", TrainConfig, train, ["experiment=demo", *dataset, f"store={paths['store']}", f"run={paths['run']}"]),
        ("predict", PredictConfig, predict, [...]),
    ]
    return Summary(...)
