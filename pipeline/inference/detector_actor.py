"""The detector stage of prediction: rows with a video id in, rows with its segments out."""

from collections.abc import Sequence

import pyarrow as pa
import torch

from pipeline.cluster.device import given_device
from pipeline.cluster.tally import Tally
from pipeline.detector.detect import detect_videos
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.settings import MergeConfig, WindowConfig
from pipeline.detector.trained import load_trained
from pipeline.errors import InputError
from pipeline.failures import FailureKind, join_error
from pipeline.features.places import index_of
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures
from pipeline.inference.settings import DetectConfig
from pipeline.outages import OutageError, be_patient
from pipeline.segments.tables import VideoOutcome, predictions_table


class DetectorActor:
    """An actor that holds one detector and reads features by itself, so that none pass through Ray."""

    def __init__(
        self,
        checkpoint: str,
        store: str,
        windows: WindowConfig,
        merge: MergeConfig,
        config: DetectConfig,
        tally: Tally,
    ) -> None:
        """Load the checkpoint at URL `checkpoint`, and open the store at URL `store`; `tally` gets what is done."""
        be_patient()
        torch.set_num_threads(max(1, int(config.cpus)))
        self.device = given_device()
        self.trained = load_trained(checkpoint, self.device)
        self.store = FeatureStore(store)
        self.windows = windows
        self.merge = merge
        self.config = config
        self.tally = tally

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Table of `PREDICTIONS_SCHEMA`, one row for each row of `batch` (`PLACES_SCHEMA`), in order."""
        index = index_of(batch, self.store.spec.timeline)
        videos = [index[video_id] for video_id in batch["video_id"].to_pylist()]
        outcomes = self._outcomes(videos, self.store.knowing(index))
        errors = {outcome.video_id: outcome.error for outcome in outcomes if outcome.error}
        self.tally.add(len(videos), sum(video.duration for video in videos), errors)
        return predictions_table(outcomes, self.trained.info.labels)

    def _outcomes(self, videos: Sequence[VideoFeatures], store: FeatureStore) -> list[VideoOutcome]:
        """Together where all goes well, else one by one, so that a bad video takes no other with it."""
        try:
            found = detect_videos(
                self.trained.detector,
                videos,
                FeatureCache(store, self.config.cache_mb),
                windows=self.windows,
                merge=self.merge,
                batch_size=self.config.batch_size,
                device=self.device,
                mixed=self.config.mix_videos,
            )
            return [VideoOutcome(video.video_id, detections) for video, detections in found]
        except OutageError:
            raise  # no fact about any video
        except Exception as error:
            if len(videos) == 1:
                kind = (
                    FailureKind.MISSING_FEATURES
                    if isinstance(error, InputError)
                    else FailureKind.DETECTOR_ERROR
                )
                return [VideoOutcome(videos[0].video_id, error=join_error(kind, _one_line(error)))]
            return [outcome for video in videos for outcome in self._outcomes([video], store)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
