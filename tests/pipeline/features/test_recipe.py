"""A store's recipe is enough to make such features again, on another machine and without the command."""

import json
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import describe
from pipeline.features.recipe import Recipe, read_recipe, record_recipe


def config_of(*words: str) -> ExtractConfig:
    return compose_config("extract", ExtractConfig, ["videos=v", "store=s", *words])


def recipe_of(config: ExtractConfig) -> Recipe:
    return Recipe(backbone=config.backbone, flow=config.flow, timeline=config.timeline)


@pytest.mark.parametrize(
    "words",
    [
        ["backbone=tiny", "backbone.seed=3", "timeline.fps=12.5"],
        ["backbone=tiny_i3d", "backbone.seed=1", "flow.rounding=false"],
    ],
)
def test_the_same_features_come_of_a_recipe(words: list[str], tmp_path: Path) -> None:
    config = config_of(*words, "flow.cpus=0.5")
    record_recipe(str(tmp_path), recipe_of(config))
    tree = read_recipe(str(tmp_path))
    assert tree is not None
    assert "cpus" not in tree["flow"]
    made = Recipe.of_tree(json.loads(json.dumps(tree)), "here")
    again = config.model_copy(
        update={"backbone": made.backbone, "flow": made.flow, "timeline": made.timeline}
    )
    assert describe(again)[0].digest == describe(config)[0].digest


def test_weights_in_a_file_are_named_so_that_any_process_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.pt").write_bytes(b"")
    tree = recipe_of(config_of("backbone.weights=w.pt")).as_tree()
    assert tree["backbone"]["weights"] == str(tmp_path / "w.pt")
    assert recipe_of(config_of("backbone.weights=openai")).as_tree()["backbone"]["weights"] == "openai"


def test_a_damaged_recipe_is_named_and_written_anew(tmp_path: Path) -> None:
    storage.write_bytes(str(tmp_path / "recipe.json"), b'{"backbone": ')
    with pytest.raises(InputError, match=r"recipe\.json: damaged, not a recipe"):
        read_recipe(str(tmp_path))
    recipe = recipe_of(config_of())
    record_recipe(str(tmp_path), recipe)
    assert read_recipe(str(tmp_path)) == recipe.as_tree()


def test_a_recipe_of_another_version_is_told_from_damage() -> None:
    tree = recipe_of(config_of()).as_tree()
    tree["backbone"]["colour"] = "blue"
    with pytest.raises(
        InputError,
        match=r"^s3://run: its recipe is of another version of raytad \(its setting backbone.colour",
    ):
        Recipe.of_tree(tree, "s3://run")
