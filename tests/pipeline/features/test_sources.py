"""What the user points at becomes videos with ids."""

import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.features.sources import VideoSource, list_videos


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MKV", "deep/c.webm", "notes.txt", "deep/cover.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_video_files_at_any_depth(archive: Path) -> None:
    assert list_videos(str(archive)) == [
        VideoSource("a", f"{archive}/a.MKV"),
        VideoSource("b", f"{archive}/b.mp4"),
        VideoSource("deep/c", f"{archive}/deep/c.webm"),
    ]


def test_globs_and_single_files(archive: Path) -> None:
    assert [v.video_id for v in list_videos(f"{archive}/*/*.webm")] == ["deep/c"]
    assert [v.video_id for v in list_videos(f"{archive}/**/*.webm")] == ["deep/c"]
    assert list_videos(f"{archive}/b.mp4") == [VideoSource("b", f"{archive}/b.mp4")]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_manifests_name_their_own_ids_and_may_use_relative_paths(archive: Path, suffix: str) -> None:
    table = pa.table({"video_id": ["x", "w"], "uri": ["b.mp4", "s3://bucket/y.mp4"], "note": ["", ""]})
    manifest = archive / f"list.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, manifest)
    elif suffix == "csv":
        pyarrow.csv.write_csv(table, manifest)
    else:
        manifest.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    assert list_videos(str(manifest)) == [
        VideoSource("w", "s3://bucket/y.mp4"),
        VideoSource("x", f"{archive}/b.mp4"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "b.mp4\r\n\ndeep/c.webm\ns3://bucket/My Video [x] #1.mp4\n"),
        ("list.csv", "uri\nb.mp4\ndeep/c.webm\ns3://bucket/My Video [x] #1.mp4\n"),
        ("empty.csv", "video_id,uri\n,b.mp4\n,deep/c.webm\n,s3://bucket/My Video [x] #1.mp4\n"),
    ],
)
def test_without_ids_they_are_the_names_of_the_files(archive: Path, name: str, text: str) -> None:
    (archive / name).write_text(text)
    assert list_videos(f"{archive}/{name}") == [
        VideoSource("My Video [x] #1", "s3://bucket/My Video [x] #1.mp4"),
        VideoSource("b", f"{archive}/b.mp4"),
        VideoSource("c", f"{archive}/deep/c.webm"),
    ]


def test_two_files_of_one_name_need_ids(archive: Path) -> None:
    (archive / "list.txt").write_text("deep/c.webm\nother/c.mp4\n")
    with pytest.raises(
        InputError, match="both have the id c; rename one or give a manifest with video_id, uri"
    ):
        list_videos(f"{archive}/list.txt")


def test_a_path_that_is_there_is_no_pattern(archive: Path) -> None:
    (archive / "My Video [abc123].webm").write_bytes(b"")
    found = list_videos(f"{archive}/My Video [abc123].webm")
    assert found == [VideoSource("My Video [abc123]", f"{archive}/My Video [abc123].webm")]


def test_a_folder_that_is_there_is_no_pattern(archive: Path) -> None:
    tour = archive / "[2019] tour" / "day [1]"
    tour.mkdir(parents=True)
    (tour / "x.mp4").write_bytes(b"")
    path = f"{tour}/x.mp4"
    assert list_videos(f"{archive}/[2019] tour/") == [VideoSource("day [1]/x", path)]
    assert list_videos(f"{archive}/[2019] tour/day*/x.mp4") == [VideoSource("day [1]/x", path)]
    assert list_videos(f"{archive}/[2019]*/*/x.mp4") == [VideoSource("[2019] tour/day [1]/x", path)]


def test_object_stores_know_literal_folders_too() -> None:
    files = fsspec.filesystem("memory")
    for name in ("[2019] tour/a.mp4", "2 tour/b.mp4"):
        files.pipe_file(f"/sources/{name}", b"")
    found = {
        pattern: [(video.video_id, video.uri) for video in list_videos(f"memory://sources/{pattern}")]
        for pattern in ("[2019] tour/*.mp4", "[2019]*/*.mp4", "[12] */*.mp4")
    }
    first = "memory:///sources/[2019] tour/a.mp4"
    assert found == {
        "[2019] tour/*.mp4": [("a", first)],
        "[2019]*/*.mp4": [("[2019] tour/a", first)],
        "[12] */*.mp4": [("2 tour/b", "memory:///sources/2 tour/b.mp4")],
    }


def test_what_cannot_be_used_is_named(archive: Path) -> None:
    with pytest.raises(InputError, match="videos=/no/such: not found"):
        list_videos("/no/such")
    with pytest.raises(InputError, match="holds no video file"):
        list_videos(f"{archive}/*.txt")
    (archive / "a.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.MKV and .*a\.mp4 both have the id a"):
        list_videos(str(archive))
    (archive / "bad.csv").write_text("video,url\nx,y\n")
    with pytest.raises(InputError, match=r"bad\.csv: lacks column uri; it has video, url"):
        list_videos(f"{archive}/bad.csv")
    (archive / "hole.jsonl").write_text(
        '{"video_id": "x", "uri": "y.mp4"}\n{"video_id": "", "uri": "z.mp4"}\n'
    )
    with pytest.raises(InputError, match="row 2 has no video_id"):
        list_videos(f"{archive}/hole.jsonl")
    (archive / "broken.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"broken\.parquet: not a readable \.parquet manifest"):
        list_videos(f"{archive}/broken.parquet")
