"""Whether a command may go on with what a run folder holds."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import InputError
from pipeline.training.checkpoint import CheckpointInfo
from pipeline.training.plan import TrainingPlan

# Where and with what a run is computed may change; what is computed may not. `store` is held to its digest.
_MAY_CHANGE = frozenset(
    {
        "run", "store", "dataset.annotations", "workers", "cpus_per_worker", "gpus_per_worker", "cache_mb",
        "validate_every", "checkpoint_every", "keep_checkpoints", "max_failures",
        "ray.address", "ray.cpus", "ray.object_store_mb",
    }
)  # fmt: skip


def check_continues(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    """Raise InputError showing the difference where the plan is not the one that the checkpoint belongs to.

    More epochs than before are welcome.
    """
    run = f"run={plan.config.run}"
    before, now = _flat(checkpoint.config), _flat(plan.config.model_dump(mode="json"))
    changed = [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted((before.keys() | now.keys()) - _MAY_CHANGE)
        if before.get(key) != now.get(key) and not _is_longer(key, before, now)
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


def _is_longer(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return key == "optimiser.epochs" and now[key] > before[key]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
