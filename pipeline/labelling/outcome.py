"""What came of each video of a labelling: counts that reconcile, and what was lost in either stage in one table."""

import posixpath
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.failures import Failure, read_failures
from pipeline.features.failures import lost_videos
from pipeline.features.sources import VideoSources
from pipeline.features.store import FeatureStore
from pipeline.inference.output import PredictionFolder
from pipeline.inference.stages import Stage, lost_in
from pipeline.inference.standing import finish
from pipeline.labelling.settings import LabelConfig
from pipeline.summary import Summary


def labelled(runs: Sequence[Sequence[Stage]], video_ids: pa.Array) -> np.ndarray:
    """Which of `[N]` videos, `[N]` bool, every run has brought to its end."""
    done = np.ones(len(video_ids), dtype=bool)
    for stages in runs:
        done &= pc.is_in(video_ids, value_set=good_ids(stages[-1].out)).to_numpy(zero_copy_only=False)
    return done


def finish_runs(
    config: LabelConfig,
    runs: Sequence[Sequence[Stage]],
    sources: VideoSources,
    store: FeatureStore,
    before: np.ndarray,
    worked: bool,
    seconds: float,
) -> Summary:
    """Write what follows from the predictions of each run, and count.

    Args:
        config: of the command.
        runs: the stages of each run.
        sources: the videos of the command.
        store: with their plan and what extraction has lost of them.
        before: which of them were labelled when the command began, `[N]` bool.
        worked: whether this command has added to the folders.
        seconds: that it took.
    """
    video_ids = sources.video_ids
    done = labelled(runs, video_ids)
    lost_ids = video_ids.filter(pa.array(~done)).to_pylist()
    lost: dict[str, Failure] = {}
    outputs: dict[str, str] = {}
    told_in = None
    for stages in runs:
        out = stages[-1].out
        failures = _failures(stages, video_ids, store)
        for stage in stages:
            _finish(stage.out, failures, config.merge_over, worked)
        has_results = out.write_results(config.results, good_ids(out).to_pylist())
        mine = {one.video_id: one for one in failures}
        lost = {video_id: mine[video_id] for video_id in lost_ids if video_id in mine} | lost
        if told_in is None and lost:
            told_in = f"predictions={out.url}"
        names = ("predictions", "segments", *["results"] * has_results, *["failures"] * bool(failures))
        prefix = f"{posixpath.basename(out.url)}/" if len(runs) > 1 else ""
        outputs |= {f"{prefix}{name}": out.folder(name) for name in names}
    if config.store is not None:
        outputs["features"] = store.folder("features")
    new = done & ~before
    rows = store.index().find(video_ids.filter(pa.array(new)))
    speed = float(store.index().duration[rows].sum()) / seconds
    return Summary(
        job="label",
        unit="videos",
        total=len(video_ids),
        done=int(new.sum()),
        already_done=int((done & before).sum()),
        failed=len(lost_ids),
        outputs=outputs,
        figures={"throughput": f"{speed:.1f} seconds of video per second"} if new.any() else {},
        allow_failures=config.allow_failures,
        failures=[lost[video_id] for video_id in lost_ids if video_id in lost],
        failures_in=told_in,
    )


def good_ids(out: PredictionFolder) -> pa.Array:
    """Ids of the videos that a folder has segments of, be they none."""
    outcomes = out.outcomes()
    return outcomes["video_id"].filter(outcomes["error"].is_null()).combine_chunks()


def _failures(stages: Sequence[Stage], video_ids: pa.Array, store: FeatureStore) -> list[Failure]:
    """All that a run's folder lacks, by id: of this command, and of earlier ones with other videos."""
    out = stages[-1].out
    good = good_ids(out)
    lost = {failure.video_id: failure for failure in lost_in(stages, store.index())}
    neither = video_ids.filter(pc.invert(pc.is_in(video_ids, value_set=good))).to_pylist()
    unextracted = lost_videos(store, [video_id for video_id in neither if video_id not in lost])
    lost |= {failure.video_id: failure for failure in unextracted}
    dealt_with = set(video_ids.to_pylist()).union(good.to_pylist())
    for failure in read_failures(out.folder("failures")):
        if failure.video_id not in dealt_with:
            lost.setdefault(failure.video_id, failure)
    return [lost[video_id] for video_id in sorted(lost)]


def _finish(out: PredictionFolder, failures: Sequence[Failure], merge_over: int, worked: bool) -> None:
    good = set(good_ids(out).to_pylist())
    mine = [failure for failure in failures if failure.video_id not in good]
    finish(out, mine, videos=len(good) + len(mine), merge_over=merge_over, wrote=worked)
