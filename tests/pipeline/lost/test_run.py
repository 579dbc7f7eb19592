"""The list of failures: everything by name, as a table, CSV or JSON, and nothing else on stdout."""

import csv
import importlib
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import parquet
from pipeline.failures import FAILURES_SCHEMA, Failure, FailureKind, failures_table
from tests.pipeline.synthetic import make_videos, write_store

LOST = [
    Failure("b [x], y", "/v/b.mp4", "extract", FailureKind.TRUNCATED, "it ends\nat 3 s, not 9"),
    Failure("a", None, "probe", FailureKind.UNREADABLE, "moov atom [not] found"),
    Failure("c", "/v/c.mp4", "extract", FailureKind.TRUNCATED, "it ends early"),
]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store that has lost three videos at two stages."""
    url = str(tmp_path / "store")
    write_store(url, make_videos(1, "train", seed=1))
    parquet.write_table(f"{url}/failures/extract.parquet", failures_table([LOST[0], LOST[2]]))
    parquet.write_table(f"{url}/failures/probe-0.parquet", failures_table([LOST[1]]))
    return url


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("jobs.failures").JOB.main(words)
    assert ended.value.code == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_all_are_in_the_table_with_counts_by_kind(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, f"store={store}")
    lines = shown.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows if row[0]] == ["a", "b [x], y", "c"]
    assert ["a", "probe", "unreadable", "moov atom [not] found"] in rows
    assert lines[-1] == "3 failures: 2 truncated, 1 unreadable"


def test_csv_and_json_are_all_that_is_printed(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(said(capsys, f"store={store}", "format=csv"))))
    assert list(rows[0]) == FAILURES_SCHEMA.names
    assert [row["video_id"] for row in rows] == ["a", "b [x], y", "c"]
    assert rows[1]["message"] == LOST[0].message
    read = json.loads(said(capsys, f"store={store}", "format=json", "kind=truncated"))
    assert read["counts"] == {"truncated": 2}
    assert [row["message"] for row in read["failures"]] == [LOST[0].message, LOST[2].message]
    both = json.loads(said(capsys, f"store={store}", "format=json", "kind=[unreadable,truncated]"))
    assert len(both["failures"]) == 3


def test_folders_of_predict_and_of_an_export_are_read_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, sign in (("predictions", "provenance.json"), ("out", "videos.json")):
        folder = tmp_path / key
        folder.mkdir()
        (folder / sign).write_text("{}")
        assert said(capsys, f"{key}={folder}") == "0 failures\n"
        assert said(capsys, f"{key}={folder}", "format=csv") == ",".join(FAILURES_SCHEMA.names) + "\n"
        parquet.write_table(f"{folder}/failures/x.parquet", failures_table(LOST[:1]))
        assert said(capsys, f"{key}={folder}").endswith("1 failures: 1 truncated\n")


def test_what_cannot_be_listed_is_a_line(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        ([], "give one of store=<feature store>, predictions=<folder of predict>"),
        ([f"store={store}", f"out={store}"], "give one of store="),
        ([f"store={tmp_path}"], "no feature store there (feature_spec.json is missing); run extract"),
        ([f"predictions={store}"], "no folder that predict wrote (provenance.json is missing)"),
        ([f"store={store}", "kind=bad"], "there is no kind 'bad'; there are unreadable, storage, "),
    ):
        told = said(capsys, *words, status=2)
        assert message in told
        assert len(told.splitlines()) == 1
    rows = failures_table(LOST[:1]).set_column(3, FAILURES_SCHEMA.field("kind"), pa.array(["of tomorrow"]))
    parquet.write_table(f"{store}/failures/new.parquet", rows)
    assert "failure of kind 'of tomorrow'" in said(capsys, f"store={store}", status=2)
