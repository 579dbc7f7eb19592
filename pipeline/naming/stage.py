"""The naming stage: rows of predictions in, the same videos with named segments out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from pipeline.cluster.tally import Tally
from pipeline.errors import InputError
from pipeline.failures import FailureKind, join_error
from pipeline.features.index import StoreIndex
from pipeline.features.store import FeatureStore
from pipeline.naming.scoring import Namer
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import Words
from pipeline.outages import be_patient
from pipeline.segments.detections import VideoDetections
from pipeline.segments.tables import VideoOutcome, predictions_table


class NamingActor:
    """An actor that holds the words and reads features by itself, so that none pass through Ray."""

    def __init__(
        self, store: str, index: ray.ObjectRef, words: Words, config: NamingConfig, tally: Tally
    ) -> None:
        """Open the store at URL `store`; `index` is a StoreIndex of the videos to be named, shared on a node."""
        be_patient()
        self.wanted: StoreIndex = ray.get(index)
        self.store = FeatureStore(store).knowing(self.wanted)
        self.namer = Namer(words, config)
        self.tally = tally

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Table of `PREDICTIONS_SCHEMA`: of each row of `batch`, likewise, whose video is to be named, one."""
        outcomes, seconds = [], 0.0
        for row in range(batch.num_rows):
            video = self.wanted.get(batch["video_id"][row].as_py())
            if video is None or batch["error"][row].is_valid:
                continue
            try:
                features = self.store.load(video.video_id)
                found = self.namer.name(_detections(batch["segments"][row]), features, video.timeline)
                outcomes.append(VideoOutcome(video.video_id, found))
            except InputError as error:  # features that are gone, damaged or no numbers
                reason = join_error(FailureKind.MISSING_FEATURES, " ".join(str(error).split()))
                outcomes.append(VideoOutcome(video.video_id, error=reason))
            seconds += video.duration
        self.tally.add(len(outcomes), seconds, {one.video_id: one.error for one in outcomes if one.error})
        return predictions_table(outcomes, self.namer.words.names)


def _detections(segments: Any) -> VideoDetections:
    """The segments of a row of `PREDICTIONS_SCHEMA`, without their classes."""
    rows = segments.values
    columns: Sequence[np.ndarray] = [
        rows.field(name).to_numpy(zero_copy_only=False) for name in ("t_start", "t_end", "score")
    ]
    start, end, scores = columns
    return VideoDetections(np.stack([start, end], axis=1), np.zeros(len(scores), dtype=np.int64), scores)
