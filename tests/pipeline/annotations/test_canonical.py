"""The canonical form holds together and answers by subset and by video."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.errors import InputError


def annotations(videos, instances, labels):
    return Annotations(
        pa.Table.from_pylist([{"video_id": v, "subset": s} for v, s in videos], VIDEOS_SCHEMA),
        pa.Table.from_pylist(
            [dict(zip(INSTANCES_SCHEMA.names, row, strict=True)) for row in instances], INSTANCES_SCHEMA
        ),
        tuple(labels),
    )


SMALL = annotations(
    [("a", "Val"), ("b", "test"), ("c", "test")],
    [("b", 1, 2, "run"), ("a", 0, 3, "jump"), ("b", 5, 8, "jump")],
    ["run", "jump"],
)


def test_a_subset_is_found_in_any_case_and_keeps_the_labels():
    val = SMALL.subset("val")
    assert val.videos["video_id"].to_pylist() == ["a"]
    assert val.instances["label"].to_pylist() == ["jump"]
    assert val.labels == ("run", "jump")
    assert SMALL.subset("TEST").instances["t_start"].to_pylist() == [1.0, 5.0]


def test_an_unknown_subset_is_an_error_naming_those_there_are():
    with pytest.raises(InputError, match="no subset 'training'; they have: Val, test"):
        SMALL.subset("training")


def test_by_video_keeps_order_and_knows_videos_without_actions():
    by_video = SMALL.by_video()
    assert list(by_video) == ["a", "b", "c"]
    np.testing.assert_array_equal(by_video["b"].segments, [[1, 2], [5, 8]])
    assert by_video["b"].labels.tolist() == ["run", "jump"]
    assert by_video["c"].segments.shape == (0, 2)


def test_counts_in_one_line():
    assert str(SMALL) == "Val: 1 videos, 1 instances; test: 2 videos, 2 instances; 2 classes"


@pytest.mark.parametrize(
    ("videos", "instances", "labels", "told"),
    [
        ([("a", "t"), ("a", "t")], [], [], "video appears twice"),
        ([("a", "t")], [], ["run", "run"], "label appears twice"),
        ([("a", "t")], [("b", 0, 1, "run")], ["run"], "unknown video_id 'b'"),
        ([("a", "t")], [("a", 0, 1, "run")], [], "unknown label 'run'"),
    ],
)
def test_contradictions_are_refused(videos, instances, labels, told):
    with pytest.raises(ValueError, match=told):
        annotations(videos, instances, labels)
