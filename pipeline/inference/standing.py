"""What of a folder of predictions is done, and how a job that writes one ends."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.failures import Failure
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
    failures: Sequence[Failure],
    *,
    videos: int,
    merge_over: int,
    wrote: bool,
) -> None:
    """Write what follows from `predictions/`: segments, failures, counts.

    Args:
        out: the folder.
        failures: all that it lacks.
        videos: how many it is to have, with those.
        merge_over: the job's setting.
        wrote: whether this run has added to it.
    """
    if wrote or out.lacks_segments():
        with phase("writing the segment tables"):
            out.write_segments()
    out.merge_if_many(MERGED_MB, merge_over)
    out.write_failures(failures)
    mark_complete(out.url, Completeness(videos, videos - len(failures), len(failures)))


def summarise(
    out: PredictionFolder,
    pending: StoreIndex,
    failed: Sequence[Failure],
    skipped: Sequence[Failure],
    *,
    job: str,
    videos: int,
    seconds: float,
    results: ResultsConfig,
    allow_failures: bool,
) -> Summary:
    """Count, and write results/ of a finished folder.

    Args:
        out: the folder.
        pending: the videos that this run had to do.
        failed: what this job has lost.
        skipped: the videos that could not be begun with.
        job: the verb.
        videos: how many the folder is to have, with those.
        seconds: that the run took for `pending`.
        results, allow_failures: the job's settings.
    """
    outcomes = out.outcomes()
    good = outcomes.filter(outcomes["error"].is_null())
    has_results = out.write_results(results, good["video_id"].to_pylist())
    done = int(pc.is_in(pending.videos["video_id"], good["video_id"]).to_numpy().sum())
    lost = len(failed) + len(skipped)
    folders = ("predictions", "segments", *["results"] * has_results, *["failures"] * bool(lost))
    speed = f"{float(pending.duration.sum()) / seconds:.0f} seconds of video per second" if pending else None
    return Summary(
        job=job,
        unit="videos",
        total=videos,
        done=done,
        already_done=videos - done - lost,
        skipped=len(skipped),
        failed=len(failed),
        outputs={name: out.folder(name) for name in folders},
        figures={"throughput": speed} if speed else {},
        allow_failures=allow_failures,
        failures=[*failed, *skipped],
        failures_in=f"predictions={out.url}",
    )
