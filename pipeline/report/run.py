"""The report: a page to look at what was found and to correct it, and pictures of it for papers."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.read import read_subset
from pipeline.errors import InputError
from pipeline.evaluation.class_agnostic import comparable, know_no_class
from pipeline.evaluation.protocols import PROTOCOLS, protocol_name
from pipeline.report.confidence import confidence_figure, proposal_quality
from pipeline.report.pages import Predictions, build_page, write_pages
from pipeline.report.runs import run_names
from pipeline.report.salience import SaliencePanel, salience_figure
from pipeline.report.serving import serve
from pipeline.report.settings import ReportConfig
from pipeline.report.shown import of_videos, predicted_videos, shown_threshold
from pipeline.report.style import drawn
from pipeline.report.timelines import timelines_figure
from pipeline.segments.read import folder_of, read_segments
from pipeline.segments.video_files import video_files
from pipeline.summary import Summary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Content:
    """What there is to show: runs, the videos with what is true of them, whether that is known, and files of videos."""

    runs: tuple[Predictions, ...]
    videos: Annotations
    has_truth: bool
    files: Mapping[str, str]
    named: tuple[str, ...]
    notes: tuple[str, ...]


def report(config: ReportConfig) -> Summary:
    """Write the page `index.html`, `timelines.png`, `confidence.png` and, of a run with salience heads, `salience.png`.

    Predictions without classes (all labelled `action`) are shown beside the truth without classes. Without truth
    there is no `confidence.png`, which a line says, and the others show predictions only. With `serve` it returns when
    somebody presses Ctrl-C.

    Raises InputError where a named video is not in the test subset, or the run has no salience heads.
    """
    content = _read(config)
    in_pictures = list(content.named) or _ids(content.videos)[: config.max_videos]
    folder = config.out or storage.join(folder_of(config.predictions[0]), "report")
    first = content.runs[0].segments
    threshold = shown_threshold(
        config.min_score, first, content.videos, config.dataset.name, has_truth=content.has_truth
    )
    panels = _panels(config, in_pictures, content)
    page = build_page(
        content.runs,
        content.videos.of(content.named) if content.named else content.videos,
        PROTOCOLS[protocol_name(config.dataset.name)],
        threshold,
        has_truth=content.has_truth,
        title=_title(config, content),
        durations_known=content.has_truth,
        files=content.files,
        salience={panel.title: _curves(panel) for panel in panels},
        notes=content.notes,
    )
    outputs = write_pages(
        folder,
        page,
        content.files,
        max_videos=config.page.max_videos,
        max_segments=config.page.max_segments,
    )
    pictures = _pictures(config, content, in_pictures, panels)
    for name, make in pictures.items():
        for form in config.pictures:
            url = storage.join(folder, f"{name}.{form}")
            storage.write_bytes(url, drawn(make, form))
            outputs[name if form == config.pictures[0] else f"{name}, {form}"] = url
    if config.serve:
        serve(folder, content.files, config.port)
    count = 1 + len(pictures) * len(config.pictures)
    return Summary(
        job="report",
        unit="pages and pictures",
        total=count,
        done=count,
        outputs=outputs,
        figures={"timelines show": f"predictions with {threshold}"},
    )


def _read(config: ReportConfig) -> _Content:
    """All that is shown. Raises InputError where there is nothing, or a named video is not there."""
    names = run_names(config.predictions)
    dataset = config.dataset.if_given()
    if dataset is None:
        tables = [read_segments(url) for url in config.predictions]
        for url, table in zip(config.predictions, tables, strict=True):
            if not table.num_rows:
                raise InputError(
                    f"predictions={url}: holds no segment, so that there is nothing to draw; give "
                    "dataset.annotations to draw the truth"
                )
        videos = predicted_videos(pa.concat_tables(tables))
    else:
        truth = read_subset(dataset, dataset.test_subset, raw=True)
        ids = truth.videos["video_id"].to_pylist()
        tables = [read_segments(url, ids) for url in config.predictions]
        labels = list(
            dict.fromkeys(label for table in tables for label in table["label"].unique().to_pylist())
        )
        compared = [comparable(table, truth, agnostic=know_no_class(labels, truth)) for table in tables]
        tables, videos = [table for table, _ in compared], compared[0][1]
    known = _ids(videos)
    named, folders = _named(config.videos, set(known))
    strangers = sorted(set(named) - set(known))
    if strangers:
        subset = f"a video of subset {config.dataset.test_subset!r} with an action to draw"
        raise InputError(
            f"videos={strangers[0]}: not {subset if dataset else 'a video with predicted segments'}; there are "
            f"{len(known)}{f', such as {known[0]!r}' if known else ''}"
        )
    files = video_files(folders, known)
    if folders:
        logger.info("of %d videos, %d have a file in %s", len(known), len(files), ", ".join(folders))
    runs = map(Predictions, names, config.predictions, tables)
    return _Content(
        tuple(runs), videos, dataset is not None, files, tuple(named), tuple(_elsewhere(names, tables, known))
    )


def _elsewhere(names: Sequence[str], tables: Sequence[pa.Table], known: Sequence[str]) -> Iterator[str]:
    """Lines for predictions in videos that are not shown."""
    ids = pa.array(known, type=pa.string())
    for name, table in zip(names, tables, strict=True):
        strange = table.filter(pc.invert(pc.is_in(table["video_id"], value_set=ids)))["video_id"]
        if len(strange):
            among = f"{len(strange)} in {len(strange.unique())}"
            yield f"{name}: left out are predictions in videos without truth ({among})."


def _ids(videos: Annotations) -> list[str]:
    return sorted(videos.videos["video_id"].to_pylist())


def _named(given: Sequence[str], known: set[str]) -> tuple[list[str], list[str]]:
    """What `videos=` says: ids, and URLs at which there are video files; an id that is also a path is an id."""
    named: list[str] = []
    places: list[str] = []
    for item in given:
        is_place = item not in known and (
            "://" in item or any(sign in item for sign in "*?[") or storage.exists(item)
        )
        (places if is_place else named).append(item)
    return named, places


def _title(config: ReportConfig, content: _Content) -> str:
    names = ", ".join(run.name for run in content.runs)
    return (
        f"{config.dataset.name}: {names}" if content.has_truth and config.dataset.name != "custom" else names
    )


def _pictures(
    config: ReportConfig, content: _Content, video_ids: Sequence[str], panels: Sequence[SaliencePanel]
) -> dict[str, Callable[[], Figure]]:
    """Name -> what makes the figure; timelines and salience are those of the first run."""
    if not config.pictures:
        return {}
    segments, videos = content.runs[0].segments, content.videos
    chosen, of_chosen = videos.of(video_ids), of_videos(segments, video_ids)
    threshold = shown_threshold(
        config.min_score, segments, videos, config.dataset.name, has_truth=content.has_truth
    )
    figures: dict[str, Callable[[], Figure]] = {
        "timelines": lambda: timelines_figure(
            of_chosen, chosen, threshold, max_videos=len(video_ids), with_truth=content.has_truth
        )
    }
    if content.has_truth:
        one = len(content.runs) == 1
        figures["confidence"] = lambda: confidence_figure(
            [
                proposal_quality("predictions" if one else run.name, run.segments, videos)
                for run in content.runs
            ]
        )
    else:
        logger.info("without dataset.annotations there is no truth, so confidence.png is left out")
    if panels:
        figures["salience"] = lambda: salience_figure(panels)
    return figures


def _panels(config: ReportConfig, video_ids: Sequence[str], content: _Content) -> list[SaliencePanel]:
    if config.run is None or config.store is None:
        return []
    from pipeline.report.seen import salience_panels  # the only part that needs torch

    return salience_panels(config.run, config.store, video_ids, content.runs[0].segments, content.videos)


def _curves(panel: SaliencePanel) -> dict[str, list[float]]:
    """A panel's curves as the page holds them."""
    columns = {"times": panel.times, **panel.probabilities}
    return {name: np.round(values, 3).astype(float).tolist() for name, values in columns.items()}
