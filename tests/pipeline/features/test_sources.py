"""What the user points at becomes videos with ids."""

import json
import posixpath
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.errors import InputError
from pipeline.features import sources
from pipeline.features.sources import VIDEO_SUFFIXES, VideoSource, VideoSources, list_videos


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


NAMES = [
    "a",
    "B.MP4",
    "c.webm",
    ".mp4",
    "..mp4",
    "...",
    "x.y.mkv",
    "café.ogv",
    "a.ts\n",
    "n\n.ts",
    "d.tſ",
    "e.MKV",
    "f.txt",
]
PATHS = st.lists(st.sampled_from([*NAMES, "", ".", ".."]), min_size=1, max_size=4).map("/".join)
BASES = ["/", "/arch", "s3://bucket", "s3://bucket/a.b", "memory:///x", "https://h/x"]


def id_by_hand(base: str, path: str) -> str | None:
    file = PurePosixPath(path)
    if file.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    return posixpath.relpath(str(file.with_suffix("")), str(PurePosixPath(base)))


@given(st.sampled_from(BASES), st.sampled_from([*BASES, ""]), st.lists(PATHS))
def test_ids_in_columns_are_those_of_each_path(base: str, root: str, paths: list[str]) -> None:
    files = [f"{(root or base).rstrip('/')}/{path}" for path in paths]
    ids = sources._ids_below(base, pa.array(files, pa.string()))
    assert ids.to_pylist() == [id_by_hand(base, file) for file in files]
    names = sources._names_of(pa.array(files, pa.string()))
    assert names.to_pylist() == [PurePosixPath(storage.without_secrets(file)).stem for file in files]


ROWS = st.tuples(
    st.sampled_from(
        ["a.mp4", "b.mp4", "b/a.avi", "/b/../c.mp4", "s3://b/x.mp4/", "https://h/y.mp4?s=1", "no://z", ""]
    ),
    st.sampled_from(["", "one", "two", "three"]),
)


@given(st.lists(ROWS, min_size=1, max_size=6))
def test_a_manifest_in_columns_is_what_it_is_row_by_row(rows: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        manifest = f"{folder}/list.jsonl"
        Path(manifest).write_text(
            "".join(json.dumps({"uri": uri, "video_id": name}) + "\n" for uri, name in rows)
        )
        try:
            expected: list[VideoSource] | str = manifest_by_hand(folder, rows)
        except InputError as error:
            expected = str(error)
        try:
            found: Sequence[VideoSource] | str = list_videos(manifest)
        except InputError as error:
            found = str(error).removeprefix(f"videos={manifest}: ")
        assert found == expected


def manifest_by_hand(folder: str, rows: list[tuple[str, str]]) -> list[VideoSource]:
    found: dict[str, VideoSource] = {}
    named = any(name for _, name in rows)
    videos = []
    for row, (uri, name) in enumerate(rows, start=1):
        if not uri or (named and not name):
            raise InputError(f"row {row} has no {'video_id' if uri else 'uri'}")
        relative = "://" not in uri and not uri.startswith("/")
        place = storage.join(folder, uri) if relative else storage.absolute(uri)
        bare = storage.without_secrets(place)
        videos.append(VideoSource(name if named else PurePosixPath(bare).stem, place))
    for video in videos:
        if other := found.get(video.video_id):
            raise InputError(
                f"{other.stored_uri} and {video.stored_uri} both have the id {video.video_id}; rename one or give "
                "a manifest with video_id, uri"
            )
        found[video.video_id] = video
    return [found[name] for name in sorted(found)]


def test_videos_in_columns_are_a_sequence_of_objects() -> None:
    videos = [VideoSource(name, f"/{name}.mp4", size, "v", 2) for size, name in enumerate("abcde")]
    columns = VideoSources.of(videos)
    assert columns == videos
    assert VideoSources.of(columns) is columns
    assert [(s.size, s.version) for s in columns] == [(s.size, s.version) for s in videos]
    assert [columns[0], columns[-1]] == [videos[0], videos[-1]]
    for rows in (slice(1, 3), slice(3, 1), slice(None, None, -2), slice(-2, None), slice(9, 12)):
        assert columns[rows] == videos[rows]
    with pytest.raises(IndexError):
        columns[5]
    assert columns[1:].and_also(columns[:1]) == [*videos[1:], videos[0]]
    assert columns != videos[:4]
    assert columns != [*videos[:4], VideoSource("e", "/elsewhere.mp4", edition=2)]
    assert VideoSources.of([]) == []
