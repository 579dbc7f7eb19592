"""An archive to train on."""

from pathlib import Path

import pytest

from tests.pipeline.synthetic import make_videos, write_annotations, write_store

VIDEOS = [*make_videos(7, "train", seed=1), *make_videos(3, "test", seed=2)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write_store(str(folder / "store"), VIDEOS)
    write_annotations(str(folder / "truth.json"), VIDEOS)
    return folder
