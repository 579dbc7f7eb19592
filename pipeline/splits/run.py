"""The zero-shot protocol of the literature: train, predict and evaluate on each split, and report the mean."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from pipeline import storage
from pipeline.annotations.settings import TruthConfig
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.inference.derived import discard_outdated
from pipeline.inference.predict import predict
from pipeline.inference.settings import PredictConfig
from pipeline.records import parse_record, write_record
from pipeline.screen import terminal
from pipeline.segments.settings import ResultsConfig
from pipeline.splits.settings import SplitsConfig
from pipeline.summary import Summary
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig

logger = logging.getLogger(__name__)

# What a metrics.json holds besides counts, settings and single classes, which differ from split to split.
_SCORES = {"det_map", "seg_map", "ar_at_an", "auc", "recall_by_length"}
_NO_RESULTS = ResultsConfig(write="never")  # who averages over splits looks at no video
_HEADLINES = {"det_map.average": "average detection mAP", "auc": "AUC of AR@AN"}
_HEADINGS = {"det_map.average": "mAP", "auc": "AUC"}


def run_splits(config: SplitsConfig) -> Summary:
    """Train, predict and evaluate every split and average; the same command continues after any stop.

    With more epochs it trains on and predicts anew. Videos that prediction has lost are tried again by each call.

    Split `k` lies in `<run>/split_<k>`: a training run, and its `predictions/` with their `metrics.json`.
    `<run>/splits.json` has the scores of each split and their mean.

    Raises InputError where the dataset has no zero-shot splits, or a split loses videos in prediction.
    """
    if not config.dataset.zero_shot.active:
        raise InputError(
            "dataset.zero_shot: names no split; give zero_shot.lists or zero_shot.seen_fraction, or use train"
        )
    done, scores = 0, {}
    for split in config.splits:
        logger.info("split %d of %s", split, config.run)
        done += _train_and_predict(config, split)
        url = storage.join(_folder(config, split), "metrics.json")
        scores[split] = parse_record(storage.read_bytes(url), url, dict, "evaluate's metrics")
    mean = mean_scores(scores.values())
    terminal().print(_table(scores, mean))
    url = storage.join(config.run, "splits.json")
    content = {"splits": {str(split): flat_scores(found) for split, found in scores.items()}, "mean": mean}
    write_record(url, content)
    return Summary(
        job="splits",
        unit="splits",
        total=len(config.splits),
        done=done,
        already_done=len(config.splits) - done,
        outputs={"scores": url},
        figures={name: f"{100 * mean[key]:.2f} %" for key, name in _HEADLINES.items() if key in mean},
    )


def flat_scores(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The scores in a metrics.json that mean the same in every split, under dotted names.

    Counts, settings, the scores of single classes and bins without truth are left out.
    """
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        if value is None or (prefix == "" and key not in _SCORES):
            continue
        if isinstance(value, Mapping):
            flat |= flat_scores(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def mean_scores(metrics: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of each score over the splits that have it."""
    values = defaultdict(list)
    for found in metrics:
        for name, score in flat_scores(found).items():
            values[name].append(score)
    return {name: sum(scores) / len(scores) for name, scores in values.items()}


def _train_and_predict(config: SplitsConfig, split: int) -> bool:
    """Bring one split up to date: whether there was anything to train."""
    zero_shot = config.dataset.zero_shot.model_copy(update={"split_id": split})
    dataset = config.dataset.model_copy(update={"zero_shot": zero_shot})
    run, out = storage.join(config.run, f"split_{split}"), _folder(config, split)
    settings = {name: getattr(config, name) for name in TrainConfig.model_fields}
    trained = train(TrainConfig(**(settings | {"run": run, "dataset": dataset})))
    discard_outdated(out, run)
    # What an earlier call lost is tried again: it may have been mended since, and a mean without it misleads.
    predicted = predict(
        PredictConfig(
            run=run,
            store=config.store,
            out=out,
            subset="test",
            dataset=TruthConfig(**dataset.model_dump()),
            detect=config.detect,
            retry_failed=True,
            ray=config.ray,
            results=_NO_RESULTS,
        )
    )
    if predicted.failed and not config.allow_failures:
        raise InputError(
            f"{out}: {predicted.failed} videos could not be predicted (failures/ says why); mend them, or "
            "accept it by allow_failures=true"
        )
    evaluate(EvaluateConfig(predictions=out, dataset=dataset))
    return trained.done > 0


def _folder(config: SplitsConfig, split: int) -> str:
    return storage.join(config.run, f"split_{split}", "predictions")


def _table(scores: Mapping[int, Mapping[str, Any]], mean: Mapping[str, float]) -> Table:
    """A row a split, then the mean in bold: mAP at each threshold, AR at each AN and AUC, in percent."""
    names = [name for name in mean if name.startswith(("det_map.", "ar_at_an.")) or name == "auc"]
    table = Table(title="scores (%) by split", title_justify="left")
    table.add_column("split")
    for name in names:
        table.add_column(_HEADINGS.get(name, _shorten(name)), justify="right")
    for split, found in scores.items():
        flat = flat_scores(found)
        table.add_row(str(split), *(f"{100 * flat[name]:.2f}" if name in flat else "–" for name in names))
    table.add_section()
    table.add_row("mean", *(f"{100 * mean[name]:.2f}" for name in names), style="bold")
    return table


def _shorten(name: str) -> str:
    return name.replace("det_map.", "mAP@").replace("ar_at_an.", "AR@")
