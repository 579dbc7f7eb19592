"""The page: one HTML file that holds its data, its code and its looks, and asks nothing of any network."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.error_analysis import KINDS
from pipeline.evaluation.indexed import index_segments
from pipeline.report.overview import RECALLS
from pipeline.report.packed import pack
from pipeline.report.runs import ReportedRun
from pipeline.segments.threshold import ScoreThreshold

_BROWSER = files("pipeline.report.browser")
# In this order, for later ones use earlier ones.
_SCRIPTS = (
    "data.js", "elements.js", "state.js", "edits.js", "shown.js", "drawing.js", "lanes.js", "list.js", "player.js",
    "inspector.js", "charts.js", "error_charts.js", "overview.js", "export.js", "keyboard.js", "filters.js",
    "start.js",
)  # fmt: skip
_STYLES = ("look.css", "parts.css", "charts.css", "layout.css")
_MILLISECONDS = 2**31 - 1  # the latest time of a prediction, 24 days


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: its heading.
        videos: V videos with what is true of them, and all labels.
        lasting: `[V]` bool, whether a duration is known, or only when the last segment ends.
        runs: predictions by these videos and labels.
        threshold: where the score slider begins.
        digest: of the predictions, under which corrections are kept.
        truth: whether it is known.
        tiou: the threshold of errors.
        thresholds: of detection mAP.
        figures: of each run, what `ScoredRun` tells; none without truth.
        whole: `[V]` of each run, how many predictions there are, of which the page may hold only the best.
        sources: video id -> what to play.
        numbers: video id -> its number at the server.
        links: video id -> the page with all of its segments, of those that this page holds a part of.
        back: the page that shows all videos, where this one does not.
        notes: lines that say what is left out.
        subset: of the dataset, where there is truth.
        salience: video id -> `{"times": [...], place: [...]}`.
    """

    title: str
    videos: Annotations
    lasting: np.ndarray
    runs: Sequence[ReportedRun]
    threshold: ScoreThreshold
    digest: str
    truth: bool
    tiou: float = 0.5
    thresholds: Sequence[float] = ()
    figures: Sequence[Mapping[str, Any]] = ()
    whole: Sequence[np.ndarray] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    back: str | None = None
    notes: Sequence[str] = ()
    subset: str = ""
    salience: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)


def page_html(page: Page, code: str | None = None) -> bytes:
    """The file. With `code`, the URL of a folder, `page.js` and `page.css` are taken from there instead of held."""
    script, style = page_code()
    columns, packed = pack(_columns(page))
    about = _about(page) | {"columns": columns}
    if code is None:
        allowed = {"script": _hash(script), "style": _hash(style)}
        script, style = f"<script>{script}</script>", f"<style>{style}</style>"
    else:
        allowed = {"script": "'self' file:", "style": "'self' file:"}
        style = f'<link rel="stylesheet" href="{code}/page.css">'
        script = f'<script src="{code}/page.js" defer></script>'
    parts = {
        "policy": f"default-src 'none'; script-src {allowed['script']}; style-src {allowed['style']}; "
        "img-src data: blob:; media-src * file: blob: data:; base-uri 'none'; form-action 'none'",
        "title": html.escape(page.title),
        "style": style,
        "about": as_script(about),
        "columns": packed,
        "script": script,
    }
    template = _text("page.html")
    begin, *rest = template.split("{{")
    pieces = [begin]
    for piece in rest:
        name, _, text = piece.partition("}}")
        pieces += [parts[name], text]
    return "".join(pieces).encode()


def page_code() -> tuple[str, str]:
    """The script and the style of every page."""
    script = "\n".join(_text(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{script}\n}})();\n', "\n".join(_text(name) for name in _STYLES)


def as_script(content: Any) -> str:
    """JSON that means the same inside a script element, whatever texts are in it: nothing there ends the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)  # ASCII only
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _about(page: Page) -> dict[str, Any]:
    videos = page.videos.videos
    ids = videos["video_id"].to_pylist()
    return {
        "title": page.title,
        "digest": page.digest,
        "truth": page.truth,
        "subset": page.subset,
        "tiou": page.tiou,
        "thresholds": list(page.thresholds),
        "kinds": list(KINDS),
        "recalls": [round(float(recall), 4) for recall in RECALLS],
        "threshold": {"value": page.threshold.value, "origin": page.threshold.origin},
        "labels": list(page.videos.labels),
        "videos": {
            "id": ids,
            "subset": videos["subset"].to_pylist() if page.truth else [],
            "source": [page.sources.get(video_id) for video_id in ids],
            "number": [page.numbers.get(video_id) for video_id in ids],
            "link": [page.links.get(video_id) for video_id in ids],
        },
        "runs": [
            {"name": run.name, "url": run.url, "figures": page.figures[place] if page.figures else None}
            for place, run in enumerate(page.runs)
        ],
        "back": page.back,
        "notes": list(page.notes),
        "salience": dict(page.salience),
    }


def _columns(page: Page) -> dict[str, np.ndarray]:
    """Everything of a length, by name; predictions in whole milliseconds, the truth as it was written."""
    truth = index_segments(page.videos.instances, page.videos)
    order = np.lexsort((truth.labels, truth.seconds[:, 0], truth.videos))
    labels = np.min_scalar_type(max(0, len(page.videos.labels) - 1))
    if labels.itemsize > 2:
        labels = np.dtype(np.uint32)
    duration = [value or 0.0 for value in page.videos.videos["duration"].to_pylist()]
    columns = {
        "video.duration": np.array(duration, dtype=np.float64),
        "video.lasting": page.lasting.astype(np.uint8),
        "truth.first": np.searchsorted(truth.videos[order], np.arange(len(duration) + 1)).astype(np.uint32),
        "truth.start": truth.seconds[order, 0],
        "truth.end": truth.seconds[order, 1],
        "truth.label": truth.labels[order].astype(labels),
    }
    for place, run in enumerate(page.runs):
        start, end = _milliseconds(run.found.seconds).T
        columns |= {
            f"run{place}.first": run.first.astype(np.uint32),
            f"run{place}.start": start,
            f"run{place}.length": end - start,
            f"run{place}.label": run.found.labels.astype(labels),
            f"run{place}.score": run.found.scores.astype(np.float32),
            f"run{place}.whole": np.asarray(
                page.whole[place] if page.whole else np.diff(run.first), dtype=np.uint32
            ),
        }
        if page.truth:
            columns |= {
                f"run{place}.kind": run.kinds.astype(np.uint8),
                f"run{place}.tiou": np.rint(255 * np.clip(run.tious, 0, 1)).astype(np.uint8),
                f"run{place}.found": run.found_scores[order].astype(np.float32),
            }
    return columns


def _milliseconds(seconds: np.ndarray) -> np.ndarray:
    return np.rint(1000 * np.clip(seconds, -_MILLISECONDS / 1000, _MILLISECONDS / 1000)).astype(np.int32)


def _text(name: str) -> str:
    return (_BROWSER / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
