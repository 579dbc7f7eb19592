"""Recall by action length: which true segments a detector finds, short ones and long ones apart."""

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

# Seconds between the bins XS, S, M, L and XL of DETAD (Alwassel et al., 2018), for THUMOS14 and ActivityNet.
THUMOS_EDGES = (3.0, 6.0, 12.0, 18.0)
ACTIVITYNET_EDGES = (30.0, 60.0, 120.0, 180.0)


@dataclass(frozen=True)
class LengthRecall:
    """The result of `recall_by_length`.

    Attributes:
        names: of the B bins: `0-3 s`, ..., `over 18 s`.
        counts: `[B]` true instances in each.
        recall: `[B, T]` in [0, 1], NaN where a bin is empty.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    recall: np.ndarray


def recall_by_length(found: np.ndarray, instances: pa.Table, edges: tuple[float, ...]) -> LengthRecall:
    """The part of the true instances that some prediction hit, by their length.

    Predictions of any score count, and each hits at most one instance: it is the matching of detection mAP.
    An instance that is reversed or of no length is in no bin.

    Args:
        found: `[M, T]` bool of `DetectionMAP`, by true instance and tIoU threshold.
        instances: the M true instances, table of `INSTANCES_SCHEMA`.
        edges: E rising lengths in seconds that cut E + 1 bins; a bin includes its upper edge.
    """
    lengths = instances["t_end"].to_numpy() - instances["t_start"].to_numpy()
    bins = np.searchsorted(edges, lengths, side="left")
    members = [(bins == b) & (lengths > 0) for b in range(len(edges) + 1)]
    counts = np.array([member.sum() for member in members])
    hits = np.stack([found[member].sum(axis=0) for member in members])
    recall = np.full(hits.shape, np.nan)
    np.divide(hits, counts[:, None], out=recall, where=counts[:, None] > 0)
    bounds = [f"{edge:g}" for edge in (0.0, *edges)]
    names = [f"{low}-{high} s" for low, high in itertools.pairwise(bounds)]
    return LengthRecall((*names, f"over {bounds[-1]} s"), counts, recall)
