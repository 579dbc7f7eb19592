"""The recipe: all settings from which features like a store's can be made again, outside their digest.

`<store>/recipe.json`; a checkpoint holds the one of the store that it was trained on, so that a run alone is enough to
extract features that its detector understands. Imported features have none: somebody else made them.
"""

import os
from typing import Any

from pipeline import storage
from pipeline.features.settings import BackboneConfig, FlowConfig, FlowResources, TimelineConfig
from pipeline.records import DamagedRecordError, read_record, write_record
from pipeline.settings import Settings, stored_settings

_FILE = "recipe.json"
# Of a flow's settings, those that say where it is computed and not what.
_OF_THE_CLUSTER = set(FlowResources.model_fields)


class Recipe(Settings):
    """How a store's features are made; weights by the tag, path or URL that the command gave."""

    backbone: BackboneConfig
    flow: FlowConfig
    timeline: TimelineConfig

    def as_tree(self) -> dict[str, Any]:
        """As JSON values, without where the flow is computed; weights in local files by absolute path."""
        tree = self.model_dump(mode="json", exclude={"flow": _OF_THE_CLUSTER})
        for group, key in (("backbone", "weights"), ("backbone", "flow_weights"), ("flow", "weights")):
            weights = tree[group][key]
            if weights is not None and os.path.isfile(weights):
                tree[group][key] = os.path.abspath(weights)
        return tree

    @classmethod
    def of_tree(cls, tree: dict[str, Any], name: str) -> "Recipe":
        """From `as_tree`'s form; `name` is where it lies. Raises InputError where this version knows other settings."""
        return stored_settings(cls, tree, f"{name}: its recipe is of")


def record_recipe(store: str, recipe: Recipe) -> None:
    """Let the store at this URL say that its features can be made by `recipe`, which has just been loaded."""
    tree = recipe.as_tree()
    try:
        known = read_recipe(store)
    except DamagedRecordError:
        known = None
    if known != tree:
        write_record(storage.join(store, _FILE), tree)


def read_recipe(store: str) -> dict[str, Any] | None:
    """The recipe of the store at this URL as a tree, or None where it has none.

    Raises DamagedRecordError where it is no recipe.
    """
    return read_record(storage.join(store, _FILE), dict[str, Any], "a recipe; extract writes it anew")
