"""Mistakes that people make: each answers with one line that names it, exit status 2, no traceback and no Ray."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from pipeline.segments.schema import SEGMENTS_SCHEMA
from raytad.command import main
from tests.pipeline.synthetic import SPEC, make_videos, write_annotations, write_store
from tests.raytad.trained import save_run
from tests.videos import encode_video

VIDEOS = make_videos(3, "train", seed=1) + make_videos(2, "test", seed=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user may have: videos, stores, a run, predictions, labels, and things that only look like these."""
    folder = tmp_path_factory.mktemp("mistakes")
    encode_video(folder / "videos" / "a.mp4", seconds=1.0)
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "notes.txt.bak").write_text("nothing to see")
    write_store(str(folder / "store"), VIDEOS)
    write_store(str(folder / "wide"), VIDEOS, replace(SPEC, dim=6))
    write_store(str(folder / "lost"), VIDEOS[:1], errors={VIDEOS[0].video_id: "truncated: ends early"})
    save_run(folder / "run")
    save_run(folder / "imported", with_recipe=False)
    (folder / "no_names.txt").write_text("\n")
    (folder / "twice.txt").write_text("jump\nrun\njump\n")
    (folder / "many.txt").write_text("\n".join(f"class {number}" for number in range(10_000)))
    write_annotations(str(folder / "truth.json"), VIDEOS)
    (folder / "broken.json").write_text('{"database": {"a": ')
    (folder / "list.json").write_text("[1, 2, 3]")
    (folder / "labels.json").write_text(
        json.dumps({"classes": ["jump"], "database": {"v": {"subset": "train", "duration": 9.0, "annotations": [
            {"segment": [1, 2], "label": "hop"}]}}})
    )  # fmt: skip
    (folder / "other_ids.json").write_text(
        json.dumps({"database": {"stranger": {"subset": "train", "duration": 9.0, "annotations": [
            {"segment": [1, 2], "label": "jump"}]}}})
    )  # fmt: skip
    (folder / "manifest.csv").write_text("video_id,path\na,/a.mp4\n")
    (folder / "twice.csv").write_text("video_id,uri\na,/a.mp4\na,/b.mp4\n")
    rows = [{"video_id": "test_000", "t_start": 1.0, "t_end": 2.0, "label": "jump", "score": 0.5}]
    (folder / "predictions" / "segments").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=SEGMENTS_SCHEMA)
    pq.write_table(table, folder / "predictions" / "segments" / "part.parquet")
    pq.write_table(table.drop_columns(["score"]), folder / "no_score.parquet")
    return folder


EXTRACT = "extract videos={}/videos store={}/new "
TRAIN = "train run={}/new store={}/store dataset.annotations={}/truth.json "
PREDICT = "predict run={}/run store={}/store out={}/new "
LABEL = "label videos={}/videos run={}/run out={}/new "
EVALUATE = "evaluate predictions={}/predictions dataset.annotations={}/truth.json "
MISTAKES = {
    # The command itself.
    "extrct videos={}/videos store={}/new": "extrct: no such verb; did you mean extract?",
    "config": "config: of which verb?",
    "extract {}/videos store={}/new": "{}/videos: not understood; settings are given as key=value",
    # Keys and values.
    "extract videos={}/videos": "store: is required",
    EXTRACT + "stoer=x": "stoer: unknown key; did you mean store?",
    EXTRACT + "timeline.strid=4": "timeline.strid: unknown key; did you mean timeline.stride?",
    EXTRACT + "timeline.stride=four": "timeline.stride=four: must be a valid integer",
    EXTRACT + "timeline.stride=0": "timeline.stride=0: must be greater than 0",
    EXTRACT + "timeline=4": "timeline: is a group of keys",
    EXTRACT + "backbone=clip_vit_b61": "backbone=clip_vit_b61: no such backbone; choose from",
    EXTRACT + "backbone.precision=fp8": "backbone.precision=fp8: must be 'fp32' or 'bf16'",
    EXTRACT + "chunk_frames=2": "chunk_frames (2) must be at least timeline.window (8)",
    EXTRACT + "embed.min_actors=3": "max_actors (1) must be at least min_actors (3)",
    EXTRACT + "embed.gpus=-1": "embed.gpus=-1: must be greater than or equal to 0",
    TRAIN + "model=dualdert": "model=dualdert: no such model; choose from",
    TRAIN + "optimiser.batch_size=2 workers=4": "workers (4) must not exceed optimiser.batch_size (2)",
    TRAIN + "model=dualdetr model.dim=30": "model.dim=30 must be a multiple of 8",
    TRAIN + "windows.train_step=400": "windows.train_step (400) must not exceed windows.length (128)",
    TRAIN + "dataset.format=coco": "dataset.format=coco: must be",
    PREDICT + "checkpoint={}/run": "give either run=<training run> or checkpoint=<folder of a checkpoint>",
    PREDICT + "merge.nms_tiou=2": "merge.nms_tiou=2: must be less than or equal to 1",
    EVALUATE + "thresholds=[0.5,0.3]": "thresholds=[0.5, 0.3]: must be 1 to 62 rising numbers",
    EVALUATE + "metrics=[map]": "metrics",
    # Inputs that are missing, or of another kind.
    "extract videos={}/nowhere store={}/new": "videos={}/nowhere: not found",
    "extract videos={}/empty store={}/new": "videos={}/empty: holds no video file",
    "extract videos={}/texts store={}/new": "videos={}/texts: holds no video file",
    "extract videos={}/videos/*.mkv store={}/new": "videos={}/videos/*.mkv: holds no video file",
    "extract videos={}/manifest.csv store={}/new": "videos={}/manifest.csv",
    "extract videos={}/twice.csv store={}/new": "both have the id a",
    "extract videos=ftpx://host/v store={}/new": "ftpx",
    "train run={}/new store={}/videos dataset.annotations={}/truth.json": "store={}/videos: no feature store there",
    "train run={}/new store={}/store dataset.annotations={}/no.json": "dataset.annotations={}/no.json: not found",
    "train run={}/new store={}/store dataset.annotations={}/broken.json": "{}/broken.json",
    "train run={}/new store={}/store dataset.annotations={}/list.json": "{}/list.json",
    "predict run={}/videos store={}/store out={}/new": "run={}/videos: has no complete checkpoint",
    "predict checkpoint={}/run store={}/store out={}/new": "checkpoint={}/run: no checkpoint there",
    "evaluate predictions={}/empty dataset.annotations={}/truth.json": "predictions={}/empty: neither a folder with",
    "evaluate predictions={}/no_score.parquet dataset.annotations={}/truth.json": "no_score.parquet",
    "report predictions={}/nowhere": "predictions={}/nowhere: not found",
    "failures": "give",
    "failures store={}/videos": "store={}/videos: no feature store there",
    "compact": "give either store=<feature store> or predictions=<folder of predict>",
    "compact store={}/videos": "store={}/videos: no feature store there",
    "compact predictions={}/videos": "predictions={}/videos: no folder that predict wrote",
    # Outputs that cannot be written.
    "extract videos={}/videos store={}/truth.json": "store={}/truth.json: is a file; give a folder",
    "predict run={}/run store={}/store out={}/truth.json/x": "out={}/truth.json/x: nothing can be written there",
    "train run=/proc/x store={}/store dataset.annotations={}/truth.json": "run=/proc/x: nothing can be written there",
    EVALUATE + "out={}/metrics.json": "out",
    # Things that do not belong together.
    "extract videos={}/videos store={}/store backbone=tiny": "store={}/store: holds other features",
    "predict run={}/run store={}/store out={}/new": "store={}/store: other features than",
    "predict run={}/run store={}/wide out={}/new": "a detector reads one width only",
    TRAIN + "dataset.train_subset=learn": "has no subset 'learn'",
    "train run={}/new store={}/store dataset.annotations={}/labels.json": "has label 'hop'",
    "train run={}/new store={}/store dataset.annotations={}/other_ids.json": "stranger",
    "train run={}/new store={}/lost dataset.annotations={}/truth.json": "",
    "report predictions={}/predictions dataset.annotations={}/truth.json videos=[nobody]": "videos=nobody: not a video",
    "report predictions={}/predictions run={}/run": "run and store belong together",
    "report predictions=[{}/predictions,{}/nowhere]": "predictions={}/nowhere: not found",
    "report predictions={}/predictions videos={}/empty": "videos={}/empty: holds no video file",
    "report predictions={}/predictions pictures=[gif]": "pictures",
    "report predictions={}/predictions port=70000": "port=70000: must be less than or equal to 65535",
    "report predictions={}/predictions dataset=via dataset.annotations={}/truth.json": "not a project of VIA 3",
    "report predictions={}/predictions dataset=label_studio dataset.annotations={}/truth.json": "Label Studio exports",
    "export_segments predictions={}/predictions out={}/new": "format: is required",
    "export_segments predictions={}/predictions out={}/new format=edl": "format=edl: must be",
    "export_segments predictions={}/no_score.parquet out={}/new format=csv": "no_score.parquet",
    "detect {}/videos/b.mp4 run={}/run": "videos={}/videos/b.mp4: not found",
    "detect videos={}/videos/b.mp4 run={}/run": "videos={}/videos/b.mp4: not found",
    # From raw video to names.
    "label videos={}/videos out={}/new": "give either run=<training run> or checkpoint=<folder of a checkpoint>",
    "label videos={}/empty run={}/run out={}/new": "videos={}/empty: holds no video file",
    "label videos={}/videos run={}/videos out={}/new": "run={}/videos: has no complete checkpoint",
    "label videos={}/videos run={}/imported out={}/new": "was trained on imported features",
    "label videos={}/videos run=[{}/run,{}/run/] out={}/new": "two runs are called run",
    LABEL + "backbone=tiny": "backbone: is a group of keys",
    LABEL + "timeline.fps=4": "timeline.fps: unknown key",
    LABEL + "round_gb=0": "round_gb=0: must be greater than 0",
    LABEL + "chunk_frames=2": "chunk_frames (2) must be at least timeline.window (4)",
    LABEL + "store={}/store": "store={}/store: holds other features than",
    LABEL + "naming.classes=jump,jump": "naming.classes: lists 'jump' twice",
    LABEL + "naming.classes={}/no_names.txt": "naming.classes={}/no_names.txt",
    LABEL + "naming.classes={}/twice.txt": "naming.classes={}/twice.txt: lists 'jump' twice",
    LABEL + "naming.classes={}/many.txt": "naming.classes={}/many.txt: lists 10000 classes; at most 5000",
    LABEL + "naming.classes={}/no.txt": "naming.classes={}/no.txt: no such file",
    LABEL + "naming.classes=jump naming.store={}/store": "store={}/store: was imported, and does not say",
    LABEL + "naming.classes=jump naming.architecture=ViT-B-16": "naming.architecture=ViT-B-16: the features of run=",
    PREDICT + "naming.classes={}/many.txt": "store={}/store: other features than",
    "name predictions={}/predictions store={}/store out={}/new naming.classes=a": "predictions={}/predictions",
    # Addresses.
    EXTRACT + "ray.address=127.0.0.1:1": "ray.address=127.0.0.1:1: ",
    EXTRACT + "ray.address=nonsense": "ray.address=nonsense: ",
}  # fmt: skip


def everything_in(place: Path) -> list[Path]:
    """All that lies there, but for the sign that a job was about to write into a folder."""
    return sorted(path for path in place.rglob("*") if path.is_file() and "lease" not in path.parts)


@pytest.mark.parametrize("command", MISTAKES)
def test_one_line_and_status_2(
    place: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "empty")
    before = everything_in(place)
    with pytest.raises(SystemExit) as ended:
        main(command.replace("{}", str(place)).split())
    told = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2, told
    assert MISTAKES[command].replace("{}", str(place)) in told[-1]
    mistakes = [line for line in told if line.startswith((command.split()[0] + ":", "raytad:"))]
    assert mistakes == told[-1:]
    assert "Traceback" not in "".join(told)
    assert "{'" not in told[-1]  # no dump of what was read
    assert not ray.is_initialized()
    assert everything_in(place) == before
