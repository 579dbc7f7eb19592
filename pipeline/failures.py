"""Failures are data: one row for each thing that was lost, in `<store>/failures/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from pipeline import parquet, storage
from pipeline.errors import InputError


class FailureKind(StrEnum):
    """Why a video, or a part of it, could not be processed."""

    UNREADABLE = "unreadable"  # missing, forbidden, or not a media file
    STORAGE = "storage"  # its storage did not answer or refused; tried again by the next run of the command
    NO_VIDEO_STREAM = "no_video_stream"  # audio only, or attached pictures only
    TRUNCATED = "truncated"  # the stream ends well before the duration that its header states
    DECODE_ERROR = "decode_error"  # the decoder gave up
    TIMEOUT = "timeout"  # a hang, or work that takes longer than is allowed
    OUT_OF_MEMORY = "out_of_memory"  # decoding needs more memory than is allowed
    CRASH = "crash"  # the process that decodes died
    BACKBONE_ERROR = "backbone_error"  # frames were decoded but the network rejected them
    BAD_FEATURES = "bad_features"  # a published array's shape, type, length or values are not of features
    UNKNOWN_RATE = "unknown_rate"  # the timeline follows each video's own rate and nothing tells it
    MISSING_FEATURES = "missing_features"  # the feature store has no complete features for the video
    UNWRITABLE = "unwritable"  # no file can have the name that the video's id makes it
    DETECTOR_ERROR = "detector_error"  # features were read but the detector failed on them


FAILURES_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("uri", pa.string()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Failure:
    """One lost video or chunk: `stage` is where it was lost (probe, extract, import, export, predict)."""

    video_id: str
    uri: str | None
    stage: str
    kind: FailureKind
    message: str


def failures_table(failures: Sequence[Failure]) -> pa.Table:
    """Arrow table of `FAILURES_SCHEMA`, in the order given."""
    rows = [
        {"video_id": f.video_id, "uri": f.uri, "stage": f.stage, "kind": str(f.kind), "message": f.message}
        for f in failures
    ]
    return pa.Table.from_pylist(rows, schema=FAILURES_SCHEMA)


def read_failures(folder: str) -> list[Failure]:
    """All rows of a `failures/` folder; none where there is no folder.

    Raises InputError naming a file that is damaged, or has kinds that this version does not know.
    """
    found = []
    for url, table in parquet.read_folder(folder, parquet.read_table).items():
        for row in table.to_pylist():
            if row["kind"] not in set(FailureKind):
                raise InputError(
                    f"{url}: has a failure of kind {row['kind']!r}, by another version of raytad; use that"
                )
            found.append(Failure(**row | {"kind": FailureKind(row["kind"])}))
    return list(dict.fromkeys(found))


def distinct_failures(failures: pa.Table) -> pa.Table:
    """The rows of a table of `FAILURES_SCHEMA`, in their order, each once: files that are merged may tell one twice."""
    rows = list(zip(*(column.to_pylist() for column in failures.columns), strict=True))
    if len(set(rows)) == len(rows):
        return failures
    first = dict(zip(reversed(rows), reversed(range(len(rows))), strict=True))
    return failures.take(pa.array(sorted(first.values())))


def replace_failures(url: str, failures: Sequence[Failure]) -> None:
    """Let the file at `url` hold these, or be away where there are none. Raises as storage does."""
    if failures:
        parquet.write_table(url, failures_table(failures))
    else:
        storage.remove(url)


def split_error(error: str) -> tuple[FailureKind, str]:
    """The kind and the message in the `error` column of a row."""
    kind, _, message = error.partition(": ")
    return FailureKind(kind), message


def join_error(kind: FailureKind, message: str) -> str:
    """The `error` column of what was lost: the inverse of `split_error`."""
    return f"{kind}: {message}"
