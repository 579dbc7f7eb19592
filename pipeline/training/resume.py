"""Whether a command may go on with what a run folder holds."""

import copy
import logging
from typing import Any

from pydantic import ValidationError

from pipeline.detector.checkpoint import CheckpointInfo
from pipeline.detector.earlier import settings_in_todays_names
from pipeline.differences import differences
from pipeline.errors import InputError
from pipeline.settings import stored_settings
from pipeline.training.plan import TrainingPlan
from pipeline.training.settings import MAY_CHANGE, TrainConfig

logger = logging.getLogger(__name__)


def check_continues(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    """Raise InputError showing the difference where the plan is not the one that the checkpoint belongs to.

    More epochs than before are welcome. More or fewer windows, because the store or the annotations have
    changed, are used with a warning.
    """
    run = f"run={plan.config.run}"
    before, now = (config.model_dump(mode="json") for config in (_as_today(checkpoint), plan.config))
    changed = [
        f"{key} was {was}, is {is_now}"
        for key, (was, is_now) in differences(before, now, MAY_CHANGE).items()
        if not (key == "optimiser.epochs" and is_now > was)
    ]
    if changed:
        raise InputError(
            f"{run}: was begun with other settings ({'; '.join(changed)}); use them or another run="
        )
    features = checkpoint.feature_spec.differences(plan.store.spec)
    if features:
        raise InputError(
            f"{run}: was begun on other features ({'; '.join(features)}, where 'here' is the run and 'there' "
            f"is store={plan.config.store}); use those or another run="
        )
    if checkpoint.labels != plan.labels:
        raise InputError(
            f"{run}: was begun with other classes ({len(checkpoint.labels)}, first {checkpoint.labels[:3]}; "
            f"the annotations have {len(plan.labels)}, first {plan.labels[:3]}); use those or another run="
        )
    progress = checkpoint.progress
    # Earlier versions wrote it into the history alone.
    windows = progress.history[-1]["windows"] if progress.windows is None else progress.windows
    if windows != len(plan.windows):
        logger.warning("%s: had %d training windows, now there are %d", run, windows, len(plan.windows))


def _as_today(checkpoint: CheckpointInfo) -> TrainConfig:
    """The settings of a run of this or an earlier version: what it did not know yet has its default, and what is no
    setting any more is passed over.

    Raises InputError where this version cannot understand them.
    """
    values = copy.deepcopy(settings_in_todays_names(checkpoint.config))
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        unknown = [detail["loc"] for detail in error.errors() if detail["type"] == "extra_forbidden"]
    for *groups, key in unknown:
        holder: Any = values
        for group in groups:
            holder = holder[group]
        del holder[key]
    return stored_settings(TrainConfig, values, f"{checkpoint.url}: was trained by")
