"""Tables of ids are read as text: nothing in them is taken for a number, a date, a truth value or a gap."""

import datetime
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.features.manifest import read_manifest
from pipeline.features.published.durations import VideoFacts, read_facts
from pipeline.features.sources import list_videos

TRICKY = [
    "0000270",
    "1e5",
    "2020-01-01",
    "2020-01-01 10:00:00",
    "true",
    "NA",
    "null",
    "NaN",
    "-0",
    " a ",
    "ä",
]


def written(path: Path, ids: list[str]) -> str:
    """A table of these ids, each with the same text as its uri."""
    rows = [{"video_id": video_id, "uri": video_id} for video_id in ids]
    if path.suffix == ".csv":
        path.write_text("video_id,uri\n" + "".join(f"{i},{i}\n" for i in ids))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("ids", [[one] for one in TRICKY] + [TRICKY])
def test_ids_and_uris_are_what_is_written(tmp_path: Path, suffix: str, ids: list[str]) -> None:
    videos = list_videos(written(tmp_path / f"list.{suffix}", ids))
    assert [video.video_id for video in videos] == sorted(ids)
    assert {video.uri for video in videos} == {f"{tmp_path}/{one}" for one in ids}


def test_facts_belong_to_the_ids_that_are_written(tmp_path: Path) -> None:
    (tmp_path / "info.csv").write_text(
        "video_id,fps,frames\n0000270,25,1000\n1e5,29.97,\n2020-01-01,3e1,12\n"
    )
    assert read_facts(str(tmp_path / "info.csv")) == {
        "0000270": VideoFacts(None, 25, 1000),
        "1e5": VideoFacts(None, 29.97, None),
        "2020-01-01": VideoFacts(None, 30.0, 12),
    }


def test_numbers_of_json_lines_are_their_digits(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text('{"video_id": 270, "uri": "a"}\n\n{"video_id": 1e5, "uri": "b"}\n')
    table = read_manifest("videos", str(tmp_path / "list.jsonl"), ("video_id", "uri"))
    assert table.to_pylist() == [{"video_id": "270", "uri": "a"}, {"video_id": "1e5", "uri": "b"}]


def test_whole_numbers_of_parquet_become_text(tmp_path: Path) -> None:
    table = pa.table({"video_id": pa.array([270, 2**60], pa.int64()), "uri": pa.array(["a", "b"])})
    pq.write_table(table, tmp_path / "list.parquet")
    assert [v.video_id for v in list_videos(f"{tmp_path}/list.parquet")] == ["1152921504606846976", "270"]
    coded = pa.table({"video_id": pa.array(["x", "x", "y"]).dictionary_encode()})
    pq.write_table(coded, tmp_path / "coded.parquet")
    read = read_manifest("info", f"{tmp_path}/coded.parquet", ("video_id",))
    assert read["video_id"].to_pylist() == ["x", "x", "y"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([270.0, None], "double"),
        ([datetime.date(2020, 1, 1)], r"date32\[day\]"),
        ([True], "bool"),
        ([b"x"], "binary"),
    ],
)
def test_parquet_ids_of_other_types_are_refused(tmp_path: Path, values: list[object], kind: str) -> None:
    pq.write_table(pa.table({"video_id": values, "uri": ["a"] * len(values)}), tmp_path / "list.parquet")
    with pytest.raises(
        InputError, match=rf"list\.parquet: column video_id is of type {kind}; write it as text"
    ):
        list_videos(f"{tmp_path}/list.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "video_id,uri\nx,y\nz\n", "row 2 has 1 fields and the header 2"),
        ("a.csv", 'video_id,uri\nx,"y\n', r"not a readable \.csv manifest"),
        ("a.csv", "video_id,uri,uri\nx,y,z\n", "has column uri twice"),
        ("a.csv", "", "lacks column uri"),
        ("a.jsonl", '{"video_id": "x", "uri": "y"}\n{"video_id": ["z"], "uri": "y"}\n', "row 2, column video_id"),
        ("a.jsonl", '{"video_id": true, "uri": "y"}\n', "row 1, column video_id: must be text or a number, not True"),
        ("a.jsonl", '{"video_id": "\\ud83d", "uri": "y"}\n', "row 1, column video_id: is not text"),
        ("a.jsonl", '{"video_id": "x"\n', "row 1 is not a line of JSON"),
        ("a.jsonl", "[" * 100_000 + "\n", "row 1 is not a line of JSON"),
        ("a.jsonl", "[1]\n", "row 1 is not an object"),
        ("a.jsonl", '{"video_id": "x", "url": "y"}\n', "lacks column uri; it has video_id, url"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"videos={tmp_path}/{name}: .*{message}") as error:
        list_videos(f"{tmp_path}/{name}")
    assert len(str(error.value).splitlines()) == 1


def test_a_byte_order_mark_and_quotes_are_no_part_of_an_id(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b'\xef\xbb\xbfvideo_id,uri\r\n"a, b","c ""d"".mp4"\r\n')
    assert [(v.video_id, v.uri) for v in list_videos(f"{tmp_path}/list.csv")] == [
        ("a, b", f'{tmp_path}/c "d".mp4')
    ]
    (tmp_path / "list.csv").write_bytes(b"video_id,uri\n\xff,x\n")
    with pytest.raises(InputError, match=r"list\.csv: not a readable \.csv manifest"):
        list_videos(f"{tmp_path}/list.csv")


_VALUES = st.one_of(
    st.text(max_size=6).filter(bool), st.integers(), st.floats(allow_nan=True), st.none(), st.just("")
)
_OTHERS = st.one_of(
    st.booleans(), st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), _VALUES)
)


@given(
    st.lists(
        st.fixed_dictionaries({"uri": _VALUES}, optional={"video_id": _VALUES, "note": _OTHERS}),
        min_size=1, max_size=5,
    ),
    st.booleans(),
    st.sampled_from([None, (" ,", " : "), (",", ":")]),
)  # fmt: skip
def test_json_lines_say_what_json_says(
    rows: list[dict[str, Any]], ascii_only: bool, separators: tuple[str, str] | None
) -> None:
    lines = [json.dumps(row, ensure_ascii=ascii_only, separators=separators) for row in rows]
    with TemporaryDirectory() as folder:
        Path(folder, "list.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
        table = read_manifest("videos", f"{folder}/list.jsonl", ("uri",), ("video_id",))
    texts = [json.loads(line, parse_int=str, parse_float=str, parse_constant=str) for line in lines]
    expected = [{name: row.get(name) or None for name in ("uri", "video_id")} for row in texts]
    assert table.to_pylist() == expected
