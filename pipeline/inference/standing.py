"""What of a folder of predictions is done, and how a job that writes one ends."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.failures import Failure, split_error
from pipeline.features.index import StoreIndex
from pipeline.inference.output import MERGED_MB, PredictionFolder
from pipeline.screen import phase
from pipeline.segments.completeness import Completeness, mark_complete
from pipeline.segments.settings import ResultsConfig
from pipeline.summary import Summary


def standing(index: StoreIndex, outcomes: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Which videos of the store are predicted, and which have failed: two arrays `[V]` bool."""
    done, lost = np.zeros((2, len(index)), dtype=bool)
    rows, has_error = index.find(outcomes["video_id"]), outcomes["error"].is_valid().to_numpy()
    done[rows[(rows >= 0) & ~has_error]] = True
    lost[rows[(rows >= 0) & has_error]] = True
    return done, lost


def finish(
    out: PredictionFolder,
    index: StoreIndex,
    pending: StoreIndex,
    unusable: Sequence[Failure],
    *,
    job: str,
    videos: int,
    seconds: float,
    results: ResultsConfig,
    merge_over: int,
    allow_failures: bool,
) -> Summary:
    """Write what follows from `predictions/`, and count.

    Args:
        out: the folder.
        index: of the store.
        pending: the videos that this run had to do.
        unusable: those that could not be begun with.
        job: the verb.
        videos: how many the folder is to have, without the unusable ones.
        seconds: that the run took for `pending`.
        results, merge_over, allow_failures: the job's settings.
    """
    if pending or out.lacks_segments():
        with phase("writing the segment tables"):
            out.write_segments()
    out.merge_if_many(MERGED_MB, merge_over)
    outcomes = out.outcomes()
    good = outcomes.filter(outcomes["error"].is_null())
    has_results = out.write_results(results, good["video_id"].to_pylist())
    failed = _failures(index, outcomes, job)
    failures = [*failed, *unusable]
    out.write_failures(failures)
    total = videos + len(unusable)
    mark_complete(out.url, Completeness(total, total - len(failures), len(failures)))
    done = int(pc.is_in(pending.videos["video_id"], good["video_id"]).to_numpy().sum())
    folders = ("predictions", "segments", *["results"] * has_results, *["failures"] * bool(failures))
    speed = f"{float(pending.duration.sum()) / seconds:.0f} seconds of video per second" if pending else None
    return Summary(
        job=job,
        unit="videos",
        total=total,
        done=done,
        already_done=total - done - len(failures),
        skipped=len(unusable),
        failed=len(failed),
        outputs={name: out.folder(name) for name in folders},
        figures={"throughput": speed} if speed else {},
        allow_failures=allow_failures,
        failures=failures,
        failures_in=f"predictions={out.url}",
    )


def _failures(index: StoreIndex, outcomes: pa.Table, job: str) -> list[Failure]:
    """The complete videos of the store that failed, by id."""
    lost = outcomes.filter(outcomes["error"].is_valid())
    lost = lost.filter(pa.array(index.has_all(lost["video_id"]))).sort_by("video_id")
    return [
        Failure(video_id, index[video_id].uri, job, *split_error(error))
        for video_id, error in zip(lost["video_id"].to_pylist(), lost["error"].to_pylist(), strict=True)
    ]
