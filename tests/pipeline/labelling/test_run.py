"""Labelling: what extract and predict give, in one command, and nothing left where nothing is to be kept."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.extraction import prepared as prepared_module
from pipeline.features.extraction.run import extract
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.inference.name import name
from pipeline.inference.predict import predict
from pipeline.inference.settings import NameConfig, PredictConfig
from pipeline.labelling import run as run_module
from pipeline.labelling.run import label
from pipeline.labelling.settings import LabelConfig
from pipeline.lost.run import list_failures
from pipeline.lost.settings import FailuresConfig
from pipeline.segments.completeness import Completeness, read_completeness
from pipeline.segments.read import read_segments
from pipeline.segments.tables import ordered
from pipeline.summary import Summary
from tests.raytad.trained import save_run
from tests.videos import encode_video

SMALL = ["chunk_frames=16", "decode.cpus=0.5", "embed.cpus=0.5"]
RECIPE = ["backbone=tiny", "timeline.fps=8", "timeline.stride=4", "timeline.window=4"]
ONE_VIDEO = 4 * 256 * 2 / 2**30  # GiB of a round: each of the videos below has more


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of different lengths, one of them that is none, and one that ends too early."""
    folder = tmp_path_factory.mktemp("archive")
    for number, seconds in enumerate((3.0, 5.0, 4.0)):
        encode_video(folder / f"clip_{number}.mp4", seconds=seconds, seed=number)
    whole = encode_video(folder / "short.mp4", seconds=6.0, seed=9, options={"movflags": "faststart"})
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (folder / "junk.mp4").write_bytes(b"no film")
    return folder


@pytest.fixture(scope="module")
def apart(run: str, archive: Path, ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What extract and predict make of the archive, one after the other."""
    folder = tmp_path_factory.mktemp("apart")
    extract(
        compose_config(
            "extract", ExtractConfig, [f"videos={archive}", f"store={folder}/store", *RECIPE, *SMALL]
        )
    )
    words = [f"run={run}", f"store={folder}/store", f"out={folder}/out"]
    predict(compose_config("predict", PredictConfig, words))
    return folder


def config(folder: Path, run: str, videos: Path, **changes: Any) -> LabelConfig:
    words = {"videos": videos, "run": run, "out": folder / "out", **changes}
    return compose_config("label", LabelConfig, [*SMALL, *(f"{k}={v}" for k, v in words.items())])


def segments(out: Path) -> pa.Table:
    """All segments, in an order that does not depend on files."""
    return ordered(read_segments(str(out)))


def features_in(folder: Path) -> list[str]:
    """Files of features, wherever below the folder."""
    return [file.url for file in storage.list_files(str(folder)) if "/features/" in file.url]


def lost(out: Path) -> dict[str, tuple[str, str]]:
    """The stage and the kind of what a folder says was lost."""
    listed = list_failures(FailuresConfig(predictions=str(out)))
    return {one.video_id: (one.stage, str(one.kind)) for one in listed.failures}


def counts(summary: Summary) -> tuple[int, int, int, int]:
    return summary.total, summary.done, summary.already_done, summary.failed


def test_it_gives_what_extract_and_predict_give_and_keeps_no_features(
    apart: Path, run: str, archive: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(archive, videos)
    out = tmp_path / "out"
    summary = label(config(tmp_path, run, videos))
    assert counts(summary) == (5, 3, 0, 2)
    assert summary.exit_status == 3
    assert summary.failures_in == f"predictions={out}"
    assert segments(out).num_rows
    assert segments(out).equals(segments(apart / "out"))
    assert lost(out) == {"junk": ("probe", "unreadable"), "short": ("extract", "truncated")}
    assert read_completeness(str(out)) == Completeness(videos=5, predicted=3, failed=2)
    assert (out / "results" / "segments.csv").exists()
    assert features_in(tmp_path) == []

    # The same command has nothing to do, and needs neither Ray nor the network for it.
    with pytest.MonkeyPatch.context() as patch:
        for needless in ("connect", "describe_remotely"):
            patch.setattr(prepared_module, needless, lambda *_: pytest.fail("it is not needed"))
        assert counts(label(config(tmp_path, run, videos))) == (5, 0, 3, 2)

    # New videos are done alone, and what other commands have lost stays told.
    more = tmp_path / "more"
    encode_video(more / "new.mp4", seconds=3.0, seed=7)
    (more / "noise.mp4").write_bytes(b"none either")
    summary = label(config(tmp_path, run, more))
    assert counts(summary) == (2, 1, 0, 1)
    assert set(lost(out)) == {"junk", "noise", "short"}
    assert read_completeness(str(out)) == Completeness(videos=7, predicted=4, failed=3)
    found = segments(out)
    assert found.filter(pc.not_equal(found["video_id"], "new")).equals(segments(apart / "out"))

    # A mended video is tried again where that is asked for; a changed one is another video.
    shutil.copy(videos / "clip_0.mp4", videos / "short.mp4")
    assert counts(label(config(tmp_path, run, videos, retry_failed=True))) == (5, 1, 3, 1)
    assert set(lost(out)) == {"junk", "noise"}
    assert features_in(tmp_path) == []
    shutil.copy(videos / "clip_1.mp4", videos / "clip_0.mp4")
    with pytest.raises(InputError, match=r"knows video clip_0 by another file.*labelled into another out="):
        label(config(tmp_path, run, videos))


def test_several_runs_share_one_extraction_which_a_store_keeps(
    apart: Path, run: str, archive: Path, tmp_path: Path
) -> None:
    other = save_run(tmp_path / "other", seed=1)
    shutil.copytree(apart / "store", tmp_path / "store")
    before = features_in(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "fill_store", lambda *_, **__: pytest.fail("all features are there"))
        summary = label(config(tmp_path, f"[{run},{other}]", archive, store=tmp_path / "store"))
    assert counts(summary) == (5, 3, 0, 2)
    assert features_in(tmp_path) == before
    for folder in ("run", "other"):
        assert set(lost(tmp_path / "out" / folder)) == {"junk", "short"}
    assert segments(tmp_path / "out" / "run").equals(segments(apart / "out"))
    assert not segments(tmp_path / "out" / "other").equals(segments(apart / "out"))
    assert set(summary.outputs) >= {"run/segments", "other/segments", "features"}


def test_stopped_at_any_seam_it_ends_in_the_same_table(
    apart: Path, run: str, archive: Path, tmp_path: Path
) -> None:
    """After the extraction of a round, before its features are discarded, and before the end is written."""
    for seam in ("run_stages", "discard_features", "finish_runs"):
        with pytest.MonkeyPatch.context() as patch:

            def stop(*_: object, **__: object) -> None:
                raise KeyboardInterrupt

            patch.setattr(run_module, seam, stop)
            with pytest.raises(KeyboardInterrupt):
                label(config(tmp_path, run, archive / "clip_[01].mp4", round_gb=ONE_VIDEO))
    summary = label(config(tmp_path, run, archive / "clip_[01].mp4", round_gb=ONE_VIDEO))
    assert counts(summary) == (2, 0, 2, 0)
    whole = segments(apart / "out")
    assert segments(tmp_path / "out").equals(whole.filter(pc.not_equal(whole["video_id"], "clip_2")))
    assert features_in(tmp_path) == []


def test_words_name_what_label_and_predict_find(apart: Path, run: str, archive: Path, tmp_path: Path) -> None:
    """As name does afterwards, whose input stays."""
    words = {"naming.classes": "hop,stroll"}
    told = [f"{key}={value}" for key, value in words.items()]
    given = [f"store={apart}/store", f"predictions={apart}/out", f"out={tmp_path}/named"]
    name(compose_config("name", NameConfig, [*given, *told]))
    named = segments(tmp_path / "named")
    assert set(named["label"].to_pylist()) <= {"hop", "stroll"}
    assert named.num_rows

    summary = label(config(tmp_path, run, archive, **words))
    assert counts(summary) == (5, 3, 0, 2)
    given = [f"run={run}", f"store={apart}/store", f"out={tmp_path}/predicted"]
    predicted = predict(compose_config("predict", PredictConfig, [*given, *told]))
    assert (predicted.total, predicted.done, predicted.skipped) == (5, 3, 2)
    for out in ("out", "predicted"):
        assert segments(tmp_path / out).equals(named)
        assert segments(tmp_path / out / "proposals").equals(segments(apart / "out"))
        assert set(lost(tmp_path / out)) == {"junk", "short"}
    assert features_in(tmp_path) == []
    again = predict(compose_config("predict", PredictConfig, [*given, *told]))
    assert (again.done, again.already_done) == (0, 3)


@pytest.mark.parametrize(
    ("made", "changes", "message"),
    [
        (
            {"with_recipe": False},
            {},
            r"was trained on imported features, which nothing here can make of a video",
        ),
        ({}, {"naming.classes": "a,a"}, r"naming\.classes: lists 'a' twice"),
        ({}, {"chunk_frames": 2}, r"chunk_frames \(2\) must be at least timeline\.window \(4\)"),
        ({}, {"backbone.weights": "nowhere.pt"}, r"nowhere\.pt"),
        ({}, {"run": "[{},{}]"}, "two runs are called run"),
    ],
)
def test_what_cannot_be_labelled_is_told_before_anything_is_decoded(
    ray_local: None,
    archive: Path,
    tmp_path: Path,
    made: dict[str, bool],
    changes: dict[str, Any],
    message: str,
) -> None:
    run = save_run(tmp_path / "run", **made)
    changes = {key: str(value).replace("{}", run) for key, value in changes.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared_module, "plan_store", lambda *_, **__: pytest.fail("it looks into videos"))
        with pytest.raises(InputError, match=message):
            label(config(tmp_path, changes.pop("run", run), archive, **changes))
    assert features_in(tmp_path) == []


def test_runs_of_different_features_are_told_apart(run: str, archive: Path, tmp_path: Path) -> None:
    other = save_run(tmp_path / "slow", fps=4)
    with pytest.raises(InputError, match=r"run and slow were trained on different features \(timeline"):
        label(config(tmp_path, f"[{run},{other}]", archive))
