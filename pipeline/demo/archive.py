"""The demo's archive on disk: H.264 files and their annotations, rendered where they are not there yet."""

import hashlib
import json
import logging
import os
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import av

from pipeline import storage
from pipeline.demo.scene import frames
from pipeline.demo.timetable import CLASSES, SUBSETS, VideoSpec
from pipeline.errors import InputError
from pipeline.progress import Progress
from pipeline.screen import shown

logger = logging.getLogger(__name__)

# Usual settings: B-frames, and a key frame every four seconds, so that reading has something to seek over.
_SECONDS_PER_GROUP = 4
# No macroblock tree: with B-frames, its assembly lets leftover memory decide on quantisers, and no two renders agree.
_ENCODER = {"preset": "veryfast", "crf": "21", "bf": "3", "mbtree": "0"}
_RECIPE, _ANNOTATIONS = "recipe.txt", "annotations.json"
_VIDEO_NAME = re.compile(rf"({'|'.join(SUBSETS)})_\d{{3,}}\.(mp4|partial)")


def render_archive(folder: Path, specs: list[VideoSpec], processes: int | None = None) -> Path:
    """Render the videos that are not there yet, in parallel, and write `annotations.json` beside them.

    Files are complete or absent, also after a kill. Videos of other specs, or painted by other code, are rendered
    again. Files that no demo made are never touched.

    Args:
        folder: made where it is not there.
        specs: from `plan_archive`.
        processes: how many render; as many as there are CPUs unless given.
    Returns:
        The path of the annotations (ActivityNet-style JSON, seconds).
    """
    folder.mkdir(parents=True, exist_ok=True)
    _forget_other_recipes(folder, specs)
    missing = [spec for spec in specs if not (folder / f"{spec.video_id}.mp4").exists()]
    logger.info("%d of %d videos to render in %s", len(missing), len(specs), folder)
    if missing:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            progress = Progress("videos rendered", len(missing))
            with shown(progress):
                for done, _ in enumerate(pool.map(partial(render_video, folder=folder), missing), start=1):
                    progress.reached(done)
    annotations = folder / _ANNOTATIONS
    storage.write_bytes(str(annotations), json.dumps(truth_of(specs), indent=1).encode())
    return annotations


def render_video(spec: VideoSpec, folder: Path) -> Path:
    """Encode one video to `folder/<video_id>.mp4`, which appears whole or not at all."""
    path = folder / f"{spec.video_id}.mp4"
    partial_path = path.with_suffix(".partial")
    with av.open(str(partial_path), "w", format="mp4") as container:
        options = _ENCODER | {"g": str(_SECONDS_PER_GROUP * spec.fps)}
        stream = container.add_stream("libx264", rate=spec.fps, options=options)
        stream.width, stream.height = spec.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames(spec):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    os.replace(partial_path, path)
    return path


def truth_of(specs: list[VideoSpec]) -> dict[str, object]:
    """The archive's annotations as ActivityNet-style JSON: exactly the times that are rendered, in seconds."""
    return {
        "classes": list(CLASSES),
        "database": {
            spec.video_id: {
                "subset": spec.subset,
                "duration": spec.duration,
                "fps": spec.fps,
                "annotations": [
                    {"segment": list(spec.seconds(action)), "label": action.label} for action in spec.actions
                ],
            }
            for spec in specs
        },
    }


def rendered_files(folder: Path) -> list[Path]:
    """What `render_archive` has made in `folder`, its recipe last; nothing where it has never been there."""
    recipe = folder / _RECIPE
    if not recipe.is_file() or not re.fullmatch("[0-9a-f]{64}", recipe.read_text(errors="replace")):
        return []
    videos = [path for path in sorted(folder.iterdir()) if _VIDEO_NAME.fullmatch(path.name)]
    return [*videos, *[path for path in [folder / _ANNOTATIONS] if path.exists()], recipe]


def _forget_other_recipes(folder: Path, specs: list[VideoSpec]) -> None:
    """Delete the videos where they were not made from these specs by this code.

    Raises InputError where the folder holds videos that no demo made.
    """
    digest = hashlib.sha256(repr(specs).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        if source.name not in ("run.py", "folder.py"):
            digest.update(source.read_bytes())
    made = rendered_files(folder)
    strangers = set(folder.glob("*.mp4")) - set(made)
    if strangers:
        raise InputError(f"{folder}: holds {min(strangers).name}, which no demo made; give another out=")
    if not made or made[-1].read_text() != digest.hexdigest():
        for path in made:
            path.unlink()
        storage.write_bytes(str(folder / _RECIPE), digest.hexdigest().encode())
