"""The zero-shot protocol of the literature: train, predict and evaluate on each split, and report the mean."""

import logging
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from pipeline import storage
from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig, TruthConfig
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.flat_scores import flat_scores, heading, in_tables, mean_scores
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.features.store import FeatureStore
from pipeline.inference.derived import discard_outdated
from pipeline.inference.name import name as name_segments
from pipeline.inference.predict import predict
from pipeline.inference.settings import NameConfig, PredictConfig, VideoActors
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import embed, text_source
from pipeline.records import parse_record, write_record
from pipeline.screen import terminal
from pipeline.segments.settings import ResultsConfig
from pipeline.splits.at_once import run_at_once
from pipeline.splits.settings import SplitsConfig
from pipeline.summary import Summary
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig

logger = logging.getLogger(__name__)

_NO_RESULTS = ResultsConfig(write="never")  # who averages over splits looks at no video
_PREDICTIONS, _NAMED, _OF_NAMES = "predictions", "named", "named."
_HEADLINES = {
    "det_map.average": "average detection mAP",
    "auc": "AUC of AR@AN",
    f"{_OF_NAMES}det_map.average": "average detection mAP of names",
}


def run_splits(config: SplitsConfig) -> Summary:
    """Train, predict and evaluate every split and average; the same command continues after any stop.

    With more epochs it trains on and predicts anew. Videos that prediction has lost are tried again by each call.

    Split `k` lies in `<run>/split_<k>`: a training run, its `predictions/` with their `metrics.json` and, with
    `naming`, likewise `named/`, the same segments with the unseen classes as labels. `<run>/splits.json` has the
    scores of each split and their mean, those of names with `named.` before them.

    Raises InputError where the dataset has no zero-shot splits, a split loses videos, or nothing can be named.
    """
    if not config.dataset.zero_shot.active:
        raise InputError(
            "dataset.zero_shot: names no split; give zero_shot.lists or zero_shot.seen_fraction, or use train"
        )
    if config.naming:
        _check_words(config)
    if config.parallel > 1:
        done = sum(run_at_once(bring_on, config, config.splits).values())
    else:
        done = 0
        for split in config.splits:
            logger.info("split %d of %s", split, config.run)
            done += bring_on(config, split)
    scores = {}
    for split in config.splits:
        scores[split] = flat_scores(_metrics(config, split, _PREDICTIONS))
        if config.naming:
            of_names = flat_scores(_metrics(config, split, _NAMED))
            scores[split] |= {f"{_OF_NAMES}{name}": score for name, score in of_names.items()}
    mean = mean_scores(scores.values())
    terminal().print(_table(scores, mean))
    url = storage.join(config.run, "splits.json")
    content = {"splits": {str(split): found for split, found in scores.items()}, "mean": mean}
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


def bring_on(config: SplitsConfig, split: int) -> bool:
    """Train, predict and evaluate one split, and name what it finds: whether there was anything to train."""
    dataset = _dataset(config, split)
    run, out = storage.join(config.run, f"split_{split}"), _folder(config, split, _PREDICTIONS)
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
    _check_lost(config, out, predicted)
    evaluate(EvaluateConfig(predictions=out, dataset=dataset))
    if config.naming:
        _name(config, split)
    return trained.done > 0


def _name(config: SplitsConfig, split: int) -> None:
    """Name the proposals of a split by the classes that its training has not seen, and score them with their names."""
    given, out = (_folder(config, split, name) for name in (_PREDICTIONS, _NAMED))
    dataset = _dataset(config, split)
    discard_outdated(out, storage.join(config.run, f"split_{split}"))
    classes = read_subset(dataset, dataset.test_subset).labels
    rules = config.words.model_dump(exclude={"store"})
    named = name_segments(
        NameConfig(
            predictions=given,
            store=config.words.store or config.store,
            out=out,
            naming=NamingConfig(classes=classes, **rules),
            actors=VideoActors(**config.detect.model_dump(include=set(VideoActors.model_fields))),
            retry_failed=True,
            ray=config.ray,
            results=_NO_RESULTS,
        )
    )
    assert isinstance(named, Summary)  # classes are no query
    _check_lost(config, out, named)
    evaluate(EvaluateConfig(predictions=out, dataset=dataset, class_agnostic=False))


def _check_words(config: SplitsConfig) -> None:
    """Raise InputError where the features have no words that can be used, before hours of training."""
    store = FeatureStore(config.words.store or config.store)
    rules = NamingConfig(classes=("any",), **config.words.model_dump(exclude={"store"}))
    embed(text_source(store, rules, "words"), rules.probabilities == "sigmoid")


def _check_lost(config: SplitsConfig, out: str, ended: Summary) -> None:
    if ended.failed and not config.allow_failures:
        done = "named" if ended.job == "name" else "predicted"
        raise InputError(
            f"{out}: {ended.failed} videos could not be {done} (failures/ says why); mend them, or accept it by "
            "allow_failures=true"
        )


def _dataset(config: SplitsConfig, split: int) -> DatasetConfig:
    zero_shot = config.dataset.zero_shot.model_copy(update={"split_id": split})
    return config.dataset.model_copy(update={"zero_shot": zero_shot})


def _folder(config: SplitsConfig, split: int, name: str) -> str:
    return storage.join(config.run, f"split_{split}", name)


def _metrics(config: SplitsConfig, split: int, name: str) -> dict[str, Any]:
    url = storage.join(_folder(config, split, name), "metrics.json")
    return parse_record(storage.read_bytes(url), url, dict, "evaluate's metrics")


def _table(scores: Mapping[int, Mapping[str, float]], mean: Mapping[str, float]) -> Table:
    """A row a split, then the mean in bold: mAP at each threshold, AR at each AN, AUC, mAP of names, in percent."""
    names = [name for name in mean if in_tables(name.removeprefix(_OF_NAMES))]
    table = Table(title="scores (%) by split", title_justify="left")
    table.add_column("split")
    for name in names:
        table.add_column(_heading(name), justify="right")
    for split, flat in scores.items():
        table.add_row(str(split), *(f"{100 * flat[name]:.2f}" if name in flat else "–" for name in names))
    table.add_section()
    table.add_row("mean", *(f"{100 * mean[name]:.2f}" for name in names), style="bold")
    return table


def _heading(name: str) -> str:
    of_names = "named " if name.startswith(_OF_NAMES) else ""
    return of_names + heading(name.removeprefix(_OF_NAMES))
