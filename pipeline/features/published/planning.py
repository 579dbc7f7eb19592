"""Planning an import: the shape of every new array, its place in time, and the chunks it becomes."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from pipeline.cluster.parallel import run_batches
from pipeline.failures import Failure, FailureKind, failures_table
from pipeline.features.plan import chunk_rows, write_part
from pipeline.features.published.durations import VideoFacts, place_in_time
from pipeline.features.published.isolation import isolated_files
from pipeline.features.published.layout import ArrayRule
from pipeline.features.published.listing import PublishedVideo
from pipeline.features.published.places import Place
from pipeline.features.published.shapes import PublishedShape
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.video.sandbox import DEFAULT_LIMITS, Limits

logger = logging.getLogger(__name__)

_ARRAYS_PER_TASK = 32
_PROBE_CPUS = 0.5  # a probe waits for storage more than it computes


@dataclass(frozen=True)
class LengthRule:
    """How far a length may be from what the video's duration makes it.

    Attributes:
        tolerance: snippets that pass unremarked.
        limit: part of the expected length beyond which the features cannot be the video's.
    """

    tolerance: int
    limit: float

    def is_remarkable(self, length: int, expected: int) -> bool:
        """Whether the difference is worth a word."""
        return abs(length - expected) > self.tolerance

    def is_hopeless(self, length: int, expected: int) -> bool:
        """Whether the two cannot be of one video and one timeline."""
        return abs(length - expected) > max(self.tolerance, self.limit * expected)


def expected_length(timeline: Timeline, duration: float) -> int:
    """The snippets of a video of `duration` seconds; `timeline` has its `fps` resolved."""
    return timeline.num_snippets(timeline.num_frames(duration))


def probe_shapes(
    videos: Iterable[PublishedVideo],
    known: Mapping[Place, PublishedShape],
    rule: ArrayRule,
    limits: Limits = DEFAULT_LIMITS,
    before_ray: Callable[[], None] | None = None,
) -> dict[Place, PublishedShape]:
    """The shapes of all arrays of `videos`, in parallel; those `known` are taken as they are.

    `before_ray` is called where Ray is needed, before that.
    """
    places = [place for video in videos for place in video.places if place is not None]
    shapes = {place: known[place] for place in places if place in known}
    unknown = sorted((place for place in places if place not in shapes), key=str)
    if unknown:
        if before_ray:
            before_ray()
        logger.info("looking into %d new arrays", len(unknown))
    for found in run_batches(
        partial(_probe, rule=rule, limits=limits), unknown, _ARRAYS_PER_TASK, _PROBE_CPUS
    ):
        shapes |= found
    return shapes


def usual_widths(
    videos: Sequence[PublishedVideo], shapes: Mapping[Place, PublishedShape], held: Sequence[int] | None
) -> list[int] | None:
    """The width of each source: those that the store already `held` where any new video has them, or the commonest.

    None where there is no readable array to tell.
    """
    combinations = Counter(
        tuple(shapes[place].width for place in video.places if place is not None)
        for video in videos
        if all(place is not None and shapes[place].error is None for place in video.places)
    )
    if not combinations:
        return None if held is None else list(held)
    if held is not None and tuple(held) in combinations:
        return list(held)
    return list(combinations.most_common(1)[0][0])


def write_import_plan(
    store: FeatureStore,
    videos: Iterable[PublishedVideo],
    shapes: Mapping[Place, PublishedShape],
    facts: Mapping[str, VideoFacts],
    widths: Sequence[int],
    lengths: LengthRule,
    chunk_snippets: int,
) -> None:
    """Add the chunks of `videos` to the store's plan, and a failure for each one that cannot be used.

    One log line counts the videos whose sources differ in length by more than the tolerance.
    """
    rows: list[dict[str, object]] = []
    failures: list[Failure] = []
    uneven: list[str] = []
    for video in videos:
        found = [PublishedShape() if place is None else shapes[place] for place in video.places]
        problem = _problem(video, found, widths, lengths)
        if problem is not None:
            failures.append(Failure(video.video_id, video.uri, "probe", *problem))
            continue
        length = min(shape.length for shape in found)
        placed = place_in_time(store.spec.timeline, facts.get(video.video_id, VideoFacts()), length)
        if placed is None:
            message = (
                "timeline.fps is null, and neither info nor the annotations tell the rate of this video; "
                "retry_failed=true tries it again with dataset.annotations= or info= that do"
            )
            failures.append(Failure(video.video_id, video.uri, "probe", FailureKind.UNKNOWN_RATE, message))
            continue
        timeline, duration = placed
        expected = expected_length(timeline, duration)
        if lengths.is_hopeless(length, expected):
            message = describe_mismatch(length, expected, duration, timeline)
            failures.append(Failure(video.video_id, video.uri, "probe", FailureKind.BAD_FEATURES, message))
            continue
        if any(lengths.is_remarkable(shape.length, length) for shape in found):
            uneven.append(f"{video.video_id} ({' and '.join(str(shape.length) for shape in found)} snippets)")
        rows += chunk_rows(video.source, length, chunk_snippets, duration, timeline)
    if uneven:
        logger.warning(
            "the sources of %d videos differ in length and are cut, such as %s", len(uneven), uneven[0]
        )
    write_part(store, [pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)], [failures_table(failures)])


def describe_mismatch(length: int, expected: int, duration: float, timeline: Timeline) -> str:
    """`holds 1034 snippets, but 275.77 s at 30 fps make 2065 (stride 4, window 16)`."""
    return (
        f"holds {length} snippets, but {duration:.2f} s at {timeline.rate:.5g} fps make {expected} "
        f"(stride {timeline.stride}, window {timeline.window})"
    )


def _probe(places: list[Place], rule: ArrayRule, limits: Limits) -> dict[Place, PublishedShape]:
    files = isolated_files(rule, limits)
    try:
        return {place: files.shape(place) for place in places}
    finally:
        files.close()


def _problem(
    video: PublishedVideo, shapes: Sequence[PublishedShape], widths: Sequence[int], lengths: LengthRule
) -> tuple[FailureKind, str] | None:
    """Why the arrays of a video cannot be used, whatever its duration."""
    for place, shape, width, name in zip(
        video.places, shapes, widths, ("source", "second_source"), strict=False
    ):
        if place is None:
            return FailureKind.MISSING_FEATURES, f"{name} has nothing of this video"
        if shape.error is not None:
            return shape.error.kind, str(shape.error)
        if shape.width != width:
            return FailureKind.BAD_FEATURES, f"has {shape.width} channels where others have {width}"
    longest, shortest = max(s.length for s in shapes), min(s.length for s in shapes)
    if lengths.is_hopeless(shortest, longest):
        return FailureKind.BAD_FEATURES, f"the sources have {longest} and {shortest} snippets"
    return None
