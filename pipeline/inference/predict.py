"""Prediction: a store's videos through a trained detector, to `predictions/` and `segments/`."""

import json
import logging
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray.data

from pipeline import storage
from pipeline.config import MergeConfig, PredictConfig
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind, failures_table
from pipeline.features.store import FeatureStore, VideoFeatures
from pipeline.inference.detector_actor import DetectorActor
from pipeline.inference.output import PredictionFolder
from pipeline.inference.trained import check_features, find_checkpoint, settings_of
from pipeline.ray_runtime import connect
from pipeline.resumable import write_resumably
from pipeline.summary import Summary
