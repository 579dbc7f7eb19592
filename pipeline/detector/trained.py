"""A trained detector, ready to use, from what its checkpoint says."""

import logging
from dataclasses import dataclass

import torch
from pydantic import ValidationError

from pipeline import storage
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    TO_PREDICT,
    CheckpointInfo,
    DamagedError,
    check_files,
    load_weights,
    read_info,
)
from pipeline.detector.checkpoint_search import search_checkpoints
from pipeline.detector.earlier import settings_in_todays_names
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.detector.settings import DetectorSettings, WindowConfig, WindowOverride
from pipeline.errors import InputError
from pipeline.features.spec import FeatureSpec
from pipeline.settings import stored_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedDetector:
    """A detector in eval mode with its checkpoint's description and the settings that prediction needs."""

    detector: NormalisedDetector
    info: CheckpointInfo
    config: DetectorSettings


def find_checkpoint(run: str | None, checkpoint: str | None) -> CheckpointInfo:
    """The checkpoint that a command names: `checkpoint` itself, or the last one of `run` whose weights are whole.

    Its weights are read and compared with their digest; one line tells of each newer checkpoint of `run` that is
    damaged.

    Raises InputError where there is none, naming the damaged file where that is why.
    """
    if checkpoint:
        info = read_info(storage.absolute(checkpoint))
        try:
            check_files(info, TO_PREDICT)
        except DamagedError as error:
            raise InputError(f"{error}; put the file back from a copy, or give another checkpoint=") from None
        return info
    assert run is not None  # PredictConfig asks for one of the two
    search = search_checkpoints(run, TO_PREDICT)
    found = search.last(run)
    if found is None:
        raise InputError(f"run={run}: has no complete checkpoint; run train first")
    for line in search.damaged:
        logger.warning("%s; %s is used", line, found.url)
    return found


def settings_of(info: CheckpointInfo) -> DetectorSettings:
    """What a checkpoint says of the detector; settings of its training, which change with versions, are passed over.

    Raises InputError where this version knows other ones.
    """
    stored = settings_in_todays_names(info.config)
    known = {key: stored[key] for key in DetectorSettings.model_fields if key in stored}
    return stored_settings(DetectorSettings, known, f"{info.url}: was trained by")


def windows_for_prediction(trained: DetectorSettings, override: WindowOverride) -> WindowConfig:
    """How the windows of a trained detector lie on test videos, with a command's changes.

    Raises InputError where these leave gaps, or change what the detector's kind of windows does not have.
    """
    for key, value in override.model_dump(exclude_none=True).items():
        if trained.windows.mode != "sliding":
            raise InputError(
                f"windows.{key}={value}: the run looks at whole videos (windows.mode={trained.windows.mode}); "
                "leave it out"
            )
    try:
        return override.apply(trained.windows)
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(["windows", *(str(part) for part in detail["loc"])])
        message = detail["msg"].removeprefix("Value error, ")
        raise InputError(message if message.startswith("windows.") else f"{key}: {message}") from None


def load_trained(url: str, device: torch.device) -> TrainedDetector:
    """Load the checkpoint at `url` onto `device`. Raises InputError where it is damaged or does not fit."""
    info = read_info(url)
    config = settings_of(info)
    detector = build(config.model, info.feature_spec.dim, len(info.labels), bf16=config.precision == "bf16")
    load_weights(info, detector)
    return TrainedDetector(detector.to(device).eval(), info, config)


def check_features(info: CheckpointInfo, spec: FeatureSpec, store: str, insist: bool) -> None:
    """Refuse features unlike those that the detector was trained on; with `insist`, only of another width.

    Raises InputError that shows the difference.
    """
    differences = info.feature_spec.differences(spec)
    if not differences:
        return
    shown = f"store={store}: other features than {info.url} was trained on ({'; '.join(differences)}"
    if info.feature_spec.dim != spec.dim:
        raise InputError(f"{shown}, where 'here' is training); a detector reads one width only")
    if not insist:
        raise InputError(
            f"{shown}, where 'here' is training); extract with those settings, or insist by "
            "allow_feature_mismatch=true"
        )
