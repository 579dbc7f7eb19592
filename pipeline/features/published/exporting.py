"""Export: a feature store -> one `.npy` file a video, for tools that read nothing else."""

import errno
import io
import json
import logging
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np
import ray

from pipeline import storage
from pipeline.cluster.parallel import run_batches
from pipeline.cluster.runtime import connect
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind, replace_failures
from pipeline.features.index import StoreIndex
from pipeline.features.published.settings import ExportFeaturesConfig
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures
from pipeline.file_names import name_problem
from pipeline.lease import hold
from pipeline.outages import OutageError
from pipeline.progress import Progress
from pipeline.screen import shown
from pipeline.summary import Summary

logger = logging.getLogger(__name__)

_VIDEOS_PER_TASK = 8
_SHOWN_CHARACTERS = 60
# What a storage says of a name that it does not take, where the rules above do not know it.
_NAME_ERRORS = frozenset(
    {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
)


def export_features(config: ExportFeaturesConfig) -> Summary:
    """Write a store's features as `.npy` files; the same command continues after any stop.

    `<out>/<video_id>.npy` is `[T, dim]`; `<out>/videos.json` holds the duration, the rate and the snippets of each
    video, in the form that `info=` of import_features takes, and `<out>/feature_spec.json` what made the features.
    """
    store = FeatureStore(config.store)
    videos = _chosen(store, config.only)
    with hold(config.out, "out", "export_features", config.force):
        return _export(config, store, videos)


def _export(config: ExportFeaturesConfig, store: FeatureStore, videos: StoreIndex) -> Summary:
    storage.remove_partial(config.out)
    _claim_folder(config.out, store.spec)
    _write_facts(config.out, store)
    lengths = dict(zip(videos, videos.num_snippets.tolist(), strict=True))
    incomplete = set(videos.ids(~videos.complete).to_pylist())
    problems = {
        video_id: name_problem(config.out, video_id, ".npy") for video_id in lengths.keys() - incomplete
    }
    unnamed = [
        _unwritable(videos[video_id], f"the id {problem}")
        for video_id, problem in sorted(problems.items())
        if problem is not None
    ]
    kept_out = incomplete | {failure.video_id for failure in unnamed}
    written = {file.url: file.size for file in storage.list_files(config.out)}
    dtype = np.dtype(config.dtype)
    pending = [
        video_id
        for video_id, length in lengths.items()
        if video_id not in kept_out
        and written.get(storage.absolute(npy_url(config.out, video_id)))
        != _npy_size(length, store.spec.dim, dtype)
    ]
    logger.info(
        "%d videos in %s: %d to export, %d done, %d incomplete in the store, %d whose ids are no file names",
        len(videos), config.store, len(pending), len(videos) - len(pending) - len(kept_out), len(incomplete),
        len(unnamed),
    )  # fmt: skip
    broken = _export_all(config, store, pending)
    failed, skipped = [*unnamed, *broken], [_incomplete(videos[video_id]) for video_id in sorted(incomplete)]
    failures = [*failed, *skipped]
    replace_failures(storage.join(config.out, "failures", "export.parquet"), failures)
    done = len(pending) - len(broken)
    return Summary(
        job="export_features",
        unit="videos",
        total=len(videos),
        done=done,
        already_done=len(videos) - done - len(failures),
        skipped=len(skipped),
        failed=len(failed),
        outputs={"features": config.out},
        allow_failures=config.allow_failures,
        failures=failures,
        failures_in=f"out={config.out}",
    )


def npy_url(out: str, video_id: str) -> str:
    """Where the features of a video go. Raises InputError for an id that no file in the folder can have as its name."""
    if problem := name_problem(out, video_id, ".npy"):
        raise InputError(f"out={out}: video id {shortened(video_id)} {problem}")
    return storage.join(out, f"{video_id}.npy")


def shortened(video_id: str) -> str:
    """An id for a message: quoted, with what cannot be printed escaped, and not for pages."""
    text = repr(video_id)
    return (
        text
        if len(text) <= _SHOWN_CHARACTERS
        else f"{text[:_SHOWN_CHARACTERS]}... ({len(video_id)} characters)"
    )


def npy_bytes(values: np.ndarray) -> bytes:
    """The array as a `.npy` file."""
    sink = io.BytesIO()
    np.lib.format.write_array(sink, values, allow_pickle=False)
    return sink.getvalue()


def _npy_size(length: int, dim: int, dtype: np.dtype[Any]) -> int:
    """Bytes of the `.npy` file of a `[length, dim]` array: files appear whole, so a file of this size is done."""
    header = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (length, dim),
    }
    np.lib.format.write_array_header_1_0(header, description)
    return header.tell() + length * dim * dtype.itemsize


def _chosen(store: FeatureStore, patterns: tuple[str, ...]) -> StoreIndex:
    """The videos to export. Raises InputError where a pattern matches none, or the store is empty."""
    index = store.index()
    for pattern in patterns:
        if not any(fnmatchcase(video_id, pattern) for video_id in index):
            raise InputError(f"only={pattern}: the store has no such video; it has {len(index)} others")
    if not index:
        raise InputError(f"store={store.url}: holds no video; run extract or import_features")
    if not patterns:
        return index
    chosen = [any(fnmatchcase(video_id, pattern) for pattern in patterns) for video_id in index]
    return index.only(np.flatnonzero(chosen))


def _claim_folder(out: str, spec: FeatureSpec) -> None:
    """Write the spec into the folder. Raises InputError where it holds features of another one."""
    url = storage.join(out, "feature_spec.json")
    storage.create_exclusively(url, spec.to_json())
    differences = FeatureSpec.from_json(storage.read_bytes(url), url).differences(spec)
    if differences:
        raise InputError(
            f"out={out}: holds other features ({'; '.join(differences)}, where 'here' is the folder and 'there' the "
            "store); use another out="
        )


def _write_facts(out: str, store: FeatureStore) -> None:
    videos = store.index().videos
    facts = dict(
        zip(
            videos["video_id"].to_pylist(),
            videos.select(["duration", "fps", "num_snippets"]).to_pylist(),
            strict=True,
        )
    )
    storage.write_bytes(storage.join(out, "videos.json"), json.dumps(facts, indent=1).encode())


def _export_all(config: ExportFeaturesConfig, store: FeatureStore, video_ids: list[str]) -> list[Failure]:
    """Write the files of these videos in parallel; a failure for each that could not be read."""
    if not video_ids:
        return []
    connect(config.ray)
    shared = ray.put(store)  # with its index, which would otherwise be read again by every task
    failures: list[Failure] = []
    done, progress = 0, Progress("videos", len(video_ids))
    export = partial(_export_batch, shared, config.out, config.dtype)
    with shown(progress, to_the_end=True):
        for batch, failed in run_batches(export, video_ids, _VIDEOS_PER_TASK, config.cpus):
            failures += failed
            done += batch
            progress.reached(done, failed=len(failures))
    return failures


def _export_batch(
    shared: ray.ObjectRef, out: str, dtype: str, video_ids: list[str]
) -> tuple[int, list[Failure]]:
    store: FeatureStore = ray.get(shared)
    failures: list[Failure] = []
    for video_id in video_ids:
        try:
            values = store.load(video_id).astype(dtype, copy=False)
        except OutageError:
            raise  # no fact about any video
        except (InputError, OSError) as error:
            uri = store.index()[video_id].uri
            failures.append(Failure(video_id, uri, "export", FailureKind.UNREADABLE, str(error)))
            continue
        try:
            storage.write_bytes(npy_url(out, video_id), npy_bytes(values))
        except (InputError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in _NAME_ERRORS:
                raise  # a full disk, say, is no fault of this video
            failures.append(_unwritable(store.index()[video_id], str(cause)))
    return len(video_ids), failures


def _unwritable(video: VideoFeatures, reason: str) -> Failure:
    return Failure(video.video_id, video.uri, "export", FailureKind.UNWRITABLE, reason)


def _incomplete(video: VideoFeatures) -> Failure:
    reason = f": {video.failure.message}" if video.failure else ""
    return Failure(
        video.video_id,
        video.uri,
        "export",
        FailureKind.MISSING_FEATURES,
        f"not all of its {video.num_snippets} snippets are stored{reason}",
    )
