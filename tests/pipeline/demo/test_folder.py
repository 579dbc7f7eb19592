"""Starting over deletes what a demo made and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.compose import compose_config
from pipeline.demo.archive import render_archive
from pipeline.demo.folder import claim, clear
from pipeline.demo.run import demo
from pipeline.demo.settings import DemoConfig
from pipeline.demo.timetable import VideoSpec, plan_archive
from pipeline.errors import InputError


@pytest.fixture
def specs() -> list[VideoSpec]:
    return plan_archive(
        seed=3, train_videos=1, test_videos=1, size=(96, 72), fps=6, min_seconds=3, max_seconds=4
    )


@pytest.fixture
def made(tmp_path: Path, specs: list[VideoSpec]) -> Path:
    """A folder as a demo leaves it, also one of an earlier version."""
    out = tmp_path / "out"
    render_archive(out / "videos", specs, processes=1)
    for name in (
        "store/plan/part.parquet",
        "run/config.json",
        "predictions/segments/a.parquet",
        "timelines.png",
    ):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"content")
    return out


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_demo_s_folder_is_cleared(made: Path) -> None:
    claim(made)
    clear(made)
    assert not made.exists()
    clear(made)  # and none is no mistake


def test_what_others_put_there_stays(made: Path) -> None:
    for name in ("thesis.tex", "videos/holiday.mp4", "videos/notes/train_000.mp4"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(b"mine")
    clear(made)
    assert files(made) == ["thesis.tex", "videos/holiday.mp4", "videos/notes/train_000.mp4"]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "name", ["thesis.tex", "videos/train_000.mp4", "videos/recipe.txt", "store/plan/a.parquet"]
)
def test_a_folder_that_no_demo_made_is_refused_and_left_alone(tmp_path: Path, name: str, fresh: bool) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"out={tmp_path}: was not made by the demo \(it holds ") as caught:
        demo(compose_config("demo", DemoConfig, [f"out={tmp_path}", f"fresh={fresh}"]))
    assert "\n" not in str(caught.value)
    assert (tmp_path / name).read_text() == "mine"


def test_rendering_never_deletes_other_videos(tmp_path: Path, specs: list[VideoSpec]) -> None:
    render_archive(tmp_path, specs, processes=1)
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds holiday\.mp4, which no demo made"):
        render_archive(tmp_path, [replace(spec, seed=7) for spec in specs], processes=1)
    assert (tmp_path / "holiday.mp4").read_bytes() == b"mine"


def test_a_demo_that_was_killed_at_once_can_be_started_again(tmp_path: Path) -> None:
    (tmp_path / "out" / "videos").mkdir(parents=True)
    claim(tmp_path / "out")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "file")
