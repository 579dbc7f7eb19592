"""The demo's archive for others: rendered here, copied anywhere."""

import json
from pathlib import Path

from pipeline.compose import compose_config
from pipeline.demo.run import demo
from pipeline.demo.settings import DemoConfig


def test_the_archive_alone_is_rendered_and_copied(tmp_path: Path) -> None:
    words = [
        f"out={tmp_path}/demo",
        f"archive_to={tmp_path}/bucket/videos",
        "train_videos=1",
        "test_videos=1",
    ]
    summary = demo(compose_config("demo", DemoConfig, words))
    assert (summary.total, summary.done) == (2, 2)
    copied = {path.name: path.read_bytes() for path in (tmp_path / "bucket" / "videos").iterdir()}
    rendered = {path.name: path.read_bytes() for path in (tmp_path / "demo" / "videos").iterdir()}
    rendered.pop("recipe.txt")
    assert copied == rendered
    assert set(json.loads(copied["annotations.json"])["database"]) == {
        name.removesuffix(".mp4") for name in copied if name.endswith(".mp4")
    }
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"videos"}
