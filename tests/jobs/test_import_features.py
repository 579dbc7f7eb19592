"""jobs/import_features.py as its user meets it: one line for bad input, a table and a status for the rest."""

from pathlib import Path

import numpy as np

from tests.jobs.commands import run_job, shared_ray


def test_what_is_lost_is_told_and_sets_the_exit_status(tmp_path: Path, ray_local: None) -> None:
    for index in range(3):
        np.save(tmp_path / f"v_{index}.npy", np.full((30, 1, 1, 8), index, dtype=np.float32))
    (tmp_path / "v_2.npy").write_bytes(b"cut")
    words = [f"source={tmp_path}", f"store={tmp_path}/store"]

    unsaid = run_job("import_features", *words, "timeline.fps=25")
    assert unsaid.returncode == 2
    assert unsaid.stderr.splitlines() == [
        "import_features: timeline.stride: is required (frames between neighbouring snippets)",
        "import_features: timeline.window: is required (frames in a snippet)",
    ]

    job = run_job("import_features", *words, "features=activitynet_i3d", shared_ray())
    assert job.returncode == 3, job.stderr[-3000:]
    assert "import_features: 3 videos" in job.stdout
    assert (tmp_path / "store" / "feature_spec.json").exists()
    assert "Traceback" not in job.stderr
