"""The whole path on a small archive: render, extract, train, predict, evaluate, label, look."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console

from pipeline import storage
from pipeline.cluster.runtime import connect
from pipeline.compose import compose_config
from pipeline.demo.archive import render_archive, rendered_files
from pipeline.demo.folder import LABELLED, NEW, PREDICTIONS, RUN, STORE, VIDEOS, claim, clear
from pipeline.demo.settings import DemoConfig
from pipeline.demo.timetable import plan_archive
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.features.extraction.run import extract
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.inference.derived import discard_outdated
from pipeline.inference.predict import predict
from pipeline.inference.settings import PredictConfig
from pipeline.labelling.run import label
from pipeline.labelling.settings import LabelConfig
from pipeline.report.run import report
from pipeline.report.settings import ReportConfig
from pipeline.screen import only_warnings, terminal
from pipeline.summary import Summary
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig


def demo(config: DemoConfig) -> Summary:
    """Render a small archive of mp4 files and run the real jobs on it; run again, it continues.

    With `archive_to` it stops after the first step, and copies what it has rendered.

    Raises InputError where `out` is not local, or holds what no demo made.
    """
    local = storage.local_path(config.out)
    if local is None:
        raise InputError(f"out={config.out}: the demo renders its videos into a local folder")
    (clear if config.fresh else claim)(Path(local))
    console = terminal()
    only_warnings()
    videos, new, store, run, predictions, labelled = (
        storage.join(config.out, name) for name in (VIDEOS, NEW, STORE, RUN, PREDICTIONS, LABELLED)
    )
    console.rule(f"render {config.train_videos} training and {config.test_videos} test videos")
    *specs, unseen = plan_archive(
        seed=config.seed, train_videos=config.train_videos, test_videos=config.test_videos + 1
    )
    annotations = render_archive(Path(videos), specs)
    count = config.train_videos + config.test_videos
    if config.archive_to is not None:
        _copy(Path(videos), config.archive_to)
        return Summary(
            job="demo", unit="videos", total=count, done=count, outputs={"archive": config.archive_to}
        )
    connect(config.ray)
    truth = ["dataset=demo", f"dataset.annotations={annotations}"]
    features = [f"store={store}"]
    _step(console, extract, ExtractConfig, [f"videos={videos}", *features, "backbone=demo"])
    _step(console, train, TrainConfig, ["experiment=demo", *truth, *features, f"run={run}", *config.words])
    discard_outdated(predictions, run)
    if discard_outdated(labelled, run):
        storage.remove(labelled)
    _step(console, predict, PredictConfig, [f"run={run}", *features, f"out={predictions}"])
    evaluation = _step(console, evaluate, EvaluateConfig, [f"predictions={predictions}", *truth])
    render_archive(Path(new), [unseen])
    _step(console, label, LabelConfig, [f"videos={new}", f"run={run}", f"out={labelled}"])
    shown = _step(console, report, ReportConfig, [f"predictions={predictions}", *truth, f"videos=[{videos}]"])
    return Summary(
        job="demo",
        unit="videos",
        total=count,
        done=count,
        outputs={
            "videos": videos,
            "segments": storage.join(predictions, "segments"),
            "the new video's segments": storage.join(labelled, "results", f"{unseen.video_id}.vtt"),
            "TensorBoard": f"tensorboard --logdir {shlex.quote(run)}",
            "to open": shown.outputs["page"],
        },
        figures=evaluation.figures,
    )


def _step(
    console: Console, job: Callable[[Any], Summary], config_type: type[BaseModel], words: list[str]
) -> Summary:
    """Run a job as its command line would, which is shown."""
    name = job.__name__
    console.rule(name)
    console.print("python " + shlex.join([f"jobs/{name}.py", *words]), style="dim", soft_wrap=True)
    summary = job(compose_config(name, config_type, words))
    summary.show(console)
    if summary.failed:
        raise InputError(f"{name} lost {summary.failed} {summary.unit}; run the demo again with fresh=1")
    return summary


def _copy(folder: Path, url: str) -> None:
    """Copy the archive's videos and, after them, its annotations: what has these has all."""
    *files, _recipe = rendered_files(folder)
    for path in files:
        storage.write_bytes(storage.join(url, path.name), path.read_bytes())
