"""Detection without a cluster: a few videos through a trained run, in this process."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import InputError
from pipeline.failures import Failure
from pipeline.features.sources import VideoSource, list_videos
from pipeline.inference.settings import DetectHereConfig
from pipeline.inference.video_detector import VideoDetector, VideoLostError
from pipeline.progress import Progress
from pipeline.screen import phase, shown
from pipeline.segments.results import write_results
from pipeline.segments.schema import SEGMENTS_SCHEMA
from pipeline.segments.threshold import ScoreThreshold, score_threshold
from pipeline.summary import Summary

_RESULTS = "results"


@dataclass(frozen=True)
class DetectedVideos:
    """What `detect` tells: the detections of each video, and the job's summary.

    Attributes:
        segments: a table of `SEGMENTS_SCHEMA`.
        video_ids: of the videos that were looked at.
        threshold: from which on detections are shown.
        rows: how many of each video are shown, at most.
        summary: the counts.
    """

    segments: pa.Table
    video_ids: tuple[str, ...]
    threshold: ScoreThreshold
    rows: int
    summary: Summary

    @property
    def exit_status(self) -> int:
        return self.summary.exit_status

    def show(self, console: Console) -> None:
        for video_id in self.video_ids:
            found = self.segments.filter(pc.equal(self.segments["video_id"], video_id))
            sure = found.filter(pc.greater_equal(found["score"], self.threshold.value))
            console.print(
                Text.assemble(
                    (video_id, "bold"),
                    f": {sure.num_rows} of {found.num_rows} detections have {self.threshold}",
                )
            )
            if sure.num_rows and self.rows:
                console.print(_table(sure, self.rows))
        self.summary.show(console)


def detect(config: DetectHereConfig) -> DetectedVideos:
    """Find the actions in videos; what is found stands on the screen and in files that people open.

    Raises InputError where two videos have one id, or the run's features cannot be made here.
    """
    sources = _sources(config.videos)
    out = config.out or str(Path.cwd() / _RESULTS)
    with phase("loading the detector"):
        detector = VideoDetector.load(
            config.run,
            config.checkpoint,
            windows=config.windows,
            merge=config.merge,
            backbone=config.backbone,
            flow=config.flow,
        )
    with phase("loading the backbone"):
        detector.load_backbone()
    tables, failures = [SEGMENTS_SCHEMA.empty_table()], list[Failure]()
    progress = Progress("videos", len(sources))
    with shown(progress):
        for number, source in enumerate(sources):

            def went_on(done: float, of: float, number: int = number) -> None:
                progress.reached(number + done / of, failed=len(failures))

            try:
                tables.append(detector.detect(source, went_on))
            except VideoLostError as error:
                failures.append(error.failure)
            progress.reached(number + 1, failed=len(failures))
    lost = {failure.video_id for failure in failures}
    video_ids = tuple(source.video_id for source in sources if source.video_id not in lost)
    segments = pa.concat_tables(tables)
    threshold = score_threshold(config.results.min_score, segments)
    writes = bool(video_ids) and config.results.wanted(len(video_ids))
    if writes:
        write_results(out, segments, threshold, video_ids=video_ids, at_a_time=config.results.at_a_time)
    summary = Summary(
        job="detect",
        unit="videos",
        total=len(sources),
        done=len(video_ids),
        failed=len(failures),
        outputs={"results": out} if writes else {},
        allow_failures=config.allow_failures,
        failures=failures,
    )
    return DetectedVideos(segments, video_ids, threshold, config.rows, summary)


def _sources(videos: tuple[str, ...]) -> list[VideoSource]:
    """The videos that the words name, in their order, each once."""
    found: dict[str, VideoSource] = {}
    for source in (source for word in videos for source in list_videos(word)):
        other = found.setdefault(source.video_id, source)
        if other.uri != source.uri:
            raise InputError(
                f"videos: {other.stored_uri} and {source.stored_uri} both have the id {source.video_id}; detect them "
                "one after the other, with another out="
            )
    return list(found.values())


def _table(segments: pa.Table, rows: int) -> Table:
    """The best segments of a video in the order of time."""
    best = segments.sort_by([("score", "descending")]).slice(0, rows).sort_by([("t_start", "ascending")])
    table = Table(show_header=True)
    for column in ("start", "end", "action", "score"):
        table.add_column(column, justify="left" if column == "action" else "right")
    for row in best.to_pylist():
        table.add_row(clock(row["t_start"]), clock(row["t_end"]), Text(row["label"]), f"{row['score']:.3f}")
    if segments.num_rows > rows:
        table.caption = f"and {segments.num_rows - rows} more"
    return table


def clock(seconds: float) -> str:
    """`0:01:02.5`."""
    tenths = round(10 * seconds)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths % 600 / 10:04.1f}"
