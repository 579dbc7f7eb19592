"""Features like those that a detector was trained on, made anew by the recipe that its run records."""

from pipeline.detector.checkpoint import CheckpointInfo
from pipeline.errors import InputError
from pipeline.features.recipe import Recipe
from pipeline.features.spec import FeatureSpec
from pipeline.inference.settings import BackboneWeights, FlowWeights


def recipe_here(info: CheckpointInfo, backbone: BackboneWeights, flow: FlowWeights) -> Recipe:
    """The recipe of a checkpoint's features, with its weights where a command says that they lie now.

    Raises InputError where nobody knows how such features are made.
    """
    if info.recipe is None:
        raise InputError(
            f"{info.url}: was trained on imported features, which nothing here can make of a video; give a store of "
            "such features (predict store=...)"
        )
    recipe = Recipe.of_tree(info.recipe, info.url)
    return recipe.model_copy(
        update={
            "backbone": recipe.backbone.model_copy(update=_given(backbone, BackboneWeights)),
            "flow": recipe.flow.model_copy(update=_given(flow, FlowWeights)),
        }
    )


def check_remade(info: CheckpointInfo, spec: FeatureSpec) -> None:
    """Raise InputError where the recipe makes other features here (`spec`) than the checkpoint was trained on."""
    differences = info.feature_spec.differences(spec)
    if differences:
        raise InputError(
            f"{info.url}: was trained on other features than its recipe makes here ({'; '.join(differences)}, "
            "where 'here' is training); give the files of its weights by backbone.weights="
        )


def _given(
    weights: BackboneWeights | FlowWeights, kind: type[BackboneWeights | FlowWeights]
) -> dict[str, str]:
    return weights.model_dump(include=set(kind.model_fields), exclude_none=True)
