"""An S3 server that is away for three minutes in the middle of an extraction: no video is recorded as broken.

Run by `make drill`; takes minutes.
"""

import os
import time
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.features.store import FeatureStore
from tests.drills.processes import EXTRACT, Job, assert_equal_stores, render
from tests.outage import relayed

_AWAY_SECONDS = 180


@pytest.mark.parametrize("patience", [60, 600])
def test_an_extraction_waits_or_stops_with_one_line(tmp_path: Path, s3_server: str, patience: int) -> None:
    videos = render(tmp_path / "videos")
    there = f"{s3_server}/outage-{tmp_path.name}"
    for path in sorted(videos.iterdir()):
        storage.write_bytes(f"{there}/videos/{path.name}", path.read_bytes())
    whole = Job(tmp_path, "extract", f"videos={there}/videos", f"store={there}/whole", *EXTRACT)
    assert whole.wait() == 0, whole.said
    words = [f"videos={there}/videos", f"store={there}/store", *EXTRACT]
    with relayed(os.environ["AWS_ENDPOINT_URL"]) as relay:
        job = Job(
            tmp_path,
            "extract",
            *words,
            AWS_ENDPOINT_URL=relay.endpoint,
            RAYTAD_STORAGE_PATIENCE_S=str(patience),
        )
        while not storage.list_files(f"{there}/store/features") and job.process.poll() is None:
            time.sleep(0.2)
        relay.away_for(_AWAY_SECONDS)
        status = job.wait(_AWAY_SECONDS + 600)
        waited = patience > _AWAY_SECONDS
        assert status == (0 if waited else 1), job.said[-3000:]
        last = job.said.strip().splitlines()[-1]
        assert waited or "has not answered for" in last, last
        assert "Traceback" not in job.said
    store = FeatureStore(f"{there}/store")
    assert store.failures().num_rows == 0
    assert not any(video.lost_chunks for video in store.index().values())
    again = Job(tmp_path, "extract", *words)
    assert again.wait() == 0, again.said[-3000:]
    assert_equal_stores(f"{there}/store", f"{there}/whole")
