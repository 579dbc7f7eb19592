"""Charades' own CSV files, one for training and one for testing."""

import csv
import io
import math
import posixpath
from collections.abc import Iterator
from typing import IO

from pipeline.annotations.malformed import LEAST, MOST
from pipeline.annotations.published import Published
from pipeline.errors import InputError

_COLUMNS = ("id", "actions", "length")
_SUBSETS = {"train": "training", "test": "testing"}


def read_charades_csv(stream: IO[bytes], name: str) -> Published:
    """Read columns `id`, `actions` ("c092 11.90 21.20;c147 0.00 12.60", may be empty) and `length` (seconds).

    The subset is `training` or `testing` by the file's name (`Charades_v1_train.csv`, `Charades_v1_test.csv`).
    Labels stay `c092`; a class list gives them names.

    Raises InputError where the file is not of this format; names the file, the line, the video and the column.
    """
    subset = _subset_of(name)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        rows = csv.DictReader(text, strict=True)
        lacking = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
        if lacking:
            raise InputError(f"{name}: has no column {lacking[0]}; not a CSV file of Charades")
        videos: dict[str, float] = {}
        instances: list[tuple[str, float, float, str]] = []
        for row in rows:
            video_id, length = row["id"], row["length"]
            where = f"{name}: line {rows.line_num}, video {video_id!r}"
            if not video_id or video_id in videos:
                raise InputError(f"{where}, id: must be given once")
            videos[video_id] = _number(length, f"{where}, length")
            if videos[video_id] < LEAST:
                raise InputError(f"{where}, length: must be positive, not {length!r}")
            instances += ((video_id, *action) for action in _actions(row["actions"] or "", where))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name}: not a CSV file of Charades ({error})") from None
    finally:
        text.detach()
    return Published.of_rows(
        [(video_id, subset, duration, None) for video_id, duration in videos.items()], instances
    )


def _subset_of(name: str) -> str:
    file = posixpath.basename(name).lower()
    subsets = [subset for word, subset in _SUBSETS.items() if word in file]
    if len(subsets) != 1:
        raise InputError(f"{name}: Charades' subset is read from the file's name; it must hold train or test")
    return subsets[0]


def _actions(text: str, where: str) -> Iterator[tuple[float, float, str]]:
    for index, action in enumerate(text.split(";") if text.strip() else ()):
        words = action.split()
        if len(words) != 3:
            raise InputError(f"{where}, actions[{index}]: must be 'class start end', not {action!r}")
        place = f"{where}, actions[{index}]"
        yield _number(words[1], place), _number(words[2], place), words[0]


def _number(text: str | None, where: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not abs(number) <= MOST:
        most = f" up to {MOST:g}" if abs(number) > MOST else ""
        raise InputError(f"{where}: must be a number{most}, not {text!r:.60}")
    return number
