"""Records: JSON files of our own, checked, and named where they are damaged."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.records import DamagedRecordError, parse_record, read_record, write_record


@dataclass(frozen=True)
class Point:
    name: str
    at: tuple[float, ...]
    counts: dict[str, int | float]


POINT = Point("é", (0.1, 1e-300, 3.0), {"whole": 3, "part": 0.5})


def test_what_was_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    url = str(tmp_path / "p.json")
    write_record(url, POINT)
    found = read_record(url, Point, "a point")
    assert found == POINT
    assert type(found.counts["whole"]) is int


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_record(str(tmp_path / "p.json"), Point, "a point") is None


def test_numbers_that_are_none_survive(tmp_path: Path) -> None:
    url = str(tmp_path / "p.json")
    write_record(url, {"loss": math.nan})
    found = read_record(url, dict[str, float], "losses")
    assert found is not None
    assert math.isnan(found["loss"])


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert parse_record(b'{"name": "a", "at": [], "counts": {}, "new": 1}', "f", Point, "a point").name == "a"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"name": "a"', "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'{"name": "a", "at": ["x"], "counts": {}}', r"at\.0: Input should be a valid number"),
        (b'{"name": "a", "at": []}', "counts: Field required"),
        (b"[]", "Input should be"),
    ],
)
def test_damage_is_told_in_a_line_that_names_the_file(content: bytes, reason: str) -> None:
    with pytest.raises(
        DamagedRecordError, match=rf"^s3://a/p\.json: damaged, not a point \({reason}"
    ) as caught:
        parse_record(content, "s3://a/p.json", Point, "a point")
    assert "\n" not in str(caught.value)
