"""Names of files after videos: as plain as can be, and different for any two ids."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.file_names import name_of_any

DIGEST = "9" * 64


@pytest.mark.parametrize(
    "video_id", ["v_abc", "day 1/cam'2\"", "🏃/läuft.mp4", "a*b?[c]", "segments.csv", "~"]
)
def test_an_id_is_its_own_name_where_it_can_be(tmp_path, video_id):
    assert name_of_any(str(tmp_path), video_id, ".vtt") == f"{video_id}.vtt"


ODD = [
    "", ".", "..", "..a", "a/.b", "/", "../up", "/etc/passwd", "a//b", "a/", "a/./b", "a/../../b", "nul\0", "new\nline",
    "x" * 300, "ä" * 150, "/".join(["folder" * 30] * 30), "s3://bucket/a", "a::b", "caf\\xe9", "a.vtt/b", "a.VTT/b",
    "segments.csv/a", "activitynet.json/a", f"a-{DIGEST}",
]  # fmt: skip


@pytest.mark.parametrize("video_id", ODD)
def test_any_other_id_has_a_plain_name_that_can_be_written(tmp_path, video_id):
    name = name_of_any(str(tmp_path), video_id, ".vtt")
    assert name != f"{video_id}.vtt"
    storage.write_bytes(storage.join(str(tmp_path), name), b"here")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_odd_names_in_object_storage():
    long = "v" * 300
    assert name_of_any("s3://bucket/results", long, ".vtt") == f"{long}.vtt"
    assert len(name_of_any("s3://bucket/results", "v" * 1020, ".vtt")) < 200
    assert "::" not in name_of_any("s3://bucket/results", "a::b", ".vtt")


pieces = st.sampled_from(
    ["a", "b", "/", "..", ".", ".vtt", ".csv", "\\x", "é", "\n", "::", "-", DIGEST, "x" * 150]
)
ids = st.lists(pieces, max_size=5).map("".join)


@given(ids, ids)
def test_no_two_ids_share_a_name_and_none_is_a_folder_of_another(one, other):
    if one == other:
        return
    first_name, second_name = (name_of_any("/r", video_id, ".vtt") for video_id in (one, other))
    first, second = Path("/r", first_name), Path("/r", second_name)
    assert first != second
    assert first not in second.parents
    assert second not in first.parents
    # An id may be another's name, which then has to give way.
    assert (
        first_name == f"{one}.vtt" or name_of_any("/r", first_name.removesuffix(".vtt"), ".vtt") != first_name
    )
