"""The demo's folder: what the demo made in it, and nothing else, is its to replace or to delete."""

from pathlib import Path

from pipeline import storage
from pipeline.demo.archive import rendered_files
from pipeline.errors import InputError

VIDEOS, STORE, RUN, PREDICTIONS = "videos", "store", "run", "predictions"
NEW, LABELLED = "new", "labelled"  # a video that no job has seen, and what is found in it
_EARLIER = "timelines.png"  # of demos of earlier versions


def claim(out: Path) -> None:
    """Make sure that `out` is the demo's: absent, empty, or what an earlier demo left.

    Raises InputError where it is a file, or holds something and no demo's archive.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"out={out}: is a file; give a folder that the demo may make")
    held = sorted(path.name for path in out.iterdir() if not _is_empty(path)) if out.exists() else []
    if held and not rendered_files(out / VIDEOS):
        raise InputError(
            f"out={out}: was not made by the demo (it holds {held[0]}); give another out=, or empty it yourself"
        )


def clear(out: Path) -> None:
    """Delete what a demo made in `out`; other files stay, and the folder with them.

    Raises InputError as `claim` does.
    """
    claim(out)
    for name in (_EARLIER, LABELLED, PREDICTIONS, RUN, STORE):
        storage.remove(str(out / name))
    # The archive goes last and its recipe very last: by it an interrupted deletion is known as a demo's.
    for path in (*rendered_files(out / NEW), *rendered_files(out / VIDEOS)):
        path.unlink()
    for folder in (out / NEW, out / VIDEOS, out):
        if _is_empty(folder):
            folder.rmdir()


def _is_empty(path: Path) -> bool:
    """Whether it is a folder without anything in it, such as a kill right at the start leaves."""
    return path.is_dir() and not any(path.iterdir())
