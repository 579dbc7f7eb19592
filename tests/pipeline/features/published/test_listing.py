"""Sources of every kind become arrays, and their paths become video ids."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.features.published.archives import walk_compressed_tar
from pipeline.features.published.layout import ArrayRule
from pipeline.features.published.listing import Listing, Naming, PublishedVideo, list_source, match_videos
from pipeline.features.published.places import Place, PlaceReader
from tests.pipeline.features.published.files import hdf5, npy, npz, pt, tarred, values, zipped

RULE = ArrayRule()


def listed(source: Path | str) -> dict[str, Place]:
    return dict(list_source("source", str(source), RULE).arrays)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in (
        "b.npy",
        "deep/v_a.NPZ",
        "deep/er/c.d.pt",
        "x.h5",
        "notes.txt",
        "deep/.hidden.npy",
        "pack.zip",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_array_files_at_any_depth(folder: Path) -> None:
    assert listed(folder) == {
        "b": Place(f"{folder}/b.npy"),
        "deep/v_a": Place(f"{folder}/deep/v_a.NPZ"),
        "deep/er/c.d": Place(f"{folder}/deep/er/c.d.pt"),
        "x": Place(f"{folder}/x.h5"),
    }
    assert set(listed(f"{folder}/deep/*")) == {"v_a"}
    assert set(listed(f"{folder}/**/*.pt")) == {"deep/er/c.d"}


def test_one_file_of_many_videos_gives_an_entry_each(tmp_path: Path) -> None:
    (tmp_path / "all.h5").write_bytes(hdf5({"v_1/c3d": values(3), "v_1/fc": values(3), "v_2/c3d": values(4)}))
    url = f"{tmp_path}/all.h5"
    assert listed(url) == {"v_1": Place(url, entry="v_1"), "v_2": Place(url, entry="v_2")}
    (tmp_path / "all.npz").write_bytes(npz(a=values(3), b=values(4)))
    assert set(listed(tmp_path / "all.npz")) == {"a", "b"}
    (tmp_path / "one.npy").write_bytes(npy(values(3)))
    assert listed(tmp_path / "one.npy") == {"one": Place(f"{tmp_path}/one.npy")}
    (tmp_path / "bad.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"source=.*bad\.h5: is not a readable \.h5 file"):
        listed(tmp_path / "bad.h5")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tgz", "tar.xz"])
def test_archives_give_their_members_without_being_unpacked(
    tmp_path: Path, suffix: str, ray_local: None
) -> None:
    files = {
        "feats/a.npy": npy(values(5)), "./feats/b.pt": pt({}), "__MACOSX/._a.npy": b"", "readme.md": b"hello",
    }  # fmt: skip
    url = f"{tmp_path}/pack.{suffix}"
    compression = {"tgz": "gz"}.get(suffix, suffix.partition(".")[2])
    Path(url).write_bytes(zipped(files) if suffix == "zip" else tarred(files, compression))
    listing = list_source("source", url, RULE)
    places = dict(listing.arrays)
    assert {path.removeprefix("./"): place.suffix for path, place in places.items()} == {
        "feats/a": ".npy",
        "feats/b": ".pt",
    }
    place = places["feats/a"]
    assert str(place) == f"{url}::feats/a.npy"
    if place.streamed:
        assert (listing.shapes[place].length, listing.shapes[place].width) == (5, 6)
        assert next(path for path, _, _ in walk_compressed_tar(url)) == "feats/a.npy"
    else:
        assert listing.shapes == {}
        with PlaceReader() as reader:
            for _ in range(2):
                assert (reader.open(place).read("") == values(5)).all()


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_archives_cut_short_are_named(tmp_path: Path, suffix: str, ray_local: None) -> None:
    # a half of the tar ends exactly with a member
    files = {f"{index}.npy": npy(values(50, seed=index)) for index in range(9)}
    whole = zipped(files) if suffix == "zip" else tarred(files, suffix.partition(".")[2])
    (tmp_path / f"pack.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        InputError, match=rf"^[^\n]*pack\.{suffix}: the archive is damaged or cut short[^\n]*$"
    ):
        listed(tmp_path / f"pack.{suffix}")


def test_paths_become_ids() -> None:
    assert Naming().video_id("i3d/val/v_abc") == "v_abc"
    assert Naming(strip_prefix="v_").video_id("i3d/val/v_abc") == "abc"
    assert Naming(strip_prefix="v_").video_id("i3d/val/abc") == "abc"
    assert Naming(".+").video_id("i3d/val/v_abc") == "i3d/val/v_abc"
    assert Naming("(.+)_(?:rgb|flow)$").video_id("clip_rgb") == "clip"
    assert Naming("(.+)_(?:rgb|flow)$").video_id("clip_timestamps") is None


def test_two_sources_are_matched_by_id() -> None:
    rgb = Listing((("rgb/a", Place("ra")), ("rgb/b", Place("rb"))), {})
    flow = Listing((("flow/b", Place("fb")), ("flow/c", Place("fc")), ("flow/", Place("?"))), {})
    videos, passed_over = match_videos({"source": rgb, "second_source": flow}, Naming())
    assert videos == [
        PublishedVideo("a", (Place("ra"), None)),
        PublishedVideo("b", (Place("rb"), Place("fb"))),
        PublishedVideo("c", (None, Place("fc"))),
    ]
    assert (videos[1].uri, videos[2].uri, passed_over) == ("rb + fb", "fc", 1)


def test_what_cannot_be_used_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="source=/no/such: not found"):
        listed("/no/such")
    with pytest.raises(InputError, match=r"source=.*txt: holds no array file \(\.h5 "):
        listed(f"{folder}/*.txt")
    with pytest.raises(InputError, match=r"notes\.txt: holds no array file"):
        listed(folder / "notes.txt")
    twice = Listing((("rgb/a", Place("one")), ("flow/a", Place("two"))), {})
    with pytest.raises(InputError, match="source: one and two both have the id a"):
        match_videos({"source": twice}, Naming())
    with pytest.raises(
        InputError, match=r"id_pattern=v_.*: matches none of the 2 paths in source, such as rgb/a"
    ):
        match_videos({"source": twice}, Naming("v_.*"))
