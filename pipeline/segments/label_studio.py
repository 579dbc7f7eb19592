"""Segments as tasks of Label Studio with predictions, which people correct there; and the project's configuration."""

import json
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from pipeline.segments.tables import ordered

_CONTROL, _VIDEO = "action", "video"


def label_studio_tasks(segments: pa.Table, files: Mapping[str, str], fps: float, model: str) -> bytes:
    """The file's content: a task for each video, its segments as predicted regions of `TimelineLabels`.

    Times become frames as `read_label_studio` reads them: counted from 1, the last included.

    Args:
        segments: table of `SEGMENTS_SCHEMA`.
        files: video id -> URL of its file, as the server can open it; of others the id stands there.
        fps: frames a second; the configuration of `label_studio_config` has the same.
        model: what to call the predictions.
    """
    tasks: dict[str, list[dict[str, object]]] = {}
    for number, row in enumerate(ordered(segments).to_pylist()):
        first = max(0, round(row["t_start"] * fps)) + 1
        last = max(first, round(row["t_end"] * fps))
        tasks.setdefault(row["video_id"], []).append(
            {
                "id": f"s{number}",
                "from_name": _CONTROL,
                "to_name": _VIDEO,
                "type": "timelinelabels",
                "score": row["score"],
                "value": {"ranges": [{"start": first, "end": last}], "timelinelabels": [row["label"]]},
            }
        )
    content = [
        {
            "data": {"video": files.get(video_id, video_id), "video_id": video_id, "fps": fps},
            "predictions": [{"model_version": model, "result": regions}],
        }
        for video_id, regions in tasks.items()
    ]
    return json.dumps(content).encode()


def label_studio_config(labels: Sequence[str], fps: float) -> bytes:
    """The labelling configuration of a project for `label_studio_tasks`, with these classes."""
    lines = [
        "<View>",
        f'  <TimelineLabels name="{_CONTROL}" toName="{_VIDEO}">',
        *(f"    <Label value={quoteattr(label)}/>" for label in labels),
        "  </TimelineLabels>",
        f'  <Video name="{_VIDEO}" value="$video" frameRate="{fps:g}" timelineHeight="120"/>',
        "</View>",
    ]
    return ("\n".join(lines) + "\n").encode()
