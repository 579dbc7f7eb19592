"""From predictions to the files of a page: what it holds of a run of any size, and pages of single videos."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.protocols import Protocol
from pipeline.file_names import name_of_any, name_problem
from pipeline.records import read_record, record_bytes
from pipeline.report.overview import error_threshold, score_run
from pipeline.report.page import Page, page_code, page_html
from pipeline.report.playable import sources
from pipeline.report.runs import ReportedRun, digest_of, reported_run
from pipeline.segments.threshold import ScoreThreshold

PAGE = "index.html"
VIDEO_PAGES = "pages"
_RECORD = "written.json"  # names of the pages of videos, so that only these ever go
_WRITING_THREADS = 8  # which wait for storage, most of the time


@dataclass(frozen=True)
class Predictions:
    """What one run predicted: its name, the URL, and a table of `SEGMENTS_SCHEMA`."""

    name: str
    url: str
    segments: pa.Table


def build_page(
    runs: Sequence[Predictions],
    videos: Annotations,
    protocol: Protocol,
    threshold: ScoreThreshold,
    *,
    has_truth: bool,
    title: str,
    durations_known: bool,
    files: Mapping[str, str],
    salience: Mapping[str, Mapping[str, list[float]]],
    notes: Sequence[str] = (),
) -> Page:
    """The page of everything, whatever its size.

    Args:
        runs: what was predicted.
        videos: the videos to show with what is true of them; labels that only predictions have follow the others.
        protocol: how predictions are scored, where there is truth.
        threshold: where the score slider begins.
        has_truth: whether it is known what is true.
        title: the page's heading.
        durations_known: whether the videos' durations are theirs, or when the last segment ends.
        files: video id -> URL of its file, of those that can be played.
        salience: video id -> the curves of its salience heads.
        notes: lines that say what is left out.
    """
    videos = Annotations(videos.videos.sort_by("video_id"), videos.instances, videos.labels)
    labels = {label for run in runs for label in run.segments["label"].unique().to_pylist()}
    known = _with_labels(videos, (*videos.labels, *sorted(labels - set(videos.labels))))
    reported = [reported_run(run.name, run.url, run.segments, known) for run in runs]
    figures: list[dict[str, Any]] = []
    if has_truth and videos.labels:
        scored = [score_run(run, videos, protocol) for run in reported]
        reported, figures = [one.run for one in scored], [one.figures for one in scored]
    ids = known.videos["video_id"].to_pylist()
    lasting = known.videos["duration"].is_valid().to_numpy() & durations_known
    return Page(
        title=title,
        videos=known,
        lasting=lasting,
        runs=reported,
        threshold=threshold,
        digest=digest_of(reported, ids, known.labels),
        truth=bool(figures),
        tiou=error_threshold(protocol),
        thresholds=protocol.detection.thresholds,
        figures=figures,
        whole=[np.diff(run.first) for run in reported],
        numbers={video_id: number for number, video_id in enumerate(files)},
        subset=videos.videos["subset"][0].as_py() if has_truth and videos.videos.num_rows else "",
        salience=salience,
        notes=[*notes, *_unscored(reported, figures)],
    )


def write_pages(
    folder: str, page: Page, files: Mapping[str, str], *, max_videos: int, max_segments: int
) -> dict[str, str]:
    """Write `index.html` and, where that holds a part of some videos' predictions, a page for each of these.

    The pages of videos lie in `pages/` and share `page.js` and `page.css` there; `index.html` needs no other file.

    Args:
        folder: URL of the folder; pages of videos that an earlier report wrote go, and nothing else.
        page: everything.
        files: video id -> URL of its file.
        max_videos, max_segments: how many the page may hold; of more videos it shows some evenly by id, of more
            predictions the best of each video.
    Returns:
        Name -> URL of what was written.
    """
    total = page.videos.videos.num_rows
    notes = list(page.notes)
    if total > max_videos:
        page = _of_videos(page, np.linspace(0, total - 1, max_videos).round().astype(np.int64))
        notes.append(f"{max_videos} of {total} videos are shown, evenly by id; the figures are of all.")
    most = _most_of_each([np.diff(run.first) for run in page.runs], max_segments)
    videos_folder = storage.join(folder, VIDEO_PAGES)
    _remove_video_pages(videos_folder)
    links: dict[str, str] = {}
    whole = page
    if most is not None:
        ids = page.videos.videos["video_id"].to_pylist()
        cut = np.max([np.diff(run.first) for run in page.runs], axis=0) > most
        names = {ids[place]: name_of_any(videos_folder, ids[place], ".html") for place in np.flatnonzero(cut)}
        links = {video_id: f"{VIDEO_PAGES}/{quote(name)}" for video_id, name in names.items()}
        notes.append(
            f"Of each video the {most} best predictions are shown; a link on it leads to all of them, "
            "and the figures are of all."
        )
        page = replace(page, runs=[run.best(np.full(len(ids), most)) for run in page.runs])
        _write_video_pages(videos_folder, whole, files, names)
    page = replace(page, sources=sources(folder, files), links=links, notes=notes)
    outputs = {"page": storage.join(folder, PAGE)}
    storage.write_bytes(outputs["page"], page_html(page))
    if links:
        outputs["pages of videos"] = videos_folder
    return outputs


def _remove_video_pages(folder: str) -> None:
    names = read_record(storage.join(folder, _RECORD), list[str], "the list of a report's pages")
    if names is None:
        return
    for name in (*names, "page.js", "page.css", _RECORD):
        if name_problem(folder, name, "") is None:
            storage.remove(storage.join(folder, name))


def _write_video_pages(folder: str, whole: Page, files: Mapping[str, str], names: Mapping[str, str]) -> None:
    script, style = page_code()
    storage.write_bytes(storage.join(folder, _RECORD), record_bytes(list(names.values())))
    storage.write_bytes(storage.join(folder, "page.js"), script.encode())
    storage.write_bytes(storage.join(folder, "page.css"), style.encode())
    place_of = {video_id: place for place, video_id in enumerate(whole.videos.videos["video_id"].to_pylist())}

    def write(video_id: str) -> None:
        url = storage.join(folder, names[video_id])
        depth = names[video_id].count("/")
        page = replace(
            _of_videos(whole, np.array([place_of[video_id]])),
            title=video_id,
            figures=(),
            sources=sources(storage.parent(url), {video_id: files[video_id]} if video_id in files else {}),
            back="../" * (depth + 1) + PAGE,
            notes=[],
        )
        storage.write_bytes(url, page_html(page, "/".join([".."] * depth) or "."))

    with ThreadPoolExecutor(_WRITING_THREADS) as pool:
        for _ in pool.map(write, names):
            pass


def _of_videos(page: Page, places: np.ndarray) -> Page:
    """The page of the videos at these positions alone."""
    ids = [page.videos.videos["video_id"][int(place)].as_py() for place in places]
    videos = page.videos.of(ids)
    kept = np.isin(page.videos.instances["video_id"].to_numpy(zero_copy_only=False), ids)
    return replace(
        page,
        videos=videos,
        lasting=page.lasting[places],
        runs=[
            replace(run.of(places), found_scores=run.found_scores[kept] if page.truth else run.found_scores)
            for run in page.runs
        ],
        whole=[whole[places] for whole in page.whole],
        salience={video_id: curves for video_id, curves in page.salience.items() if video_id in set(ids)},
    )


def _most_of_each(counts: Sequence[np.ndarray], most: int) -> int | None:
    """How many of each video's predictions there may be, so that there are `most` together; None for all."""
    every = np.concatenate(counts)
    if every.sum() <= most:
        return None
    low, high = 1, int(every.max())
    while low < high:  # the highest number whose sum is not over the limit
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(every, middle).sum() <= most else (low, middle - 1)
    return low


def _with_labels(videos: Annotations, labels: tuple[str, ...]) -> Annotations:
    """The same videos and instances with these labels, of which theirs are the first."""
    return Annotations(videos.videos, videos.instances, labels)


def _unscored(runs: Sequence[ReportedRun], figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines for predictions whose class the truth does not know."""
    return [
        f"{run.name}: not scored are predictions of classes that the truth does not know ({told['unscored']})."
        for run, told in zip(runs, figures, strict=False)
        if told["unscored"]
    ]
