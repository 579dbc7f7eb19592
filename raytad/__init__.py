"""raytad: temporal action detection for whole video archives. This is its door.

The command `raytad` runs jobs. From Python, in a notebook say:

    import raytad

    detect = raytad.load("s3://bucket/run")
    segments = detect("clip.mp4")             # a pyarrow Table: video_id, t_start, t_end, label, score
    segments.to_pandas()
    raytad.timelines(segments)                # a matplotlib Figure
    raytad.segments("s3://bucket/predictions")
    raytad.open_store("s3://bucket/store").load("a video's id")

What a user can cause is raised as `raytad.InputError`, of one line.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.errors import InputError
    from raytad.notebook import Detector, load, open_store, segments, timelines, truth

__all__ = ["Detector", "InputError", "__version__", "load", "open_store", "segments", "timelines", "truth"]
__version__ = version("raytad")


def __getattr__(name: str) -> Any:
    """What is exported, imported when it is asked for: the command's help needs neither torch nor Arrow."""
    if name == "InputError":
        from pipeline.errors import InputError

        return InputError
    if name in __all__:
        from raytad import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'raytad' has no attribute {name!r}")
