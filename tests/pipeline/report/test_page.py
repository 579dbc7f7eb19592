"""The page's file: what it holds of small and odd predictions, read without a browser."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.report.page import as_script
from pipeline.report.playable import sources
from tests.pipeline.evaluation.cases import segments_table
from tests.pipeline.report.pages import FIRST, write_demo_page, write_page, write_truth


def about(page: Path) -> dict[str, Any]:
    text = re.search(r'id="about">(.*?)</script>', page.read_text(), re.DOTALL)
    assert text is not None
    return json.loads(text[1])


def columns(page: Path) -> dict[str, np.ndarray]:
    text = re.search(r'id="columns">(.*?)</script>', page.read_text(), re.DOTALL)
    assert text is not None
    content, found, offset = gzip.decompress(base64.b64decode(text[1])), {}, 0
    for one in about(page)["columns"]:
        kind = np.dtype(one["type"])
        part = np.frombuffer(content, np.uint8, one["count"] * kind.itemsize, offset)
        found[one["name"]] = part.reshape(kind.itemsize, -1).T.copy().view(kind).ravel()
        offset += len(part)
    return found


def test_the_same_report_is_the_same_page(tmp_path: Path) -> None:
    page = write_demo_page(tmp_path)
    content = page.read_bytes()
    assert write_demo_page(tmp_path).read_bytes() == content


def test_videos_stand_by_name_and_predictions_by_score(tmp_path: Path) -> None:
    write_truth(tmp_path / "truth.json", {"b": [(0.0, 1.0, "run")], "a": [(2.0, 3.0, "run")], "c": []})
    rows = [("b", 1.0, 2.0004, "run", 0.2), ("a", 5.0, 6.0, "fly", 0.3), ("b", 0.0, 1.0, "run", 0.9)]
    rows.append(("elsewhere", 0.0, 1.0, "run", 0.9))
    pq.write_table(segments_table(rows), tmp_path / "p.parquet")
    words = [f"predictions={tmp_path / 'p.parquet'}", f"dataset.annotations={tmp_path / 'truth.json'}"]
    page = write_page(tmp_path / "report", *words)
    told, held = about(page), columns(page)
    assert told["videos"]["id"] == ["a", "b", "c"]
    assert told["labels"] == ["run", "fly"]  # what only predictions have comes last
    assert told["notes"] == [
        "p: left out are predictions in videos without truth (1 in 1).",
        "p: not scored are predictions of classes that the truth does not know (1).",
    ]
    assert held["run0.first"].tolist() == [0, 1, 3, 3]
    assert held["run0.start"].tolist() == [5000, 0, 1000]
    assert held["run0.length"].tolist() == [1000, 1000, 1000]
    assert held["run0.score"].tolist() == pytest.approx([0.3, 0.9, 0.2])
    assert held["run0.kind"].tolist() == [255, 0, 5]
    assert held["truth.start"].tolist() == [2.0, 0.0]
    assert held["run0.found"].tolist() == pytest.approx([np.nan, 0.9], nan_ok=True)


def test_truth_without_any_prediction_has_a_page(tmp_path: Path) -> None:
    write_truth(tmp_path / "truth.json", {"a": [(2.0, 3.0, "run")]})
    pq.write_table(segments_table([]), tmp_path / "p.parquet")
    words = [f"predictions={tmp_path / 'p.parquet'}", f"dataset.annotations={tmp_path / 'truth.json'}"]
    figures = about(write_page(tmp_path / "report", *words))["runs"][0]["figures"]
    assert (figures["average"], figures["missed"], figures["num_predictions"]) == (0.0, 1, 0)


def test_ids_and_places_of_videos_are_told_apart(tmp_path: Path) -> None:
    page = write_demo_page(tmp_path)
    assert about(page)["videos"]["source"] == [f"../videos/{name}.mp4" for name in "abc"]
    words = [f"predictions={tmp_path / 'first.parquet'}", f"videos=[b,{tmp_path / 'videos' / '*.mp4'}]"]
    told = about(write_page(tmp_path / "one", *words))
    assert told["videos"]["id"] == ["b"]
    assert told["videos"]["source"] == ["../videos/b.mp4"]
    assert len(columns(tmp_path / "one" / "index.html")["run0.score"]) == sum(row[0] == "b" for row in FIRST)


def test_what_a_page_plays_from() -> None:
    files = {
        "near": "/data/videos/a b#1?.mp4",
        "signed": "https://host/v.mp4?X-Amz-Signature=abc",
        "bucket": "s3://bucket/v.mp4",
        "chain": "zip://v.mp4::/data/a.zip",
    }
    assert sources("/data/report", files) == {
        "near": "../videos/a%20b%231%3F.mp4",
        "signed": "https://host/v.mp4?X-Amz-Signature=abc",
    }
    assert sources("s3://bucket/report", files) == {"signed": files["signed"]}


def test_nothing_in_a_text_ends_the_script_that_holds_it() -> None:
    texts = ["</script>", "<!--", "]]>", "\u2028", "é🏊", "\\u003c"]
    written = as_script(texts)
    assert not set("<>&\u2028") & set(written)
    assert written.isascii()
    assert json.loads(written) == texts
