"""Segments as a project of VIA 3, the VGG Image Annotator for video, which opens without a server."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipeline.segments.tables import ordered

_VIDEO = 4  # VIA's number of the kind of file
_ON_DISK, _AT_URL = 1, 2
_TEXT = 1
_ATTRIBUTE = "1"


def via_project(segments: pa.Table, files: Mapping[str, str], name: str) -> bytes:
    """The file's content: each video a view, each segment a temporal segment whose text is its class.

    Args:
        segments: table of `SEGMENTS_SCHEMA`.
        files: video id -> URL of its file; one of another video is asked for by VIA when it opens the project.
        name: of the project.
    """
    rows = ordered(segments).to_pylist()
    ids: Sequence[str] = list(dict.fromkeys(row["video_id"] for row in rows))
    number = {video_id: str(place + 1) for place, video_id in enumerate(ids)}
    metadata = {
        f"{number[row['video_id']]}_s{place}": {
            "vid": number[row["video_id"]],
            "flg": 0,
            "z": [round(row["t_start"], 3), round(row["t_end"], 3)],
            "xy": [],
            "av": {_ATTRIBUTE: row["label"]},
        }
        for place, row in enumerate(rows)
    }
    content = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": name,
            "creator": "raytad",
            "created": 0,
            "vid_list": list(number.values()),
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": False,
                "temporal_segment_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
                "gtimeline_visible_row_count": "4",
            },
        },
        "attribute": {
            _ATTRIBUTE: {
                "aname": "TEMPORAL-SEGMENTS",
                "anchor_id": "FILE1_Z2_XY0",
                "type": _TEXT,
                "desc": "Class of the action",
                "options": {},
                "default_option_id": "",
            }
        },
        "file": {key: _file(key, files.get(video_id), video_id) for video_id, key in number.items()},
        "metadata": metadata,
        "view": {key: {"fid_list": [key]} for key in number.values()},
    }
    return json.dumps(content).encode()


def _file(key: str, url: str | None, video_id: str) -> dict[str, object]:
    if url is None:
        return {"fid": key, "fname": video_id, "type": _VIDEO, "loc": _ON_DISK, "src": ""}
    return {"fid": key, "fname": url, "type": _VIDEO, "loc": _AT_URL, "src": url}
