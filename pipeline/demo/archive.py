"""(draft)"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av

from pipeline.demo.scene import frames
from pipeline.demo.timetable import VideoSpec


def render_video(spec: VideoSpec, folder: Path) -> Path:
    path = folder / f"{spec.video_id}.mp4"
    temporary = path.with_suffix(".partial")
    with av.open(str(temporary), "w", format="mp4") as c:
        s = c.add_stream(
            "libx264",
            rate=spec.fps,
            options={"preset": "veryfast", "crf": "21", "g": str(4 * spec.fps), "bf": "3"},
        )
        s.width, s.height = spec.size
        s.pix_fmt = "yuv420p"
        s.codec_context.thread_count = 1
        for f in frames(spec):
            c.mux(s.encode(av.VideoFrame.from_ndarray(f, format="rgb24")))
        c.mux(s.encode())
    os.replace(temporary, path)
    return path


def render_archive(folder: Path, specs, processes=2):
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(render_video, specs, [folder] * len(specs)))
