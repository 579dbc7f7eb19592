"""Features that tell nothing apart are known for what they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.extraction.run import warn_if_constant
from pipeline.features.variation import why_constant
from tests.pipeline.synthetic import SPEC, make_videos, write_store

VIDEOS = make_videos(3, "train", seed=1)


def test_nearly_all_channels_may_be_too_many(tmp_path: Path) -> None:
    wide = replace(SPEC, dim=40)
    arrays = {video.video_id: np.ones((30, 40), np.float16) for video in VIDEOS}
    for number, array in enumerate(arrays.values()):
        array[:, 7] = number
    store = write_store(f"{tmp_path}/store", VIDEOS, wide, features=arrays)
    assert why_constant(store, list(arrays)) == (
        "have one value in 39 of 40 channels (in all 90 snippets looked at, of 3 videos)"
    )
    assert why_constant(store, []) is None
    assert (
        why_constant(write_store(f"{tmp_path}/sound", VIDEOS), [video.video_id for video in VIDEOS]) is None
    )


def test_one_snippet_says_nothing(tmp_path: Path) -> None:
    store = write_store(
        f"{tmp_path}/store", VIDEOS[:1], features={VIDEOS[0].video_id: np.zeros((1, 4), np.float16)}
    )
    assert why_constant(store, [VIDEOS[0].video_id]) is None


def test_extraction_tells_of_features_of_one_value(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    black = {video.video_id: np.zeros((30, 4), np.float16) for video in VIDEOS}
    store = write_store(
        f"{tmp_path}/store", VIDEOS, features=black, errors={VIDEOS[0].video_id: "truncated: early"}
    )
    warn_if_constant(store, [*black, "of another command"])
    assert "features are 0 throughout (in all 60 snippets looked at, of 2 videos)" in caplog.text
    assert "look at backbone.weights" in caplog.text
