"""ActivityNet results JSON: the form in which other tools exchange predicted segments."""

import json
from collections.abc import Collection, Iterable
from typing import IO, Annotated

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field, ValidationError

from pipeline.annotations.malformed import first_problem
from pipeline.annotations.one_class import FOREGROUND
from pipeline.errors import InputError
from pipeline.segments.schema import SEGMENTS_SCHEMA

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_MARK = "v_"  # that some files put before ActivityNet's ids


class _Detection(BaseModel):
    segment: tuple[Finite, Finite]
    score: Finite
    label: Annotated[str, Field(strict=True)] | Annotated[int, Field(strict=True)] = FOREGROUND


class _Results(BaseModel):
    results: dict[str, list[_Detection]]


def read_results(stream: IO[bytes], name: str, video_ids: Collection[str] = ()) -> pa.Table:
    """Read `{"results": {video: [{"segment": [start, end], "score", "label"}]}}`; other keys are left alone.

    A number as label becomes its text; proposals, which have none, are labelled `action`.

    Args:
        stream: the open file.
        name: what to call the file in messages.
        video_ids: the dataset's ids. One in the file that is not among them takes the form that is: with
            `v_` before it, or without.
    Returns:
        Table of `SEGMENTS_SCHEMA`, in the order of the file.
    Raises:
        InputError: the file is not of this format, naming the file, the video and the field.
    """
    try:
        results = _Results.model_validate_json(stream.read()).results
    except ValidationError as error:
        raise InputError(f"{name}: {first_problem(error, videos_at=('results',))}") from None
    known = set(video_ids)
    renamed = {written: _as_known(written, known) for written in results}
    if len(set(renamed.values())) < len(renamed):
        twice = next(written for written, video_id in renamed.items() if video_id != written)
        raise InputError(f"{name}: video {twice!r} is also listed as {renamed[twice]!r}; keep one of the two")
    rows = [(renamed[written], found) for written, all_found in results.items() for found in all_found]
    columns = {
        "video_id": [video_id for video_id, _ in rows],
        "t_start": [found.segment[0] for _, found in rows],
        "t_end": [found.segment[1] for _, found in rows],
        "label": [str(found.label) for _, found in rows],
        "score": [found.score for _, found in rows],
    }
    return pa.table(columns, schema=SEGMENTS_SCHEMA)


def results_json(table: pa.Table, video_ids: Iterable[str] = ()) -> bytes:
    """The file's content for a table of `SEGMENTS_SCHEMA`: in each video best first.

    Videos stand in the order of `video_ids`, then of the table; one without a segment has an empty list.
    """
    best_first = table.take(np.argsort(-table["score"].to_numpy(), kind="stable"))
    results: dict[str, list[dict[str, object]]] = {
        video_id: [] for video_id in (*video_ids, *table["video_id"].unique().to_pylist())
    }
    for row in best_first.to_pylist():
        results[row["video_id"]].append(
            {"label": row["label"], "score": row["score"], "segment": [row["t_start"], row["t_end"]]}
        )
    content = {"version": "VERSION 1.3", "results": results, "external_data": {"used": False, "details": ""}}
    return json.dumps(content).encode()


def _as_known(written: str, known: set[str]) -> str:
    other = written.removeprefix(_MARK) if written.startswith(_MARK) else _MARK + written
    return other if written not in known and other in known else written
