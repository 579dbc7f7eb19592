"""Naming of predicted segments by words, on a store of features that share a space with them."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.detector.settings import MergeConfig
from pipeline.errors import InputError
from pipeline.features.backbones import feature_spec, load_backbone
from pipeline.features.recipe import Recipe, record_recipe
from pipeline.features.settings import BackboneConfig, FlowConfig, TimelineConfig
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.inference.name import Found, most_alike, name
from pipeline.inference.output import PredictionFolder, Provenance
from pipeline.inference.settings import NameConfig
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import embed, text_source
from pipeline.segments.detections import VideoDetections
from pipeline.segments.read import read_segments
from pipeline.segments.schema import SEGMENTS_SCHEMA
from pipeline.segments.tables import VideoOutcome, predictions_table
from pipeline.summary import Summary
from tests.pipeline.synthetic import LABELS, SyntheticVideo, write_store

TINY = BackboneConfig(name="tiny", architecture="ViT-S-32-alt", weights="random", image_size=64)
TIMELINE = TimelineConfig(fps=8.0, stride=2, window=2)
VIDEOS = [
    SyntheticVideo(
        f"test_{number}", 20.0, ((1.0, 4.0, "jump"), (6.0 + number, 10.0 + number, "wave")), "test"
    )
    for number in range(6)
]
QUERY = "a video of a person doing wave"  # as the archive's features are made
UNPREDICTED, INCOMPLETE = VIDEOS[1].video_id, VIDEOS[2].video_id


@pytest.fixture(scope="module")
def spec() -> FeatureSpec:
    return feature_spec(TINY, load_backbone(TINY), TIMELINE.build())


def shown(video: SyntheticVideo, spec: FeatureSpec, words: np.ndarray) -> np.ndarray:
    """`[T, dim]` float16: noise, and the vector of a label's words while its action lasts."""
    count = spec.timeline.num_snippets(spec.timeline.num_frames(video.duration))
    features = np.random.default_rng(count).normal(0, 0.01, (count, spec.dim))
    centres = spec.timeline.to_seconds(np.arange(count) + 0.5)
    for start, end, label in video.actions:
        features[(centres >= start) & (centres < end)] += 3 * words[LABELS.index(label)]
    return features.astype(np.float16)


def archive(folder: Path, spec: FeatureSpec, chunk: int = 40, store: str = "store") -> FeatureStore:
    """A store whose features are the words of what they show; one of its videos is not complete."""
    url = str(folder / store)
    empty = FeatureStore.create(str(folder / "empty"), spec)
    record_recipe(empty.url, Recipe(backbone=TINY, flow=FlowConfig(), timeline=TIMELINE))
    words = embed(text_source(empty, NamingConfig(classes=LABELS)), False).classes
    features = {video.video_id: shown(video, spec, words) for video in VIDEOS}
    made = write_store(
        url, VIDEOS, spec, chunk=chunk, features=features, errors={INCOMPLETE: "truncated: ends early"}
    )
    record_recipe(url, Recipe(backbone=TINY, flow=FlowConfig(), timeline=TIMELINE))
    return made


def predicted(folder: Path) -> None:
    """A folder as predict leaves it: true segments, all of one class, and one video that failed."""
    PredictionFolder(
        str(folder / "predictions"), Provenance("run", "1" * 64, "2" * 64, 32, 16, MergeConfig())
    )
    outcomes = [
        VideoOutcome(video.video_id, error="detector_error: no")
        if video.video_id == UNPREDICTED
        else VideoOutcome(
            video.video_id,
            VideoDetections(
                np.array([[start, end] for start, end, _ in video.actions]),
                np.zeros(len(video.actions), np.int64),
                np.linspace(0.9, 0.5, len(video.actions)),
            ),
        )
        for video in VIDEOS
    ]
    for number in range(2):
        table = predictions_table(outcomes[number::2], ["action"])
        (folder / "predictions" / "predictions").mkdir(exist_ok=True)
        pq.write_table(table, folder / "predictions" / "predictions" / f"{number}.parquet")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def config(folder: Path, **changes: Any) -> NameConfig:
    words = {
        "predictions": folder / "predictions", "store": folder / "store", "out": folder / "named",
        "naming.classes": "jump,wave", "naming.top_k": 3, "actors.videos_per_task": 2, **changes,
    }  # fmt: skip
    return compose_config("name", NameConfig, [f"{key}={value}" for key, value in words.items()])


def test_segments_get_the_names_of_what_they_show(ray_local: None, tmp_path: Path, spec: FeatureSpec) -> None:
    archive(tmp_path, spec)
    predicted(tmp_path)
    summary = name(config(tmp_path))
    assert isinstance(summary, Summary)
    assert (summary.total, summary.done, summary.skipped, summary.failed) == (6, 4, 2, 0)
    assert summary.exit_status == 0
    told = {failure.video_id: failure.message for failure in summary.failures}
    assert told == {
        UNPREDICTED: "was not predicted: detector_error: no",
        INCOMPLETE: "the store has no features of it, or not all",
    }
    found = read_segments(str(tmp_path / "named")).to_pylist()
    for video in VIDEOS:
        rows = [row for row in found if row["video_id"] == video.video_id]
        if video.video_id in told:
            assert not rows
            continue
        assert len(rows) == 3  # of two segments with two classes each, the best
        for start, end, label in video.actions:
            both = [row for row in rows if (row["t_start"], row["t_end"]) == (start, end)]
            assert both[0]["label"] == label
    assert (tmp_path / "named" / "results" / "segments.csv").exists()
    again = name(config(tmp_path))
    assert isinstance(again, Summary)
    assert (again.done, again.already_done, again.skipped) == (0, 4, 2)


def test_new_words_need_a_new_folder_and_no_new_detection(
    ray_local: None, tmp_path: Path, spec: FeatureSpec
) -> None:
    archive(tmp_path, spec)
    predicted(tmp_path)
    name(config(tmp_path))
    for changes in ({"naming.classes": "jump,wave,run"}, {"naming.pooling": "mean"}):
        with pytest.raises(InputError, match=r"holds other predictions \(naming"):
            name(config(tmp_path, **changes))
    assert name(config(tmp_path, out=tmp_path / "more", **{"naming.classes": "jump,wave,run"})).done == 4


def test_names_do_not_depend_on_how_a_video_was_cut(
    ray_local: None, tmp_path: Path, spec: FeatureSpec
) -> None:
    archive(tmp_path, spec)
    archive(tmp_path, spec, chunk=7, store="cut")
    predicted(tmp_path)
    name(config(tmp_path))
    name(config(tmp_path, store=tmp_path / "cut", out=tmp_path / "other"))
    one, other = (
        sorted(read_segments(str(tmp_path / folder)).to_pylist(), key=lambda row: tuple(row.values()))
        for folder in ("named", "other")
    )
    assert one == other


def test_features_that_are_gone_fail_their_videos_alone(
    ray_local: None, tmp_path: Path, spec: FeatureSpec
) -> None:
    store = archive(tmp_path, spec)
    predicted(tmp_path)
    lost = store.index()[VIDEOS[0].video_id].chunks[0].file
    config_now = config(tmp_path)
    index = store.index()
    storage.remove(lost)
    with pytest.MonkeyPatch.context() as patch:  # gone after the index was read
        patch.setattr(FeatureStore, "index", lambda self: self.__dict__.get("_index") or index)
        summary = name(config_now)
    assert summary.failed >= 1
    assert summary.done + summary.failed == 4
    assert {failure.kind for failure in summary.failures} == {"missing_features"}


def test_a_query_ranks_the_segments_of_all_videos(ray_local: None, tmp_path: Path, spec: FeatureSpec) -> None:
    archive(tmp_path, spec)
    predicted(tmp_path)
    found = name(config(tmp_path, query=QUERY, top=5, **{"naming.classes": "[]"}))
    assert isinstance(found, Found)
    waves = {(v.video_id, *v.actions[1][:2]) for v in VIDEOS if v.video_id not in (UNPREDICTED, INCOMPLETE)}
    rows = found.segments.to_pylist()
    assert {(row["video_id"], row["t_start"], row["t_end"]) for row in rows[:4]} == waves
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert len(rows) == 5
    assert rows[3]["score"] > rows[4]["score"] + 0.01
    assert {row["label"] for row in rows} == {QUERY}
    written = read_csv(tmp_path / "named" / "search.csv")
    assert {(row["video_id"], float(row["score"])) for row in written} == {
        (row["video_id"], row["score"]) for row in rows
    }


def test_the_most_alike_of_many_tables_are_those_of_one() -> None:
    random = np.random.default_rng(0)
    rows = [
        {"video_id": f"v{n}", "t_start": 0.0, "t_end": 1.0, "label": "q", "score": float(random.integers(9))}
        for n in range(60)
    ]
    tables = [pa.Table.from_pylist(rows[n : n + 7], schema=SEGMENTS_SCHEMA) for n in range(0, 60, 7)]
    assert most_alike(tables, 20).to_pylist() == sorted(rows, key=lambda row: -row["score"])[:20]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": "a door"}, "give either naming.classes or query"),
        ({"query": " ", "naming.classes": "[]"}, "query: says nothing"),
        ({"naming.classes": "jump,jump"}, "naming.classes: lists 'jump' twice"),
        ({"naming.classes": "no.txt"}, "naming.classes=no.txt: no such file"),
        ({"naming.probabilities": "sigmoid"}, "naming.probabilities=sigmoid: ViT-S-32-alt judges"),
        ({"predictions": "."}, "no folder that predict wrote"),
    ],
)
def test_mistakes_are_told_before_ray(
    tmp_path: Path, spec: FeatureSpec, changes: dict[str, str], message: str
) -> None:
    archive(tmp_path, spec)
    predicted(tmp_path)
    with pytest.raises(InputError, match=message):
        name(config(tmp_path, **changes))


def test_a_store_of_other_videos_is_told(tmp_path: Path, spec: FeatureSpec) -> None:
    archive(tmp_path, spec)
    predicted(tmp_path)
    others = [replace(video, video_id=f"other_{video.video_id}") for video in VIDEOS]
    write_store(
        str(tmp_path / "other"),
        others,
        spec,
        features={v.video_id: np.zeros((9, spec.dim), np.float16) for v in others},
    )
    record_recipe(str(tmp_path / "other"), Recipe(backbone=TINY, flow=FlowConfig(), timeline=TIMELINE))
    with pytest.raises(InputError, match=r"none of its videos is complete in .*/other"):
        name(config(tmp_path, store=tmp_path / "other"))


def test_without_classes_there_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the classes"):
        compose_config("name", NameConfig, [f"{key}={tmp_path}" for key in ("predictions", "store", "out")])
