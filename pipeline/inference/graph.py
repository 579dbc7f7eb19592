"""The Ray Data graph that fills `predictions/`: rows of videos through a pool of actors, each video exactly once."""

from collections.abc import Sequence
from typing import Any

import ray.data

from pipeline.cluster.needs import Need, needs_of
from pipeline.cluster.resumable import rows_a_task, write_resumably
from pipeline.cluster.tally import Tally, followed
from pipeline.features.index import StoreIndex
from pipeline.inference.output import PredictionFolder
from pipeline.inference.settings import VideoActors
from pipeline.progress import Counting, Progress
from pipeline.segments.schema import PREDICTIONS_SCHEMA

_BYTES_PER_DETECTION = 32
# A killed job loses the files that it was writing, so a small job has small ones.
_LEAST_FILES = 64
_MOST_ROWS = 2000


def need_of(actors: VideoActors, key: str, gpus: float = 0.0) -> Need:
    """What a pool needs at the start; `key` is that of its settings."""
    workers_key = f"{key}.min_actors"
    return needs_of(
        key, actors, cpus=actors.cpus, gpus=gpus, workers=actors.min_actors, workers_key=workers_key
    )


def fill_predictions(
    out: PredictionFolder,
    source: str | Sequence[str],
    actor: type,
    arguments: tuple[Any, ...],
    actors: VideoActors,
    *,
    index: StoreIndex,
    pending: StoreIndex,
    detections: int,
    gpus: float = 0.0,
    progress: Counting | None = None,
    makes: str = "detections",
) -> None:
    """Run the graph.

    Args:
        out: the folder.
        source: URL of a folder of Parquet files with a row a video, or of each of some files.
        actor: takes batches of them to rows of `PREDICTIONS_SCHEMA`; made of `arguments` and a Tally.
        arguments: of the actor.
        actors: the pool.
        index: all videos that the folder is to have.
        pending: those that this run has to do.
        detections: about how many a video has.
        gpus: of an actor.
        progress: what the screen shows of it; that of all videos of the folder unless given.
        makes: what, for metrics.
    """

    def transform(videos: ray.data.Dataset, tally: Tally) -> ray.data.Dataset:
        return videos.map_batches(
            actor,
            fn_constructor_args=(*arguments, tally),
            batch_size=actors.videos_per_task,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=actors.min_actors, max_size=actors.max_actors),
            num_cpus=actors.cpus,
            num_gpus=gpus,
            resources=actors.resources,
            label_selector=actors.labels,
        )

    hours, hours_left = (float(each.duration.sum()) / 3600 for each in (index, pending))
    whole = Progress(
        "videos", len(index), done=len(index) - len(pending), hours=hours, hours_done=hours - hours_left
    )
    with followed(progress or whole, makes) as tally:
        write_resumably(
            source=source,
            transform=lambda videos: transform(videos, tally),
            target=out.folder("predictions"),
            checkpoint=out.folder("checkpoint"),
            id_column="video_id",
            schema=PREDICTIONS_SCHEMA.with_metadata(out.provenance.metadata()),
            rows_per_file=max(1, min(_MOST_ROWS, len(pending) // _LEAST_FILES)),
            row_bytes=detections * _BYTES_PER_DETECTION,
            rows_per_task=rows_a_task(actors.videos_per_task, len(pending)),
            there=out.names("predictions"),
        )
