"""The driver of a training run: check, plan, let Ray Train do it, and sum up."""

import json
import logging
from tempfile import TemporaryDirectory

from ray.train import WorkerGroupError

from pipeline import stopping, storage
from pipeline.cluster.needs import Need, check_needs
from pipeline.cluster.runtime import connect
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    INFO,
    TO_RESUME,
    CheckpointInfo,
    checkpoint_name,
)
from pipeline.detector.checkpoint_search import last_checkpoint, search_checkpoints
from pipeline.errors import InputError
from pipeline.features.store import FeatureStore
from pipeline.lease import hold
from pipeline.outages import OutageError
from pipeline.summary import Summary
from pipeline.training.hints import training_hints
from pipeline.training.plan import TrainingPlan, make_plan
from pipeline.training.provenance import write_provenance
from pipeline.training.ray_trainer import build_trainer
from pipeline.training.resume import check_continues
from pipeline.training.settings import TrainConfig
from pipeline.training.standing import end_with_checkpoint, heard
from pipeline.training.trackers import check_trackers, tracked

logger = logging.getLogger(__name__)

# A job that is told to end has half a minute in all.
_LEAVE_SECONDS = 20.0


def train(config: TrainConfig) -> Summary:
    """Train a detector on a feature store; the same command continues after any stop.

    Raises InputError where another job trains the run.
    """
    check_trackers(config)
    config = _with_absolute_urls(config)
    plan = make_plan(config, FeatureStore(config.store))
    with hold(config.run, "run", "train", config.force):
        return _train(config, plan)


def _train(config: TrainConfig, plan: TrainingPlan) -> Summary:
    last = _last_checkpoint(config.run)
    if last:
        check_continues(last, plan)
    begun = last.progress.epoch if last else 0
    if begun >= config.optimiser.epochs:
        logger.info("all %d epochs of %s are done", begun, config.run)
    else:
        within = last.progress.within if last else 0
        logger.info(
            "epochs %d%s to %d of %s, %s worker(s)",
            begun + 1,
            f" (from its step {within + 1})" if within else "",
            config.optimiser.epochs,
            config.run,
            " to ".join(str(count) for count in dict.fromkeys(config.workers_between)),
        )
        for hint in training_hints(plan):
            logger.warning("%s", hint)
        storage.write_bytes(
            storage.join(config.run, "config.json"), config.model_dump_json(indent=1).encode()
        )
        connect(config.ray)
        check_needs([_need(config)])
        write_provenance(plan, begun + 1, within + 1)
        _fit(plan)
        last = last_checkpoint(config.run)
    assert last is not None  # fit returns only after the last epoch's checkpoint
    metrics = storage.join(config.run, "metrics.json")
    storage.write_bytes(metrics, json.dumps(_metrics(last, plan), indent=1).encode())
    return Summary(
        job="train",
        unit="epochs",
        total=config.optimiser.epochs,
        done=config.optimiser.epochs - begun,
        already_done=begun,
        outputs={"checkpoint": last.url, **_best_checkpoint(last, config), "metrics": metrics},
        figures=_figures(last, plan) | _skipped(plan),
        failures=plan.lost,
        failures_in=f"store={config.store}",
    )


def _need(config: TrainConfig) -> Need:
    amounts = {
        "cpus_per_worker": ("CPU", config.cpus_per_worker),
        "gpus_per_worker": ("GPU", config.gpus_per_worker),
    }
    fewest, _ = config.workers_between
    return Need(amounts, workers=fewest, workers_key="workers", labels=config.labels or {})


def _with_absolute_urls(config: TrainConfig) -> TrainConfig:
    dataset = config.dataset
    urls = {
        "annotations": storage.absolute(dataset.annotations),
        "classes": dataset.classes and storage.absolute(dataset.classes),
    }
    return config.model_copy(
        update={
            "run": storage.absolute(config.run),
            "store": storage.absolute(config.store),
            "dataset": dataset.model_copy(update=urls),
        }
    )


def _last_checkpoint(run: str) -> CheckpointInfo | None:
    """Where the run goes on; a line tells of each newer checkpoint that is damaged.

    Raises InputError where all are.
    """
    search = search_checkpoints(run, TO_RESUME)
    last = search.last(run)
    if last:
        for line in search.damaged:
            logger.warning("%s; the run goes on from %s", line, last.url)
    return last


def _fit(plan: TrainingPlan) -> None:
    """Run the workers to the last epoch.

    Raises InputError where the run diverges, OutageError where storage is away for longer than workers wait for it.
    """
    config = plan.config
    with (
        TemporaryDirectory(prefix="raytad-train-") as scratch,
        tracked(config) as track,
        heard(track) as desk,
    ):
        try:
            result = build_trainer(plan, desk, scratch).fit()
        except KeyboardInterrupt:
            stopped = stopping.pending()
            # A run that somebody else has taken over is theirs to write into.
            if stopped and stopped.by_signal and not end_with_checkpoint(desk, _LEAVE_SECONDS):
                logger.warning("no checkpoint was written in time: the run goes on from the one before")
            raise
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                cause = getattr(failure, "_base_exc", failure)
                if isinstance(cause, InputError | OutageError):
                    kind = InputError if isinstance(cause, InputError) else OutageError
                    raise kind(f"{cause}; the same command goes on from the last checkpoint") from None
            raise
    if result.return_value:
        raise InputError(
            f"run={config.run}: diverged in {result.return_value}; lower optimiser.lr or set "
            "optimiser.clip_norm, and start another run="
        )


def _metrics(last: CheckpointInfo, plan: TrainingPlan) -> dict[str, object]:
    """The content of `metrics.json`: the run's figures, epoch by epoch."""
    return {
        "epochs": last.progress.epoch,
        "steps": last.progress.step,
        "training_videos": len(plan.videos),
        "training_windows": len(plan.windows),
        "feature_digest": last.feature_spec.digest,
        "checkpoint_digest": last.digest,
        "validated_on": plan.config.validate_on,
        "best": _best(last),
        "history": last.progress.history,
    }


def _best(last: CheckpointInfo) -> dict[str, float] | None:
    """The epoch of the best det-mAP; it predicts only when asked for, since the truth that validates has chosen it."""
    validated = [figures for figures in last.progress.history if "det_map" in figures]
    return max(validated, key=lambda figures: figures["det_map"], default=None)


def _best_checkpoint(last: CheckpointInfo, config: TrainConfig) -> dict[str, str]:
    """The checkpoint of the best epoch, which may be had by `checkpoint=`, where it is not the last."""
    best = _best(last)
    url = best and storage.join(config.run, CHECKPOINTS, checkpoint_name(int(best["epoch"])))
    return (
        {"best checkpoint": url}
        if url and url != last.url and storage.exists(storage.join(url, INFO))
        else {}
    )


def _skipped(plan: TrainingPlan) -> dict[str, str]:
    return {"skipped": f"{len(plan.lost)} videos (lost before this job)"} if plan.lost else {}


def _figures(last: CheckpointInfo, plan: TrainingPlan) -> dict[str, str]:
    figures = {"last loss": f"{last.progress.history[-1]['total']:.4f}"}
    if "det_map" in last.progress.history[-1]:
        figures["last det-mAP"] = f"{100 * last.progress.history[-1]['det_map']:.2f} %"
    best = _best(last)
    if best:
        chosen = ", chosen by the test truth" if plan.config.validate_on == "test" else ""
        figures["best det-mAP"] = f"{100 * best['det_map']:.2f} % (epoch {best['epoch']}{chosen})"
        figures["validated on"] = plan.config.validation_in_words
    if "waiting" in last.progress.history[-1]:
        row = last.progress.history[-1]
        figures["last epoch"] = (
            f"{row['windows_per_second']:.0f} windows/s, {100 * row['waiting']:.1f} % of the time waiting for them"
        )
    return figures
