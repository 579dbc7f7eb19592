from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.video.numbered import Recipe


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe], Path]:
    """The path of a recipe's video, made the first time it is asked for."""
    folder = tmp_path_factory.mktemp("videos")
    paths: dict[str, Path] = {}

    def path_of(recipe: Recipe) -> Path:
        if recipe.name not in paths:
            paths[recipe.name] = recipe.make(folder)
        return paths[recipe.name]

    return path_of
