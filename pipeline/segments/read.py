"""Where predicted segments come from: a folder that predict wrote, a Parquet file, or another tool's JSON."""

import posixpath
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import pyarrow as pa

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.segments.activitynet_json import read_results
from pipeline.segments.check import check_segments
from pipeline.segments.completeness import read_completeness
from pipeline.segments.flattened import segment_files
from pipeline.segments.schema import SEGMENTS_SCHEMA


def read_segments(predictions: str, video_ids: Collection[str] = ()) -> pa.Table:
    """All of `<predictions>/segments/`, one Parquet file of that schema, or ActivityNet results (`.json`).

    `video_ids` are the dataset's, to which those of a JSON file are fitted (`read_results`). Raises
    InputError where there are no segments, or not of this form.
    """
    if storage.is_folder(storage.join(predictions, "segments")):
        files = partial(segment_files, predictions)
        read = partial(_read_file, video_ids=video_ids)
        tables = list(parquet.read_folder(predictions, read, files=files).values())
    else:
        tables = list(read_tables(predictions, video_ids))
    return pa.concat_tables([SEGMENTS_SCHEMA.empty_table(), *tables])


def read_tables(
    predictions: str, video_ids: Collection[str] = (), columns: Sequence[str] = tuple(SEGMENTS_SCHEMA.names)
) -> Iterator[pa.Table]:
    """These columns of `read_segments`, file after file; raises what it raises, and where a file goes meanwhile."""
    if storage.is_folder(storage.join(predictions, "segments")):
        files = segment_files(predictions)
    elif storage.exists(predictions) and not storage.is_folder(predictions):
        files = [predictions]
    else:
        raise InputError(
            f"predictions={predictions}: neither a folder with segments/ nor a Parquet or .json file; "
            "run predict first"
        )
    return (_read_file(url, video_ids, columns) for url in files)


def folder_of(predictions: str) -> str:
    """The folder that what is said of `predictions` belongs in: itself, or that of the file."""
    return predictions if storage.is_folder(predictions) else posixpath.dirname(predictions)


def are_complete(predictions: str) -> bool | None:
    """Whether predict says that it came to its end in this folder; None where it is no folder of predict's."""
    if not storage.is_folder(storage.join(predictions, "predictions")):
        return None
    return read_completeness(predictions) is not None


def _read_file(
    url: str, video_ids: Collection[str], columns: Sequence[str] = tuple(SEGMENTS_SCHEMA.names)
) -> pa.Table:
    if url.endswith(".json"):
        with storage.open_read(url) as stream:
            return read_results(stream, url, video_ids).select(list(columns))
    return check_segments(parquet.read_table(url, columns), url, columns)
