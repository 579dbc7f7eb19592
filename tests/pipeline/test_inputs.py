"""What a job reads is looked at before anything heavy is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field

from pipeline.errors import InputError
from pipeline.inputs import check_inputs
from pipeline.settings import (
    FilesUrl,
    ManyVideosUrls,
    OptionalCheckpointUrl,
    OptionalRunUrl,
    OptionalStoreUrl,
    Settings,
    inputs,
)


class Inner(Settings):
    annotations: FilesUrl


class Config(Settings):
    videos: ManyVideosUrls = Field(())
    store: OptionalStoreUrl = None
    run: OptionalRunUrl = None
    checkpoint: OptionalCheckpointUrl = None
    dataset: Inner


@pytest.fixture
def given(tmp_path: Path) -> dict[str, object]:
    """Everything that a job could read, in place."""
    (tmp_path / "clip [1].mp4").write_bytes(b"")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "feature_spec.json").write_text("{}")
    (tmp_path / "run" / "checkpoints" / "epoch_00001").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "epoch_00001" / "checkpoint.json").write_text("{}")
    (tmp_path / "truth.json").write_text("{}")
    return {
        "videos": [f"{tmp_path}/clip [1].mp4", f"{tmp_path}/*.mp4", str(tmp_path)],
        "store": f"{tmp_path}/store",
        "run": f"{tmp_path}/run",
        "checkpoint": f"{tmp_path}/run/checkpoints/epoch_00001",
        "dataset": {"annotations": f"{tmp_path}/truth.json"},
    }


def test_what_is_there_passes(given: dict[str, object], tmp_path: Path) -> None:
    config = Config.model_validate(given)
    assert [key for key, _, _ in inputs(config)] == [
        "videos", "videos", "videos", "store", "run", "checkpoint", "dataset.annotations",
    ]  # fmt: skip
    check_inputs(config)
    check_inputs(Config.model_validate({"dataset": given["dataset"]}))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"videos": ["{there}/clip [1].mp4", "{there}/no.mp4"]},
            "videos={there}/no.mp4: not found; give a folder",
        ),
        ({"store": "{there}"}, "store={there}: no feature store there"),
        ({"run": "{there}/truth.json"}, "run={there}/truth.json: has no complete checkpoint"),
        ({"checkpoint": "{there}/run"}, "checkpoint={there}/run: no checkpoint there"),
        ({"dataset": {"annotations": "{there}/a.json"}}, "dataset.annotations={there}/a.json: not found"),
    ],
)
def test_what_is_missing_is_named(
    given: dict[str, object], tmp_path: Path, change: dict[str, object], line: str
) -> None:
    changed = json.loads(json.dumps(change).replace("{there}", str(tmp_path)))
    with pytest.raises(InputError) as caught:
        check_inputs(Config.model_validate(given | changed))
    assert str(caught.value).startswith(line.format(there=tmp_path))


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("extract", ["videos=/nope", "store=/b"]),
        ("predict", ["run=/nope", "store=/b", "out=/tmp/q"]),
        ("train", ["run=/tmp/q", "store=/nope", "dataset.annotations=/x"]),
        ("detect", ["/nope.mp4", "run=/b"]),
        ("report", ["predictions=/nope"]),
        ("evaluate", ["predictions=/nope", "dataset.annotations=/x"]),
        ("export_features", ["store=/nope", "out=/tmp/q"]),
        ("export_segments", ["predictions=/nope", "format=csv", "out=/tmp/q"]),
    ],
)
def test_missing_inputs_need_neither_torch_nor_ray(verb: str, words: list[str]) -> None:
    code = (
        "import sys; from raytad.command import main\n"
        f"try: main({[verb, *words]!r})\n"
        "except SystemExit as end: assert end.code == 2, end\n"
        "assert not {'torch', 'ray', 'av'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
