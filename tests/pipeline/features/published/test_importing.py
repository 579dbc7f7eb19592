"""Imports on a real Ray: every format and defect in one folder, archives, two streams, resuming, refusing."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline import lease, storage
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.published import importing
from pipeline.features.published.importing import import_features
from pipeline.features.published.settings import ImportFeaturesConfig
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.summary import Summary
from tests.pipeline.features.published.files import hdf5, npy, npz, pt, tarred, values, zipped

pytestmark = pytest.mark.usefixtures("ray_local")

AT_8 = ("name=i3d", "timeline.fps=8", "timeline.stride=2", "timeline.window=4")


def run(source: Path | str, store: Path | str, *words: str) -> Summary:
    return import_features(
        compose_config(
            "import_features", ImportFeaturesConfig, [f"source={source}", f"store={store}", *words]
        )
    )


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def features(store: Path | str) -> dict[str, np.ndarray]:
    opened = FeatureStore(str(store))
    return {video_id: opened.load(video_id) for video_id, video in opened.index().items() if video.complete}


def half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16)


def rows(store: Path) -> list[dict[str, object]]:
    tables = [pq.read_table(file) for file in sorted((store / "features").glob("*.parquet"))]
    return sorted(pa.concat_tables(tables).to_pylist(), key=lambda row: str(row["chunk_id"]))


def annotations(path: Path, durations: dict[str, float], fps: float | None = None) -> Path:
    database = {
        video_id: {"subset": "train", "duration": duration, "annotations": [], "fps": fps}
        for video_id, duration in durations.items()
    }
    path.write_text(json.dumps({"database": database}))
    return path


def test_every_format_comes_through_and_every_defect_is_a_row(tmp_path: Path) -> None:
    arrays = {name: values(40 + index, seed=index) for index, name in enumerate(("npy", "npz", "h5", "pt"))}
    good = {
        "val/v_npy.npy": npy(arrays["npy"][:, None, None]),
        "val/v_npz.npz": npz(feats=arrays["npz"][None]),
        "test/v_h5.h5": hdf5({"features": arrays["h5"].astype(np.float64)}),
        "test/v_pt.pt": pt(torch.from_numpy(arrays["pt"])),
    }
    nan = values(40)
    nan[3, 4] = np.nan
    bad = {
        "v_cut.npy": (npy(values(40))[:-7], "truncated", r"holds 953 of the 960 bytes"),
        "v_group.h5": (hdf5({"g/a": values(4), "g/b": values(4)}), "bad_features", "holds 2 arrays .*give key="),
        "v_huge.npy": (npy(values(40) * 1e6), "bad_features", "do not fit float16"),
        "v_long.npy": (npy(values(400)), "bad_features", "holds 400 snippets, but 10.00 s at 8 fps make 39 "),
        "v_nan.npy": (npy(nan), "bad_features", "1 of its 240 values are NaN"),
        "v_objects.npy": (npy(np.array([{}]), allow_pickle=True), "bad_features", "pickled Python objects"),
        "v_shape.npy": (npy(values(40).reshape(2, 20, 6)), "bad_features", r"shape \[2, 20, 6\]"),
        "v_text.pt": (b"no tensor", "unreadable", r"not a readable \.pt"),
        "v_wide.npy": (npy(values(40, 7)), "bad_features", "has 7 channels where others have 6"),
    }  # fmt: skip
    source = put(tmp_path / "source", good | {name: content for name, (content, *_) in bad.items()})
    names = [Path(name).stem.removeprefix("v_") for name in (*good, *bad)]
    # 80 frames make 39 snippets: the 43 of pt are within the tolerance of 4
    truth = annotations(tmp_path / "truth.json", dict.fromkeys([*names, "absent"], 10.0))
    words = [*AT_8, "strip_prefix=v_", f"dataset.annotations={truth}", "chunk_snippets=16", "name=i3d"]

    summary = run(source, tmp_path / "store", *words)
    assert (summary.total, summary.done, summary.failed, summary.exit_status) == (13, 4, 9, 3)
    found = features(tmp_path / "store")
    assert found.keys() == arrays.keys()
    assert all((found[name] == half(array)).all() for name, array in arrays.items())
    store = FeatureStore(str(tmp_path / "store"))
    assert (store.spec.backbone, store.spec.dim, store.spec.timeline) == ("i3d", 6, Timeline(8.0, 2, 4))
    video = store.index()["npz"]
    assert (video.num_snippets, video.duration, video.timeline) == (41, 10.0, Timeline(8.0, 2, 4))
    assert len(video.chunks) == 3
    assert video.uri == f"{source}/val/v_npz.npz"
    assert (tmp_path / "store" / "missing.txt").read_text() == "absent\n"
    failures = {row["video_id"]: row for row in store.failures().to_pylist()}
    assert failures.keys() == {Path(name).stem.removeprefix("v_") for name in bad}
    assert [failure.video_id for failure in summary.failures] == sorted(failures)
    for name, (_, kind, message) in bad.items():
        failure = failures[Path(name).stem.removeprefix("v_")]
        assert failure["kind"] == kind, failure
        assert pa.compute.match_substring_regex(pa.array([failure["message"]]), message)[0].as_py(), failure
        assert failure["uri"] == f"{source}/{name}"

    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "store" / "features").iterdir()}
    again = run(source, tmp_path / "store", *words, "allow_failures=true")
    assert (again.done, again.already_done, again.failed, again.exit_status) == (0, 4, 9, 0)
    assert files == {file: file.stat().st_mtime_ns for file in (tmp_path / "store" / "features").iterdir()}
    put(source, {"v_nan.npy": npy(values(40)), "v_cut.npy": npy(values(38)), "v_new.npy": npy(values(39))})
    mended = run(source, tmp_path / "store", *words, "retry_failed=true")
    assert (mended.total, mended.done, mended.already_done, mended.failed) == (14, 3, 4, 7)
    assert (features(tmp_path / "store")["nan"] == half(values(40))).all()

    # what would make it another store, or other features of the same video, is refused
    with pytest.raises(InputError, match=r"holds other features .*timeline\.stride: 2 here, 4 there"):
        run(source, tmp_path / "store", *words, "timeline.stride=4")
    with pytest.raises(InputError, match=r"layout: time_channel here, channel_time there"):
        run(source, tmp_path / "store", *words, "layout=channel_time")
    other = put(tmp_path / "other", {"v_npy.npy": npy(values(40, seed=9))})
    with pytest.raises(
        InputError, match=r"video npy by another file: it is .*source/val/v_npy\.npy .*, not .*other/"
    ):
        run(other, tmp_path / "store", *words)


def test_archives_of_every_kind_give_what_their_folder_gives(tmp_path: Path, s3_server: str) -> None:
    files = {f"feats/{name}.npy": npy(values(20 + 7 * i, seed=i)) for i, name in enumerate("abcdef")}
    expected = {Path(path).stem: half(values(20 + 7 * i, seed=i)) for i, path in enumerate(files)}
    parts = [dict(list(files.items())[start : start + 2]) for start in (0, 2, 4)]
    packs = put(
        tmp_path / "packs",
        {"1.zip": zipped(parts[0]), "2.tar": tarred(parts[1]), "3.tar.gz": tarred(parts[2], "gz")},
    )
    summary = run(f"{packs}/*", tmp_path / "local", *AT_8, "chunk_snippets=16")
    assert (summary.total, summary.done) == (6, 6)
    found = features(tmp_path / "local")
    assert all((found[name] == array).all() for name, array in expected.items())
    assert FeatureStore(str(tmp_path / "local")).index()["f"].uri == f"{packs}/3.tar.gz::feats/f.npy"

    storage.write_bytes(f"{s3_server}/packs/all.zip", zipped(files))
    remote = f"{s3_server}/imported"
    assert run(f"{s3_server}/packs/all.zip", remote, *AT_8, "read.chunks_per_task=2").done == 6
    found = features(remote)
    assert all((found[name] == array).all() for name, array in expected.items())
    again = run(f"{s3_server}/packs/all.zip", remote, *AT_8)
    assert (again.done, again.already_done) == (0, 6)


def test_two_streams_are_put_side_by_side_and_cut_to_the_shorter(tmp_path: Path) -> None:
    rgb, flow = values(50, 4, seed=1), values(48, 2, seed=2)
    source = put(
        tmp_path / "rgb", {"a.npy": npy(rgb), "b.npy": npy(rgb), "c.npy": npy(rgb), "d.npy": npy(rgb)}
    )
    members = {
        "flow/d.npy": npy(flow), "flow/a.npy": npy(flow), "flow/b.npy": npy(flow[:30]), "flow/x.npy": npy(flow)
    }  # fmt: skip
    put(tmp_path, {"flow.tar.gz": tarred(members, "gz")})
    second = f"second_source={tmp_path}/flow.tar.gz"
    summary = run(source, tmp_path / "store", second, *AT_8)
    assert (summary.total, summary.done, summary.failed) == (5, 2, 3)
    assert (features(tmp_path / "store")["a"] == half(np.concatenate([rgb[:48], flow], axis=1))).all()
    assert features(tmp_path / "store").keys() == {"a", "d"}
    store = FeatureStore(str(tmp_path / "store"))
    assert store.spec.preprocessing["widths"] == [4, 2]
    assert {row["video_id"]: row["message"] for row in store.failures().to_pylist()} == {
        "b": "the sources have 50 and 30 snippets",
        "c": "second_source has nothing of this video",
        "x": "source has nothing of this video",
    }
    put(tmp_path, {"rgb.tar.gz": tarred({"a.npy": npy(rgb)}, "gz")})
    with pytest.raises(
        InputError, match=r"second_source=.*two of them cannot be read side by side; unpack one"
    ):
        run(tmp_path / "rgb.tar.gz", tmp_path / "new", second, *AT_8)


def test_a_stopped_import_continues_to_the_same_store(tmp_path: Path) -> None:
    files = {f"{index}.npy": npy(values(20 + index, seed=index)) for index in range(4)}
    source = put(tmp_path, {"pack.tar.gz": tarred(files, "gz")}) / "pack.tar.gz"
    store = tmp_path / "store"
    words = [*AT_8, "chunk_snippets=16"]
    run(source, store, *words)
    whole = rows(store)
    assert [row["num_snippets"] for row in whole] == [16, 4, 16, 5, 16, 6, 16, 7]
    # as a kill in the middle of writing leaves it: half a file, and its record never committed
    record = min((store / "checkpoint").glob("*.parquet"))
    record.rename(record.with_suffix(".pending.parquet"))
    (half_written,) = (store / "features").glob(f"{record.stem}*")
    half_written.write_bytes(half_written.read_bytes()[:-100])
    summary = run(source, store, *words)
    assert rows(store) == whole
    assert (summary.total, summary.failed) == (4, 0)
    assert summary.done > 0


def test_what_was_written_but_not_committed_is_imported_again_by_the_same_command(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {f"{name}.npy": npy(values(9, 4, seed)) for seed, name in enumerate("abc")})
    words = [*AT_8, "read.chunks_per_task=1"]
    run(source, tmp_path / "store", *words)
    expected = features(tmp_path / "store")
    first, second, _ = sorted((tmp_path / "store" / "features").glob("*.parquet"))
    # A kill between a file and its record, and other work that is left.
    record = next(
        each for each in (tmp_path / "store" / "checkpoint").iterdir() if first.name.startswith(each.stem)
    )
    record.rename(record.with_suffix(".pending.parquet"))
    second.unlink()
    summary = run(source, tmp_path / "store", *words)
    assert (summary.done, summary.already_done, summary.failed) == (2, 1, 0)
    found = features(tmp_path / "store")
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)


def test_an_import_without_work_starts_no_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path / "in", {f"{name}.npy": npy(values(9, 4, seed)) for seed, name in enumerate("ab")})
    run(source, tmp_path / "store", *AT_8)
    assert list((tmp_path / "store" / "index").glob("*.parquet"))
    assert not (tmp_path / "store" / "pending").exists()

    def never(_: object) -> None:
        raise AssertionError("Ray was asked for")

    monkeypatch.setattr(importing, "connect", never)
    summary = run(source, tmp_path / "store", *AT_8)
    assert (summary.done, summary.already_done, summary.failed) == (0, 2, 0)
    put(source, {"c.npy": npy(values(5, 4, 7))})
    with pytest.raises(AssertionError, match="Ray was asked for"):
        run(source, tmp_path / "store", *AT_8)


def test_rates_and_durations_come_from_whatever_tells_them(tmp_path: Path) -> None:
    lengths = {"a": 40, "b": 45, "c": 50}
    source = put(tmp_path / "s", {f"{name}.npy": npy(values(n)) for name, n in lengths.items()})
    own_rate = ["name=i3d", "timeline.fps=null", "timeline.stride=4", "timeline.window=16"]
    with pytest.raises(InputError, match=r"timeline\.fps=null: nothing tells the rates"):
        run(source, tmp_path / "store", *own_rate)
    truth = annotations(tmp_path / "truth.json", {"a": 5.7, "b": 7.68}, fps=30.0)
    (tmp_path / "info.json").write_text(json.dumps({"b": {"frame_length": 192, "video_fps": 25.0}}))
    told = [f"dataset.annotations={truth}", f"info={tmp_path}/info.json"]
    summary = run(source, tmp_path / "store", *own_rate, *told)
    assert (summary.total, summary.done, summary.failed) == (3, 2, 1)
    store = FeatureStore(str(tmp_path / "store"))
    a, b = store.index()["a"], store.index()["b"]
    assert (a.timeline, a.duration, a.num_snippets) == (Timeline(30.0, 4, 16), 5.7, 40)
    assert (b.timeline, b.duration, b.num_snippets) == (Timeline(25.0, 4, 16), 7.68, 45)
    assert b.timeline.to_seconds(44.5) == pytest.approx((44 * 4 + 8) / 25)
    (lost,) = store.failures().to_pylist()
    assert (lost["video_id"], lost["kind"]) == ("c", "unknown_rate")

    # The remedy that the message names: annotations that tell what the info file lacks, as THUMOS14's do of the one
    # video of MultiTHUMOS that GAP's file does not have.
    assert "retry_failed=true tries it again with dataset.annotations=" in lost["message"]
    whole = annotations(tmp_path / "whole.json", {"a": 5.7, "b": 7.68, "c": 7.0}, fps=30.0)
    summary = run(
        source, tmp_path / "store", *own_rate, f"dataset.annotations={whole}", told[1], "retry_failed=true"
    )
    assert (summary.total, summary.done, summary.already_done, summary.failed) == (3, 1, 2, 0)
    assert FeatureStore(str(tmp_path / "store")).index()["c"].timeline.rate == 30.0

    strangers = annotations(tmp_path / "strangers.json", {"v_a": 5.7})
    with pytest.raises(InputError, match=r"none of the 1 annotated videos, such as 'v_a', is among its 3"):
        run(source, tmp_path / "new", *AT_8, f"dataset.annotations={strangers}")


def test_networks_are_told_apart_by_a_name_that_somebody_gave(tmp_path: Path) -> None:
    first = put(tmp_path / "first", {"a.npy": npy(values(40))})
    second = put(tmp_path / "second", {"b.npy": npy(values(40, seed=1))})
    unnamed = AT_8[1:]
    with pytest.raises(InputError, match="name: is required for a new store; a name of the network"):
        run(first, tmp_path / "i3d", *unnamed)
    assert not (tmp_path / "i3d").exists()
    run(first, tmp_path / "i3d", "name=i3d", *unnamed)
    run(second, tmp_path / "clip", "name=clip", *unnamed)
    digests = [FeatureStore(str(tmp_path / name)).spec.digest for name in ("i3d", "clip")]
    assert digests[0] != digests[1]
    with pytest.raises(InputError, match="backbone: i3d here, clip there"):
        run(second, tmp_path / "i3d", "name=clip", *unnamed)
    # the rest of the same features, from another folder: the store knows its name
    assert run(second, tmp_path / "i3d", *unnamed).done == 1
    assert features(tmp_path / "i3d").keys() == {"a", "b"}
    run(second, tmp_path / "elsewhere", "name=i3d", *unnamed)
    assert FeatureStore(str(tmp_path / "elsewhere")).spec.digest == digests[0]


def test_a_name_that_is_not_utf8_is_imported_like_any_other(tmp_path: Path) -> None:
    source = put(tmp_path / "source", {"plain.npy": npy(values(20))})
    with open(os.fsencode(source) + b"/caf\xe9.npy", "wb") as stream:
        stream.write(npy(values(24)))
    assert run(source, tmp_path / "store", *AT_8).done == 2
    assert (features(tmp_path / "store")["caf\\xe9"] == half(values(24))).all()


def test_a_store_that_another_job_writes_into_is_refused(tmp_path: Path) -> None:
    source = put(tmp_path / "source", {"a.npy": npy(values(20))})
    with (
        lease.hold(str(tmp_path / "store"), "store", "import_features"),
        pytest.raises(InputError, match=r"^store=.*is being written by import_features"),
    ):
        run(source, tmp_path / "store", *AT_8)


def test_after_small_files_were_merged_nothing_is_done_twice(tmp_path: Path) -> None:
    """Ray itself goes by the merged records: each chunk lies there once, also after more is imported."""
    source = put(tmp_path / "source", {f"v{index}.npy": npy(values(40, seed=index)) for index in range(6)})
    store = tmp_path / "store"
    assert run(source, store, *AT_8, "chunk_snippets=10", "merge_over=0").done == 6
    assert len(list((store / "features").iterdir())) > 1
    put(source, {f"w{index}.npy": npy(values(40, seed=9 + index)) for index in range(2)})
    assert run(source, store, *AT_8, "chunk_snippets=10", "merge_over=2").done == 2
    assert [len(list((store / name).iterdir())) for name in ("features", "checkpoint", "plan")] == [1, 1, 1]
    put(source, {"x.npy": npy(values(40, seed=20))})
    summary = run(source, store, *AT_8, "chunk_snippets=10", "merge_over=0")
    assert (summary.done, summary.already_done) == (1, 8)
    chunks = [row["chunk_id"] for row in rows(store)]
    assert len(chunks) == len(set(chunks)) == 9 * 4
    for index in range(6):
        assert np.array_equal(features(store)[f"v{index}"], half(values(40, seed=index)))
