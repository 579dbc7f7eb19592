"""How an extraction begins: the store as earlier runs left it, the network where there is work for it, the plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.cluster.needs import Need, check_needs
from pipeline.cluster.runtime import connect
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.planning import Plan, plan_store
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import decoding_limits, describe_remotely
from pipeline.features.healing import heal
from pipeline.features.identity import REMEDIES, Comparison, compare
from pipeline.features.recipe import Recipe, read_recipe, record_recipe
from pipeline.features.sources import VideoSources
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.records import DamagedRecordError
from pipeline.screen import phase


@dataclass(frozen=True)
class Prepared:
    """An extraction that can run.

    Attributes:
        store: healed, with all videos of the command in its plan, or in its failures.
        inputs: what the network wants of a video; None where there was nothing to load it for.
        plan: counts.
    """

    store: FeatureStore
    inputs: Inputs | None
    plan: Plan


def prepare(
    config: ExtractConfig,
    sources: VideoSources,
    needs: Sequence[Need],
    is_work_left: Callable[[FeatureStore, Comparison], bool],
    check: Callable[[FeatureSpec], None] | None = None,
    *,
    used: pa.Array | None = None,
    remedies: str = REMEDIES,
) -> Prepared:
    """Heal the store, load the network and plan; without work there is no need for Ray, nor for the network.

    Args:
        config: of the extraction, whose store the caller holds.
        sources: the videos of the command.
        needs: what all stages of the command ask of a node.
        is_work_left: whether anything is to be probed or done, in a store of the very same recipe.
        check: raises InputError where features of such a spec are not wanted; before a store is made of them.
        used: ids of videos whose files may not change, whatever the store still holds of them.
        remedies: what a person may do who has changed one nevertheless.
    Raises:
        InputError: the network cannot be loaded, its features are others than the store's, or the store knows a video
            by another file.
    """
    recipe = Recipe(backbone=config.backbone, flow=config.flow, timeline=config.timeline)

    def compared(store: FeatureStore) -> Comparison:
        return compare(
            store,
            sources,
            moved=config.moved,
            replaced=config.replace,
            retry_failed=config.retry_failed,
            used=used,
            remedies=remedies,
        )

    store, inputs, found = _store_made_by(recipe, config.store), None, None
    if store is not None:
        heal(store)
        found = compared(store)
    # The network may take minutes to load.
    if store is None or found is None or is_work_left(store, found):
        connect(config.ray)
        check_needs(needs)
        with phase("loading the network"):
            spec, inputs = describe_remotely(config)
        if check is not None:
            check(spec)
        if store is None:
            store = FeatureStore.create(config.store, spec)
            record_recipe(store.url, recipe)
            heal(store)
        else:
            store.check_spec(spec)  # the weights may be others now
    plan = plan_store(
        store,
        sources,
        config.chunk_frames,
        decoding_limits(config),
        config.decode.labels,
        moved=config.moved,
        replaced=config.replace,
        retry_failed=config.retry_failed,
        found=found or compared(store),
    )
    return Prepared(store, inputs, plan)


def _store_made_by(recipe: Recipe, url: str) -> FeatureStore | None:
    """The store at `url`, where its recipe is this very one; None where there is none such."""
    if not FeatureStore.is_at(url):
        return None
    try:
        return FeatureStore(url) if read_recipe(url) == recipe.as_tree() else None
    except DamagedRecordError:
        return None  # it is written anew
